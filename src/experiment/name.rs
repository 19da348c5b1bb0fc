//! Names: of an experiment, its groups, accounts, sources, layouts. Each is made only by its parser.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use super::path::is_windows_device;
use super::text::{checked_text, checked_value, quote};
use crate::error::{Error, Result};

/// What identifies an experiment for ever: a UUID, lower case with hyphens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExperimentId(Uuid);

impl ExperimentId {
    /// A new random one (UUID version 4).
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }

    /// Reads a UUID; the nil UUID is refused.
    pub fn parse(text: &str) -> Result<Self> {
        match Uuid::try_parse(text) {
            Ok(id) if !id.is_nil() && text.len() == 36 => Ok(Self(id)),
            _ => Err(
                Error::new("id.invalid", format!("{} is not a UUID", quote(text)))
                    .hint("leave `id` out: it is given at creation"),
            ),
        }
    }
}

impl std::fmt::Display for ExperimentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}
checked_value!(ExperimentId);

/// The label of an experiment, fixed for life: `[a-z][a-z0-9-]{1,23}`, not ending in `-`, not reserved.
/// It names the share, the groups and the directory.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Code(String);
checked_text!(Code);

/// Samba's special sections and services (smb.conf(5)), rsyncd.conf(5), and names that we use ourselves.
const RESERVED_CODES: &[&str] = &[
    "experiments",
    "global",
    "homes",
    "landing",
    "lost-found",
    "metadata",
    "netlogon",
    "octonas",
    "print",
    "printers",
    "profiles",
    "root",
    "sysvol",
];

impl Code {
    /// Checks a code.
    pub fn parse(text: &str) -> Result<Self> {
        let shaped = (2..=24).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.bytes().all(is_label_byte)
            && !text.ends_with('-');
        if !shaped {
            return Err(Error::new("code.invalid", format!("{} is not a code", quote(text)))
                .hint("2 to 24 of a-z, 0-9 and `-`, beginning with a letter, not ending in `-`, like `eco-2026-heatwave`"));
        }
        if RESERVED_CODES.contains(&text) || is_windows_device(text) {
            return Err(Error::new(
                "code.reserved",
                format!(
                    "the code {} has a meaning of its own for Samba, rsync, Windows or OctoNAS",
                    quote(text)
                ),
            )
            .hint(format!("take another one, like `{text}-2026`")));
        }
        Ok(Self(text.to_owned()))
    }

    /// The group whose members may write: `exp-<code>-w`, at most 30 characters.
    pub fn writers_group(&self) -> String {
        format!("exp-{}-w", self.0)
    }

    /// The group whose members may only read: `exp-<code>-r`.
    pub fn readers_group(&self) -> String {
        format!("exp-{}-r", self.0)
    }
}

fn is_label_byte(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
}

/// The login name of a person: `[a-z][a-z0-9_.-]{0,31}`, ending in a letter or digit, not the name of a system
/// account. Whether an existing account is a system account by its number is for the NAS to say.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AccountName(String);
checked_text!(AccountName);

/// Accounts of Debian's base-passwd, of services that OpenMediaVault installs, and names that impersonate.
const SYSTEM_ACCOUNTS: &[&str] = &[
    "admin",
    "administrator",
    "avahi",
    "backup",
    "bin",
    "chrony",
    "collectd",
    "daemon",
    "dnsmasq",
    "ftp",
    "games",
    "guest",
    "irc",
    "list",
    "lp",
    "mail",
    "man",
    "messagebus",
    "monit",
    "mysql",
    "news",
    "nginx",
    "nobody",
    "nogroup",
    "ntp",
    "ntpsec",
    "octonas",
    "openmediavault",
    "polkitd",
    "postfix",
    "postgres",
    "proftpd",
    "proxy",
    "redis",
    "root",
    "salt",
    "samba",
    "sshd",
    "statd",
    "sync",
    "sys",
    "tftp",
    "tss",
    "users",
    "uucp",
    "uuidd",
    "www-data",
];
const SYSTEM_PREFIXES: &[&str] = &["exp-", "octonas-", "octsrc-", "openmediavault-", "systemd-"];

impl AccountName {
    /// Checks a login name.
    pub fn parse(text: &str) -> Result<Self> {
        let system = SYSTEM_ACCOUNTS.contains(&text)
            || text.starts_with('_')
            || SYSTEM_PREFIXES.iter().any(|p| text.starts_with(p));
        if system {
            return Err(Error::new(
                "account.system",
                format!("{} is a system account and cannot be a member", quote(text)),
            )
            .hint("give every person an account of their own"));
        }
        let shaped = (1..=32).contains(&text.len())
            && text.starts_with(|c: char| c.is_ascii_lowercase())
            && text
                .bytes()
                .all(|b| is_label_byte(b) || b == b'_' || b == b'.')
            && text.ends_with(|c: char| c.is_ascii_alphanumeric());
        if !shaped {
            return Err(Error::new(
                "account.invalid",
                format!("{} is not a login name", quote(text)),
            )
            .hint(
                "1 to 32 of a-z, 0-9, `.`, `_` and `-`, beginning with a letter, like `mdurand`",
            ));
        }
        Ok(Self(text.to_owned()))
    }
}

/// The name of a source in its experiment: `[a-z][a-z0-9-]{0,23}`, not ending in `-`. Names `landing/<source>`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(String);
checked_text!(SourceId);

impl SourceId {
    /// Checks the name of a source.
    pub fn parse(text: &str) -> Result<Self> {
        label(text, 24)
            .map(Self)
            .ok_or_else(|| {
                Error::new(
                    "source.invalid",
                    format!("{} cannot name a source", quote(text)),
                )
                .hint("1 to 24 of a-z, 0-9 and `-`, beginning with a letter, no Windows device, like `plc-c1`")
            })
    }
}

/// The system account of a source: `octsrc-` and the first ten hexadecimal digits of the SHA-256 of
/// `<experiment id>/<source id>`. No two sources of a NAS share one, and it outlives every title and code.
pub fn source_account(experiment: &str, source: &SourceId) -> String {
    let digest = Sha256::digest(format!("{experiment}/{source}"));
    digest
        .iter()
        .take(5)
        .fold("octsrc-".to_owned(), |mut name, byte| {
            let _ = write!(name, "{byte:02x}");
            name
        })
}

/// The name of the share of a source that cannot do SSH: `<code>_<source>`. No code has an underscore in it.
pub fn source_share(code: &Code, source: &SourceId) -> String {
    format!("{code}_{source}")
}

/// The name of a layout: `[a-z][a-z0-9-]{0,39}`, not ending in `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayoutName(String);
checked_text!(LayoutName);

impl LayoutName {
    /// Checks the name of a layout; whether there is such a layout is not asked.
    pub fn parse(text: &str) -> Result<Self> {
        label(text, 40).map(Self).ok_or_else(|| {
            Error::new(
                "layout.invalid",
                format!("{} cannot name a layout", quote(text)),
            )
            .hint("a-z, 0-9 and `-`, like `climate-chamber`; `octonas layout list` shows them")
        })
    }

    /// The layout of an experiment that names none.
    pub fn minimal() -> Self {
        Self("minimal".to_owned())
    }
}

fn label(text: &str, max: usize) -> Option<String> {
    let good = (1..=max).contains(&text.len())
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.bytes().all(is_label_byte)
        && !text.ends_with('-')
        && !is_windows_device(text);
    good.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_account_of_a_source_follows_from_its_experiment_and_its_name() {
        let source = SourceId::parse("plc-c1").unwrap();
        let account = source_account("0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11", &source);
        // printf '0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11/plc-c1' | sha256sum
        assert_eq!(account, "octsrc-2882773851");
        assert_eq!(
            AccountName::parse(&account).unwrap_err().code(),
            "account.system"
        );
        let other = source_account("1b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11", &source);
        assert_ne!(account, other);
    }

    #[test]
    fn a_code_is_a_short_label_that_nothing_else_uses() {
        for good in [
            "ab",
            "eco-2026-heatwave",
            "a2",
            "lake--x",
            "abcdefghijklmnopqrstuvwx",
        ] {
            assert_eq!(Code::parse(good).unwrap().as_str(), good);
        }
        for bad in [
            "",
            "a",
            "A1",
            "1a",
            "-ab",
            "ab-",
            "a_b",
            "a b",
            "é2",
            "ab\n",
            "a/b",
            "..",
            "ipc$",
            "abcdefghijklmnopqrstuvwxy",
        ] {
            assert_eq!(
                Code::parse(bad).unwrap_err().code(),
                "code.invalid",
                "{bad:?}"
            );
        }
        for reserved in [
            "global",
            "homes",
            "printers",
            "con",
            "nul",
            "com1",
            "lpt9",
            "aux",
            "octonas",
            "metadata",
            "landing",
            "lost-found",
        ] {
            assert_eq!(
                Code::parse(reserved).unwrap_err().code(),
                "code.reserved",
                "{reserved}"
            );
        }
    }

    #[test]
    fn the_groups_of_the_longest_code_fit_into_a_debian_group_name() {
        let code = Code::parse("abcdefghijklmnopqrstuvwx").unwrap();
        assert_eq!(code.writers_group(), "exp-abcdefghijklmnopqrstuvwx-w");
        assert_eq!(code.readers_group(), "exp-abcdefghijklmnopqrstuvwx-r");
        assert!(code.writers_group().len() <= 32);
    }

    #[test]
    fn a_system_account_cannot_be_a_member() {
        for bad in [
            "root",
            "www-data",
            "nobody",
            "admin",
            "openmediavault-webgui",
            "_apt",
            "systemd-network",
        ] {
            assert_eq!(
                AccountName::parse(bad).unwrap_err().code(),
                "account.system",
                "{bad}"
            );
        }
        for bad in [
            "", "Marie", "é", "a b", "a:b", "a/b", "..", "-x", "x-", "x.", "a,b", "a\n", "1abc",
        ] {
            assert_eq!(
                AccountName::parse(bad).unwrap_err().code(),
                "account.invalid",
                "{bad:?}"
            );
        }
        for good in ["mdurand", "m.durand", "m_durand-2", "x"] {
            assert_eq!(AccountName::parse(good).unwrap().as_str(), good);
        }
        assert!(AccountName::parse(&"a".repeat(33)).is_err());
    }

    #[test]
    fn an_id_is_a_uuid_in_one_form() {
        let id = ExperimentId::parse("0B9E4C1A-7D52-4A0B-9C3E-5F6A7B8C9D0E").unwrap();
        assert_eq!(id.to_string(), "0b9e4c1a-7d52-4a0b-9c3e-5f6a7b8c9d0e");
        for bad in [
            "",
            "0b9e",
            "00000000-0000-0000-0000-000000000000",
            "{0b9e4c1a-7d52-4a0b-9c3e-5f6a7b8c9d0e}",
        ] {
            assert!(ExperimentId::parse(bad).is_err(), "{bad}");
        }
    }
}
