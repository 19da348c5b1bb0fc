//! `octonas encrypt FILE`, `octonas decrypt FILE`: no NAS is needed for that.

use std::path::{Path, PathBuf};

use crate::error::{Error, Exit, Result};
use crate::package::age::Recipient;
use crate::package::single;
use crate::report;
use crate::settings::{Settings, absolute};

/// Arguments of `octonas encrypt`.
#[derive(Debug, clap::Args)]
pub struct Encrypt {
    /// The file.
    file: PathBuf,
    /// The encrypted file; FILE.age where nothing is said.
    #[arg(long, short, value_name = "PATH")]
    out: Option<PathBuf>,
    /// For this public key (age, X25519), beside those of the unit; again for more.
    #[arg(long, short, value_name = "age1…")]
    recipient: Vec<String>,
    /// Only say for whom it would be encrypted.
    #[arg(long)]
    dry_run: bool,
}

/// Arguments of `octonas decrypt`.
#[derive(Debug, clap::Args)]
pub struct Decrypt {
    /// The encrypted file.
    file: PathBuf,
    /// The file that comes out; without `.age` where nothing is said.
    #[arg(long, short, value_name = "PATH")]
    out: Option<PathBuf>,
    /// The file with the private key that opens it; it is read by age, and kept nowhere.
    #[arg(long, short, value_name = "FILE")]
    identity: PathBuf,
}

/// Encrypts a file.
pub fn encrypt(arguments: &Encrypt, settings: &Settings, cwd: &Path, json: bool) -> Result<Exit> {
    let file = absolute(&arguments.file, cwd);
    let named = arguments.recipient.iter();
    let unit = settings.encryption.recipients.values();
    let mut recipients: Vec<Recipient> = named
        .chain(unit)
        .map(|text| Recipient::parse(text))
        .collect::<Result<_>>()?;
    recipients.sort();
    recipients.dedup();
    if recipients.is_empty() {
        return Err(
            Error::new("age.recipients", "nobody is named to encrypt for")
                .hint("--recipient age1…"),
        );
    }
    let out = if let Some(out) = &arguments.out {
        absolute(out, cwd)
    } else {
        let mut name = file.clone().into_os_string();
        name.push(".age");
        name.into()
    };
    if arguments.dry_run {
        let rows: Vec<String> = recipients.iter().map(ToString::to_string).collect();
        report::stdout(&format!("{}: for {}\n", out.display(), rows.join(", ")))?;
        return Ok(Exit::Done);
    }
    print(&single::encrypt(&file, &out, &recipients)?, json)
}

/// Decrypts a file.
pub fn decrypt(arguments: &Decrypt, cwd: &Path, json: bool) -> Result<Exit> {
    let file = absolute(&arguments.file, cwd);
    let out = match &arguments.out {
        Some(out) => absolute(out, cwd),
        None if file.extension().is_some_and(|end| end == "age") => file.with_extension(""),
        None => {
            return Err(Error::new(
                "path.exists",
                "the name does not end in .age: it is not clear how the file is to be called",
            )
            .hint("--out PATH"));
        }
    };
    print(
        &single::decrypt(&file, &out, &absolute(&arguments.identity, cwd))?,
        json,
    )
}

fn print(sealed: &single::Sealed, json: bool) -> Result<Exit> {
    if json {
        report::json(sealed)?;
    } else {
        report::stdout(&format!(
            "{}: {} bytes, SHA-256 {}\n",
            report::printable(&sealed.path),
            sealed.size,
            sealed.sha256
        ))?;
    }
    Ok(Exit::Done)
}
