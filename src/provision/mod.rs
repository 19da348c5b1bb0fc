//! Making the NAS match the definition: a pure plan (`desired`, `plan`), its execution (`apply`, `converge`), and the operations built
//! on the two. Called by `cli` and `rpc`; the only room that changes a NAS.

pub mod accounts;
pub mod adopt;
pub mod apply;
pub mod base;
pub mod catalogue;
pub mod check;
pub mod converge;
pub mod create;
pub mod desired;
pub mod dmp;
pub mod doctor;
pub mod documents;
pub mod effect;
pub mod evidence;
pub mod frame;
pub mod history;
pub mod import;
pub mod ingest;
pub mod lifecycle;
pub mod list;
pub mod observe;
pub mod operation;
pub mod plan;
pub mod presence;
pub mod probe;
pub mod rights;
pub mod seal;
pub mod sharing;
pub mod show;
pub mod site;
pub mod source;
pub mod stages;
pub mod sweep;
pub mod synckit;
pub mod verify;
