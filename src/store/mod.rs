//! Evidence files and the index over them.
