//! The plan as people read it: the six sections of the ANR in Markdown, and the page made of it.

use serde::Serialize;

use super::open::{self, Open};
use super::plan::Plan;
use super::prose::{self, Block};
use super::questions::SECTIONS;
use crate::documents::escape::Format;
use crate::documents::html;
use crate::documents::render::Templates;
use crate::documents::words;
use crate::error::Result;
use crate::experiment::Language;

/// The name of the template.
pub const TEMPLATE: &str = "dmp";

/// The built-in templates of this room.
pub(in crate::documents) const BUILT_IN: &[(&str, &str)] = &[
    (
        "fr/_block",
        include_str!("../../../templates/documents/fr/_block.hbs"),
    ),
    (
        "en/_block",
        include_str!("../../../templates/documents/en/_block.hbs"),
    ),
    (
        "fr/dmp",
        include_str!("../../../templates/documents/fr/dmp.hbs"),
    ),
    (
        "en/dmp",
        include_str!("../../../templates/documents/en/dmp.hbs"),
    ),
];

/// Everything that the template sees.
#[derive(Debug, Serialize)]
pub struct Page<'p> {
    /// The plan itself: facts, times, version.
    pub plan: &'p Plan,
    /// The version's title, where it has one.
    pub version: Option<&'static str>,
    /// Names of those who answer for the science, otherwise of those who lead.
    pub leaders: Vec<&'p str>,
    /// How many things are open.
    pub open: usize,
    /// The six sections.
    pub sections: Vec<SectionPart>,
}

/// A section.
#[derive(Debug, Serialize)]
pub struct SectionPart {
    /// From 1.
    pub number: u8,
    /// Its title.
    pub title: &'static str,
    /// Its questions.
    pub questions: Vec<QuestionPart>,
}

/// A question with what there is to it.
#[derive(Debug, Serialize)]
pub struct QuestionPart {
    /// `1a`.
    pub id: &'static str,
    /// What is asked.
    pub text: &'static str,
    /// What the NAS says.
    pub facts: Vec<Block>,
    /// What people answered.
    pub answer: Vec<Block>,
    /// The language of the answer, where it is not the page's.
    pub answer_language: Option<&'static str>,
    /// What is open.
    pub open: Vec<&'static str>,
}

/// What the template sees of a plan.
pub fn page(plan: &Plan, language: Language) -> Page<'_> {
    let open = open::open(plan);
    Page {
        version: plan.version.map(|version| version.title(language)),
        leaders: plan
            .facts
            .leaders()
            .into_iter()
            .map(|person| person.name.as_str())
            .collect(),
        open: open.len(),
        sections: SECTIONS
            .iter()
            .map(|section| SectionPart {
                number: section.number,
                title: section.title.of(language),
                questions: section
                    .questions
                    .iter()
                    .map(|question| QuestionPart {
                        id: question.id,
                        text: question.text.of(language),
                        ..part(plan, question.id, language, &open)
                    })
                    .collect(),
            })
            .collect(),
        plan,
    }
}

fn part(plan: &Plan, id: &'static str, language: Language, open: &[Open]) -> QuestionPart {
    let answer = plan.answer(id, language);
    QuestionPart {
        id,
        text: "",
        facts: prose::facts(plan, id, language),
        answer: answer
            .map(|(text, _)| prose::answer(text))
            .unwrap_or_default(),
        answer_language: answer
            .filter(|(_, written)| *written != language)
            .map(|(_, written)| words::language(language, written)),
        open: open
            .iter()
            .filter(|each| each.question == id)
            .map(|each| each.ask(language))
            .collect(),
    }
}

/// The plan in Markdown.
///
/// # Errors
/// `template.invalid` for an override that does not fit.
pub fn markdown(plan: &Plan, language: Language, templates: &Templates) -> Result<String> {
    let text = templates.render(language, TEMPLATE, Format::Markdown, &page(plan, language))?;
    Ok(match language {
        // Code spans have no prose in them: the code of an experiment, names of files.
        Language::Fr => prose::french(&text),
        Language::En => text,
    })
}

/// The page made of the plan in Markdown; it needs nothing else.
pub fn page_of(markdown: &str, plan: &Plan, language: Language) -> String {
    html::page(markdown, &plan.title(language), language)
}

/// The plan as a page.
///
/// # Errors
/// As [`markdown`].
pub fn html(plan: &Plan, language: Language, templates: &Templates) -> Result<String> {
    Ok(page_of(
        &markdown(plan, language, templates)?,
        plan,
        language,
    ))
}
