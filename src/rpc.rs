//! The same operations as JSON, for the web UI: `octonas rpc METHOD` reads one object
//! `{"caller": {"username", "role"}, "params": {…}}` from standard input, and writes exactly one line
//! `{"result": …}` or `{"error": {"code", "message", "hint", "field"?}}`.
//!
//! A caller of the role `user` sees only the experiments that they are a member of, and changes nothing.

use std::io::Read as _;
use std::path::PathBuf;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::catalogue::examine::Options;
use crate::error::{Error, Result};
use crate::experiment::{Code, Language};
use crate::provision::site::Site;
use crate::provision::{apply, check, create, doctor, edit, lifecycle, list, probe, show};

mod bases;
mod deliveries;
mod dmp;
mod form;
mod glance;
mod imports;
mod integrity;
mod member;
mod one;
mod packages;
mod settings;
mod team;
mod texts;
mod tonight;

pub use glance::glance;

/// The longest request.
const SIZE_LIMIT: u64 = 4 << 20;

/// The methods, as the web UI calls them.
pub const METHODS: &[&str] = &[
    "accept-files",
    "add-base",
    "adopt-experiment",
    "answer-dmp",
    "apply-experiment",
    "archive-experiment",
    "build-dmp",
    "build-documents",
    "build-synckit",
    "cancel-tonight",
    "check-base",
    "check-experiments",
    "close-experiment",
    "create-experiment",
    "create-package",
    "diff-dmp",
    "doctor",
    "due-experiments",
    "edit-experiment",
    "edit-settings",
    "edit-team",
    "enrol-source",
    "export-evidence",
    "history",
    "import-experiment",
    "ingest",
    "landing",
    "list-accounts",
    "list-adoptable",
    "list-archives",
    "list-bases",
    "list-dmp-questions",
    "list-documents",
    "list-experiments",
    "list-files",
    "list-layouts",
    "list-silent-sources",
    "list-sources",
    "list-tonight",
    "methods",
    "plan-experiment",
    "probe-experiment",
    "probe-file",
    "rebuild-evidence",
    "remove-experiment",
    "reopen-experiment",
    "restore-archive",
    "restore-package",
    "revoke-source",
    "rights",
    "run-tonight",
    "scan-catalogue",
    "seal-files",
    "search-files",
    "send-notices",
    "share-base",
    "show-definition",
    "show-dmp",
    "show-document",
    "show-experiment",
    "show-file",
    "show-form",
    "show-integrity",
    "show-layout",
    "show-settings",
    "show-tonight",
    "thin-experiment",
    "unseal-files",
    "verify-archive",
    "verify-evidence",
    "verify-experiment",
    "verify-package",
];

/// What a role may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Everything.
    Admin,
    /// Look at the experiments that they are a member of.
    User,
}

/// Who asks; the web UI has authenticated them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caller {
    /// Their account.
    pub username: String,
    /// Their role.
    pub role: Role,
    /// In which progress is told to them; English where it is not said.
    #[serde(default = "english")]
    pub language: Language,
}

fn english() -> Language {
    Language::En
}

/// One request.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Who asks.
    pub caller: Caller,
    /// What they ask with.
    #[serde(default)]
    pub params: Value,
}

/// Reads a request.
pub fn read(input: impl std::io::Read) -> Result<Request> {
    let mut text = Vec::new();
    input
        .take(SIZE_LIMIT + 1)
        .read_to_end(&mut text)
        .map_err(|e| Error::new("rpc.invalid", "the request cannot be read").source(e))?;
    parse(&text)
}

/// Parses a request.
pub fn parse(text: &[u8]) -> Result<Request> {
    if text.len() as u64 > SIZE_LIMIT {
        return Err(Error::new(
            "rpc.invalid",
            "the request is longer than 4 MiB",
        ));
    }
    serde_json::from_slice(text).map_err(|e| {
        Error::new(
            "rpc.invalid",
            "the request is not an object {caller: {username, role}, params}",
        )
        .source(e)
    })
}

/// The answer's line.
pub fn answer(result: &Result<Value>) -> Value {
    match result {
        Ok(value) => json!({"result": value}),
        Err(error) => {
            let mut body = json!({
                "code": error.code(),
                "message": error.to_string(),
                "hint": error.hint_text(),
            });
            if let (Some(field), Some(map)) = (error.field_name(), body.as_object_mut()) {
                map.insert("field".into(), field.into());
            }
            if let (Some(created), Some(map)) = (error.created(), body.as_object_mut())
                && let Ok(created) = serde_json::to_value(created)
            {
                map.insert("passwords".into(), created);
            }
            json!({"error": body})
        }
    }
}

/// Carries a request out.
pub fn call(site: &Site, method: &str, request: &Request) -> Result<Value> {
    if !METHODS.contains(&method) {
        return Err(
            Error::new("rpc.unknown", format!("there is no method {method}"))
                .hint("`methods` lists them"),
        );
    }
    match request.caller.role {
        Role::Admin => admin(site, method, &request.params),
        Role::User => member::user(site, method, request),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct One {
    code: Code,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Change {
    code: Code,
    #[serde(default)]
    mend: bool,
    #[serde(default)]
    dry_run: bool,
    #[serde(default)]
    delete_data: Option<Code>,
    /// Looked at before (`tonight::is_asked`).
    #[serde(default, rename = "tonight")]
    _tonight: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Select {
    #[serde(default)]
    code: Option<Code>,
    #[serde(default)]
    user: Option<String>,
    #[serde(default)]
    refresh: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Examine {
    code: Code,
    #[serde(default)]
    again: bool,
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Folder {
    path: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Rehearsal {
    #[serde(default)]
    dry_run: bool,
}

fn params<T: DeserializeOwned>(value: &Value) -> Result<T> {
    let value = if value.is_null() {
        json!({})
    } else {
        value.clone()
    };
    serde_json::from_value(value)
        .map_err(|e| Error::new("rpc.params", "the parameters are wrong").source(e))
}

fn value(result: impl serde::Serialize) -> Result<Value> {
    serde_json::to_value(result)
        .map_err(|e| Error::new("output.failed", "cannot encode the answer").source(e))
}

fn admin(site: &Site, method: &str, given: &Value) -> Result<Value> {
    if tonight::is_asked(method, given) {
        return tonight::set(site, method, given);
    }
    match method {
        "create-experiment" => {
            let define: form::Define = params(given)?;
            value(create::create(site, &define.text()?, define.options())?)
        }
        "edit-experiment" => {
            let define: form::Define = params(given)?;
            let from = define.digest()?;
            value(edit::edit(
                site,
                &define.text()?,
                Some(&from),
                define.options(),
            )?)
        }
        "list-experiments" => {
            let select: Select = params(given)?;
            value(list::list(site, select.refresh)?)
        }
        "plan-experiment" => {
            let change: Change = params(given)?;
            value(show::plan(site, &change.code, change.mend)?)
        }
        "apply-experiment" => {
            let change: Change = params(given)?;
            value(if change.dry_run {
                apply::rehearse(site, &change.code, change.mend)?
            } else {
                lifecycle::apply(site, &change.code, change.mend)?
            })
        }
        "check-experiments" => {
            let select: Select = params(given)?;
            value(check::check(site, select.code.as_ref())?)
        }
        "close-experiment" | "reopen-experiment" | "remove-experiment" => {
            status(site, method, &params(given)?)
        }
        _ if imports::METHODS.contains(&method) => imports::call(site, method, given),
        "due-experiments" => value(lifecycle::due(site, params::<Rehearsal>(given)?.dry_run)?),
        "rights" => {
            let select: Select = params(given)?;
            value(check::rights(
                site,
                &required(select.code)?,
                select.user.as_deref(),
            )?)
        }
        "probe-file" => value(probe::file(&absolute(&params::<Folder>(given)?.path)?)?),
        "probe-experiment" => {
            let examine: Examine = params(given)?;
            let options = Options {
                again: examine.again,
                dry_run: examine.dry_run,
            };
            value(probe::experiment(site, &examine.code, options)?)
        }
        "build-documents" | "list-documents" | "show-document" => texts::admin(site, method, given),
        "doctor" => {
            let Nothing {} = params(given)?;
            value(doctor::examine(site))
        }
        _ if bases::METHODS.contains(&method) => bases::call(site, method, given),
        _ if dmp::METHODS.contains(&method) => dmp::call(site, method, given),
        _ if packages::METHODS.contains(&method) => packages::admin(site, method, given),
        _ if settings::METHODS.contains(&method) => settings::call(site, method, given),
        _ if tonight::METHODS.contains(&method) => tonight::call(site, method, given),
        _ if one::METHODS.contains(&method) => one::admin(site, method, given),
        _ if integrity::METHODS.contains(&method) => integrity::admin(site, method, given),
        _ => deliveries::admin(site, method, given),
    }
}

/// Operations that change what an experiment is.
fn status(site: &Site, method: &str, change: &Change) -> Result<Value> {
    let code = &change.code;
    value(match method {
        "close-experiment" => lifecycle::close(site, code, change.dry_run)?,
        "reopen-experiment" => lifecycle::reopen(site, code, change.dry_run)?,
        _ => lifecycle::remove(site, code, change.delete_data.as_ref(), change.dry_run)?,
    })
}

/// What concerns no experiment.
fn anybody(site: &Site, method: &str, given: &Value) -> Result<Value> {
    match method {
        "methods" => value(METHODS),
        "list-layouts" => value(show::layouts(&site.layouts)?),
        "show-layout" => {
            let name = params::<Named>(given)?.name;
            Ok(json!({"name": name, "text": site.layouts.text(&name)?}))
        }
        _ => Err(Error::new(
            "rpc.forbidden",
            format!("{method} is for administrators"),
        )),
    }
}

/// The experiment that a request is about, before its other parameters are looked at.
fn code_of(given: &Value) -> Result<Code> {
    let text = given
        .get("code")
        .and_then(Value::as_str)
        .ok_or_else(|| Error::new("rpc.params", "`code` is missing").field("code"))?;
    Code::parse(text)
}

fn required(code: Option<Code>) -> Result<Code> {
    code.ok_or_else(|| Error::new("rpc.params", "`code` is missing").field("code"))
}

fn absolute(path: &std::path::Path) -> Result<PathBuf> {
    if path.is_absolute() {
        Ok(crate::settings::absolute(path, std::path::Path::new("/")))
    } else {
        Err(Error::new(
            "rpc.params",
            format!("{} is not an absolute path", path.display()),
        )
        .field("path"))
    }
}
