//! `octonas doctor`

use super::Desk;
use crate::error::{Exit, Result};
use crate::provision::doctor;
use crate::report;

/// Prints what was looked at, and what is wrong.
pub fn run(desk: &Desk<'_>) -> Result<Exit> {
    let findings = doctor::examine(desk.site);
    let exit = if findings.iter().all(|finding| finding.sound) {
        Exit::Done
    } else {
        Exit::Drift
    };
    if desk.json {
        report::json(&findings)?;
        return Ok(exit);
    }
    let rows: Vec<Vec<String>> = findings
        .iter()
        .map(|finding| {
            let sign = if finding.sound { "ok" } else { "WRONG" };
            vec![
                sign.to_owned(),
                finding.what.en.clone(),
                finding.text.en.clone(),
            ]
        })
        .collect();
    report::stdout(&report::table(&rows))?;
    Ok(exit)
}
