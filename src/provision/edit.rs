//! Editing an experiment: a new definition in the place of the old one.

use super::apply::{self, Outcome};
use super::create::{Options, read};
use super::operation::Operation;
use super::settle::{accounts_are_there, assume, settle};
use super::site::{self, Site};
use super::{accounts, sharing};
use crate::error::{Error, Result};
use crate::experiment::{self, Status, Strictness};
use crate::sys::fault;

/// Puts a new definition in the place of the old one, and applies it. `from` is the digest of the definition that the
/// person saw when they began; without it the last writer wins.
pub fn edit(site: &Site, text: &[u8], from: Option<&str>, options: Options) -> Result<Outcome> {
    let Some(code) = experiment::code_of(text) else {
        // It says everything that is wrong with it.
        return Err(read(text)
            .err()
            .unwrap_or_else(|| Error::new("code.invalid", "the definition names no code")));
    };
    let _nas = site.lock_nas()?;
    let mut opened = site.open(&code)?;
    site::in_service(&opened)?;
    let _lock = site.lock_experiment(&opened.id())?;
    if let Some(from) = from
        && from != opened.digest
    {
        return Err(Error::new(
            "definition.changed",
            format!("the definition of {code} was changed by somebody else meanwhile"),
        )
        .hint("look at it again (`octonas experiment show`), and make your change on what is there now"));
    }
    let status = opened.definition.status;
    let new = experiment::read(text, Strictness::Edit(status))?.inheriting(&opened.definition);
    experiment::check_edit(&opened.definition, &new)?;
    if opened.definition.status == Status::Active && new.status == Status::Draft {
        return Err(Error::new(
            "definition.fixed",
            format!("{} is in service: it cannot become a draft again", new.code),
        )
        .hint("close it, or take people out")
        .field("status"));
    }
    site.layout(&new)?.expand(&new)?;
    let before = std::mem::replace(&mut opened.definition, new);
    sharing::refuse_doors(&opened.definition, opened.base.common_share.as_deref())?;
    let seen = site.nas.observe()?;
    let mut observation = seen.clone();
    assume(site, &opened.definition, &mut observation, options);
    let look = apply::look(site, &opened, &observation, false)?;
    apply::admissible(&look)?;
    accounts_are_there(site, &opened.definition, &observation)?;
    accounts::warn_of_shells(site, &opened.definition, &observation);
    let operation = Operation::on(site, &opened, "edit")?;
    if !options.dry_run && before != opened.definition {
        operation.begin()?;
        let saved = opened.save().and_then(|()| fault::point("edit.saved"));
        operation.end_failed(saved)?;
    }
    settle(site, &mut opened, options, seen, &operation)
}
