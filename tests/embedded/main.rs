//! End to end on the embedded NAS: the real binary, real files. One crate, so that linking is paid once.
//!
//! `support` runs the program and looks at what it left; every other module is one promise of the project. Faults
//! (a kill or a full disk at every step) need `--features faults`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::case_sensitive_file_extension_comparisons,
    clippy::format_push_string,
    clippy::large_stack_arrays,
    clippy::match_same_arms,
    clippy::if_same_then_else,
    clippy::assigning_clones,
    missing_docs
)]

mod catalogue;
mod damage;
#[cfg(feature = "faults")]
mod disk;
mod dmp;
mod documents;
mod errors;
#[cfg(feature = "faults")]
mod faults;
mod flows;
mod foreign;
mod hostile;
mod import;
mod integrity;
mod landing;
mod many;
mod notices;
mod order;
mod overnight;
mod packages;
mod probe;
mod race;
mod remote;
mod rpc;
mod sshd;
mod start;
mod support;
mod synckit;
mod together;
mod tonight;
#[cfg(feature = "faults")]
mod vanish;
