//! The definition of an experiment and its validation. Knows nobody but `error`; no I/O.

/// The name of an account: `[a-z_][a-z0-9_.-]{0,31}`, not a system account.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AccountName(String);
