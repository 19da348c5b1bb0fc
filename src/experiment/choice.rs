//! Words from fixed lists: access, role, status, language, kind of a source.

use super::text::{checked_value, did_you_mean, quote};
use crate::error::{Error, Result};

/// An enum whose variants are words in a file.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident ($code:literal, $what:literal) { $($(#[$vmeta:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$vmeta])* $variant,)+
        }
        impl $name {
            /// All of them, in order.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word in a file.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// Reads the word.
            pub fn parse(text: &str) -> Result<Self> {
                Self::ALL.iter().copied().find(|v| v.as_str() == text).ok_or_else(|| {
                    let words: Vec<&str> = Self::ALL.iter().map(|v| v.as_str()).collect();
                    let hint = match did_you_mean(text, words.iter().copied()) {
                        Some(word) => format!("did you mean `{word}`?"),
                        None => format!("one of {}", words.join(", ")),
                    };
                    Error::new($code, format!("{} is not {}", quote(text), $what)).hint(hint)
                })
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
        checked_value!($name);
    };
}

words! {
    /// What a member may do on the NAS; each includes the ones before.
    Access("access.invalid", "an access") {
        /// Sees everything, changes nothing.
        Read = "read",
        /// Writes in the leaves of the layout.
        Write = "write",
        /// Writes, and may edit people, answers and sources of this experiment through the pages.
        Manage = "manage",
    }
}

impl Access {
    /// True where the file system gives the right to write (`manage` and `write` are the same there).
    pub fn writes(self) -> bool {
        self >= Self::Write
    }
}

words! {
    /// What a person does in the experiment. Descriptive: gives no rights.
    Role("role.invalid", "a role") {
        /// Answers for the science.
        PrincipalInvestigator = "principal-investigator",
        /// Leads the project.
        ProjectLeader = "project-leader",
        /// Answers for the data and its plan.
        DataManager = "data-manager",
        /// Takes the measurements.
        DataCollector = "data-collector",
        /// Keeps the data usable.
        DataCurator = "data-curator",
        /// Works with the data.
        Researcher = "researcher",
        /// Runs the machines.
        Technician = "technician",
        /// Answers questions; the only one whose e-mail appears in what leaves the unit.
        Contact = "contact",
    }
}

words! {
    /// Where an experiment is in its life.
    Status("status.invalid", "a status") {
        /// Being prepared; provisioned like an active one.
        Draft = "draft",
        /// Running.
        Active = "active",
        /// Becoming read-only.
        Closing = "closing",
        /// Read-only for everybody.
        Closed = "closed",
        /// Handed over as a package.
        Archived = "archived",
        /// Taken off the NAS; a tombstone is left.
        Removed = "removed",
    }
}

words! {
    /// The language of the generated texts.
    Language("language.invalid", "a language that the texts exist in") {
        /// French.
        Fr = "fr",
        /// English.
        En = "en",
    }
}

words! {
    /// What runs on a source, and with it which program delivers its data.
    SourceKind("source.kind", "a kind of source") {
        /// Linux, or another Unix with a POSIX shell.
        Linux = "linux",
        /// macOS.
        Macos = "macos",
        /// Windows with `PowerShell`.
        Windows = "windows",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_are_ordered_and_manage_writes() {
        assert!(Access::Read < Access::Write && Access::Write < Access::Manage);
        assert!(Access::Manage.writes() && Access::Write.writes() && !Access::Read.writes());
    }

    #[test]
    fn a_word_nearly_right_is_recognised_but_not_accepted() {
        let error = Role::parse("data_manager").unwrap_err();
        assert_eq!(error.code(), "role.invalid");
        assert_eq!(error.hint_text(), Some("did you mean `data-manager`?"));
        let error = Access::parse("everything").unwrap_err();
        assert_eq!(error.hint_text(), Some("one of read, write, manage"));
        assert!(Access::parse("Read").is_err());
    }

    #[test]
    fn every_word_reads_back() {
        for role in Role::ALL {
            assert_eq!(Role::parse(role.as_str()).unwrap(), *role);
        }
        for status in Status::ALL {
            assert_eq!(Status::parse(status.as_str()).unwrap(), *status);
        }
    }
}
