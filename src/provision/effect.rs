//! What a difference means for people's access, in words.

use crate::object::{Kind, ObjectId};
use crate::report::{Said, said};

/// The whole object is gone.
pub fn missing(id: &ObjectId) -> Said {
    match id.kind {
        Kind::Group => said!(
            "everybody whose access comes from {0} lost it",
            "toutes les personnes dont l'accès vient de {0} l'ont perdu",
            id.key
        ),
        Kind::Directory => said!(
            "what was in it cannot be reached",
            "ce qu'il contenait n'est plus accessible"
        ),
        Kind::Quota => said!(
            "nothing keeps the experiment from filling its disk",
            "rien n'empêche l'expérience de remplir son disque"
        ),
        Kind::Entry => said!(
            "the next deployment takes the mounts and jails of this experiment away: no SFTP, no rsync, and symbolic links are followed again",
            "le prochain déploiement retirera les montages et les enclos de cette expérience : ni SFTP ni rsync, et les liens symboliques seront de nouveau suivis"
        ),
        Kind::Source => said!(
            "this machine cannot deliver its data",
            "cette machine ne peut pas livrer ses données"
        ),
        Kind::Mounts => said!(
            "nothing stops symbolic links, and SFTP and rsync over SSH show nothing",
            "rien n'arrête les liens symboliques, et SFTP et rsync par SSH ne montrent rien"
        ),
        Kind::FtpShare => said!(
            "nobody reaches the experiment over FTP",
            "personne n'atteint l'expérience par FTP"
        ),
        Kind::RsyncModule => said!(
            "nobody reaches the experiment through the rsync daemon",
            "personne n'atteint l'expérience par le démon rsync"
        ),
        Kind::NfsShare => said!(
            "this machine cannot mount the experiment over NFS",
            "cette machine ne peut pas monter l'expérience par NFS"
        ),
        Kind::SharedFolder | Kind::SmbShare if id.key.contains('_') => said!(
            "this machine cannot deliver its data over SMB",
            "cette machine ne peut pas livrer ses données par SMB"
        ),
        Kind::SharedFolder | Kind::SmbShare => said!(
            "nobody reaches the experiment over SMB",
            "personne n'atteint l'expérience par SMB"
        ),
        Kind::Privileges => said!(
            "OpenMediaVault's own list lets everybody try; the file system still refuses strangers",
            "la liste d'OpenMediaVault laisse chacun essayer ; le système de fichiers refuse toujours les autres"
        ),
        Kind::Contents | Kind::Revocation | Kind::Activation | Kind::Server => said!("", ""),
    }
}

/// Another object took its name.
pub fn replaced(id: &ObjectId) -> Said {
    Said {
        en: format!(
            "{id} was deleted and made again by somebody else; it is left alone until it is renamed or removed"
        ),
        fr: format!(
            "{} : supprimé puis recréé par quelqu'un d'autre ; laissé tel quel tant qu'il n'est pas renommé ou supprimé",
            id.french()
        ),
    }
}

/// One attribute differs.
pub fn of(id: &ObjectId, attribute: &str, applied: Option<&str>, observed: Option<&str>) -> Said {
    if let Some(account) = attribute.strip_prefix("member:") {
        return membership(id, account, observed.is_some());
    }
    if let Some(account) = attribute.strip_prefix("jail:") {
        return jail(account, observed);
    }
    match id.kind {
        Kind::Directory => directory(attribute),
        Kind::Quota => quota(attribute),
        Kind::Mounts => mounts(attribute, observed),
        Kind::Entry => entry(attribute),
        Kind::Privileges => privilege(attribute, applied, observed),
        Kind::SharedFolder if attribute == "path" => said!(
            "people find another folder under this name",
            "on trouve un autre dossier sous ce nom"
        ),
        Kind::SmbShare | Kind::FtpShare => share(id.kind, attribute),
        Kind::RsyncModule => rsync_module(attribute, observed.is_some()),
        Kind::NfsShare => nfs_share(attribute),
        _ => none(),
    }
}

fn none() -> Said {
    said!("no effect on access", "aucun effet sur les accès")
}

fn membership(group: &ObjectId, account: &str, is_in: bool) -> Said {
    match (group.key.ends_with("-r"), is_in) {
        (true, true) => said!(
            "{0} has read access that the definition does not give",
            "{0} a un accès en lecture que la définition ne donne pas",
            account
        ),
        (false, true) => said!(
            "{0} has write access that the definition does not give",
            "{0} a un accès en écriture que la définition ne donne pas",
            account
        ),
        (true, false) => said!(
            "{0} lost the read access that the definition gives",
            "{0} a perdu l'accès en lecture que la définition donne",
            account
        ),
        (false, false) => said!(
            "{0} lost the write access that the definition gives",
            "{0} a perdu l'accès en écriture que la définition donne",
            account
        ),
    }
}

fn jail(account: &str, observed: Option<&str>) -> Said {
    match observed {
        Some("rw") => said!(
            "{0} can write over SFTP and rsync",
            "{0} peut écrire par SFTP et rsync",
            account
        ),
        Some(_) => said!(
            "{0} can read over SFTP and rsync",
            "{0} peut lire par SFTP et rsync",
            account
        ),
        None => said!(
            "{0} sees nothing over SFTP and rsync",
            "{0} ne voit rien par SFTP et rsync",
            account
        ),
    }
}

fn directory(attribute: &str) -> Said {
    match attribute {
        "acl" | "mode" | "owner" | "group" => said!(
            "the file system lets other people in, or keeps members out: compare the two",
            "le système de fichiers laisse entrer d'autres personnes, ou tient des membres dehors : comparez les deux"
        ),
        "default-acl" => said!(
            "new files there get other rights than the rest of the experiment",
            "les nouveaux fichiers y reçoivent d'autres droits que le reste de l'expérience"
        ),
        _ => none(),
    }
}

fn quota(attribute: &str) -> Said {
    if attribute == "limit" {
        said!(
            "the experiment may need more room, or less, than its definition says",
            "l'expérience peut prendre plus de place, ou moins, que ne le dit sa définition"
        )
    } else {
        said!(
            "its files are counted with others",
            "ses fichiers sont comptés avec d'autres"
        )
    }
}

fn mounts(attribute: &str, observed: Option<&str>) -> Said {
    match (attribute, observed) {
        ("self", Some("rw")) => said!(
            "everybody with write access can change a closed experiment",
            "quiconque a un accès en écriture peut modifier une expérience close"
        ),
        ("self", Some(_)) => said!("nobody can write", "personne ne peut écrire"),
        ("self", None) => said!(
            "symbolic links are followed again, and closing would have no effect",
            "les liens symboliques sont de nouveau suivis, et clore n'aurait aucun effet"
        ),
        _ => said!(
            "symbolic links or set-uid files in the experiment may be followed",
            "des liens symboliques ou des fichiers set-uid de l'expérience peuvent être suivis"
        ),
    }
}

fn entry(attribute: &str) -> Said {
    if attribute == "read-only" {
        said!(
            "after the next deployment or reboot the experiment is open or closed against its definition",
            "après le prochain déploiement ou redémarrage, l'expérience sera ouverte ou close contrairement à sa définition"
        )
    } else {
        said!(
            "after the next deployment SFTP and rsync show other people or another place than the definition",
            "après le prochain déploiement, SFTP et rsync montreront d'autres personnes ou un autre endroit que la définition"
        )
    }
}

fn privilege(attribute: &str, applied: Option<&str>, observed: Option<&str>) -> Said {
    let who = attribute
        .split_once(':')
        .map_or(attribute, |(_, name)| name);
    match observed {
        Some("write") => said!(
            "SMB lets {0} try to write; the file system decides",
            "SMB laisse {0} essayer d'écrire ; le système de fichiers décide",
            who
        ),
        Some("read") => said!(
            "SMB lets {0} read only",
            "SMB laisse {0} seulement lire",
            who
        ),
        None if applied.is_none() => {
            said!(
                "SMB lets {0} in as before",
                "SMB laisse entrer {0} comme avant",
                who
            )
        }
        Some(_) | None => said!(
            "SMB lets {0} in no more",
            "SMB ne laisse plus entrer {0}",
            who
        ),
    }
}

fn share(kind: Kind, attribute: &str) -> Said {
    match (kind, attribute) {
        (Kind::SmbShare, "enable") => said!(
            "SMB is open or shut against the definition",
            "SMB est ouvert ou fermé contrairement à la définition"
        ),
        (Kind::SmbShare, "guest") => said!(
            "guests may connect; the file system still refuses them",
            "des invités peuvent se connecter ; le système de fichiers les refuse toujours"
        ),
        (Kind::SmbShare, _) => said!(
            "SMB may create files that other members cannot use",
            "SMB peut créer des fichiers que les autres membres ne peuvent pas utiliser"
        ),
        (_, "enable") => said!(
            "FTP is open or shut against the definition",
            "FTP est ouvert ou fermé contrairement à la définition"
        ),
        (_, "extraoptions") => said!(
            "members may set modes over FTP that shut others out of their files",
            "des membres peuvent poser par FTP des modes qui ferment leurs fichiers aux autres"
        ),
        _ => none(),
    }
}

fn rsync_module(attribute: &str, is_set: bool) -> Said {
    if let Some(account) = attribute.strip_prefix("user:") {
        return if is_set {
            said!(
                "{0} has a password for the rsync daemon",
                "{0} a un mot de passe pour le démon rsync",
                account
            )
        } else {
            said!(
                "{0} has no password for the rsync daemon",
                "{0} n'a pas de mot de passe pour le démon rsync",
                account
            )
        };
    }
    match attribute {
        "readonly" => said!(
            "the rsync daemon lets members write, past what it was tried with",
            "le démon rsync laisse les membres écrire, au-delà de ce qui a été éprouvé"
        ),
        "uid" | "gid" | "authusers" | "usechroot" => said!(
            "the rsync daemon may let people in with other rights than their own",
            "le démon rsync peut laisser entrer des personnes avec d'autres droits que les leurs"
        ),
        _ => none(),
    }
}

fn nfs_share(attribute: &str) -> Said {
    match attribute {
        "options" => said!(
            "this machine writes over NFS, or only reads, against the definition",
            "cette machine écrit par NFS, ou lit seulement, contrairement à la définition"
        ),
        "extraoptions" => said!(
            "people on this machine may enter with other rights than those of the experiment's group",
            "des personnes sur cette machine peuvent entrer avec d'autres droits que ceux du groupe de l'expérience"
        ),
        _ => none(),
    }
}
