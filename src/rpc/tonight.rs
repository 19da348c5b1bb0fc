//! What is set for tonight, and what administrators are told of it and of everything else.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Change, One, Rehearsal, form, params, value};
use crate::error::{Error, Result};
use crate::experiment::Code;
use crate::provision::create::Options;
use crate::provision::notice::{self, Scope};
use crate::provision::site::Site;
use crate::provision::tonight::{self, Wanted};

/// The methods.
pub(super) const METHODS: [&str; 5] = [
    "cancel-tonight",
    "list-tonight",
    "run-tonight",
    "send-notices",
    "show-tonight",
];

/// The operations that can be set for the night.
const OPERATIONS: [&str; 6] = [
    "apply-experiment",
    "close-experiment",
    "create-experiment",
    "edit-experiment",
    "remove-experiment",
    "reopen-experiment",
];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    #[serde(default)]
    code: Option<Code>,
}

/// True for an operation that is to wait for the night.
pub(super) fn is_asked(method: &str, given: &Value) -> bool {
    OPERATIONS.contains(&method) && given.get("tonight") == Some(&Value::Bool(true))
}

/// Sets an operation for the night.
pub(super) fn set(site: &Site, method: &str, given: &Value) -> Result<Value> {
    let set = |wanted: &Wanted<'_>, options: Options| {
        if options.dry_run {
            return Err(
                Error::new("rpc.params", "`tonight` and `dry-run` are two things").field("tonight"),
            );
        }
        value(tonight::set(site, wanted, options)?)
    };
    if matches!(method, "create-experiment" | "edit-experiment") {
        let define: form::Define = params(given)?;
        let text = define.text()?;
        if method == "create-experiment" {
            return set(&Wanted::Create(&text), define.options());
        }
        let from = define.digest()?;
        return set(&Wanted::Edit(&text, Some(&from)), define.options());
    }
    let change: Change = params(given)?;
    let options = Options {
        create_accounts: false,
        dry_run: change.dry_run,
    };
    let code = &change.code;
    let wanted = match method {
        "apply-experiment" => Wanted::Apply(code, change.mend),
        "close-experiment" => Wanted::Close(code),
        "reopen-experiment" => Wanted::Reopen(code),
        _ => Wanted::Remove(code, change.delete_data.as_ref()),
    };
    set(&wanted, options)
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
        "cancel-tonight" => value(tonight::cancel(site, &params::<One>(given)?.code)?),
        "show-tonight" => {
            let (waiting, text) = tonight::show(site, &params::<One>(given)?.code)?;
            Ok(json!({"tonight": waiting, "definition": text}))
        }
        _ => {
            let code = params::<Which>(given)?.code;
            value(tonight::run(site, code.as_ref(), false)?)
        }
    }
}
