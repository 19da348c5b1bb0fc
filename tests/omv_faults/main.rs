//! The program itself on a double of OpenMediaVault while things go wrong: it is killed, the NAS fails or dies, somebody
//! else works at the same time. Each test in a mount namespace of its own, with mounts that are real.
//!
//! `world` is the unit in which it happens; every other module is one promise.

#![cfg(feature = "faults")]
#![allow(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::format_push_string,
    dead_code,
    missing_docs,
    reason = "a test makes its own files and processes, and may fail"
)]

#[path = "../engined/mod.rs"]
mod engined;

mod accounts;
mod calls;
mod counts;
mod drift;
mod kills;
mod night;
mod others;
mod together;
mod world;
