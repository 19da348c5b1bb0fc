//! How files are named, each rule once: a layout with a directory a month has the same one twelve times a year.

use serde::Serialize;

use crate::layout::{self, Bilingual};

/// How files are named in directories that have the same rule.
#[derive(Debug, Clone, Serialize)]
pub struct Naming {
    /// The first of these directories.
    pub first: String,
    /// How many more there are.
    pub more: usize,
    /// The rule.
    pub rule: Bilingual,
}

/// The rules of a tree, in its order.
pub fn of(tree: &[layout::Directory]) -> Vec<Naming> {
    let mut all: Vec<Naming> = Vec::new();
    for directory in tree {
        let Some(naming) = &directory.naming else {
            continue;
        };
        match all
            .iter_mut()
            .find(|each| (&each.rule.fr, &each.rule.en) == (&naming.fr, &naming.en))
        {
            Some(known) => known.more += 1,
            None => all.push(Naming {
                first: directory.path.to_string(),
                more: 0,
                rule: naming.clone(),
            }),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layouts;

    #[test]
    fn a_rule_is_said_once_however_many_directories_have_it() {
        let text = "octonas: 1\ncode: eco\ntitle: T\nlayout: climate-chamber\nfacility: { name: E, chambers: [C1, C2, C3] }\n";
        let definition =
            crate::experiment::read(text.as_bytes(), crate::experiment::Strictness::Given).unwrap();
        let layout = Layouts::new(Vec::new()).get(&definition.layout).unwrap();
        let tree = layout.expand(&definition).unwrap();
        let named = tree.iter().filter(|each| each.naming.is_some()).count();
        let all = of(&tree);
        let rules: std::collections::BTreeSet<_> =
            all.iter().map(|each| each.rule.en.clone()).collect();
        assert_eq!(rules.len(), all.len());
        assert_eq!(all.iter().map(|each| each.more + 1).sum::<usize>(), named);
        assert!(all.iter().any(|each| each.more == 2), "{all:?}");
    }
}
