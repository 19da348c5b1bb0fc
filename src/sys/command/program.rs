//! The programs that we may run, and where each of them is.

use std::fmt;
use std::sync::OnceLock;

/// A program that we may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    /// Checks its own configuration (`-t`, `-T`).
    Sshd,
    /// Who is connected over SMB.
    Smbstatus,
    /// Tells smbd processes what to do.
    Smbcontrol,
    /// Lists accounts and groups.
    Getent,
    /// Lists Samba's accounts.
    Pdbedit,
    /// Checks Samba's configuration.
    Testparm,
    /// Mounts, through util-linux and its records.
    Mount,
    /// Unmounts.
    Umount,
    /// Runs the Salt states of `OpenMediaVault`; for `octonas doctor` alone.
    OmvSalt,
    /// Takes a mail for delivery.
    Sendmail,
    /// The same program again.
    Octonas,
    /// Looks into one file, which is its standard input.
    Probe,
    /// Looks into one container, which is its standard input.
    Unpack,
    /// Encrypts and decrypts.
    Age,
    /// Brings packages to another machine and back.
    Rsync,
    /// Runs another program, which may have only so much.
    Prlimit,
    /// For tests of this room.
    #[cfg(test)]
    Test(&'static str),
}

impl Program {
    /// Where it is.
    pub fn path(self) -> &'static str {
        match self {
            Self::Sshd => "/usr/sbin/sshd",
            Self::Smbstatus => "/usr/bin/smbstatus",
            Self::Smbcontrol => "/usr/bin/smbcontrol",
            Self::Getent => "/usr/bin/getent",
            Self::Pdbedit => "/usr/bin/pdbedit",
            Self::Testparm => "/usr/bin/testparm",
            Self::Mount => "/usr/bin/mount",
            Self::Umount => "/usr/bin/umount",
            Self::OmvSalt => "/usr/sbin/omv-salt",
            Self::Sendmail => "/usr/sbin/sendmail",
            Self::Octonas => "/usr/bin/octonas",
            Self::Probe => beside("probe"),
            Self::Unpack => beside("unpack"),
            Self::Age => "/usr/bin/age",
            Self::Rsync => "/usr/bin/rsync",
            Self::Prlimit => "/usr/bin/prlimit",
            #[cfg(test)]
            Self::Test(path) => path,
        }
    }

    /// True where it is installed.
    pub fn is_installed(self) -> bool {
        std::path::Path::new(self.path()).is_file()
    }

    pub(super) fn point(self) -> &'static str {
        match self {
            Self::Sshd => "command.sshd",
            Self::Smbstatus => "command.smbstatus",
            Self::Smbcontrol => "command.smbcontrol",
            Self::Getent => "command.getent",
            Self::Pdbedit => "command.pdbedit",
            Self::Testparm => "command.testparm",
            Self::Mount => "command.mount",
            Self::Umount => "command.umount",
            Self::OmvSalt => "command.omv-salt",
            Self::Sendmail => "command.sendmail",
            Self::Octonas => "command.octonas",
            Self::Probe => "command.probe",
            Self::Unpack => "command.unpack",
            Self::Age => "command.age",
            Self::Rsync | Self::Prlimit => "command.rsync",
            #[cfg(test)]
            Self::Test(_) => "command.test",
        }
    }
}

/// Where the package puts `octonas-probe` and `octonas-unpack`; for a program that runs out of its build directory, the
/// one that was built with it.
fn beside(name: &'static str) -> &'static str {
    static PLACES: [OnceLock<String>; 2] = [const { OnceLock::new() }; 2];
    PLACES[usize::from(name == "unpack")].get_or_init(|| {
        let this = std::env::current_exe().unwrap_or_default();
        let built = this.with_file_name(format!("octonas-{name}"));
        // Tests of this crate run one directory below the programs.
        let above = this
            .parent()
            .and_then(std::path::Path::parent)
            .map(|dir| dir.join(format!("octonas-{name}")));
        let is_installed = this.parent() == Some("/usr/bin".as_ref());
        [Some(built), above.filter(|_| cfg!(test))]
            .into_iter()
            .flatten()
            .filter(|place| !is_installed && place.is_file())
            .find_map(|place| place.to_str().map(str::to_owned))
            .unwrap_or_else(|| format!("/usr/lib/octonas/{name}"))
    })
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path().rsplit('/').next().unwrap_or_default())
    }
}
