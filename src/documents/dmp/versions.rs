//! What changed between two versions of a plan, question by question.

use serde::Serialize;

use super::open;
use super::plan::Plan;
use super::prose;
use super::questions;
use crate::documents::words;
use crate::experiment::Language;

/// What changed under one question, or in the head of the plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// `4a`; `head` for title, dates, funding.
    pub question: String,
    /// What is asked.
    pub text: String,
    /// Lines that are gone.
    pub removed: Vec<String>,
    /// Lines that are new.
    pub added: Vec<String>,
}

/// What changed from one plan to another, as people read them in a language.
pub fn diff(from: &Plan, to: &Plan, language: Language) -> Vec<Change> {
    let mut changes = Vec::new();
    let mut note = |question: &str, text: &str, before: Vec<String>, after: Vec<String>| {
        let removed = without(&before, &after);
        let added = without(&after, &before);
        if !removed.is_empty() || !added.is_empty() {
            changes.push(Change {
                question: question.to_owned(),
                text: text.to_owned(),
                removed,
                added,
            });
        }
    };
    let title = match language {
        Language::Fr => "En-tête",
        Language::En => "Head",
    };
    note("head", title, head(from, language), head(to, language));
    for question in questions::questions() {
        note(
            question.id,
            question.text.of(language),
            lines(from, question.id, language),
            lines(to, question.id, language),
        );
    }
    changes
}

/// The lines that others do not have, as often as they are there.
fn without(lines: &[String], others: &[String]) -> Vec<String> {
    let mut others: Vec<&String> = others.iter().collect();
    lines
        .iter()
        .filter(|line| match others.iter().position(|other| other == line) {
            Some(at) => {
                others.swap_remove(at);
                false
            }
            None => true,
        })
        .cloned()
        .collect()
}

fn head(plan: &Plan, language: Language) -> Vec<String> {
    let facts = &plan.facts;
    let day = |day: &Option<String>| day.as_deref().map(|day| words::day(language, day));
    let mut lines = vec![facts.title.clone()];
    lines.extend(day(&facts.start).into_iter().chain(day(&facts.end)));
    lines.extend(facts.funding.iter().map(|each| match &each.grant {
        Some(grant) => format!("{}, {grant}", each.funder),
        None => each.funder.clone(),
    }));
    lines.extend(facts.keywords.iter().cloned());
    lines
}

/// A question's text as lines: facts, answer, what is open.
fn lines(plan: &Plan, id: &str, language: Language) -> Vec<String> {
    let mut blocks = prose::facts(plan, id, language);
    if let Some((text, _)) = plan.answer(id, language) {
        blocks.extend(prose::answer(text));
    }
    let mut lines: Vec<String> = blocks
        .iter()
        .flat_map(prose::Block::lines)
        .map(|line| match language {
            Language::Fr => prose::french(&line),
            Language::En => line,
        })
        .collect();
    let mark = match language {
        Language::Fr => "À compléter\u{a0}: ",
        Language::En => "To be completed: ",
    };
    lines.extend(
        open::open(plan)
            .iter()
            .filter(|each| each.question == id)
            .map(|each| {
                let ask = each.ask(language);
                match language {
                    Language::Fr => format!("{mark}{}", prose::french(ask)),
                    Language::En => format!("{mark}{ask}"),
                }
            }),
    );
    lines
}
