//! Checksums that manifests may use (RFC 8493, section 2.4), and several of them over one stream.

use std::fmt;

use md5::Md5;
use serde::Serialize;
use sha1::Sha1;
use sha2::digest::DynDigest;
use sha2::{Sha224, Sha256, Sha384, Sha512};

use crate::store::hexadecimal;

/// A checksum algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// For bags that others made long ago.
    Md5,
    /// For bags that others made long ago.
    Sha1,
    /// FIPS 180-4.
    Sha224,
    /// FIPS 180-4; what we write.
    Sha256,
    /// FIPS 180-4.
    Sha384,
    /// FIPS 180-4; what archives have too.
    Sha512,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Md5,
        Self::Sha1,
        Self::Sha224,
        Self::Sha256,
        Self::Sha384,
        Self::Sha512,
    ];

    /// The name in `manifest-<name>.txt`: lower case, without hyphens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha224 => "sha224",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }

    /// The algorithm of this name; case and hyphens do not count.
    pub fn named(name: &str) -> Option<Self> {
        let plain: String = name.chars().filter(|c| *c != '-').collect();
        Self::ALL
            .into_iter()
            .find(|each| each.name().eq_ignore_ascii_case(&plain))
    }

    /// Bytes of a checksum.
    pub fn size(self) -> usize {
        self.new_digest().output_size()
    }

    /// True where two files can be made that have the same checksum.
    pub fn is_broken(self) -> bool {
        matches!(self, Self::Md5 | Self::Sha1)
    }

    fn new_digest(self) -> Box<dyn DynDigest + Send> {
        match self {
            Self::Md5 => Box::new(Md5::default()),
            Self::Sha1 => Box::new(Sha1::default()),
            Self::Sha224 => Box::new(Sha224::default()),
            Self::Sha256 => Box::new(Sha256::default()),
            Self::Sha384 => Box::new(Sha384::default()),
            Self::Sha512 => Box::new(Sha512::default()),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Serialize for Algorithm {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// The checksums of one file, in the order of the algorithms that were asked for, and how long it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Digests {
    /// Bytes.
    pub size: u64,
    /// Algorithm and checksum.
    pub sums: Vec<(Algorithm, Vec<u8>)>,
}

impl Digests {
    /// One of them.
    pub fn get(&self, algorithm: Algorithm) -> Option<&[u8]> {
        self.sums
            .iter()
            .find(|(each, _)| *each == algorithm)
            .map(|(_, sum)| sum.as_slice())
    }

    /// One of them in hexadecimal.
    pub fn hex(&self, algorithm: Algorithm) -> Option<String> {
        self.get(algorithm).map(hexadecimal)
    }
}

/// Several checksums over one stream.
pub struct Hasher {
    size: u64,
    digests: Vec<(Algorithm, Box<dyn DynDigest + Send>)>,
}

impl Hasher {
    /// For these algorithms.
    pub fn new(algorithms: &[Algorithm]) -> Self {
        Self {
            size: 0,
            digests: algorithms
                .iter()
                .map(|each| (*each, each.new_digest()))
                .collect(),
        }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        for (_, digest) in &mut self.digests {
            digest.update(bytes);
        }
    }

    /// The checksums; the next file begins.
    pub fn take(&mut self) -> Digests {
        Digests {
            size: std::mem::take(&mut self.size),
            sums: self
                .digests
                .iter_mut()
                .map(|(each, digest)| (*each, digest.finalize_reset().into_vec()))
                .collect(),
        }
    }
}

/// The checksums of bytes in memory.
pub fn digests(algorithms: &[Algorithm], bytes: &[u8]) -> Digests {
    let mut hasher = Hasher::new(algorithms);
    hasher.update(bytes);
    hasher.take()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_algorithm_gives_the_sum_of_its_standard() {
        for (algorithm, begins) in [
            (Algorithm::Md5, "900150983cd24fb0"),
            (Algorithm::Sha1, "a9993e364706816a"),
            (Algorithm::Sha224, "23097d223405d822"),
            (Algorithm::Sha256, "ba7816bf8f01cfea"),
            (Algorithm::Sha384, "cb00753f45a35e8b"),
            (Algorithm::Sha512, "ddaf35a193617aba"),
        ] {
            let sums = digests(&[algorithm], b"abc");
            assert!(sums.hex(algorithm).unwrap().starts_with(begins));
            assert_eq!(sums.get(algorithm).unwrap().len(), algorithm.size());
            assert_eq!(Algorithm::named(algorithm.name()), Some(algorithm));
        }
        assert_eq!(Algorithm::named("SHA-512"), Some(Algorithm::Sha512));
        assert_eq!(Algorithm::named("crc32"), None);
    }

    #[test]
    fn one_stream_after_the_other() {
        let mut hasher = Hasher::new(&[Algorithm::Sha256, Algorithm::Sha512]);
        hasher.update(b"a");
        hasher.update(b"bc");
        assert_eq!(
            hasher.take(),
            digests(&[Algorithm::Sha256, Algorithm::Sha512], b"abc")
        );
        hasher.update(b"abc");
        assert_eq!(hasher.take().size, 3);
    }
}
