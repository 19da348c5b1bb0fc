//! What a research unit says for all its experiments: who it is, what the form of a new one begins with, who is told
//! and when the night is (docs/reference/settings.md). One text a setting, in whatever the NAS keeps them.

use std::collections::BTreeMap;

use super::choice::Language;
use super::definition::Protocols;
use super::identifier::{Email, Licence, Ror};
use super::name::LayoutName;
use super::path::AbsPath;
use super::text::{did_you_mean, quote};
use crate::error::{Error, Result};

/// The longest name of an organisation, in bytes; as long as a title.
const NAME_MAX: usize = 300;

/// What a unit says. [`Unit::default`] is one that says nothing.
#[derive(Debug, Clone, PartialEq)]
pub struct Unit {
    /// Whose NAS it is: where nothing else is said of an experiment, its documents say this.
    pub organisation: Option<String>,
    /// Its identifier.
    pub ror: Option<Ror>,
    /// Of the generated texts of a new experiment, and of mails.
    pub language: Language,
    /// The layout of a new experiment.
    pub layout: LayoutName,
    /// The licence of a new experiment.
    pub licence: Option<Licence>,
    /// For how many years the data of a new experiment is kept after its end.
    pub years: Option<u8>,
    /// The doors of a new experiment; without machines of NFS.
    pub protocols: Protocols,
    /// Where a new experiment lies when its definition does not say it.
    pub base: Option<AbsPath>,
    /// Who is told what happened: the unit's data manager, or whoever answers for the NAS.
    pub contact: Option<Email>,
    /// Whether that is mailed.
    pub mail: bool,
    /// The hour (0–23, of the NAS's clock) at which what waits for the night is done.
    pub night: u8,
}

impl Default for Unit {
    fn default() -> Self {
        Self {
            organisation: None,
            ror: None,
            language: Language::Fr,
            layout: LayoutName::minimal(),
            licence: None,
            years: None,
            protocols: Protocols::default(),
            base: None,
            contact: None,
            mail: false,
            night: 2,
        }
    }
}

/// The settings, in the order in which they are shown.
pub const SETTINGS: [&str; 15] = [
    "organisation",
    "ror",
    "language",
    "layout",
    "licence",
    "years",
    "base",
    "smb",
    "sftp",
    "rsync",
    "ftp",
    "rsyncd",
    "contact",
    "mail",
    "night",
];

impl Unit {
    /// What is said, as setting → text; empty where nothing is.
    pub fn texts(&self) -> BTreeMap<&'static str, String> {
        fn said<T: ToString>(value: Option<&T>) -> String {
            value.map(ToString::to_string).unwrap_or_default()
        }
        let doors = &self.protocols;
        BTreeMap::from([
            ("organisation", said(self.organisation.as_ref())),
            ("ror", self.ror.as_ref().map(Ror::url).unwrap_or_default()),
            ("language", self.language.to_string()),
            ("layout", self.layout.to_string()),
            ("licence", said(self.licence.as_ref())),
            ("years", said(self.years.as_ref())),
            ("base", said(self.base.as_ref())),
            ("smb", doors.smb.to_string()),
            ("sftp", doors.sftp.to_string()),
            ("rsync", doors.rsync.to_string()),
            ("ftp", doors.ftp.to_string()),
            ("rsyncd", doors.rsyncd.to_string()),
            ("contact", said(self.contact.as_ref())),
            ("mail", self.mail.to_string()),
            ("night", self.night.to_string()),
        ])
    }

    /// Sets one; an empty text takes back what was said.
    ///
    /// # Errors
    /// `settings.unknown`, and the codes of the values: `ror.invalid`, `email.invalid`, …
    pub fn set(&mut self, setting: &str, text: &str) -> Result<()> {
        let text = text.trim();
        if text.is_empty() {
            return self.take_back(setting);
        }
        let Some(name) = SETTINGS.into_iter().find(|name| *name == setting) else {
            return Err(unknown(setting));
        };
        let set = match name {
            "organisation" => name_of(text).map(|name| self.organisation = Some(name)),
            "ror" => Ror::parse(text).map(|ror| self.ror = Some(ror)),
            "language" => Language::parse(text).map(|language| self.language = language),
            "layout" => LayoutName::parse(text).map(|layout| self.layout = layout),
            "licence" => Licence::parse(text).map(|licence| self.licence = Some(licence)),
            "years" => number(text, 1, 100).map(|years| self.years = Some(years)),
            "base" => AbsPath::parse(text).map(|base| self.base = Some(base)),
            "contact" => Email::parse(text).map(|contact| self.contact = Some(contact)),
            "mail" => switch(text).map(|on| self.mail = on),
            "night" => number(text, 0, 23).map(|hour| self.night = hour),
            door => switch(text).map(|on| {
                if let Some(place) = self.door(door) {
                    *place = on;
                }
            }),
        };
        set.map_err(|error| error.field(name))
    }

    /// What the NAS keeps, and what of it cannot be read: that counts as not said.
    pub fn read<'a>(kept: impl IntoIterator<Item = (&'a str, String)>) -> (Self, Vec<Error>) {
        let mut unit = Self::default();
        let mut wrong = Vec::new();
        for (setting, text) in kept {
            if let Err(error) = unit.set(setting, &text) {
                wrong.push(error);
            }
        }
        (unit, wrong)
    }

    fn take_back(&mut self, setting: &str) -> Result<()> {
        let nothing = Self::default();
        match setting {
            "organisation" => self.organisation = None,
            "ror" => self.ror = None,
            "language" => self.language = nothing.language,
            "layout" => self.layout = nothing.layout,
            "licence" => self.licence = None,
            "years" => self.years = None,
            "base" => self.base = None,
            "contact" => self.contact = None,
            "mail" => self.mail = nothing.mail,
            "night" => self.night = nothing.night,
            door => {
                let mut nothing = nothing;
                let (Some(place), Some(was)) = (self.door(door), nothing.door(door)) else {
                    return Err(unknown(setting));
                };
                *place = *was;
            }
        }
        Ok(())
    }

    fn door(&mut self, name: &str) -> Option<&mut bool> {
        let doors = &mut self.protocols;
        Some(match name {
            "smb" => &mut doors.smb,
            "sftp" => &mut doors.sftp,
            "rsync" => &mut doors.rsync,
            "ftp" => &mut doors.ftp,
            "rsyncd" => &mut doors.rsyncd,
            _ => return None,
        })
    }
}

fn unknown(setting: &str) -> Error {
    Error::new(
        "settings.unknown",
        format!("{} is not a setting", quote(setting)),
    )
    .hint(match did_you_mean(setting, SETTINGS.into_iter()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => format!("one of {}", SETTINGS.join(", ")),
    })
}

fn invalid(what: String) -> Error {
    Error::new("settings.value", what)
}

/// One line that a person can read. What looks like JSON is refused: OpenMediaVault would take it for a list.
fn name_of(text: &str) -> Result<String> {
    let reads = text.len() <= NAME_MAX
        && text.chars().any(char::is_alphabetic)
        && !text.chars().any(char::is_control)
        && !text.starts_with(['[', '{', '"']);
    if reads {
        return Ok(text.to_owned());
    }
    Err(invalid(format!(
        "{} is not the name of an organisation",
        quote(text)
    ))
    .hint(format!(
        "one line of at most {NAME_MAX} bytes that begins with a letter or a digit"
    )))
}

fn switch(text: &str) -> Result<bool> {
    match text {
        "true" | "yes" | "on" => Ok(true),
        "false" | "no" | "off" => Ok(false),
        _ => Err(invalid(format!(
            "{} is neither `yes` nor `no`",
            quote(text)
        ))),
    }
}

fn number(text: &str, least: u8, most: u8) -> Result<u8> {
    text.parse()
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| {
            invalid(format!(
                "{} is not a number from {least} to {most}",
                quote(text)
            ))
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Unit {
        let mut unit = Unit::default();
        for (setting, text) in [
            ("organisation", "CEREEP — Écotron IDF, R&D"),
            ("ror", "03yrm5c26"),
            ("language", "en"),
            ("layout", "climate-chamber"),
            ("licence", "ETALAB-2.0"),
            ("years", "10"),
            ("base", "/srv/disk/octonas"),
            ("rsync", "no"),
            ("ftp", "yes"),
            ("contact", "data@Example.org"),
            ("mail", "yes"),
            ("night", "0"),
        ] {
            unit.set(setting, text).unwrap();
        }
        unit
    }

    #[test]
    fn what_is_said_is_read_back_from_its_texts() {
        for unit in [Unit::default(), full()] {
            let (again, wrong) = Unit::read(unit.texts());
            assert_eq!(again, unit);
            assert!(wrong.is_empty(), "{wrong:?}");
        }
        assert_eq!(full().texts()["ror"], "https://ror.org/03yrm5c26");
        assert_eq!(full().texts()["licence"], "etalab-2.0");
    }

    #[test]
    fn every_setting_is_taken_back_by_an_empty_text() {
        let mut unit = full();
        for setting in SETTINGS {
            unit.set(setting, " ").unwrap();
        }
        assert_eq!(unit, Unit::default());
        assert_eq!(unit.texts().len(), SETTINGS.len());
    }

    #[test]
    fn what_cannot_be_read_is_named_and_the_rest_counts() {
        let mut unit = full();
        for (setting, text, code) in [
            ("organisation", "[\"a\"]", "settings.value"),
            ("organisation", "a\nb", "settings.value"),
            ("organisation", "12", "settings.value"),
            ("ror", "https://example.org", "ror.invalid"),
            ("years", "0", "settings.value"),
            ("years", "101", "settings.value"),
            ("night", "24", "settings.value"),
            ("mail", "perhaps", "settings.value"),
            ("base", "disk", "path.invalid"),
            ("contact", "nobody", "email.invalid"),
        ] {
            let error = unit.set(setting, text).unwrap_err();
            assert_eq!(
                (error.code(), error.field_name()),
                (code, Some(setting)),
                "{setting}={text}"
            );
        }
        assert_eq!(unit, full());
        assert_eq!(
            unit.set("organization", "x").unwrap_err().hint_text(),
            Some("did you mean `organisation`?")
        );
        assert_eq!(unit.set("", "").unwrap_err().code(), "settings.unknown");
        let (read, wrong) = Unit::read([("ror", "x".to_owned()), ("years", "5".to_owned())]);
        assert_eq!((read.ror, read.years, wrong.len()), (None, Some(5), 1));
    }
}
