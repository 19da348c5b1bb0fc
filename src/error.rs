//! One error for the whole program: a stable code, what happened to what, and what to do next.
//!
//! The codes are listed in `docs/reference/errors.md`. Damage and drift that are *found* are data, never errors.

use std::collections::BTreeMap;
use std::error::Error as StdError;
use std::fmt;

use serde::Serialize;
use zeroize::Zeroizing;

/// A result with the program's one error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How a process ends (design: exit codes 0, 1, 2, 3, 4, 130).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Done,
    /// Refused or failed, with a message.
    Failed,
    /// The command line was wrong.
    Usage,
    /// Drift or damage was found.
    Drift,
    /// Somebody else holds the lock.
    Locked,
    /// Interrupted by the user.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Drift => 3,
            Self::Locked => 4,
            Self::Interrupted => 130,
        }
    }
}

/// Initial passwords of accounts that an operation created, by account: shown once, kept nowhere. They travel with the
/// outcome, or with the error that cut the operation short; no log shows them.
#[derive(Default)]
pub struct Passwords(BTreeMap<String, Zeroizing<String>>);

impl Passwords {
    /// Enters one.
    pub fn insert(&mut self, account: String, password: Zeroizing<String>) {
        self.0.insert(account, password);
    }

    /// Enters several.
    pub fn extend(&mut self, more: impl IntoIterator<Item = (String, Zeroizing<String>)>) {
        self.0.extend(more);
    }

    /// Enters those of another operation.
    pub fn append(&mut self, mut more: Self) {
        self.0.append(&mut more.0);
    }

    /// True where no account was created.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Account and password, to be shown to whoever asked for the account, and to nobody else.
    pub fn reveal(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(account, password)| (account.as_str(), password.as_str()))
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "passwords of {:?}", self.0.keys().collect::<Vec<_>>())
    }
}

impl Serialize for Passwords {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.reveal())
    }
}

/// What went wrong, with which object, and what to do.
#[derive(Debug)]
pub struct Error {
    code: &'static str,
    message: String,
    hint: Option<String>,
    field: Option<String>,
    exit: Exit,
    passwords: Option<Box<Passwords>>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with a stable dotted code (`share.exists`) and one line that says what happened to which object.
    pub fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            field: None,
            exit: Exit::Failed,
            passwords: None,
            source: None,
        }
    }

    /// Says what the person can do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Names the field of the input that is at fault (`people[2].orcid`).
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Keeps the error underneath.
    #[must_use]
    pub fn source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Ends the process with another code than 1.
    #[must_use]
    pub fn exit(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Takes along the passwords of accounts that were created before it went wrong.
    #[must_use]
    pub fn passwords(mut self, passwords: Passwords) -> Self {
        if !passwords.is_empty() {
            self.passwords = Some(Box::new(passwords));
        }
        self
    }

    /// The passwords that it takes along.
    pub fn created(&self) -> Option<&Passwords> {
        self.passwords.as_deref()
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// One line: what happened to which object.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next.
    pub fn hint_text(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// The field of the input that is at fault.
    pub fn field_name(&self) -> Option<&str> {
        self.field.as_deref()
    }

    /// How the process should end.
    pub fn exit_status(&self) -> Exit {
        self.exit
    }
}

impl Serialize for Error {
    /// `{"code", "message", "hint", "field"?, "passwords"?}`.
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap as _;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("code", self.code)?;
        map.serialize_entry("message", &self.to_string())?;
        map.serialize_entry("hint", &self.hint)?;
        if let Some(field) = &self.field {
            map.serialize_entry("field", field)?;
        }
        if let Some(passwords) = &self.passwords {
            map.serialize_entry("passwords", &**passwords)?;
        }
        map.end()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        let mut source = self.source.as_deref().map(|s| s as &dyn StdError);
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source
            .as_deref()
            .map(|s| s as &(dyn StdError + 'static))
    }
}
