//! Accounts of people: created once, with a long random password, and never changed again.
//!
//! OpenMediaVault makes a Samba account that accepts an *empty* password of a user who is created without one, while
//! the Unix side is locked (tried on 8.5.7). So no path here sends an empty password.

use serde::Serialize;
use zeroize::{Zeroize as _, Zeroizing};

use super::Omv;
use crate::error::{Error, Result};
use crate::report::{Said, said};
use crate::sys::command::{Command, Program};

/// 28 letters of 64: 168 bits.
const LETTERS: usize = 28;
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

#[derive(Serialize)]
struct NewUser<'a> {
    name: &'a str,
    groups: [&'a str; 1],
    shell: &'a str,
    password: &'a str,
    email: &'a str,
    comment: &'a str,
    disallowusermod: bool,
    sshpubkeys: [&'a str; 0],
}

/// Creates an account that does not exist yet, and gives its initial password.
pub(super) fn create(
    omv: &Omv,
    name: &str,
    comment: &str,
    email: Option<&str>,
) -> Result<Zeroizing<String>> {
    if omv.people()?.user(name).is_some() {
        return Err(Error::new(
            "nas.account-exists",
            format!("the account {name} exists already"),
        )
        .hint("it keeps its password; an admin can set another one in OpenMediaVault"));
    }
    let password = password()?;
    let comment: String = comment
        .chars()
        .map(|c| {
            if c == ':' || c == ',' || c.is_control() {
                ' '
            } else {
                c
            }
        })
        .collect();
    omv.engined().change_with_secret(
        "UserMgmt",
        "setUser",
        NewUser {
            name,
            groups: ["users"],
            // A real shell: sshd runs even a forced command through it, inside the jail.
            shell: "/bin/sh",
            password: &password,
            email: email.unwrap_or_default(),
            comment: comment.trim(),
            disallowusermod: false,
            sshpubkeys: [],
        },
        &password,
    )?;
    Ok(password)
}

/// A random password, from the kernel.
pub(super) fn password() -> Result<Zeroizing<String>> {
    use std::io::Read as _;
    let mut bytes = Zeroizing::new([0_u8; LETTERS]);
    std::fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut *bytes))
        .map_err(|e| Error::new("nas.no-randomness", "cannot read /dev/urandom").source(e))?;
    let mut text = Zeroizing::new(String::with_capacity(LETTERS));
    for byte in bytes.iter() {
        text.push(char::from(ALPHABET[usize::from(byte % 64)]));
    }
    Ok(text)
}

/// What a person should know about accounts: whoever can connect over SMB without a password. Hashes are compared
/// and forgotten.
pub(super) fn warnings() -> Result<Vec<Said>> {
    if !Program::Pdbedit.is_installed() {
        return Ok(Vec::new());
    }
    let mut output = Command::new(Program::Pdbedit).args(["-L", "-w"]).run()?;
    let text = Zeroizing::new(output.text());
    output.stdout.zeroize();
    Ok(with_empty_password(&text)
        .into_iter()
        .map(|name| {
            said!(
                "the account {name} has an empty Samba password: anybody connects over SMB in this name; \
                 set a password in OpenMediaVault under Users",
                "le compte {name} a un mot de passe Samba vide : n'importe qui se connecte par SMB sous ce nom ; \
                 donnez-lui un mot de passe dans OpenMediaVault, sous Utilisateurs"
            )
        })
        .collect())
}

/// Accounts whose Samba password is empty, in the format of `pdbedit -L -w` (smbpasswd(5)).
fn with_empty_password(text: &str) -> Vec<String> {
    /// MD4 of nothing.
    const EMPTY: &str = "31D6CFE0D16AE931B73C59D7E0C089C0";
    text.lines()
        .filter_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            let hash = fields.nth(2)?;
            let flags = fields.next()?;
            let open = hash.eq_ignore_ascii_case(EMPTY) || flags.contains('N');
            (open && !flags.contains('D')).then(|| name.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_long_and_never_the_same() {
        let (a, b) = (password().unwrap(), password().unwrap());
        assert!(a.len() >= 24 && *a != *b);
        assert!(a.bytes().all(|c| ALPHABET.contains(&c)));
    }

    #[test]
    fn an_empty_samba_password_is_found_whatever_its_spelling() {
        let x = "X".repeat(32);
        let text = format!(
            "alice:1001:{x}:8846F7EAEE8FB117AD06BDD830B7586C:[U          ]:LCT-65000000:\n\
             bob:1002:{x}:31D6CFE0D16AE931B73C59D7E0C089C0:[U          ]:LCT-65000000:\n\
             carol:1003:{x}:{x}:[NU         ]:LCT-65000000:\n\
             dora:1004:{x}:31d6cfe0d16ae931b73c59d7e0c089c0:[DU         ]:LCT-65000000:\n"
        );
        assert_eq!(with_empty_password(&text), ["bob", "carol"]);
    }
}
