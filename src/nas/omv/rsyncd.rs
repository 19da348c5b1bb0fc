//! Modules of the rsync daemon (8.5.7: `engined/rpc/rsyncd.inc`). Its users have passwords of their own, which OpenMediaVault
//! keeps in the clear in its configuration and in `/var/lib/openmediavault/rsyncd-<module>.secrets`: never an account's.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::engined::Engined;
use super::model::{NEW, list_within};
use super::put::{self, Stored, folder_named};
use super::{Omv, accounts};
use crate::error::Result;
use crate::object::{Attributes, Found, Reference};

/// `conf.service.rsyncd`, as far as we read it.
#[derive(Clone, Deserialize)]
pub struct Rsyncd {
    #[serde(default)]
    pub enable: bool,
    #[serde(default, deserialize_with = "list_within")]
    pub modules: Vec<Module>,
}

/// `conf.service.rsyncd.module`.
#[derive(Clone, Deserialize)]
pub struct Module {
    pub uuid: String,
    pub name: String,
    pub sharedfolderref: String,
    #[serde(default, deserialize_with = "list_within")]
    users: Vec<User>,
    #[serde(flatten)]
    parameters: Map<String, Value>,
}

#[derive(Clone, Serialize, Deserialize)]
struct User {
    name: String,
    #[serde(serialize_with = "in_the_clear", deserialize_with = "wiped")]
    password: Zeroizing<String>,
}

fn in_the_clear<S: Serializer>(
    password: &Zeroizing<String>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(password)
}

fn wiped<'de, D: Deserializer<'de>>(d: D) -> std::result::Result<Zeroizing<String>, D::Error> {
    String::deserialize(d).map(Zeroizing::new)
}

/// A value where nobody says another.
#[derive(Clone, Copy)]
enum Unsaid {
    Flag(bool),
    Number(u32),
    Text(&'static str),
}

/// Every parameter of `Rsyncd.setModule` but names and references.
const PARAMETERS: &[(&str, Unsaid)] = &[
    ("enable", Unsaid::Flag(true)),
    ("comment", Unsaid::Text("")),
    ("uid", Unsaid::Text("nobody")),
    ("gid", Unsaid::Text("nogroup")),
    ("readonly", Unsaid::Flag(true)),
    ("writeonly", Unsaid::Flag(false)),
    ("maxconnections", Unsaid::Number(0)),
    ("list", Unsaid::Flag(false)),
    ("hostsallow", Unsaid::Text("")),
    ("hostsdeny", Unsaid::Text("")),
    ("authusers", Unsaid::Flag(true)),
    ("usechroot", Unsaid::Flag(true)),
    ("extraoptions", Unsaid::Text("")),
];

/// The service and its modules.
pub(super) fn service(engined: &Engined) -> Result<Rsyncd> {
    engined.read("Config", "get", json!({"id": "conf.service.rsyncd"}))
}

/// What is said of a module: everything but passwords. One of another folder has that folder's name in `folder`.
pub(super) fn attributes(module: &Module, is_on: bool, folder: Option<&str>) -> Attributes {
    let mut all: Attributes = module
        .parameters
        .iter()
        .filter_map(|(name, value)| {
            let text = match value {
                Value::String(text) => text.clone(),
                Value::Bool(truth) => truth.to_string(),
                Value::Number(number) => number.to_string(),
                _ => return None,
            };
            Some((name.clone(), text))
        })
        .collect();
    all.insert("service".into(), if is_on { "on" } else { "off" }.into());
    for user in &module.users {
        all.insert(format!("user:{}", user.name), "yes".to_owned());
    }
    if let Some(folder) = folder.filter(|folder| *folder != module.name) {
        all.insert("folder".into(), folder.to_owned());
    }
    all
}

/// What `Rsyncd.setModule` takes.
#[derive(Serialize)]
struct Given {
    #[serde(flatten)]
    parameters: Map<String, Value>,
    users: Vec<User>,
}

/// Makes the module of the shared folder `folder`. Who has a password there keeps it; who has none gets a random one, which
/// is shown once.
pub(super) fn module(omv: &Omv, folder: &str, attributes: &Attributes) -> Result<Reference> {
    let engined = omv.engined();
    let folder = folder_named(omv.shared_folders()?, folder)?;
    let before = service(engined)?
        .modules
        .into_iter()
        .find(|module| module.name == folder.name);
    let mut parameters = parameters(attributes, before.as_ref());
    let users = users(omv, &folder.name, attributes, before.as_ref())?;
    let uuid = before.map_or_else(|| NEW.to_owned(), |module| module.uuid);
    parameters.insert("uuid".into(), Value::from(uuid));
    parameters.insert("name".into(), Value::from(folder.name));
    parameters.insert("sharedfolderref".into(), Value::from(folder.uuid));
    let stored: Stored = engined.change("Rsyncd", "setModule", Given { parameters, users })?;
    omv.snapshot.forget_doors();
    Ok(Some(stored.uuid))
}

/// What is wanted, over what stands there, over what nobody says otherwise.
fn parameters(wanted: &Attributes, before: Option<&Module>) -> Map<String, Value> {
    let value = |name: &str, unsaid: Unsaid| {
        let known = before.and_then(|module| module.parameters.get(name));
        match (wanted.get(name), known, unsaid) {
            (Some(text), _, Unsaid::Flag(_)) => Value::Bool(text == "true"),
            (Some(text), _, Unsaid::Text(_)) => Value::from(text.as_str()),
            (_, Some(known), _) => known.clone(),
            (_, None, Unsaid::Flag(truth)) => Value::Bool(truth),
            (_, None, Unsaid::Text(text)) => Value::from(text),
            (_, None, Unsaid::Number(number)) => Value::from(number),
        }
    };
    PARAMETERS
        .iter()
        .map(|(name, unsaid)| ((*name).to_owned(), value(name, *unsaid)))
        .collect()
}

fn users(
    omv: &Omv,
    module: &str,
    wanted: &Attributes,
    before: Option<&Module>,
) -> Result<Vec<User>> {
    let mut users = Vec::new();
    for account in wanted.keys().filter_map(|name| name.strip_prefix("user:")) {
        let known = before
            .iter()
            .flat_map(|module| &module.users)
            .find(|user| user.name == account);
        let password = if let Some(user) = known {
            user.password.clone()
        } else {
            let password = accounts::password()?;
            if let Ok(mut fresh) = omv.fresh.lock() {
                let whose = format!("{account} at the rsync daemon, module {module}");
                fresh.push((whose, password.clone()));
            }
            password
        };
        users.push(User {
            name: account.to_owned(),
            password,
        });
    }
    Ok(users)
}

/// Takes the module away, and its passwords with it.
pub(super) fn delete_module(omv: &Omv, found: &Found) -> Result<()> {
    omv.snapshot.forget_doors();
    let engined = omv.engined();
    put::delete_share(engined, found, ("Rsyncd", "deleteModule"), || {
        let modules = service(engined)?.modules;
        Ok(modules.into_iter().map(|module| module.uuid).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_says_everything_but_its_passwords() {
        let module: Module = serde_json::from_value(json!({
            "uuid": "u", "enable": true, "sharedfolderref": "f", "uid": "nobody", "gid": "exp", "name": "doors",
            "comment": "c", "readonly": true, "maxconnections": 0,
            "users": {"user": [{"name": "a", "password": "never shown"}]}
        }))
        .unwrap();
        let said = attributes(&module, false, Some("doors"));
        assert_eq!(said["user:a"], "yes");
        assert_eq!(
            (said["readonly"].as_str(), said["service"].as_str()),
            ("true", "off")
        );
        assert!(!format!("{said:?}").contains("never shown"));
        assert!(!said.contains_key("folder"));
        assert_eq!(attributes(&module, true, Some("other"))["folder"], "other");
    }

    #[test]
    fn what_an_admin_set_stays_where_nobody_asked() {
        let before: Module = serde_json::from_value(json!({
            "uuid": "u", "sharedfolderref": "f", "name": "doors", "hostsallow": "10.0.0.0/8", "readonly": false,
            "users": ""
        }))
        .unwrap();
        let wanted = Attributes::from([("readonly".to_owned(), "true".to_owned())]);
        let all = parameters(&wanted, Some(&before));
        assert_eq!(all["hostsallow"], "10.0.0.0/8");
        assert_eq!(all["readonly"], true);
        assert_eq!(all.len(), PARAMETERS.len());
    }
}
