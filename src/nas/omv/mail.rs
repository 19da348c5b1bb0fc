//! `OpenMediaVault`'s own mail: its notification settings say what is mailed, its postfix to whom and how. Its scripts write
//! to `root`, which its canonical map turns into the addresses of the notification page.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::engined::Engined;
use crate::error::Result;
use crate::nas::Mailing;
use crate::sys::command::{Command, Program};

/// Postfix only puts it into its queue.
const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Deserialize)]
struct Email {
    enable: bool,
}

#[derive(Deserialize)]
struct Switch {
    id: String,
    enable: bool,
}

/// The switches of the notification page. One that was never saved is off there.
pub(super) fn mailing(engined: &Engined) -> Result<Mailing> {
    let email: Email = engined.read("EmailNotification", "get", json!({}))?;
    if !email.enable {
        return Ok(Mailing::Off);
    }
    let switches: Vec<Switch> = engined.read("Notification", "getList", json!({}))?;
    Ok(Mailing::On(
        switches
            .into_iter()
            .filter(|switch| switch.enable)
            .map(|switch| switch.id)
            .collect(),
    ))
}

/// `sendmail -i`: a line with a dot alone ends nothing; the recipients are arguments, so that no header makes another one.
pub(super) fn mail(to: &[String], message: &[u8]) -> Result<()> {
    Command::new(Program::Sendmail)
        .args(["-i", "-B", "8BITMIME", "-f", "root", "--"])
        .args(to)
        .input(message)
        .within(PATIENCE)
        .run()
        .map(drop)
}
