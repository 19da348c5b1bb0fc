//! The client's stream of SFTP packets: a length (32 bits, big-endian), then that many bytes.
//!
//! One buffer of a fixed size: packets are rewritten where they lie, and handed on as soon as they are whole.

use super::attrs::{Directories, Malformed, rewrite};

/// sftp-server takes no longer packets (`SFTP_MAX_MSG_LENGTH`), bytes.
pub const MAX_PACKET: usize = 256 * 1024;

/// Bytes of the length in front of a packet.
const HEAD: usize = 4;

/// Packets between the client and the server.
pub struct Frames {
    buffer: Vec<u8>,
    filled: usize,
}

impl Frames {
    /// An empty stream; its memory does not grow.
    pub fn new() -> Self {
        Self {
            buffer: vec![0; HEAD + MAX_PACKET],
            filled: 0,
        }
    }

    /// Where the next bytes of the client go; never empty after [`Frames::pass`].
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.buffer[self.filled..]
    }

    /// Takes the first `count` bytes of [`Frames::space`] as read, and rewrites the packets that are now whole.
    /// Returns how many bytes at the front may go to the server, and what is wrong with the packet after them.
    pub fn read(
        &mut self,
        count: usize,
        directories: &dyn Directories,
    ) -> (usize, Result<(), Malformed>) {
        self.filled = self.filled.saturating_add(count).min(self.buffer.len());
        let mut done = 0;
        loop {
            let rest = &mut self.buffer[done..self.filled];
            let Some((head, body)) = rest.split_first_chunk_mut::<HEAD>() else {
                return (done, Ok(()));
            };
            let length = usize::try_from(u32::from_be_bytes(*head)).unwrap_or(usize::MAX);
            if length == 0 {
                return (done, Err(Malformed("an SFTP packet is empty")));
            }
            if length > MAX_PACKET {
                return (
                    done,
                    Err(Malformed(
                        "an SFTP packet is longer than 256 KiB, or this is not SFTP",
                    )),
                );
            }
            let Some(packet) = body.get_mut(..length) else {
                return (done, Ok(()));
            };
            if let Err(malformed) = rewrite(packet, directories) {
                return (done, Err(malformed));
            }
            done += HEAD + length;
        }
    }

    /// The first `count` bytes: whole packets, as the server gets them.
    pub fn whole(&self, count: usize) -> &[u8] {
        &self.buffer[..count.min(self.filled)]
    }

    /// Forgets the first `count` bytes, which went to the server.
    pub fn pass(&mut self, count: usize) {
        let count = count.min(self.filled);
        self.buffer.copy_within(count..self.filled, 0);
        self.filled -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::super::attrs::tests::{Tree, request, string};
    use super::*;
    use proptest::prelude::*;

    /// Sends `input` in pieces of the given sizes; returns what came out and how it ended.
    fn through(input: &[u8], pieces: &[usize]) -> (Vec<u8>, Result<(), Malformed>) {
        let mut frames = Frames::new();
        let mut out = Vec::new();
        let mut rest = input;
        let mut sizes = pieces.iter().copied().cycle();
        while !rest.is_empty() {
            let space = frames.space();
            let count = sizes
                .next()
                .unwrap_or(1)
                .clamp(1, space.len())
                .min(rest.len());
            space[..count].copy_from_slice(&rest[..count]);
            rest = &rest[count..];
            let (done, result) = frames.read(count, &Tree);
            out.extend(frames.whole(done));
            frames.pass(done);
            if result.is_err() {
                return (out, result);
            }
        }
        (out, Ok(()))
    }

    #[test]
    fn packets_pass_whole_and_rewritten_however_they_are_cut() {
        let mut input = Vec::new();
        let mut expected = Vec::new();
        for (kind, path, asked, becomes) in [
            (3u8, "a", 0o644, 0o660),
            (14, "d", 0o700, 0o770),
            (9, "dir", 0o600, 0o2770),
        ] {
            input.extend(string(&request(kind, path.as_bytes(), 4, asked)));
            expected.extend(string(&request(kind, path.as_bytes(), 4, becomes)));
            let write = [vec![6], vec![9; 32 * 1024]].concat();
            input.extend(string(&write));
            expected.extend(string(&write));
        }
        for pieces in [vec![1], vec![3, 7], vec![MAX_PACKET]] {
            assert_eq!(through(&input, &pieces), (expected.clone(), Ok(())));
        }
    }

    #[test]
    fn the_longest_packet_passes_and_one_byte_more_does_not() {
        let longest = string(&vec![6; MAX_PACKET]);
        assert_eq!(through(&longest, &[100_000]), (longest, Ok(())));
        let (out, result) = through(&string(&vec![6; MAX_PACKET + 1]), &[100_000]);
        assert!(out.is_empty() && result.is_err());
        assert!(through(b"SSH-2.0-hello", &[64]).1.is_err());
        assert!(through(&[0, 0, 0, 0, 9], &[64]).1.is_err());
    }

    #[test]
    fn what_came_before_a_bad_packet_still_passes() {
        let good = string(&[4, 0, 0, 0, 1, 0, 0, 0, 0]);
        let input = [good.clone(), string(&[9, 0, 0])].concat();
        let (out, result) = through(&input, &[1000]);
        assert_eq!(out, good);
        assert!(result.is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            input in proptest::collection::vec(any::<u8>(), 0..2000),
            pieces in proptest::collection::vec(1usize..300, 1..5),
        ) {
            let (out, _) = through(&input, &pieces);
            prop_assert!(out.len() <= input.len());
        }

        #[test]
        fn framing_is_the_same_on_both_sides(
            packets in proptest::collection::vec(
                (prop::sample::select(vec![3u8, 9, 10, 14, 200, 6, 4]), 0u32..16, any::<u32>()), 0..20),
            pieces in proptest::collection::vec(1usize..300, 1..5),
        ) {
            let input: Vec<u8> = packets.iter().flat_map(|(kind, flags, mode)| string(&request(*kind, b"dir", *flags, *mode))).collect();
            let (out, result) = through(&input, &pieces);
            prop_assert_eq!(result, Ok(()));
            prop_assert_eq!(out.len(), input.len());
            let mut at = 0;
            while at < input.len() {
                prop_assert_eq!(&out[at..at + 13], &input[at..at + 13]);
                at += 4 + u32::from_be_bytes(input[at..at + 4].try_into().unwrap()) as usize;
            }
        }
    }
}
