//! What the files of an experiment are: their inventory, and what is inside them.
//!
//! Damage that is found in a file is data, never an error. `documents` and the rooms above call this one.

mod custody;
pub mod destination;
pub mod digest;
pub mod evidence;
pub mod examine;
pub mod ingest;
pub mod landing;
mod names;
pub mod probe;
mod record;
pub mod scan;
pub mod seal;
pub mod survey;
#[cfg(test)]
mod tests;
pub mod verify;
