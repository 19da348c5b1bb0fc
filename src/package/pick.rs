//! Which files go into a package: `raw/**`, `*.csv`, `docs/?0*`.

use crate::error::{Error, Result};

/// A pattern over the path of a file below its experiment. `*` and `?` stay within a name, `**` does not; a pattern without `/`
/// is about the name alone, and one that names a directory about everything in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<String>,
}

impl Pattern {
    /// Reads a pattern.
    pub fn parse(text: &str) -> Result<Self> {
        let plain = text.trim_matches('/');
        if plain.is_empty() || plain.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(Error::new(
                "package.pattern",
                format!(
                    "{} is no pattern over paths of an experiment",
                    crate::experiment::text::quote(text)
                ),
            )
            .hint("like `raw/**`, `*.csv`, `processed/2026-0?`")
            .field("only"));
        }
        let mut parts: Vec<String> = plain.split('/').map(str::to_owned).collect();
        if parts.len() == 1 && !text.contains('/') && plain != "**" {
            parts.insert(0, "**".to_owned());
        }
        Ok(Self { parts })
    }

    /// True where a path is meant, or lies in a directory that is.
    pub fn matches(&self, path: &str) -> bool {
        let parts: Vec<&str> = path.split('/').collect();
        (1..=parts.len()).any(|count| {
            parts
                .get(..count)
                .is_some_and(|start| match_parts(&self.parts, start))
        })
    }
}

fn match_parts(pattern: &[String], parts: &[&str]) -> bool {
    // Which positions of the pattern may come next, after each part of the path.
    let mut may: Vec<bool> = vec![false; pattern.len() + 1];
    may[0] = true;
    let close = |may: &mut Vec<bool>| {
        for at in 0..pattern.len() {
            if may[at] && pattern[at] == "**" {
                may[at + 1] = true;
            }
        }
    };
    close(&mut may);
    for part in parts {
        let mut next = vec![false; pattern.len() + 1];
        for at in 0..pattern.len() {
            if !may[at] {
                continue;
            }
            if pattern[at] == "**" {
                next[at] = true;
            } else if match_name(&pattern[at], part) {
                next[at + 1] = true;
            }
        }
        close(&mut next);
        may = next;
    }
    may[pattern.len()]
}

/// `*` and `?` in one name, in time that grows with the product of the lengths.
fn match_name(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let (mut p, mut n) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(c) if *c == '?' || *c == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    n = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_people_expect() {
        for (pattern, path, wanted) in [
            ("raw", "raw/a/b.csv", true),
            ("raw/**", "raw/a/b.csv", true),
            ("raw/**", "processed/raw.csv", false),
            ("*.csv", "raw/a/b.csv", true),
            ("/*.csv", "raw/a/b.csv", false),
            ("raw/*.csv", "raw/a/b.csv", false),
            ("raw/**/*.csv", "raw/b.csv", true),
            ("raw/**/*.csv", "raw/x/y/b.csv", true),
            ("raw/C?/", "raw/C1/b.csv", true),
            ("raw/C?", "raw/C12/b.csv", false),
            ("**", "a", true),
            ("a*b*c", "x/aXbYc", true),
            ("été*", "raw/été 2026.csv", true),
        ] {
            let parsed = Pattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(path), wanted, "{pattern} {path}");
        }
        for wrong in ["", "/", "a//b", "../x"] {
            assert_eq!(Pattern::parse(wrong).unwrap_err().code(), "package.pattern");
        }
        // Many stars take no longer.
        let stars = "*a".repeat(30);
        assert!(!match_name(&stars, &"a".repeat(29)));
    }
}
