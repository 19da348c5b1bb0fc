//! The documents of an experiment.

use super::site::{Opened, Site};
use crate::catalogue::survey;
use crate::documents::facts::{Facts, Known};
use crate::error::Result;

/// What documents may say of an experiment. Its files are walked.
pub fn facts(site: &Site, opened: &Opened) -> Result<Facts> {
    let definition = &opened.definition;
    let layout = site.layout(definition)?;
    let tree = layout.expand(definition)?;
    let survey = survey::survey(&opened.dir)?;
    Ok(Facts::gather(&Known {
        definition,
        layout: &layout,
        tree: &tree,
        survey: &survey,
        today: site.today.get().to_string(),
    }))
}
