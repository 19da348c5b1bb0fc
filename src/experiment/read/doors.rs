//! How data comes in, and who is let in: the sources and where they put their files, the protocols, the machines of NFS.

use std::net::IpAddr;

use crate::error::{Error, Result};
use crate::experiment::choice::{Access, SourceKind};
use crate::experiment::definition::{NfsRow, Protocols, Source};
use crate::experiment::fields::Fields;
use crate::experiment::identifier::is_host_name;
use crate::experiment::name::{AccountName, SourceId};
use crate::experiment::path::RelPath;
use crate::experiment::quantity::{Interval, Timezone};
use crate::experiment::text::{paragraph, quote};

pub(super) fn source(mut f: Fields) -> Option<Source> {
    let id = f.required("id", SourceId::parse);
    let kind = f.required("kind", SourceKind::parse);
    let timezone = f
        .value("timezone", Timezone::parse)
        .unwrap_or_else(Timezone::utc);
    let into = f.required("into", into);
    let every = f
        .value("every", Interval::parse)
        .unwrap_or(Interval::QUARTER);
    let account = f.value("account", AccountName::parse);
    let description = f.value("description", |text| paragraph(text, 5_000));
    let unknown = f.close();
    Some(Source {
        id: id?,
        kind: kind?,
        timezone,
        into: into?,
        every,
        account,
        description,
        unknown,
    })
}

/// Where members and sources never write.
pub(super) fn into(text: &str) -> Result<RelPath> {
    let path = RelPath::parse(text)?;
    let first = path.components().next().unwrap_or_default().to_lowercase();
    if matches!(first.as_str(), "metadata" | "landing") {
        return Err(Error::new(
            "path.reserved",
            format!("data cannot go into `{first}`, which OctoNAS itself writes"),
        )
        .hint("take a directory of the layout, like `raw/plc-c1`"));
    }
    Ok(path)
}

pub(super) fn protocols(mut f: Fields) -> Protocols {
    let default = Protocols::default();
    Protocols {
        smb: f.flag("smb", default.smb),
        sftp: f.flag("sftp", default.sftp),
        rsync: f.flag("rsync", default.rsync),
        ftp: f.flag("ftp", default.ftp),
        rsyncd: f.flag("rsyncd", default.rsyncd),
        nfs: f.mappings("nfs", nfs_row),
        unknown: f.close(),
    }
}

fn nfs_row(mut f: Fields) -> Option<NfsRow> {
    let host = f.required("host", host);
    let access = f.required("access", Access::parse);
    if access == Some(Access::Manage) {
        f.problem(
            "access",
            "a machine cannot manage an experiment",
            "write `read` or `write`",
        );
    }
    let unknown = f.close();
    Some(NfsRow {
        host: host?,
        access: access?,
        unknown,
    })
}

/// A machine or network of exports(5), without wildcards and netgroups.
fn host(text: &str) -> Result<String> {
    let network = text.split_once('/').is_some_and(|(address, bits)| {
        address.parse::<IpAddr>().is_ok_and(|address| {
            let most = if address.is_ipv4() { 32 } else { 128 };
            bits.parse::<u8>()
                .is_ok_and(|bits| (8..=most).contains(&bits))
        })
    });
    let name = text.len() <= 253 && is_host_name(text);
    if network || name || text.parse::<IpAddr>().is_ok() {
        return Ok(text.to_lowercase());
    }
    Err(Error::new(
        "nfs.host",
        format!(
            "{} is not a host name, an address or a network",
            quote(text)
        ),
    )
    .hint("like `calcul1.example.org` or `10.1.2.0/24`"))
}
