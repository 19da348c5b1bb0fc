//! What is still open in a plan: under which question, what is asked, and how it is answered. A question that the NAS can
//! answer is not open; nothing is ever made up in its place.

use serde::Serialize;

use super::formats;
use super::plan::Plan;
use super::questions::{self, Item, Words, words};
use crate::experiment::{Language, Role};

/// Something that is open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The question under which it stands.
    pub question: &'static str,
    /// By which it is answered: the question itself, a choice, or `definition` where the definition has to say it.
    pub key: &'static str,
    /// What is asked.
    pub text: Words,
}

/// The same for a page or a program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OpenRow {
    /// As in [`Open`].
    pub question: &'static str,
    /// As in [`Open`].
    pub key: &'static str,
    /// What is asked, in French.
    pub fr: &'static str,
    /// What is asked, in English.
    pub en: &'static str,
    /// The words of which one is the answer; none where it is something else.
    pub words: &'static [&'static str],
}

impl From<&Open> for OpenRow {
    fn from(open: &Open) -> Self {
        Self {
            question: open.question,
            key: open.key,
            fr: open.text.fr,
            en: open.text.en,
            words: questions::allowed(open.key),
        }
    }
}

impl Open {
    /// What is asked.
    pub fn ask(&self, language: Language) -> &'static str {
        self.text.of(language)
    }
}

/// Everything that is open, in the order of the questions.
pub fn open(plan: &Plan) -> Vec<Open> {
    let mut found = Vec::new();
    for question in questions::questions() {
        let mut look = Look {
            plan,
            question: question.id,
            found: &mut found,
        };
        match question.id {
            "1a" | "1b" | "2a" | "2b" => data(&mut look),
            "3a" | "3b" | "4a" | "4b" | "4c" => keeping(&mut look),
            _ => sharing(&mut look),
        }
    }
    found
}

/// Looks at one question.
struct Look<'p, 'f> {
    plan: &'p Plan,
    question: &'static str,
    found: &'f mut Vec<Open>,
}

impl Look<'_, '_> {
    /// True where people answered it.
    fn answered(&self) -> bool {
        self.plan.answers.get(self.question).is_some()
    }

    /// Asks for the text, unless there is one.
    fn text(&mut self, fr: &'static str, en: &'static str) {
        if !self.answered() {
            let open = Open {
                question: self.question,
                key: self.question,
                text: words(fr, en),
            };
            self.found.push(open);
        }
    }

    /// Asks for a choice, unless it was made. Gives what was chosen.
    fn choice(&mut self, key: &'static str) -> Option<String> {
        let chosen = self.plan.answers.choice(key).map(str::to_owned);
        if chosen.is_none()
            && let Ok(Item::Choice(choice)) = questions::find(key)
        {
            self.found.push(Open {
                question: self.question,
                key,
                text: choice.text,
            });
        }
        chosen
    }

    /// Asks for something that the definition says.
    fn definition(&mut self, fr: &'static str, en: &'static str) {
        self.found.push(Open {
            question: self.question,
            key: "definition",
            text: words(fr, en),
        });
    }
}

fn data(look: &mut Look<'_, '_>) {
    let facts = &look.plan.facts;
    match look.question {
        "1a" => {
            if facts.description.is_none() && facts.sources.is_empty() {
                look.text(
                    "Comment les données sont-elles produites (dispositif, méthode, instruments) ?",
                    "How is the data produced (set-up, method, instruments)?",
                );
            }
            if look.choice("reuse").as_deref() == Some("yes") {
                look.text(
                    "Quelles données existantes sont réutilisées, d'où viennent-elles et sous quelles conditions ?",
                    "Which existing data is re-used, where does it come from, and under which conditions?",
                );
            }
        }
        "1b" => {
            if facts.variables.is_empty() && facts.files == 0 {
                look.text(
                    "Quels types de données seront produits, dans quels formats et pour quel volume ?",
                    "Which kinds of data will be produced, in which formats, and how much of it?",
                );
            }
        }
        "2a" => {
            if facts.variables.is_empty() {
                look.text(
                    "Quelles grandeurs les données contiennent-elles, et où sont-elles décrites (unités, méthodes) ?",
                    "Which quantities does the data contain, and where are they described (units, methods)?",
                );
            }
        }
        _ => look.text(
            "Quels contrôles de qualité sont appliqués (étalonnage des capteurs, mesures répétées, relecture des séries, valeurs aberrantes) ?",
            "Which quality controls are applied (calibration of sensors, repeated measurements, review of series, outliers)?",
        ),
    }
}

fn keeping(look: &mut Look<'_, '_>) {
    let facts = &look.plan.facts;
    match look.question {
        "3a" => look.text(
            "Quelle copie de sauvegarde est prévue : où, sur quel support, à quelle fréquence, et comment sa restauration est-elle vérifiée ?",
            "Which backup copy is planned: where, on which medium, how often, and how is it checked that it can be restored?",
        ),
        "3b" => {
            if look.choice("sensitive-data").as_deref() == Some("yes") {
                look.text(
                    "Quelles données sont sensibles, et comment sont-elles protégées ?",
                    "Which data is sensitive, and how is it protected?",
                );
            }
        }
        "4a" => {
            if matches!(look.choice("personal-data").as_deref(), Some("yes" | "unknown")) {
                look.text(
                    "Quelles données à caractère personnel sont traitées, sur quelle base légale, et avec quel accord du délégué à la protection des données ?",
                    "Which personal data is processed, on which legal basis, and what did the data protection officer agree to?",
                );
            }
        }
        "4b" => {
            if facts.licence.is_none() {
                look.definition(
                    "Sous quelle licence les données seront-elles diffusées ?",
                    "Under which licence will the data be handed over?",
                );
            }
            look.text(
                "Qui est titulaire des droits sur les données (établissements, partenaires, accord de consortium) ?",
                "Who holds the rights to the data (institutions, partners, consortium agreement)?",
            );
        }
        _ => {
            if look.choice("ethical-issues").as_deref() == Some("yes") {
                look.text(
                    "Quelles sont ces questions éthiques, et quels avis ou autorisations ont été obtenus ?",
                    "Which are these ethical issues, and which opinions or permits were obtained?",
                );
            }
        }
    }
}

fn sharing(look: &mut Look<'_, '_>) {
    let facts = &look.plan.facts;
    match look.question {
        "5a" => {
            let access = look.choice("access");
            if access.as_deref() == Some("closed") {
                look.text(
                    "Pourquoi les données ne peuvent-elles pas être diffusées ?",
                    "Why can the data not be shared?",
                );
            } else if access.is_some() && !look.answered() {
                look.choice("release");
            }
        }
        "5b" => {
            if facts.retention_years.is_none() {
                look.definition(
                    "Combien d'années les données seront-elles conservées après la fin de l'expérience ?",
                    "For how many years will the data be kept after the end of the experiment?",
                );
            }
            if look.plan.answers.choice("access") != Some("closed") {
                look.choice("repository");
            }
            look.text(
                "Quelles données seront conservées à long terme, et selon quels critères sont-elles choisies ?",
                "Which data will be preserved in the long term, and how is it selected?",
            );
        }
        "5c" => {
            let unclear = facts.formats.is_empty()
                || facts
                    .formats
                    .iter()
                    .any(|each| formats::of(&each.extension).is_none_or(|format| !format.open));
            if unclear {
                look.text(
                    "Quels logiciels faut-il pour lire et utiliser les données, et les formats propriétaires seront-ils convertis ?",
                    "Which software is needed to read and use the data, and will proprietary formats be converted?",
                );
            }
        }
        "5d" => {
            let given = look.plan.answers.choice("identifier").is_some();
            let promised = look
                .plan
                .repository
                .as_ref()
                .is_some_and(|each| each.identifiers.is_some());
            if !given && !promised {
                look.text(
                    "Qui attribuera un identifiant pérenne (DOI) aux données, et quand ?",
                    "Who will give the data a persistent identifier (DOI), and when?",
                );
            }
        }
        "6a" => {
            if facts.contact.as_ref().is_none_or(|each| each.email.is_none()) {
                look.definition(
                    "À qui écrire au sujet des données (rôle « contact » et adresse électronique) ?",
                    "Whom to write to about the data (role “contact” and e-mail address)?",
                );
            }
            if facts.with_role(Role::DataManager).next().is_none() {
                look.text(
                    "Qui est responsable de la gestion des données ?",
                    "Who is responsible for managing the data?",
                );
            }
        }
        _ => look.text(
            "Quels moyens (temps, budget, stockage, dépôt) sont consacrés à la gestion des données ?",
            "Which means (time, budget, storage, deposit) are dedicated to managing the data?",
        ),
    }
}
