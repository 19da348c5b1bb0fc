//! The SFTP door: Debian's `sftp-server` behind a filter of the client's packets.
//! `attrs` rewrites one packet, `frames` finds the packets in the stream, `serve` runs the server.
//! Called by `main` only.

pub mod attrs;
pub mod frames;
pub mod serve;
