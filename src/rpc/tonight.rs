//! What is set for tonight, and what administrators are told of it and of everything else.

use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Change, Rehearsal, absolute, bases, form, imports, params, value};
use crate::error::{Error, Result};
use crate::experiment::Code;
use crate::provision::create::Options;
use crate::provision::notice::{self, Scope};
use crate::provision::site::Site;
use crate::provision::tonight::{self, Subject, Wanted};

/// The methods.
pub(super) const METHODS: [&str; 5] = [
    "cancel-tonight",
    "list-tonight",
    "run-tonight",
    "send-notices",
    "show-tonight",
];

/// The operations that can be set for the night.
const OPERATIONS: [&str; 9] = [
    "adopt-experiment",
    "apply-experiment",
    "close-experiment",
    "create-experiment",
    "edit-experiment",
    "import-experiment",
    "remove-experiment",
    "reopen-experiment",
    "share-base",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    #[serde(default)]
    code: Option<Code>,
    /// Of a base.
    #[serde(default)]
    path: Option<PathBuf>,
}

impl Which {
    fn subject(self) -> Result<Option<Subject>> {
        match (self.code, self.path) {
            (None, None) => Ok(None),
            (Some(code), None) => Ok(Some(Subject::Experiment(code))),
            (None, Some(path)) => Ok(Some(Subject::Base(absolute(&path)?))),
            _ => Err(Error::new(
                "rpc.params",
                "`code` is of an experiment and `path` of a base",
            )
            .field("path")),
        }
    }

    fn required(self) -> Result<Subject> {
        self.subject()?
            .ok_or_else(|| Error::new("rpc.params", "`code` is missing").field("code"))
    }
}

/// True for an operation that is to wait for the night.
pub(super) fn is_asked(method: &str, given: &Value) -> bool {
    OPERATIONS.contains(&method) && given.get("tonight") == Some(&Value::Bool(true))
}

/// Keeps it until the night.
pub(super) fn keep(
    site: &Site,
    wanted: &Wanted<'_>,
    create_accounts: bool,
    dry_run: bool,
) -> Result<Value> {
    if dry_run {
        return Err(
            Error::new("rpc.params", "`tonight` and `dry-run` are two things").field("tonight"),
        );
    }
    let options = Options {
        create_accounts,
        dry_run,
    };
    value(tonight::set(site, wanted, options)?)
}

/// Sets an operation for the night.
pub(super) fn set(site: &Site, method: &str, given: &Value) -> Result<Value> {
    if imports::METHODS.contains(&method) {
        return imports::tonight(site, method, given);
    }
    if bases::METHODS.contains(&method) {
        return bases::tonight(site, given);
    }
    if matches!(method, "create-experiment" | "edit-experiment") {
        let define: form::Define = params(given)?;
        let (text, options) = (define.text()?, define.options());
        let keep =
            |wanted: &Wanted<'_>| keep(site, wanted, options.create_accounts, options.dry_run);
        if method == "create-experiment" {
            return keep(&Wanted::Create(&text));
        }
        return keep(&Wanted::Edit(&text, Some(&define.digest()?)));
    }
    let change: Change = params(given)?;
    let code = &change.code;
    let wanted = match method {
        "apply-experiment" => Wanted::Apply(code, change.mend),
        "close-experiment" => Wanted::Close(code),
        "reopen-experiment" => Wanted::Reopen(code),
        _ => Wanted::Remove(code, change.delete_data.as_ref()),
    };
    keep(site, &wanted, false, change.dry_run)
}

/// What administrators may do with what is set.
pub(super) fn call(site: &Site, method: &str, given: &Value) -> Result<Value> {
    match method {
        "list-tonight" => {
            let super::Nothing {} = params(given)?;
            value(tonight::list(site)?)
        }
        "send-notices" => {
            let dry_run = params::<Rehearsal>(given)?.dry_run;
            value(notice::send(site, Scope::All, dry_run)?)
        }
        "cancel-tonight" => {
            let subject = params::<Which>(given)?.required()?;
            value(tonight::cancel(site, &subject)?)
        }
        "show-tonight" => {
            let subject = params::<Which>(given)?.required()?;
            let (waiting, text) = tonight::show(site, &subject)?;
            Ok(json!({"tonight": waiting, "definition": text}))
        }
        _ => {
            let only = params::<Which>(given)?.subject()?;
            value(tonight::run(site, only.as_ref(), false)?)
        }
    }
}
