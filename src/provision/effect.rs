//! What a difference means for people's access, in words.

use crate::object::{Kind, ObjectId};

/// The whole object is gone.
pub fn missing(id: &ObjectId) -> String {
    match id.kind {
        Kind::Group => format!("everybody whose access comes from {} lost it", id.key),
        Kind::Directory => "what was in it cannot be reached".into(),
        Kind::Quota => "nothing keeps the experiment from filling its disk".into(),
        Kind::Entry => "the next deployment takes the mounts and jails of this experiment away: no SFTP, no rsync, and symbolic links are followed again".into(),
        Kind::Source => "this machine cannot deliver its data".into(),
        Kind::Mounts => "nothing stops symbolic links, and SFTP and rsync over SSH show nothing".into(),
        Kind::FtpShare => "nobody reaches the experiment over FTP".into(),
        Kind::RsyncModule => "nobody reaches the experiment through the rsync daemon".into(),
        Kind::NfsShare => "this machine cannot mount the experiment over NFS".into(),
        Kind::SharedFolder | Kind::SmbShare if id.key.contains('_') => {
            "this machine cannot deliver its data over SMB".into()
        }
        Kind::SharedFolder | Kind::SmbShare => "nobody reaches the experiment over SMB".into(),
        Kind::Privileges => "OpenMediaVault's own list lets everybody try; the file system still refuses strangers".into(),
        Kind::Contents | Kind::Revocation | Kind::Activation | Kind::Server => String::new(),
    }
}

/// Another object took its name.
pub fn replaced(id: &ObjectId) -> String {
    format!(
        "{id} was deleted and made again by somebody else; it is left alone until it is renamed or removed"
    )
}

/// One attribute differs.
pub fn of(id: &ObjectId, attribute: &str, applied: Option<&str>, observed: Option<&str>) -> String {
    if let Some(account) = attribute.strip_prefix("member:") {
        return match observed {
            Some(_) => format!(
                "{account} has {} access that the definition does not give",
                granted_by(&id.key)
            ),
            None => format!(
                "{account} lost the {} access that the definition gives",
                granted_by(&id.key)
            ),
        };
    }
    if let Some(account) = attribute.strip_prefix("jail:") {
        return match observed {
            Some("rw") => format!("{account} can write over SFTP and rsync"),
            Some(_) => format!("{account} can read over SFTP and rsync"),
            None => format!("{account} sees nothing over SFTP and rsync"),
        };
    }
    match (id.kind, attribute) {
        (Kind::Directory, "acl" | "mode" | "owner" | "group") => {
            "the file system lets other people in, or keeps members out: compare the two".into()
        }
        (Kind::Directory, "default-acl") => {
            "new files there get other rights than the rest of the experiment".into()
        }
        (Kind::Quota, "limit") => "the experiment may need more room, or less, than its definition says".into(),
        (Kind::Quota, _) => "its files are counted with others".into(),
        (Kind::Mounts, "self") => match observed {
            Some("rw") => "everybody with write access can change a closed experiment".into(),
            Some(_) => "nobody can write".into(),
            None => "symbolic links are followed again, and closing would have no effect".into(),
        },
        (Kind::Mounts, _) => "symbolic links or set-uid files in the experiment may be followed".into(),
        (Kind::Entry, "read-only") => "after the next deployment or reboot the experiment is open or closed against its definition".into(),
        (Kind::Entry, _) => "after the next deployment SFTP and rsync show other people or another place than the definition".into(),
        (Kind::Privileges, name) => format!(
            "SMB lets {} {}",
            name.split_once(':').map_or(name, |(_, who)| who),
            match observed {
                Some("write") => "try to write; the file system decides",
                Some("read") => "read only",
                Some(_) => "in no more",
                None if applied.is_some() => "in no more",
                None => "in as before",
            }
        ),
        (Kind::SharedFolder, "path") => "people find another folder under this name".into(),
        (Kind::SmbShare, "enable") => "SMB is open or shut against the definition".into(),
        (Kind::SmbShare, "guest") => "guests may connect; the file system still refuses them".into(),
        (Kind::FtpShare, "enable") => "FTP is open or shut against the definition".into(),
        (Kind::FtpShare, "extraoptions") => "members may set modes over FTP that shut others out of their files".into(),
        (Kind::RsyncModule, "readonly") => "the rsync daemon lets members write, past what it was tried with".into(),
        (Kind::RsyncModule, "uid" | "gid" | "authusers" | "usechroot") => {
            "the rsync daemon may let people in with other rights than their own".into()
        }
        (Kind::RsyncModule, name) if name.starts_with("user:") => match observed {
            Some(_) => format!("{} has a password for the rsync daemon", &name[5..]),
            None => format!("{} has no password for the rsync daemon", &name[5..]),
        },
        (Kind::NfsShare, "options") => "this machine writes over NFS, or only reads, against the definition".into(),
        (Kind::NfsShare, "extraoptions") => "people on this machine may enter with other rights than those of the experiment's group".into(),
        (Kind::SmbShare, _) => "SMB may create files that other members cannot use".into(),
        _ => "no effect on access".into(),
    }
}

fn granted_by(group: &str) -> &'static str {
    if group.ends_with("-r") {
        "read"
    } else {
        "write"
    }
}
