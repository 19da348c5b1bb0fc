//! The definition of an experiment: types that prove a check was done, the reader of `experiment.yaml`, and what an
//! edit changes; and what a unit says for all its experiments. Knows nobody but `error`; no I/O.

mod choice;
mod definition;
mod edit;
mod fields;
mod identifier;
mod name;
pub(crate) mod node;
mod path;
mod problem;
mod public_key;
mod quantity;
mod read;
pub(crate) mod text;
mod unit;
pub(crate) mod write;

pub use choice::{Access, Language, Role, SourceKind, Status};
pub use definition::{
    Dates, Definition, Facility, Funding, Imported, NfsRow, Person, Protocols, Retention, Source,
    Storage, Unknown, VERSION, Variable,
};
pub use edit::{Change, check_edit};
pub use identifier::{Email, Licence, Orcid, Ror};
pub use name::{
    AccountName, Code, ExperimentId, LayoutName, SourceId, source_account, source_share,
};
pub use node::INPUT_MAX;
pub(crate) use path::is_windows_device;
pub use path::{AbsPath, NAME_MAX, PATH_MAX, RelPath};
pub use problem::{Problem, Problems};
pub use public_key::PublicKey;
pub use quantity::{Date, Interval, Size, Timezone};
pub use read::{Strictness, code_of, read};
pub use unit::{SETTINGS, Unit};

#[cfg(test)]
mod tests;
