//! The program: first acts, parse, choose the NAS, dispatch, exit code.

fn main() {}
