//! `OctoNAS`: experiments on a NAS. This is the map of the rooms; dependencies run downward only
//! (`tests/architecture.rs` holds it).
//!
//! | room | what is there |
//! | --- | --- |
//! | `cli` | one file per group of commands: arguments and printing, no logic |
//! | `rpc` | the same operations as JSON, for the web UI |
//! | `open` | from the configuration to a place where work is done: the NAS is chosen here |
//! | `provision` | the plan (pure: desired, applied, observed → steps), its execution, checks, rights |
//! | `documents` | generated texts: what they may say, how they are written, one file per document |
//! | `package` | bags that are RO-Crates: written, verified, restored, encrypted, archived |
//! | `catalogue` | what the files of an experiment are, and what is inside them |
//! | `nas` | what holds accounts, shares and rights: `OpenMediaVault`, or the embedded one |
//! | `settings` | the configuration file |
//! | `store` | evidence files (claim, applied record, ledger, tombstones); the SQLite index over them |
//! | `sys` | the only door outside: files beneath a directory handle, programs, systemd, locks, clock |
//! | `experiment` | the definition and its validation; no I/O |
//! | `layout` | layout template → directories; no I/O |
//! | `content` | what is inside a data file, as the probe tells it |
//! | `object` | the shape of everything that an experiment needs on a NAS: kind, key, attributes |
//! | `report` | progress, tables, terminal escaping |
//! | `error` | one error: code, message, hint, source; exit codes |

pub mod catalogue;
pub mod cli;
pub mod content;
pub mod documents;
pub mod error;
pub mod experiment;
pub mod layout;
pub mod nas;
pub mod object;
pub mod open;
pub mod package;
pub mod provision;
pub mod report;
pub mod rpc;
pub mod settings;
pub mod store;
pub mod sys;
