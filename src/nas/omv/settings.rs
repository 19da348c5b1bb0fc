//! Where OpenMediaVault and our own parts are on this system.

use std::path::PathBuf;

use super::engined::Limits;
use super::people::Source;

/// Where everything is. The defaults are those of an installed package.
#[derive(Debug, Clone)]
pub struct Settings {
    /// engined's socket.
    pub socket: PathBuf,
    /// The list of modules that wait to be applied.
    pub dirty_modules: PathBuf,
    /// Root of the jails behind sshd.
    pub jails: PathBuf,
    /// What the Salt module wants the jails to be.
    pub jails_wanted: PathBuf,
    /// Where accounts and groups are read.
    pub people: Source,
    /// Time and size limits of calls.
    pub limits: Limits,
}

impl Settings {
    /// Of this system: OpenMediaVault's own variables, from the environment or `/etc/default/openmediavault`.
    pub fn installed() -> Self {
        let text = std::fs::read_to_string("/etc/default/openmediavault").unwrap_or_default();
        let get = |name: &str, default: &str| {
            std::env::var_os(name)
                .filter(|v| !v.is_empty())
                .map(PathBuf::from)
                .or_else(|| variable(&text, name).map(PathBuf::from))
                .unwrap_or_else(|| PathBuf::from(default))
        };
        Self {
            socket: get(
                "OMV_ENGINED_SO_ADDRESS",
                "/var/lib/openmediavault/engined.sock",
            ),
            dirty_modules: get(
                "OMV_ENGINED_DIRTY_MODULES_FILE",
                "/var/lib/openmediavault/dirtymodules.json",
            ),
            jails: PathBuf::from("/run/octonas/jail"),
            jails_wanted: PathBuf::from("/etc/octonas/jails.json"),
            people: Source::System,
            limits: Limits::default(),
        }
    }
}

/// The value of `NAME="value"`, the last one, as a shell would read it.
fn variable<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    text.lines()
        .filter_map(|line| line.trim().split_once('='))
        .filter(|(key, _)| *key == name)
        .map(|(_, value)| value.trim().trim_matches('"'))
        .rfind(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_read_as_openmediavault_writes_them() {
        let text = "# comment\nOMV_A=\"/one\"\nOMV_B=two\nOMV_A=\"/three\"\nOMV_C=\"\"\n";
        assert_eq!(variable(text, "OMV_A"), Some("/three"));
        assert_eq!(variable(text, "OMV_B"), Some("two"));
        assert_eq!(variable(text, "OMV_C"), None);
    }
}
