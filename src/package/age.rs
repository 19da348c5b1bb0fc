//! Encryption in the age format (age-encryption.org/v1) by Debian's `age` program.
//!
//! The program and not a crate: whoever opens a package without us uses the same one, Debian keeps it in repair, its parser of foreign
//! files is another process, and nothing of it is linked into a program that runs as root. Only recipients (public keys) are ever
//! arguments; identities (private keys) are files that their owner names, read by `age` itself.

use std::fmt;
use std::fs::File;
use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::sys::command::{Command, Output, Program};

/// The letters of Bech32 (BIP 173).
const LETTERS: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
/// What a recipient begins with.
const PREFIX: &str = "age1";
/// Letters of an X25519 recipient: four, 52 of the key, six of the checksum.
const LENGTH: usize = 62;

/// The public key for whom something is encrypted: X25519, `age1…`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Recipient(String);

impl Recipient {
    /// Reads a recipient; its checksum is right past this.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::new(
                "age.recipient",
                format!(
                    "{} is no recipient: {why}",
                    crate::experiment::text::quote(text)
                ),
            )
            .hint("a public key of `age-keygen`, age1 and 58 letters")
        };
        if text.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-") {
            // Never repeated: it is somebody's secret.
            return Err(Error::new(
                "age.secret",
                "this is a private key, which is never given to the NAS",
            )
            .hint("give the public one, `age-keygen -y FILE`; make a new pair, since this key may be in a history now"));
        }
        if !text.starts_with(PREFIX) || text.len() != LENGTH {
            return Err(wrong("only X25519 keys are taken, which every age reads"));
        }
        let values: Option<Vec<u8>> = text
            .bytes()
            .skip(PREFIX.len())
            .map(|byte| {
                let at = LETTERS.iter().position(|letter| *letter == byte)?;
                u8::try_from(at).ok()
            })
            .collect();
        let Some(values) = values else {
            return Err(wrong("it has a letter that none has"));
        };
        if checksum(&values) != 1 {
            return Err(wrong("its checksum is wrong, a letter was mistaken"));
        }
        Ok(Self(text.to_owned()))
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The checksum of BIP 173 over prefix and values; 1 where they are right.
fn checksum(values: &[u8]) -> u32 {
    const GENERATOR: [u32; 5] = [
        0x3b6a_57b2,
        0x2650_8e6d,
        0x1ea1_19fa,
        0x3d42_33dd,
        0x2a14_62b3,
    ];
    let prefix = PREFIX.trim_end_matches('1').bytes();
    let all = prefix
        .clone()
        .map(|byte| byte >> 5)
        .chain([0])
        .chain(prefix.map(|byte| byte & 31))
        .chain(values.iter().copied());
    all.fold(1, |sum: u32, value| {
        let top = sum >> 25;
        let next = ((sum & 0x01ff_ffff) << 5) ^ u32::from(value);
        GENERATOR
            .iter()
            .enumerate()
            .filter(|(bit, _)| (top >> bit) & 1 == 1)
            .fold(next, |next, (_, term)| next ^ term)
    })
}

/// Fails where there is no `age`.
pub fn installed() -> Result<()> {
    if Program::Age.is_installed() {
        return Ok(());
    }
    Err(Error::new("age.missing", "the program age is not installed").hint("apt install age"))
}

/// Encrypts what it is given through its input.
pub fn encrypting(recipients: &[Recipient]) -> Command {
    let keys = recipients
        .iter()
        .flat_map(|recipient| ["-r", recipient.as_str()]);
    Command::new(Program::Age).arg("-e").args(keys).piped()
}

/// Decrypts `file` with the private keys in the file `identity` (absolute).
pub fn decrypting(file: File, identity: &Path) -> Command {
    Command::new(Program::Age)
        .args(["-d", "-i"])
        .arg(identity)
        .file(file)
}

/// What the end of `age` means.
pub fn ended(output: &Output) -> Result<()> {
    if output.code == Some(0) {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("no identity matched") {
        return Err(Error::new(
            "age.identity",
            "the identity that was given does not open it",
        )
        .hint("give the file with the private key of one of its recipients"));
    }
    let reason = said
        .lines()
        .find(|line| line.contains("error"))
        .unwrap_or("it was ended by a signal");
    Err(Error::new(
        "age.failed",
        format!(
            "age failed: {}",
            reason
                .trim_start_matches("age: ")
                .trim_start_matches("error: ")
        ),
    )
    .hint("it may be damaged, cut off, or not for this identity"))
}

/// True for what begins like something that age encrypted.
pub fn is_encrypted(start: &[u8]) -> bool {
    start.starts_with(b"age-encryption.org/v1\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";

    #[test]
    fn a_recipient_has_a_right_checksum_and_a_secret_is_never_repeated() {
        assert_eq!(Recipient::parse(KEY).unwrap().as_str(), KEY);
        for wrong in [
            "",
            "age1",
            &KEY.replace("ql3", "q13"),
            &KEY.replace("z7h", "z7j"),
            &KEY.to_uppercase(),
            "age1yubikey1q2w7u3vpya839jxxuq8g0sedh3d740d4xvn639sqhr95ejj8vu3hyfumptt",
            "ssh-ed25519 AAAA",
        ] {
            let error = Recipient::parse(wrong).unwrap_err();
            assert_eq!(error.code(), "age.recipient", "{wrong}");
        }
        let error = Recipient::parse("AGE-SECRET-KEY-1QQQQ").unwrap_err();
        assert_eq!(error.code(), "age.secret");
        assert!(!error.to_string().contains("QQQQ"));
    }
}
