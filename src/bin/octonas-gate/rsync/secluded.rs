//! `--secluded-args` (`-s`): the client sends its arguments on standard input, each ended by NUL, the list by an
//! empty one (`send_protected_args` in rsync's rsync.c); the transfer follows at once.

use std::io::Read;

use crate::refusal::{Refusal, Result};

/// rsync's MAXPATHLEN; it would cut longer ones off.
const MAX_ARGUMENT: usize = 4096;

/// Bytes of all of them together.
const MAX_ALL: usize = 256 * 1024;

/// Reads the list and not a byte more: what follows belongs to rsync. Byte by byte, as rsync does.
pub fn read(client: &mut impl Read) -> Result<Vec<Vec<u8>>> {
    let mut arguments = Vec::new();
    let mut argument = Vec::new();
    for _ in 0..MAX_ALL {
        let mut byte = [0];
        client
            .read_exact(&mut byte)
            .map_err(|_| Refusal::new("rsync --secluded-args: the list of arguments broke off"))?;
        match byte {
            [0] if argument.is_empty() => return Ok(arguments),
            [0] => arguments.push(std::mem::take(&mut argument)),
            [byte] => argument.push(byte),
        }
        if argument.len() >= MAX_ARGUMENT {
            return Err(Refusal::new(
                "rsync --secluded-args: an argument is too long",
            ));
        }
    }
    Err(Refusal::new("rsync --secluded-args: too many arguments"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read_and_not_a_byte_more() {
        let mut client = &b"rsync\0.\0a b\0\0\x1f\0\0\0"[..];
        assert_eq!(
            read(&mut client).unwrap(),
            [b"rsync".to_vec(), b".".to_vec(), b"a b".to_vec()]
        );
        assert_eq!(client, b"\x1f\0\0\0");
    }

    #[test]
    fn lists_without_end_and_endless_lists_are_refused() {
        assert!(read(&mut &b"rsync\0."[..]).is_err());
        assert!(read(&mut std::io::repeat(b'a')).is_err());
        let many = b"a\0".repeat(MAX_ALL);
        assert!(read(&mut many.as_slice()).is_err());
    }
}
