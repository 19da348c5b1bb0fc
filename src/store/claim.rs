//! The claim of a base: which NAS serves it. `<base>/.octonas/claim.json`.

use serde::{Deserialize, Serialize};

use super::{EVIDENCE, private_dir, read_json, write_json};
use crate::error::{Error, Result};
use crate::sys::abilities::Abilities;
use crate::sys::clock;
use crate::sys::dir::Dir;

const FILE: &str = "claim.json";

/// Who serves a base.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// Version of the format.
    pub octonas: u32,
    /// Identity of the base for ever, whatever its path.
    pub base: uuid::Uuid,
    /// Identity of the NAS.
    pub nas: String,
    /// Its name, for people.
    pub name: String,
    /// Since when (RFC 3339, UTC).
    pub since: String,
    /// Who served it before, latest last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub before: Vec<Former>,
    /// What the file system could do when it was claimed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub abilities: Option<Abilities>,
}

/// A NAS that served a base before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Former {
    /// Identity of the NAS.
    pub nas: String,
    /// Its name, for people.
    pub name: String,
    /// Until when (RFC 3339, UTC).
    pub until: String,
}

impl Claim {
    /// Reads the claim of a base; `None` where nobody ever claimed it.
    pub fn read(base: &Dir) -> Result<Option<Self>> {
        let Some(dir) = base.child(EVIDENCE)? else {
            return Ok(None);
        };
        let claim: Option<Self> = read_json(&dir, FILE)?;
        match claim {
            Some(claim) if claim.octonas != 1 => Err(Error::new(
                "base.newer",
                format!("{} was claimed by a newer version", base.path().display()),
            )
            .hint("upgrade octonas")),
            claim => Ok(claim),
        }
    }

    /// The claim of a base that this NAS serves. Another NAS's is `base.foreign`, none is `base.unclaimed`.
    pub fn ours(base: &Dir, nas: &str) -> Result<Self> {
        let claim = Self::read(base)?.ok_or_else(|| unclaimed(base))?;
        if claim.nas == nas {
            Ok(claim)
        } else {
            Err(claim.foreign(base))
        }
    }

    /// Claims a base for a NAS; one that is ours already stays as it is, another NAS's is `base.foreign`.
    pub fn make(base: &Dir, nas: &str, name: &str, abilities: Abilities) -> Result<Self> {
        if let Some(claim) = Self::read(base)? {
            return if claim.nas == nas {
                Ok(claim)
            } else {
                Err(claim.foreign(base))
            };
        }
        let claim = Self {
            octonas: 1,
            base: uuid::Uuid::new_v4(),
            nas: nas.to_owned(),
            name: name.to_owned(),
            since: clock::now_text(),
            before: Vec::new(),
            abilities: Some(abilities),
        };
        write_json(&private_dir(base, EVIDENCE)?, FILE, &claim)?;
        Ok(claim)
    }

    /// Claims a base that another NAS served; who that was is kept.
    pub fn take_over(base: &Dir, nas: &str, name: &str) -> Result<Self> {
        let mut claim = Self::read(base)?.ok_or_else(|| unclaimed(base))?;
        if claim.nas == nas {
            return Ok(claim);
        }
        let now = clock::now_text();
        claim.before.push(Former {
            nas: std::mem::replace(&mut claim.nas, nas.to_owned()),
            name: std::mem::replace(&mut claim.name, name.to_owned()),
            until: now.clone(),
        });
        claim.since = now;
        write_json(&private_dir(base, EVIDENCE)?, FILE, &claim)?;
        Ok(claim)
    }

    fn foreign(&self, base: &Dir) -> Error {
        Error::new(
            "base.foreign",
            format!(
                "{} is claimed by {} since {}",
                base.path().display(),
                self.name,
                self.since
            ),
        )
        .hint("use it on that NAS, or `octonas experiment adopt --take-over` if that NAS is gone")
    }
}

/// Nobody claimed this base: perhaps its disk is not mounted.
pub(super) fn unclaimed(base: &Dir) -> Error {
    Error::new(
        "base.unclaimed",
        format!("{} has no claim", base.path().display()),
    )
    .hint("see whether its disk is mounted; a new base is added with `octonas base add`")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{directory, points_of, with_fault};
    use crate::sys::abilities;

    #[test]
    fn a_base_is_claimed_once_and_another_nas_is_refused_until_it_takes_over() {
        let (_temp, base) = directory();
        assert_eq!(Claim::read(&base).unwrap(), None);
        assert_eq!(
            Claim::ours(&base, "a").unwrap_err().code(),
            "base.unclaimed"
        );
        let abilities = abilities::find_out(&base).unwrap();
        let claim = Claim::make(&base, "a", "nas a", abilities.clone()).unwrap();
        assert_eq!(
            Claim::make(&base, "a", "nas a", abilities.clone()).unwrap(),
            claim
        );
        assert_eq!(Claim::ours(&base, "a").unwrap(), claim);
        for error in [
            Claim::ours(&base, "b").unwrap_err(),
            Claim::make(&base, "b", "nas b", abilities).unwrap_err(),
        ] {
            assert_eq!(error.code(), "base.foreign");
            assert!(error.message().contains("nas a"), "{error}");
        }
        let taken = Claim::take_over(&base, "b", "nas b").unwrap();
        assert_eq!((taken.base, taken.before.len()), (claim.base, 1));
        assert_eq!(Claim::ours(&base, "a").unwrap_err().code(), "base.foreign");
        assert_eq!(
            base.child(EVIDENCE)
                .unwrap()
                .unwrap()
                .metadata()
                .unwrap()
                .mode,
            0o700
        );
    }

    #[test]
    fn a_claim_that_is_halted_anywhere_is_there_or_not_and_can_be_made_again() {
        let abilities = {
            let (_temp, base) = directory();
            abilities::find_out(&base).unwrap()
        };
        let make = |base: &Dir| Claim::make(base, "a", "nas a", abilities.clone());
        let (_temp, base) = directory();
        for nth in 1..=points_of(|| make(&base).unwrap()) {
            let (_temp, base) = directory();
            with_fault("halt", nth, || make(&base)).unwrap_err();
            Claim::read(&base).unwrap();
            make(&base).unwrap();
            assert_eq!(base.entries().unwrap().len(), 1);
        }
    }
}
