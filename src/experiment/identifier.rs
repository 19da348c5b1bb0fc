//! Identifiers that others gave: ORCID, ROR, e-mail address, licence.

use super::text::{checked_text, checked_value, did_you_mean, quote};
use crate::error::{Error, Result};

/// A person's ORCID iD, `0000-0002-1825-0097`, with its check digit (ISO 7064 mod 11-2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Orcid(String);
checked_text!(Orcid);

impl Orcid {
    /// Reads an ORCID iD, bare or as the address of its page.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |why: &str| {
            Error::new("orcid.invalid", format!("{} {why}", quote(text)))
                .hint("copy it from https://orcid.org, like `0000-0002-1825-0097`")
        };
        let bare = without_prefix(
            text.trim(),
            &["https://orcid.org/", "http://orcid.org/", "orcid.org/"],
        );
        let shaped = bare.len() == 19
            && bare.bytes().enumerate().all(|(i, b)| match i {
                4 | 9 | 14 => b == b'-',
                18 => b.is_ascii_digit() || b == b'X' || b == b'x',
                _ => b.is_ascii_digit(),
            });
        if !shaped {
            return Err(refused("is not an ORCID: four groups of four digits"));
        }
        let bare = bare.to_ascii_uppercase();
        let digits: Vec<u8> = bare.bytes().filter(|b| *b != b'-').collect();
        let sum = digits
            .iter()
            .take(15)
            .fold(0_u32, |sum, b| (sum + u32::from(b - b'0')) * 2 % 11);
        let expected = match (12 - sum) % 11 {
            10 => 'X',
            digit => char::from_digit(digit, 10).unwrap_or('?'),
        };
        if !bare.ends_with(expected) {
            return Err(refused(
                "is not an ORCID: its check digit is wrong, so a digit was mistyped",
            ));
        }
        Ok(Self(bare))
    }

    /// The address that identifies the person: `https://orcid.org/…`.
    pub fn url(&self) -> String {
        format!("https://orcid.org/{}", self.0)
    }
}

/// An organisation in the Research Organization Registry, `02feahw73`, with its two check digits
/// (ISO 7064 mod 97-10 over Crockford's base 32).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ror(String);
checked_text!(Ror);

impl Ror {
    /// Reads a ROR id, bare or as the address of its page.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |why: &str| {
            Error::new("ror.invalid", format!("{} {why}", quote(text)))
                .hint("copy it from https://ror.org, like `02feahw73`")
        };
        let bare = without_prefix(
            text.trim(),
            &["https://ror.org/", "http://ror.org/", "ror.org/"],
        )
        .to_lowercase();
        let Some((number, check)) = bare
            .strip_prefix('0')
            .filter(|rest| rest.len() == 8 && rest.is_ascii())
            .map(|rest| rest.split_at(6))
        else {
            return Err(refused(
                "is not a ROR: nine letters and digits, the first one `0`",
            ));
        };
        let value = number.bytes().try_fold(0_u64, |value, b| {
            let digit = b"0123456789abcdefghjkmnpqrstvwxyz"
                .iter()
                .position(|d| *d == b)?;
            Some(value * 32 + digit as u64)
        });
        let expected = value.map(|value| 98 - value * 100 % 97);
        if expected.is_none() || check.parse().ok() != expected {
            return Err(refused(
                "is not a ROR: its check digits are wrong, so it was mistyped",
            ));
        }
        Ok(Self(bare))
    }

    /// The address that identifies the organisation: `https://ror.org/…`.
    pub fn url(&self) -> String {
        format!("https://ror.org/{}", self.0)
    }
}

fn without_prefix<'a>(text: &'a str, prefixes: &[&str]) -> &'a str {
    prefixes
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .unwrap_or(text)
}

/// The labels of a host name (RFC 1123, section 2.1): letters, digits and hyphens, 1 to 63 of them, no hyphen at an end.
pub(super) fn is_host_name(text: &str) -> bool {
    text.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

/// An e-mail address: the part of RFC 5321 that people have. ASCII, no quotes, at most 254 bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Email(String);
checked_text!(Email);

impl Email {
    /// Checks an address; its domain becomes lower case.
    pub fn parse(text: &str) -> Result<Self> {
        let parts = text.split_once('@').filter(|(local, domain)| {
            let atom = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&b);
            text.len() <= 254
                && (1..=64).contains(&local.len())
                && local
                    .split('.')
                    .all(|part| !part.is_empty() && part.bytes().all(atom))
                && domain.contains('.')
                && is_host_name(domain)
        });
        match parts {
            Some((local, domain)) => Ok(Self(format!("{local}@{}", domain.to_ascii_lowercase()))),
            None => Err(Error::new(
                "email.invalid",
                format!("{} is not an e-mail address", quote(text)),
            )),
        }
    }
}

/// A licence by its SPDX identifier, in SPDX's own spelling: `etalab-2.0`, `CC-BY-4.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Licence(&'static str);
checked_value!(Licence);

impl Licence {
    /// Finds a licence, whatever the case of the letters.
    pub fn parse(text: &str) -> Result<Self> {
        let names = || {
            spdx::identifiers::LICENSES
                .iter()
                .map(|licence| licence.name)
        };
        names()
            .find(|name| name.eq_ignore_ascii_case(text) && *name != "NOASSERTION")
            .map(Self)
            .ok_or_else(|| {
                let hint = match did_you_mean(text, names()) {
                    Some(name) => format!("did you mean `{name}`?"),
                    None => "`etalab-2.0`, `CC-BY-4.0` and `CC0-1.0` are usual for data; https://spdx.org/licenses lists all".into(),
                };
                Error::new(
                    "licence.unknown",
                    format!("{} is not the SPDX identifier of a licence", quote(text)),
                )
                .hint(hint)
            })
    }

    /// The SPDX identifier.
    pub fn as_str(self) -> &'static str {
        self.0
    }

    /// The address of its text: `https://spdx.org/licenses/….html`.
    pub fn url(self) -> String {
        format!("https://spdx.org/licenses/{}.html", self.0)
    }
}

impl std::fmt::Display for Licence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_orcid_is_right_only_with_its_check_digit() {
        // The examples of https://support.orcid.org, "Structure of the ORCID Identifier".
        for good in [
            "0000-0002-1825-0097",
            "0000-0001-5109-3700",
            "0000-0002-1694-233X",
        ] {
            assert_eq!(Orcid::parse(good).unwrap().as_str(), good);
        }
        assert_eq!(
            Orcid::parse("https://orcid.org/0000-0002-1694-233x")
                .unwrap()
                .url(),
            "https://orcid.org/0000-0002-1694-233X"
        );
        for bad in [
            "",
            "0000-0002-1825-0098",
            "0000-0002-1852-0097",
            "0000000218250097",
            "0000-0002-1825-00X7",
            "https://orcid.org/",
            "0000-0002-1825-009７",
            "é000-0002-1825-009",
        ] {
            assert_eq!(
                Orcid::parse(bad).unwrap_err().code(),
                "orcid.invalid",
                "{bad}"
            );
        }
    }

    #[test]
    fn a_ror_is_right_only_with_its_check_digits() {
        // CNRS, ENS-PSL, PSL, ANR.
        for good in ["02feahw73", "05a0dhs15", "013cjyk83", "00rbzpz17"] {
            assert_eq!(
                Ror::parse(&format!("https://ror.org/{good}"))
                    .unwrap()
                    .as_str(),
                good
            );
        }
        for bad in [
            "",
            "02feahw74",
            "02feawh73",
            "12feahw73",
            "02feahu73",
            "02feahw7",
            "0é2eahw7",
            "02feahw+3",
        ] {
            assert_eq!(Ror::parse(bad).unwrap_err().code(), "ror.invalid", "{bad}");
        }
    }

    #[test]
    fn an_address_cannot_carry_a_second_header() {
        for good in ["marie.durand@example.org", "a+b@Ens.Psl.EU"] {
            assert!(Email::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "a@b",
            "@b.c",
            "a@.c",
            "a@b.",
            "a b@c.d",
            "a@b.c\nBcc: x@y.z",
            "a@@b.c",
            "a.@b.c",
            "<a@b.c>",
            "é@b.c",
            "a@-b.c",
        ] {
            assert!(Email::parse(bad).is_err(), "{bad:?}");
        }
        assert!(Email::parse(&format!("{}@b.c", "a".repeat(65))).is_err());
    }

    #[test]
    fn a_licence_is_spelled_as_spdx_spells_it() {
        assert_eq!(Licence::parse("etalab-2.0").unwrap().as_str(), "etalab-2.0");
        assert_eq!(Licence::parse("cc-by-4.0").unwrap().as_str(), "CC-BY-4.0");
        let error = Licence::parse("CC-BY-4").unwrap_err();
        assert_eq!(error.hint_text(), Some("did you mean `CC-BY-4.0`?"));
        assert!(Licence::parse("NOASSERTION").is_err());
        assert!(Licence::parse("").is_err());
    }
}
