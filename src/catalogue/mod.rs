//! The inventory of an experiment's files. Called by `documents` and the rooms above it.

pub mod survey;
