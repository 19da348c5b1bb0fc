//! What files were when they came in, of a million of them in a few bytes each: checksums of paths with checksums of contents.

use sha2::{Digest as _, Sha256};

/// SHA-256.
type Sum = [u8; 32];

/// The checksums that a path had; several where it came in again.
#[derive(Debug, Default)]
pub struct Marks(Vec<(u128, Sum)>);

/// Half a SHA-256: no two paths of this world share one.
fn short(path: &str) -> u128 {
    let sum: Sum = Sha256::digest(path).into();
    sum.iter()
        .take(16)
        .fold(0, |all, byte| all << 8 | u128::from(*byte))
}

fn sum(hex: &str) -> Option<Sum> {
    let mut sum = [0; 32];
    if hex.len() != 64 {
        return None;
    }
    for (at, byte) in sum.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(sum)
}

impl Marks {
    /// Paths below the experiment with SHA-256 in hexadecimal.
    pub fn add(&mut self, path: &str, sha256: &str) {
        self.0.extend(sum(sha256).map(|sum| (short(path), sum)));
    }

    /// Everything was added.
    pub fn settle(&mut self) {
        self.0.sort_unstable();
        self.0.shrink_to_fit();
    }

    /// Whether a content is one that the path had; `None` where it never came in.
    pub fn has(&self, path: &str, sum: &[u8]) -> Option<bool> {
        let path = short(path);
        let from = self.0.partition_point(|(each, _)| *each < path);
        let mut all = self
            .0
            .get(from..)
            .unwrap_or_default()
            .iter()
            .take_while(|(each, _)| *each == path)
            .peekable();
        all.peek()?;
        Some(all.any(|(_, each)| each == sum))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_the_sums_that_it_came_in_with_and_no_other() {
        let mut marks = Marks::default();
        let hex = |n: u8| format!("{n:02x}").repeat(32);
        for (path, n) in [("b", 1), ("a", 2), ("b", 3), ("a/b", 4)] {
            marks.add(path, &hex(n));
        }
        marks.add("c", "no sum");
        marks.settle();
        assert_eq!(marks.has("b", &[1; 32]), Some(true));
        assert_eq!(marks.has("b", &[3; 32]), Some(true));
        assert_eq!(marks.has("b", &[2; 32]), Some(false));
        assert_eq!(marks.has("a", &[2; 32]), Some(true));
        assert_eq!(marks.has("c", &[2; 32]), None);
        assert_eq!(marks.has("d", &[2; 32]), None);
    }
}
