//! Layout template → directories. No I/O.
