//! The only door outside: files beneath a directory handle, access lists, programs, mounts, systemd, locks, clock.
//!
//! A member who owns directories below may race root with links, FIFOs and renames, so everything works on
//! descriptors that were opened first and checked after. `nas`, `store` and the rooms above call this one.

pub mod abilities;
pub mod acl;
pub mod clock;
pub mod command;
pub mod dir;
mod failure;
pub mod fault;
pub mod lock;
pub mod mounts;
mod place;
pub mod process;
pub mod processes;
pub mod systemd;
pub mod underneath;
pub mod walk;
