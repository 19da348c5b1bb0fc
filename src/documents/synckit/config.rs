//! `kit.json`: what the program on the source is told (docs/reference/landing.md).

use serde::Serialize;

use super::{Order, Way, account};
use crate::error::{Error, Result};

/// A file travels when it has not changed for so long.
pub const STABLE_MINUTES: u32 = 5;

/// After so long without a receipt, the program raises an alarm.
pub const RECEIPT_HOURS: u32 = 24;

/// Where a source's session starts on the NAS.
const REMOTE: &str = "/in";

#[derive(Serialize)]
struct Config<'c> {
    kit: u32,
    experiment: Experiment<'c>,
    source: Source<'c>,
    language: String,
    transport: &'static str,
    host: Option<&'c str>,
    port: Option<u16>,
    user: Option<String>,
    host_keys: Vec<String>,
    remote: Option<&'static str>,
    directory: Option<&'c str>,
    watch: Vec<Watch<'c>>,
    stable_minutes: u32,
    receipt_hours: u32,
    rate_limit_kib: u32,
}

#[derive(Serialize)]
struct Experiment<'c> {
    id: String,
    code: &'c str,
    title: &'c str,
}

#[derive(Serialize)]
struct Source<'c> {
    id: &'c str,
    timezone: String,
    every_seconds: u32,
}

#[derive(Serialize)]
struct Watch<'c> {
    path: &'c str,
    include: [&'static str; 1],
    exclude: [&'static str; 0],
}

/// The bytes of `kit.json`.
pub fn kit_json(order: &Order<'_>) -> Result<Vec<u8>> {
    let definition = order.definition;
    let user = account(order)?;
    let (transport, host, port, user, host_keys, remote, directory) = match order.way {
        Way::Sftp {
            host,
            port,
            host_keys,
        } => {
            let keys = host_keys.iter().map(|key| format!("nas {key}")).collect();
            (
                "sftp",
                Some(host.as_str()),
                Some(*port),
                Some(user),
                keys,
                Some(REMOTE),
                None,
            )
        }
        Way::Directory(path) => (
            "directory",
            None,
            None,
            None,
            Vec::new(),
            None,
            Some(path.as_str()),
        ),
    };
    let config = Config {
        kit: 1,
        experiment: Experiment {
            id: definition.id.map(|id| id.to_string()).unwrap_or_default(),
            code: definition.code.as_str(),
            title: &definition.title,
        },
        source: Source {
            id: order.source.id.as_str(),
            timezone: order.source.timezone.to_string(),
            every_seconds: order.source.every.minutes() * 60,
        },
        language: definition.language.to_string(),
        transport,
        host,
        port,
        user,
        host_keys,
        remote,
        directory,
        watch: order
            .watch
            .iter()
            .map(|path| Watch {
                path,
                include: ["*"],
                exclude: [],
            })
            .collect(),
        stable_minutes: STABLE_MINUTES,
        receipt_hours: RECEIPT_HOURS,
        rate_limit_kib: 0,
    };
    let mut bytes = serde_json::to_vec_pretty(&config)
        .map_err(|e| Error::new("output.failed", "cannot encode kit.json").source(e))?;
    bytes.push(b'\n');
    Ok(bytes)
}
