//! What somebody looked at is what is done: a plan has a name, and a confirmation may carry it.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::store;

/// How many digits are enough for people to carry.
const DIGITS: usize = 16;

/// The name of a plan: hexadecimal digits of its SHA-256. `new`, an id that every look invents anew, does not count.
pub fn digest(plan: &impl Serialize, new: &str) -> Result<String> {
    let mut text = serde_json::to_string(plan)
        .map_err(|e| Error::new("output.failed", "cannot encode the plan").source(e))?;
    if !new.is_empty() {
        text = text.replace(new, "");
    }
    let mut name = store::sha256(text.as_bytes());
    name.truncate(DIGITS);
    Ok(name)
}

/// Refuses another plan than the one that was looked at.
pub fn must_be(looked_at: Option<&str>, plan: &str) -> Result<()> {
    if looked_at.is_none_or(|digest| digest == plan) {
        return Ok(());
    }
    Err(Error::new(
        "plan.changed",
        "this is not what was looked at: something changed in the meantime",
    )
    .hint("look at the plan again; nothing was changed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_keeps_its_name_whatever_id_is_invented() {
        let plan = |id: &str, what: &str| digest(&(id, what), id).unwrap();
        assert_eq!(plan("0b9e", "a"), plan("1c8f", "a"));
        assert_ne!(plan("0b9e", "a"), plan("0b9e", "b"));
        assert_eq!(plan("0b9e", "a").len(), DIGITS);
    }

    #[test]
    fn only_the_plan_that_was_looked_at_is_carried_out() {
        assert!(must_be(None, "a").is_ok());
        assert!(must_be(Some("a"), "a").is_ok());
        assert_eq!(must_be(Some("b"), "a").unwrap_err().code(), "plan.changed");
    }
}
