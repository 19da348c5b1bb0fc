//! Generated texts: what they may say (`facts`), how they are written (`render`, `html`), how they are kept (`file`),
//! and one file for each document. Called by `provision`; a text never knows an account, a machine or a secret.

pub mod escape;
pub mod facts;
pub mod file;
mod helpers;
pub mod html;
mod licence;
pub mod render;
pub mod synckit;
pub mod words;

/// The built-in templates of this room.
const BUILT_IN: &[(&str, &str)] = &[];
