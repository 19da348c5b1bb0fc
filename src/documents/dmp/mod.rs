//! The data management plan (PGD): what is asked (`questions`), what people answered (`answers`), what the NAS knows
//! (`facts`), the sentences made of both (`prose`), what is still open (`open`); written as text, as RDA maDMP and for DMP
//! OPIDoR; kept in versions. Called by `provision`; nothing here touches a NAS.

pub mod answers;
pub mod facts;
pub mod formats;
pub mod keep;
pub mod madmp;
pub mod open;
pub mod opidor;
pub mod plan;
pub mod prose;
pub mod questions;
pub mod registry;
pub mod roles;
pub mod text;
pub mod versions;

#[cfg(test)]
mod tests;
