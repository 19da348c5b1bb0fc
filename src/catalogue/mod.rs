//! What the files of an experiment are: their inventory, and what is inside them.
//!
//! Damage that is found in a file is data, never an error. `documents` and the rooms above call this one.

pub mod survey;
