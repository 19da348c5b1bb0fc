//! The list of experiments as the cache has it: no NAS is asked and no disk wakes, however many there are.

use serde_json::Value;

use super::{Request, Role, Select, params, value};
use crate::error::Result;
use crate::experiment::Status;
use crate::provision::list::List;
use crate::store::registry::{Known, Registry};
use crate::sys::clock;
use crate::sys::dir::Dir;

/// Answers a request from the cache; `None` where that is not enough.
///
/// # Errors
/// `rpc.params`, `registry.failed`.
pub fn glance(cache: Option<&Dir>, method: &str, request: &Request) -> Result<Option<Value>> {
    let (Some(cache), "list-experiments") = (cache, method) else {
        return Ok(None);
    };
    if params::<Select>(&request.params)?.refresh {
        return Ok(None);
    }
    let mut rows = Registry::open(cache)?.0.list()?;
    if rows.is_empty() {
        return Ok(None);
    }
    if request.caller.role == Role::User {
        if rows.iter().any(|row| row.members.is_none()) {
            return Ok(None);
        }
        let today = day(&rows);
        rows.retain(|row| is_member(row, &request.caller.username, &today));
    }
    let unavailable = Vec::new();
    value(List { rows, unavailable }).map(Some)
}

/// Today, but never earlier than what was seen already: a clock that went back lets nobody in again.
fn day(rows: &[Known]) -> String {
    let seen = rows.iter().map(|row| row.seen_at.as_str()).max();
    let now = clock::now_text();
    let day = seen.map_or(now.as_str(), |seen| seen.max(now.as_str()));
    day.chars().take(10).collect()
}

fn is_member(row: &Known, account: &str, today: &str) -> bool {
    row.status != Status::Removed.as_str()
        && row.members.iter().flatten().any(|(name, until)| {
            name == account && until.as_deref().is_none_or(|until| until >= today)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(status: &str, seen_at: &str, members: &[(&str, Option<&str>)]) -> Known {
        Known {
            id: "0b9e".into(),
            code: "eco".into(),
            title: "Heat".into(),
            status: status.into(),
            base: "/srv/a".into(),
            digest: "00".into(),
            responsible: String::new(),
            seen_at: seen_at.into(),
            members: Some(
                members
                    .iter()
                    .map(|(name, until)| ((*name).to_owned(), until.map(str::to_owned)))
                    .collect(),
            ),
            seen: None,
            tonight: None,
        }
    }

    #[test]
    fn only_who_is_a_member_today_sees_an_experiment_that_is_in_service() {
        let eco = row(
            "active",
            "2026-11-21T10:00:00Z",
            &[("ada", None), ("bob", Some("2026-11-21"))],
        );
        for (account, today, seen) in [
            ("ada", "2026-11-21", true),
            ("bob", "2026-11-21", true),
            ("bob", "2026-11-22", false),
            ("ad", "2026-11-21", false),
            ("", "2026-11-21", false),
        ] {
            assert_eq!(is_member(&eco, account, today), seen, "{account} {today}");
        }
        let gone = row("removed", "2026-11-21T10:00:00Z", &[("ada", None)]);
        assert!(!is_member(&gone, "ada", "2026-11-21"));
    }

    #[test]
    fn a_clock_that_went_back_opens_nothing_again() {
        let later = row("active", "2999-01-02T00:00:00Z", &[]);
        assert_eq!(day(&[later]), "2999-01-02");
    }
}
