//! What is wrong with a definition: every problem with its place, so that a person mends the file in one go.

use std::fmt;

use serde::Serialize;

use crate::error::Error;

/// At most this many problems of one file are kept; the rest is only counted.
pub(crate) const MOST: usize = 100;

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Line in the file, from 1.
    pub line: usize,
    /// Column in the line, from 1, in characters.
    pub column: usize,
    /// The field (`people[2].orcid`, counted from 0); empty for the file as a whole.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if !self.field.is_empty() {
            write!(f, "{}: ", self.field)?;
        }
        f.write_str(&self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, " ({hint})")?;
        }
        Ok(())
    }
}

/// Everything that is wrong with a file, in the order of its lines; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problems {
    /// The first ones.
    pub problems: Vec<Problem>,
    /// How many more there were.
    pub omitted: usize,
}

impl Problems {
    /// A file with one problem.
    pub(crate) fn one(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
            omitted: 0,
        }
    }
}

impl fmt::Display for Problems {
    /// One line for each.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            problem.fmt(f)?;
        }
        if self.omitted > 0 {
            write!(f, "\nand {} more", self.omitted)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problems> for Error {
    /// The error `definition.invalid`; its message has a line for each problem, its field is the first one's.
    fn from(problems: Problems) -> Self {
        let count = problems.problems.len() + problems.omitted;
        let plural = if count == 1 { "problem" } else { "problems" };
        let error = Self::new(
            "definition.invalid",
            format!("the definition has {count} {plural}\n{problems}"),
        )
        .hint("nothing was changed; mend the lines named above and try again");
        match problems.problems.first() {
            Some(first) if !first.field.is_empty() => error.field(first.field.clone()),
            _ => error,
        }
    }
}
