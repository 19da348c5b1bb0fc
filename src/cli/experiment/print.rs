//! What is printed of an experiment, for people or as JSON.

use std::fmt::Write as _;

use crate::cli::{Desk, base};
use crate::error::{Exit, Passwords, Result};
use crate::experiment::Code;
use crate::provision::apply::Outcome;
use crate::provision::create::Created;
use crate::provision::import::{self, Survey};
use crate::provision::plan::{Action, Drift, Step};
use crate::provision::tonight::{Looked, Set};
use crate::provision::{adopt, adoptable, check, lifecycle, list, show};
use crate::report;

pub(super) fn outcome(desk: &Desk<'_>, outcome: &Outcome, dry_run: bool) -> Result<Exit> {
    if desk.json {
        report::json(outcome)?;
    } else {
        report::stdout(&text(outcome, dry_run))?;
    }
    Ok(Exit::Done)
}

/// What became of several definitions: one that failed is told where it stands, and makes the whole call fail.
pub(super) fn created(desk: &Desk<'_>, all: &[Created], dry_run: bool) -> Result<Exit> {
    if desk.json {
        report::json(&all)?;
    }
    let mut exit = Exit::Done;
    for each in all {
        match &each.result {
            Ok(_) if desk.json => {}
            Ok(outcome) => {
                if dry_run {
                    report::stdout(&format!("{}\n", report::printable(&each.code)))?;
                }
                report::stdout(&text(outcome, dry_run))?;
            }
            Err(error) => {
                if exit == Exit::Done {
                    exit = error.exit_status();
                }
                if desk.json {
                    continue;
                }
                report::complain(error);
                for (whose, password) in error.created().into_iter().flat_map(Passwords::reveal) {
                    report::stdout(&password_line(whose, password))?;
                }
            }
        }
    }
    Ok(exit)
}

fn password_line(whose: &str, password: &str) -> String {
    // No account has a blank in its name: that is a door's own password.
    if whose.contains(' ') {
        format!("password of {whose}: {password}   (shown once; the NAS keeps it in the clear)\n")
    } else {
        format!("initial password of {whose}: {password}   (shown once; it is kept nowhere)\n")
    }
}

/// What was set for the night: what it would do, and when.
pub(in crate::cli) fn set(desk: &Desk<'_>, set: &Set) -> Result<Exit> {
    if desk.json {
        report::json(set)?;
        return Ok(Exit::Done);
    }
    match &set.looked {
        Looked::Outcome(outcome) => report::stdout(&text(outcome, true))?,
        Looked::Adoption(told) => {
            adoption(desk, told, true)?;
        }
        Looked::Import(told) => import_plan(desk, told)?,
        Looked::Share(chosen) => report::stdout(&base::choice(chosen, true))?,
    }
    report::stdout(&format!(
        "set for the night: {} of {}, from {}; nothing was changed yet\n",
        set.tonight.operation.as_str(),
        report::printable(&set.tonight.name),
        set.tonight.from
    ))?;
    Ok(Exit::Done)
}

fn text(outcome: &Outcome, dry_run: bool) -> String {
    let mut out = String::new();
    if dry_run {
        out.push_str(&steps(&outcome.steps));
        for effect in &outcome.interruption.effects {
            let _ = writeln!(out, "! {}", report::printable(&effect.en));
        }
        if outcome.steps.is_empty() {
            out.push_str("nothing to do\n");
        }
    } else {
        let _ = writeln!(
            out,
            "{}: {}, in {}",
            outcome.code,
            outcome.status,
            report::printable(&outcome.path)
        );
        if outcome.repaired > 0 {
            let _ = writeln!(
                out,
                "{} files and directories had narrowed rights: repaired",
                outcome.repaired
            );
        }
    }
    out.push_str(&drifts(&outcome.drift));
    for (whose, password) in outcome.passwords.reveal() {
        out.push_str(&password_line(whose, password));
    }
    out
}

fn steps(steps: &[Step]) -> String {
    let mut out = String::new();
    for step in steps {
        let sign = match step.action {
            Action::Create => '+',
            Action::Update => '~',
            Action::Delete => '-',
            Action::Record | Action::Forget => '=',
        };
        let _ = writeln!(
            out,
            "{sign} {}",
            report::printable(&step.object.to_string())
        );
        if step.action == Action::Update {
            for change in &step.changes {
                let _ = writeln!(out, "    {}", report::printable(change));
            }
        }
    }
    out
}

fn drifts(drifts: &[Drift]) -> String {
    let mut out = String::new();
    for drift in drifts {
        let what = drift.attribute.as_deref().unwrap_or("the whole of it");
        let _ = writeln!(
            out,
            "changed by hand: {}, {}: {} → {}\n    {}",
            report::printable(&drift.object.to_string()),
            report::printable(what),
            report::printable(drift.applied.as_deref().unwrap_or("(none)")),
            report::printable(drift.observed.as_deref().unwrap_or("(none)")),
            report::printable(&drift.effect.en)
        );
    }
    out
}

pub(super) fn list(desk: &Desk<'_>, refresh: bool, all: bool) -> Result<Exit> {
    let mut found = list::list(desk.site, refresh)?;
    found.rows.retain(|row| all || row.status != "removed");
    if desk.json {
        report::json(&found)?;
        return Ok(Exit::Done);
    }
    let mut rows = vec![
        ["CODE", "STATUS", "RESPONSIBLE", "TITLE", "SEEN"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(found.rows.iter().map(|row| {
        let seen = row
            .seen_at
            .get(..16)
            .unwrap_or(&row.seen_at)
            .replace('T', " ");
        let status = match &row.tonight {
            None => row.status.clone(),
            Some(set) => format!("{} ({} tonight: {})", row.status, set.operation, set.state),
        };
        vec![
            row.code.clone(),
            status,
            row.responsible.clone(),
            row.title.clone(),
            seen,
        ]
    }));
    report::stdout(&report::table(&rows))?;
    for (base, reason) in &found.unavailable {
        desk.site
            .progress
            .warn(&format!("{}: {reason}", base.display()));
    }
    Ok(Exit::Done)
}

pub(super) fn show(desk: &Desk<'_>, code: &Code, definition: bool) -> Result<Exit> {
    let shown = show::show(desk.site, code)?;
    if desk.json {
        report::json(&shown)?;
    } else if definition {
        report::stdout(&shown.definition.to_yaml()?)?;
    } else {
        report::stdout(&show::text(&shown))?;
    }
    Ok(Exit::Done)
}

pub(super) fn plan(desk: &Desk<'_>, code: &Code, mend: bool) -> Result<Exit> {
    let plan = show::plan(desk.site, code, mend)?;
    if desk.json {
        report::json(&plan)?;
        return Ok(Exit::Done);
    }
    let mut out = steps(&plan.steps);
    if plan.steps.is_empty() {
        out.push_str("nothing to do\n");
    }
    out.push_str(&drifts(&plan.drift));
    for conflict in &plan.conflicts {
        let _ = writeln!(
            out,
            "in the way: {}",
            report::printable(&conflict.reason.en)
        );
    }
    report::stdout(&out)?;
    Ok(Exit::Done)
}

pub(super) fn check(desk: &Desk<'_>, code: Option<&str>) -> Result<Exit> {
    let code = code.map(Code::parse).transpose()?;
    let reports = check::check(desk.site, code.as_ref())?;
    let exit = if reports.iter().all(check::Report::in_order) {
        Exit::Done
    } else {
        Exit::Drift
    };
    if desk.json {
        report::json(&reports)?;
        return Ok(exit);
    }
    let mut out = String::new();
    for each in &reports {
        let state = if each.in_order() {
            "in order"
        } else {
            "not in order"
        };
        let _ = writeln!(
            out,
            "{}: {}, {state}",
            report::printable(&each.code),
            each.status
        );
        if let Some(error) = &each.error {
            let _ = writeln!(out, "  {}", report::printable_lines(error));
        }
        if let Some(unended) = &each.unended {
            let _ = writeln!(out, "  {}", report::printable(&unended.en));
        }
        for step in &each.pending {
            let _ = writeln!(
                out,
                "  not applied yet: {}",
                report::printable(&step.object.to_string())
            );
        }
        for line in drifts(&each.drift).lines() {
            let _ = writeln!(out, "  {line}");
        }
        for conflict in &each.conflicts {
            let _ = writeln!(
                out,
                "  in the way: {}",
                report::printable(&conflict.reason.en)
            );
        }
        for finding in each.findings.iter().take(20) {
            let _ = writeln!(
                out,
                "  {}: {}",
                report::printable(&finding.path),
                finding.text.en
            );
        }
        if each.findings.len() > 20 {
            let _ = writeln!(
                out,
                "  … and {} more (--json lists them)",
                each.findings.len() - 20
            );
        }
    }
    report::stdout(&out)?;
    Ok(exit)
}

pub(super) fn adoption(desk: &Desk<'_>, adoption: &adopt::Adoption, dry_run: bool) -> Result<Exit> {
    if desk.json {
        report::json(adoption)?;
        return Ok(Exit::Done);
    }
    let mut rows = vec![
        ["ACCOUNT", "PERSON", "HERE", "ACCESS"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(adoption.map.iter().map(|line| {
        let here = match (line.exists, line.uid) {
            (false, _) => "no such account".to_owned(),
            (true, Some(uid)) => format!("uid {uid}"),
            (true, None) => "yes".to_owned(),
        };
        let access = if line.granted { "kept" } else { "none" };
        vec![
            line.account.clone(),
            line.person.clone(),
            here,
            access.to_owned(),
        ]
    }));
    if !adoption.map.is_empty() {
        report::stdout(&report::table(&rows))?;
    }
    outcome(desk, &adoption.outcome, dry_run)
}

pub(super) fn adoptable(desk: &Desk<'_>) -> Result<Exit> {
    let found = adoptable::adoptable(desk.site)?;
    if desk.json {
        report::json(&found)?;
        return Ok(Exit::Done);
    }
    let mut rows = vec![
        ["DIRECTORY", "", "SERVED BY", "TITLE"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(found.into_iter().map(|each| {
        let why = if each.take_over {
            "--take-over"
        } else {
            each.why
        };
        vec![
            each.dir.display().to_string(),
            why.to_owned(),
            each.claimed_by,
            each.title,
        ]
    }));
    report::stdout(&report::table(&rows))?;
    Ok(Exit::Done)
}

pub(super) fn import(desk: &Desk<'_>, told: &import::Import) -> Result<Exit> {
    if desk.json {
        report::json(told)?;
        return Ok(Exit::Done);
    }
    import_plan(desk, told)?;
    if !told.confirmed {
        report::stdout(&format!(
            "nothing was changed: `--confirm` does it; with `--plan {}` only if it is still this\n",
            told.plan
        ))?;
    }
    Ok(Exit::Done)
}

fn import_plan(desk: &Desk<'_>, told: &import::Import) -> Result<()> {
    if !told.access.is_empty() {
        let mut rows = vec![
            ["ACCOUNT", "", "BEFORE", "AFTER", ""]
                .map(str::to_owned)
                .to_vec(),
        ];
        rows.extend(told.access.iter().map(|line| {
            [
                &line.name,
                line.change,
                line.before,
                line.after,
                &line.reason,
            ]
            .map(str::to_owned)
            .to_vec()
        }));
        report::stdout(&report::table(&rows))?;
    }
    if let Some(survey) = &told.contents {
        report::stdout(&contents(survey, told.enforced))?;
    }
    outcome(desk, &told.outcome, !told.confirmed)?;
    Ok(())
}

/// What lies in a directory that is to be imported, and what becomes of it.
fn contents(survey: &Survey, enforced: bool) -> String {
    let mut out = format!(
        "{} files ({} bytes) and {} directories stay where they are\n",
        survey.files, survey.bytes, survey.directories
    );
    if !survey.leaves.is_empty() {
        let _ = writeln!(
            out,
            "{} directories that the layout does not have stay, and writers write in them: {}",
            survey.leaves.len(),
            report::printable(&some(&survey.leaves))
        );
    }
    let frame =
        "lie beside the directories: members read them, nobody changes them or adds others there";
    let mut counted = vec![
        (&survey.in_frame, frame),
        (
            &survey.symbolic_links,
            "are symbolic links: no door follows them",
        ),
        (
            &survey.special,
            "are devices, sockets or pipes: no door opens them",
        ),
    ];
    if enforced {
        counted.extend([
            (
                &survey.private,
                "could be read by their owner alone: every member will read them",
            ),
            (
                &survey.public,
                "could be read by everybody on the NAS: members alone will",
            ),
            (
                &survey.writable_by_all,
                "could be changed by everybody on the NAS: writers alone will",
            ),
        ]);
    }
    for (count, what) in counted {
        if count.count > 0 {
            let examples = report::printable(&some(&count.examples));
            let _ = writeln!(out, "{} {what}: {examples}", count.count);
        }
    }
    for owner in survey.owners.iter().filter(|owner| owner.given_to_root > 0) {
        let _ = writeln!(
            out,
            "{} of {}'s {} become root's (where they may not write, and beside the directories)",
            owner.given_to_root,
            report::printable(&owner.account),
            owner.count
        );
    }
    out
}

fn some(names: &[String]) -> String {
    let shown = names.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 5 {
        format!("{shown}, …")
    } else {
        shown
    }
}

pub(super) fn due(desk: &Desk<'_>, dry_run: bool) -> Result<Exit> {
    let done = lifecycle::due(desk.site, dry_run)?;
    if desk.json {
        report::json(&done)?;
    } else {
        let mut out = String::new();
        for due in &done {
            let verb = if dry_run { "would lose" } else { "lost" };
            if !due.ended.is_empty() {
                let _ = writeln!(out, "{}: {} {verb} access", due.code, due.ended.join(", "));
            }
            if let Some(error) = &due.error {
                let _ = writeln!(out, "{}: {}", due.code, report::printable(error));
            }
        }
        report::stdout(&out)?;
    }
    Ok(if done.iter().any(|due| due.error.is_some()) {
        Exit::Failed
    } else {
        Exit::Done
    })
}
