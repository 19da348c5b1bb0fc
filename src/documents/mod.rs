//! Generated texts: what they may say (`facts`), how they are written (`render`, `html`), how they are kept (`file`),
//! which there are (`sheets`), which may be shown (`tame`). Called by `provision`; a text never knows an account, a machine or a secret.

pub mod dictionary;
pub mod dmp;
pub mod escape;
pub mod facts;
pub mod file;
mod findings;
mod helpers;
pub mod html;
mod licence;
mod namings;
mod notices;
pub mod reading;
pub mod render;
pub mod sheets;
pub mod synckit;
pub mod tame;
pub mod units;
pub mod words;
