//! Evidence files beside the data, and the `SQLite` index over them.
//!
//! Evidence (claim, applied record, ledger, tombstones, definition) is plain text, fsynced before anything relies on
//! it. The index can be lost: it is rebuilt from the evidence. Called by `provision` and the rooms above it.

pub mod applied;
mod lines;
