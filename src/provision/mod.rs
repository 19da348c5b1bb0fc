//! Making the NAS match the definition: a pure plan, its execution, and the operations built on the two.
//! Called by `cli` and `rpc`; the only room that changes a NAS.

pub mod desired;
pub mod plan;
