//! The questions of a plan: the six sections and fifteen questions of Science Europe, as the ANR asks them, and the
//! choices that machine-readable plans need beside the texts.

use crate::error::{Error, Result};
use crate::experiment::text::{did_you_mean, quote};
use crate::experiment::{Date, Language};

/// The same words in French and English.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Words {
    /// French.
    pub fr: &'static str,
    /// English.
    pub en: &'static str,
}

impl Words {
    /// In one of the languages.
    pub fn of(self, language: Language) -> &'static str {
        match language {
            Language::Fr => self.fr,
            Language::En => self.en,
        }
    }
}

/// French and English side by side.
pub(super) const fn words(fr: &'static str, en: &'static str) -> Words {
    Words { fr, en }
}

/// A section and its questions.
#[derive(Debug)]
pub struct Section {
    /// From 1.
    pub number: u8,
    /// Its title.
    pub title: Words,
    /// Its questions.
    pub questions: &'static [Question],
}

/// One of the fifteen questions.
#[derive(Debug, PartialEq, Eq)]
pub struct Question {
    /// `1a` … `6b`.
    pub id: &'static str,
    /// As the ANR and Science Europe ask it.
    pub text: Words,
}

const fn question(id: &'static str, fr: &'static str, en: &'static str) -> Question {
    Question {
        id,
        text: words(fr, en),
    }
}

/// "Plan de gestion des données", model of the ANR (2019); Science Europe, "Practical Guide to the International Alignment
/// of Research Data Management", extended edition (2021).
pub const SECTIONS: [Section; 6] = [
    Section {
        number: 1,
        title: words(
            "Description des données et collecte ou réutilisation de données existantes",
            "Data description and collection or re-use of existing data",
        ),
        questions: &[
            question(
                "1a",
                "Comment de nouvelles données seront-elles recueillies ou produites et/ou comment des données préexistantes seront-elles réutilisées ?",
                "How will new data be collected or produced and/or how will existing data be re-used?",
            ),
            question(
                "1b",
                "Quelles données (types, formats et volumes par exemple) seront collectées ou produites ?",
                "What data (for example the kind, formats, and volumes) will be collected or produced?",
            ),
        ],
    },
    Section {
        number: 2,
        title: words(
            "Documentation et qualité des données",
            "Documentation and data quality",
        ),
        questions: &[
            question(
                "2a",
                "Quelles métadonnées et quelle documentation (par exemple mode d'organisation des données) accompagneront les données ?",
                "What metadata and documentation (for example the methodology of data collection and way of organising data) will accompany the data?",
            ),
            question(
                "2b",
                "Quelles mesures de contrôle de la qualité des données seront mises en œuvre ?",
                "What data quality control measures will be used?",
            ),
        ],
    },
    Section {
        number: 3,
        title: words(
            "Stockage et sauvegarde pendant le processus de recherche",
            "Storage and backup during the research process",
        ),
        questions: &[
            question(
                "3a",
                "Comment les données et les métadonnées seront-elles stockées et sauvegardées tout au long du processus de recherche ?",
                "How will data and metadata be stored and backed up during the research?",
            ),
            question(
                "3b",
                "Comment la sécurité des données et la protection des données sensibles seront-elles assurées tout au long du processus de recherche ?",
                "How will data security and protection of sensitive data be taken care of during the research?",
            ),
        ],
    },
    Section {
        number: 4,
        title: words(
            "Exigences légales et éthiques, codes de conduite",
            "Legal and ethical requirements, codes of conduct",
        ),
        questions: &[
            question(
                "4a",
                "Si des données à caractère personnel sont traitées, comment le respect des dispositions de la législation sur les données à caractère personnel et sur la sécurité des données sera-t-il assuré ?",
                "If personal data are processed, how will compliance with legislation on personal data and on security be ensured?",
            ),
            question(
                "4b",
                "Comment les autres questions juridiques, comme la titularité ou les droits de propriété intellectuelle sur les données, seront-elles abordées ? Quelle est la législation applicable en la matière ?",
                "How will other legal issues, such as intellectual property rights and ownership, be managed? What legislation is applicable?",
            ),
            question(
                "4c",
                "Comment les éventuelles questions éthiques seront-elles prises en compte, les codes déontologiques respectés ?",
                "What ethical issues and codes of conduct are there, and how will they be taken into account?",
            ),
        ],
    },
    Section {
        number: 5,
        title: words(
            "Partage des données et conservation à long terme",
            "Data sharing and long-term preservation",
        ),
        questions: &[
            question(
                "5a",
                "Comment et quand les données seront-elles partagées ? Y a-t-il des restrictions au partage des données ou des raisons de définir un embargo ?",
                "How and when will data be shared? Are there possible restrictions to data sharing or embargo reasons?",
            ),
            question(
                "5b",
                "Comment les données à conserver seront-elles sélectionnées et où seront-elles préservées sur le long terme (par exemple un entrepôt de données ou une archive) ?",
                "How will data for preservation be selected, and where will data be preserved long-term (for example a data repository or archive)?",
            ),
            question(
                "5c",
                "Quelles méthodes ou quels outils logiciels seront nécessaires pour accéder aux données et les utiliser ?",
                "What methods or software tools are needed to access and use data?",
            ),
            question(
                "5d",
                "Comment l'attribution d'un identifiant unique et pérenne (comme le DOI) sera-t-elle assurée pour chaque jeu de données ?",
                "How will the application of a unique and persistent identifier (such as a Digital Object Identifier, DOI) to each data set be ensured?",
            ),
        ],
    },
    Section {
        number: 6,
        title: words(
            "Responsabilités et ressources en matière de gestion des données",
            "Data management responsibilities and resources",
        ),
        questions: &[
            question(
                "6a",
                "Qui (par exemple rôle, position et institution de rattachement) sera responsable de la gestion des données ?",
                "Who (for example role, position, and institution) will be responsible for data management (i.e. the data steward)?",
            ),
            question(
                "6b",
                "Quelles seront les ressources (budget et temps alloués) dédiées à la gestion des données, permettant de s'assurer que les données seront FAIR (faciles à trouver, accessibles, interopérables, réutilisables) ?",
                "What resources (for example financial and time) will be dedicated to data management and ensuring that data will be FAIR (findable, accessible, interoperable, re-usable)?",
            ),
        ],
    },
];

/// A choice: one word, date or address, that machine-readable plans need.
#[derive(Debug, PartialEq, Eq)]
pub struct Choice {
    /// As it is answered: `personal-data`.
    pub key: &'static str,
    /// The question under which it stands in the text.
    pub question: &'static str,
    /// What is asked.
    pub text: Words,
    /// What may be said.
    pub kind: ChoiceKind,
}

/// What may be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChoiceKind {
    /// One of these words.
    Word(&'static [&'static str]),
    /// A day, `YYYY-MM-DD`.
    Day,
    /// An address, `https://…`.
    Address,
}

const YES_NO_UNKNOWN: &[&str] = &["yes", "no", "unknown"];

/// The choices.
pub const CHOICES: [Choice; 9] = [
    Choice {
        key: "plan-of",
        question: "1a",
        text: words(
            "Ce plan est-il celui d'un projet ou celui d'une entité de recherche ?",
            "Is this the plan of a project or of a research entity?",
        ),
        kind: ChoiceKind::Word(&["project", "entity"]),
    },
    Choice {
        key: "reuse",
        question: "1a",
        text: words(
            "Des données existantes sont-elles réutilisées ?",
            "Is existing data re-used?",
        ),
        kind: ChoiceKind::Word(&["yes", "no"]),
    },
    Choice {
        key: "sensitive-data",
        question: "3b",
        text: words(
            "Les données comportent-elles des données sensibles (espèces protégées, localisations, secret, santé…) ?",
            "Does the data contain sensitive data (protected species, locations, secrets, health…)?",
        ),
        kind: ChoiceKind::Word(YES_NO_UNKNOWN),
    },
    Choice {
        key: "personal-data",
        question: "4a",
        text: words(
            "Les données comportent-elles des données à caractère personnel ?",
            "Does the data contain personal data?",
        ),
        kind: ChoiceKind::Word(YES_NO_UNKNOWN),
    },
    Choice {
        key: "ethical-issues",
        question: "4c",
        text: words(
            "Le projet soulève-t-il des questions éthiques (expérimentation animale, prélèvements, protocole de Nagoya…) ?",
            "Does the project raise ethical issues (animal experiments, sampling, Nagoya protocol…)?",
        ),
        kind: ChoiceKind::Word(YES_NO_UNKNOWN),
    },
    Choice {
        key: "access",
        question: "5a",
        text: words(
            "Quel sera l'accès aux données diffusées : ouvert, restreint, sous embargo ou fermé ?",
            "How will the data be accessible: open, restricted, under embargo or closed?",
        ),
        kind: ChoiceKind::Word(&["open", "restricted", "embargoed", "closed"]),
    },
    Choice {
        key: "release",
        question: "5a",
        text: words(
            "À partir de quelle date les données seront-elles accessibles (fin d'un éventuel embargo) ?",
            "From which date will the data be accessible (the end of an embargo, if any)?",
        ),
        kind: ChoiceKind::Day,
    },
    Choice {
        key: "repository",
        question: "5b",
        text: words(
            "Dans quel entrepôt les données seront-elles déposées (adresse) ?",
            "In which repository will the data be deposited (address)?",
        ),
        kind: ChoiceKind::Address,
    },
    Choice {
        key: "identifier",
        question: "5d",
        text: words(
            "Quel identifiant pérenne les données ont-elles reçu (adresse, comme https://doi.org/…) ?",
            "Which persistent identifier was given to the data (address, like https://doi.org/…)?",
        ),
        kind: ChoiceKind::Address,
    },
];

/// What can be answered: a question, with a text, or a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// One of the fifteen.
    Question(&'static Question),
    /// One of the choices.
    Choice(&'static Choice),
}

impl Item {
    /// `4a`, or `personal-data`.
    pub fn key(self) -> &'static str {
        match self {
            Self::Question(question) => question.id,
            Self::Choice(choice) => choice.key,
        }
    }

    /// What is asked.
    pub fn text(self) -> Words {
        match self {
            Self::Question(question) => question.text,
            Self::Choice(choice) => choice.text,
        }
    }
}

/// The fifteen questions in order.
pub fn questions() -> impl Iterator<Item = &'static Question> {
    SECTIONS.iter().flat_map(|section| section.questions)
}

/// Finds what can be answered; otherwise the error `dmp.question`.
pub fn find(key: &str) -> Result<Item> {
    let known = || {
        questions()
            .map(|question| question.id)
            .chain(CHOICES.iter().map(|choice| choice.key))
    };
    if let Some(question) = questions().find(|question| question.id == key) {
        return Ok(Item::Question(question));
    }
    if let Some(choice) = CHOICES.iter().find(|choice| choice.key == key) {
        return Ok(Item::Choice(choice));
    }
    let hint = match did_you_mean(key, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("one of {}", known().collect::<Vec<_>>().join(", ")),
    };
    Err(Error::new(
        "dmp.question",
        format!("{} is not a question of a plan", quote(key)),
    )
    .hint(hint))
}

/// The words of which one answers; none where the answer is something else.
pub fn allowed(key: &str) -> &'static [&'static str] {
    match CHOICES.iter().find(|choice| choice.key == key) {
        Some(Choice {
            kind: ChoiceKind::Word(allowed),
            ..
        }) => allowed,
        _ => &[],
    }
}

impl Choice {
    /// Checks what was said.
    pub fn parse(&self, text: &str) -> Result<String> {
        let text = text.trim();
        let wrong = |hint: String| {
            Error::new(
                "dmp.choice",
                format!("{} is no answer to `{}`", quote(text), self.key),
            )
            .hint(hint)
        };
        match self.kind {
            ChoiceKind::Word(allowed) if allowed.contains(&text) => Ok(text.to_owned()),
            ChoiceKind::Word(allowed) => Err(wrong(format!("one of {}", allowed.join(", ")))),
            ChoiceKind::Day => Date::parse(text).map(|date| date.to_string()),
            ChoiceKind::Address => address(text).map(str::to_owned).ok_or_else(|| {
                wrong("an address like `https://entrepot.recherche.data.gouv.fr`".into())
            }),
        }
    }
}

/// An absolute address of the web that means the same to every reader (RFC 3986, without user and unusual characters).
fn address(text: &str) -> Option<&str> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let named = host.contains('.')
        && host.split('.').all(|label| {
            !label.is_empty()
                && label
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        });
    let plain = text
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#[]@!$&'()*+,;=%".contains(&b));
    (named && plain && text.len() <= 500).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_fifteen_questions_and_every_choice_stands_under_one() {
        assert_eq!(questions().count(), 15);
        for choice in &CHOICES {
            assert!(questions().any(|question| question.id == choice.question));
        }
        for section in &SECTIONS {
            for question in section.questions {
                assert!(question.id.starts_with(&section.number.to_string()));
            }
        }
        assert_eq!(find("4a").unwrap().key(), "4a");
        let error = find("personal_data").unwrap_err();
        assert_eq!(error.code(), "dmp.question");
        assert_eq!(error.hint_text(), Some("did you mean `personal-data`?"));
    }

    #[test]
    fn a_choice_is_one_of_its_words() {
        let choose = |key: &str, text: &str| match find(key).unwrap() {
            Item::Choice(choice) => choice.parse(text),
            Item::Question(_) => panic!("{key} is no choice"),
        };
        assert_eq!(choose("personal-data", " no\n").unwrap(), "no");
        assert_eq!(choose("release", "2028-01-01").unwrap(), "2028-01-01");
        assert!(choose("repository", "https://zenodo.org/communities/x").is_ok());
        for (key, text) in [
            ("personal-data", "No"),
            ("personal-data", "no: yes"),
            ("release", "2028-13-01"),
            ("repository", "zenodo"),
            ("repository", "javascript:alert(1)"),
            ("repository", "https://a b.c"),
            ("repository", "https://user@example.org"),
            ("repository", "https://example.org/<script>"),
            ("repository", "https://example.org/\"onload=x"),
            ("access", "libre"),
        ] {
            assert!(choose(key, text).is_err(), "{key} {text}");
        }
    }
}
