//! The public key of an acquisition machine: one line as `ssh-keygen` writes it into `*.pub`. Made only by its parser.

use sha2::{Digest as _, Sha256};

use super::text::{checked_text, quote};
use crate::error::{Error, Result};

/// The longest line, in bytes (an RSA key of 16384 bits needs 2.8 kB).
const LINE_MAX: usize = 8 << 10;
/// The longest comment, in bytes.
const COMMENT_MAX: usize = 100;
/// The shortest RSA key that is taken, in bits.
const RSA_BITS: usize = 2048;

/// The types that are taken, as OpenSSH names them (sshd(8), `authorized_keys`). No DSA, no certificates.
const TYPES: &[&str] = &[
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "sk-ssh-ed25519@openssh.com",
    "sk-ecdsa-sha2-nistp256@openssh.com",
    "ssh-rsa",
];

/// A public key: `type base64` and perhaps a comment, on one line, without options.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey(String);
checked_text!(PublicKey);

impl PublicKey {
    /// Checks a key. White space at the ends is taken away, anything else must be as `ssh-keygen` writes it.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim_matches([' ', '\n', '\r', '\t']);
        let refused = |why: &str| {
            Error::new("key.invalid", format!("{} is not a public key: {why}", quote(text)))
                .hint("give the one line of the `.pub` file that `ssh-keygen -t ed25519` made on the source")
        };
        if text.contains("PRIVATE KEY") {
            return Err(Error::new(
                "key.private",
                "this is a private key: it must never leave the source",
            )
            .hint("make a new pair on the source, delete this one, and give the `.pub` file"));
        }
        if text.len() > LINE_MAX {
            return Err(refused("it is longer than 8 KiB"));
        }
        if text.chars().any(char::is_control) {
            return Err(refused("it is more than one line"));
        }
        let mut words = text.splitn(3, ' ');
        let (Some(kind), Some(body)) = (words.next(), words.next()) else {
            return Err(refused("it is not `type base64 comment`"));
        };
        let comment = words.next().unwrap_or_default().trim();
        if !TYPES.contains(&kind) {
            return Err(refused("its type is not known, or options stand before it"));
        }
        let fits =
            comment.len() <= COMMENT_MAX && comment.bytes().all(|b| (0x20..0x7f).contains(&b));
        if !fits {
            return Err(refused(
                "its comment is longer than 100 bytes, or not plain ASCII",
            ));
        }
        let blob = decode(body).ok_or_else(|| refused("its base64 is damaged"))?;
        let fields =
            fields(&blob).ok_or_else(|| refused("it is cut off, or something follows it"))?;
        if fields.first().copied() != Some(kind.as_bytes()) {
            return Err(refused("it says two different types"));
        }
        check_numbers(kind, &fields).map_err(refused)?;
        Ok(Self(if comment.is_empty() {
            format!("{kind} {body}")
        } else {
            format!("{kind} {body} {comment}")
        }))
    }

    /// Type and base64, without the comment: what makes two lines the same key.
    pub fn body(&self) -> &str {
        let end = self
            .0
            .match_indices(' ')
            .nth(1)
            .map_or(self.0.len(), |(at, _)| at);
        &self.0[..end]
    }

    /// As `ssh-keygen -l` shows it: `SHA256:` and base64 without padding.
    pub fn fingerprint(&self) -> String {
        let blob = self
            .0
            .split(' ')
            .nth(1)
            .and_then(decode)
            .unwrap_or_default();
        format!("SHA256:{}", encode(&Sha256::digest(blob)))
    }
}

/// What the numbers of a key must be like.
fn check_numbers(kind: &str, fields: &[&[u8]]) -> std::result::Result<(), &'static str> {
    let wrong = "its numbers do not fit its type";
    let lengths: Vec<usize> = fields.iter().skip(1).map(|field| field.len()).collect();
    let right = match kind {
        "ssh-ed25519" => lengths == [32],
        "sk-ssh-ed25519@openssh.com" => lengths.len() == 2 && lengths[0] == 32,
        "ssh-rsa" => {
            let bits = fields.last().map_or(0, |n| {
                let n = &n[n.iter().take_while(|&&b| b == 0).count()..];
                n.len() * 8
            });
            if bits < RSA_BITS {
                return Err("RSA keys of less than 2048 bits are too weak");
            }
            lengths.len() == 2
        }
        _ => {
            let point = match kind {
                "ecdsa-sha2-nistp384" => 97,
                "ecdsa-sha2-nistp521" => 133,
                _ => 65,
            };
            let count = if kind.starts_with("sk-") { 3 } else { 2 };
            let curve = kind
                .trim_start_matches("sk-")
                .trim_end_matches("@openssh.com");
            let curve = curve.trim_start_matches("ecdsa-sha2-");
            lengths.len() == count
                && fields.get(1) == Some(&curve.as_bytes())
                && lengths[1] == point
        }
    };
    if right { Ok(()) } else { Err(wrong) }
}

/// The length-prefixed fields of a key (RFC 4251, section 5); `None` where they do not fill it exactly.
fn fields(mut blob: &[u8]) -> Option<Vec<&[u8]>> {
    let mut all = Vec::new();
    while !blob.is_empty() {
        let (length, rest) = blob.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_be_bytes(*length)).ok()?;
        let (field, rest) = rest.split_at_checked(length)?;
        all.push(field);
        blob = rest;
    }
    Some(all)
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// Base64 in its only canonical form (RFC 4648, section 3.5).
fn decode(text: &str) -> Option<Vec<u8>> {
    if text.is_empty() || !text.len().is_multiple_of(4) {
        return None;
    }
    let plain = text.trim_end_matches('=');
    if text.len() - plain.len() > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut kept) = (0_u32, 0);
    for byte in plain.bytes() {
        let value = ALPHABET.iter().position(|&b| b == byte)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        kept += 6;
        if kept >= 8 {
            kept -= 8;
            bytes.push(u8::try_from(bits >> kept & 0xff).ok()?);
        }
        bits &= (1 << kept) - 1;
    }
    // The bits that are left over are zero, and the padding is as long as it must be.
    (bits == 0 && encode(&bytes) == plain).then_some(bytes)
}

/// Base64 without padding.
fn encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 3);
    for chunk in bytes.chunks(3) {
        let word = chunk
            .iter()
            .fold(0_usize, |word, &b| word << 8 | usize::from(b))
            << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(ALPHABET[word >> (18 - 6 * place) & 63]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJlfTMelv83jE/USL7TtifvU/+XbPqF/JPf3Tomeoksm plc@c1";

    #[test]
    fn a_key_is_one_line_of_a_known_type() {
        let key = PublicKey::parse(&format!("  {GOOD}\n")).unwrap();
        assert_eq!(key.as_str(), GOOD);
        assert_eq!(key.body(), GOOD.rsplit_once(' ').unwrap().0);
        assert_eq!(
            key.fingerprint(),
            "SHA256:FaIvHKTCdUPiXQkES4qNwaaQHfEs7L8Y1ywq/QoL1WY"
        );
        let bare = PublicKey::parse(key.body()).unwrap();
        PublicKey::parse("ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBPeF41WNdVSLlkcVcH7/UASo1JGxQp1GjhgOT7cHWevwy+7+vJ+sykhMp64ktIl7zEcmlDZfYE3PTQKI2fHCrSk= plc@c1").unwrap();
        PublicKey::parse("ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQCxACbkQwHKjIqP2GS9QSwwH+H0sm7Rm6w2vC06y1z5MY8O313NBTbTzxJ9NZco8N3PUNgMhpmCWiDs9t6w4poIeV344oVT3JSEKWc3tqhUWxJQozB/1V2+8GffxIZ/C+5JoUGEV4hWD3b9UhozRfSYAO0gqYlzjl19S4kPXXDyR9yj90WBYi5FpW/5fB7uLN7dFUZ6v0TMN//necWMXt1eWt0OV8RAzmSURmjZBP4XRZg9tooPgD6LDZo277MHgxMGBnZ4qSmb3T8BHTaHMCQZqm2D0NC2gMpHcIFpLPVe5221H1s+297dl/4SdgUFxRixtw2L10OMikt3XQsCpLgBP8QjpfNJhcLcWn1vOLxAvBpna9cf9xysIe7QICFuwTEQfc4ub16taQsyC7RghfKCc0vL9fWk9Ru/03OyD6A7qiBO1hIGtwqUV2gev649iizQ5hsnXtf+qJbaYSIfP59MQTON7z/iVCtNDxWFD5fvM+7baf6PgDW3MFlZw9UG8IE= plc@c1").unwrap();
        assert_eq!(bare.body(), key.body());
    }

    #[test]
    fn anything_else_is_refused() {
        let body = GOOD.split(' ').nth(1).unwrap();
        let cut = &body[..body.len() - 4];
        for bad in [
            "",
            "ssh-ed25519",
            body,
            &format!("restrict {GOOD}"),
            &format!("command=\"/bin/sh\" {GOOD}"),
            &format!("ssh-dss {body} x"),
            &format!("ssh-rsa {body} x"),
            &format!("ssh-ed25519  {body}"),
            &format!("ssh-ed25519\t{body}"),
            &format!("ssh-ed25519 {cut} x"),
            &format!("ssh-ed25519 {body}AAAA x"),
            &format!("ssh-ed25519 {body}= x"),
            &format!("ssh-ed25519 {} x", body.replace('A', "_")),
            &format!("{GOOD}\n{GOOD}"),
            &format!("{GOOD}\0"),
            &format!("{GOOD} \u{202e}x"),
            &format!("ssh-ed25519 {body} {}", "c".repeat(101)),
            &format!("ssh-ed25519 {} x", "A".repeat(9000)),
        ] {
            assert_eq!(
                PublicKey::parse(bad).unwrap_err().code(),
                "key.invalid",
                "{bad:?}"
            );
        }
        let private =
            "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----";
        assert_eq!(PublicKey::parse(private).unwrap_err().code(), "key.private");
    }

    proptest::proptest! {
        #[test]
        fn base64_comes_back(bytes in proptest::collection::vec(proptest::num::u8::ANY, 1..100)) {
            let mut text = encode(&bytes);
            while !text.len().is_multiple_of(4) {
                text.push('=');
            }
            proptest::prop_assert_eq!(decode(&text), Some(bytes));
        }

        #[test]
        fn no_text_makes_the_parser_fall(text in "\\PC{0,200}") {
            let _ = PublicKey::parse(&text);
        }
    }
}
