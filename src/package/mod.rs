//! Packages: an experiment as a `BagIt` bag that is an RO-Crate, as a directory, a .tar.zst or a .zip, encrypted or not; any
//! bag checked, whoever made it; what was packed brought back. Damage that is found is data, never an error.
//!
//! `provision` calls this room, and says what is known of an experiment ([`about::About`]).

pub mod about;
pub mod age;
pub mod algorithm;
pub mod bag;
pub mod container;
pub mod content;
pub mod finding;
pub mod frames;
pub mod gather;
pub mod manifest;
pub mod marks;
pub mod output;
mod pace;
pub mod path;
pub mod pick;
pub mod place;
mod remote;
pub mod restore;
pub mod ro_crate;
pub mod seen;
pub mod single;
pub mod sink;
pub mod source;
pub mod tags;
pub mod tarball;
pub mod tree;
pub mod verify;
pub mod zipped;
