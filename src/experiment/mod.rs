//! The definition of an experiment: types that prove a check was done, the reader of `experiment.yaml`, and what an
//! edit changes. Knows nobody but `error`; no I/O.

mod choice;
mod definition;
mod identifier;
mod name;
mod path;
mod quantity;
pub(crate) mod text;

pub use choice::{Access, Language, Role, SourceKind, Status};
pub use definition::{
    Dates, Definition, Facility, Funding, NfsRow, Person, Protocols, Retention, Source, Storage,
    Unknown, VERSION, Variable,
};
pub use identifier::{Email, Licence, Orcid, Ror};
pub use name::{AccountName, Code, ExperimentId, LayoutName, SourceId};
pub use path::{AbsPath, NAME_MAX, PATH_MAX, RelPath};
pub use quantity::{Date, Interval, Size, Timezone};
