//! Where definitions stand: `<base>/<code>/metadata/experiment.yaml`, and what an edit must have seen.

use super::{EVIDENCE, evidence, private_dir, sha256};
use crate::error::{Error, Result};
use crate::experiment::{Code, ExperimentId};
use crate::sys::dir::{Dir, FileKind, Permissions, Replace};

/// The directory of an experiment that holds its definition, its documents and our record.
pub const METADATA: &str = "metadata";

/// The definition in it.
pub const FILE: &str = "experiment.yaml";

/// The largest definition that is read, in bytes.
pub const LIMIT: u64 = 1 << 20;

const STAGING: &str = "staging";

/// The text of a definition as it stands on the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The text, to be read by `experiment`.
    pub text: String,
    /// SHA-256 of its bytes, in hexadecimal. An edit carries the digest of what it started from.
    pub digest: String,
}

impl Stored {
    /// A text with its digest.
    pub fn new(text: String) -> Self {
        let digest = sha256(text.as_bytes());
        Self { text, digest }
    }

    /// Refuses to go on from another text than this one: the error `definition.changed`.
    pub fn must_be(&self, digest: &str) -> Result<()> {
        if self.digest == digest {
            return Ok(());
        }
        Err(Error::new(
            "definition.changed",
            "somebody changed the definition in the meantime",
        )
        .hint("load it again and repeat the edit"))
    }
}

/// Reads the definition in a metadata directory; `None` where there is none.
pub fn read(metadata: &Dir) -> Result<Option<Stored>> {
    let Some(bytes) = metadata.read(FILE, LIMIT)? else {
        return Ok(None);
    };
    let text = String::from_utf8(bytes).map_err(|e| {
        Error::new(
            "definition.damaged",
            format!("{} is not text", metadata.path_of(FILE).display()),
        )
        .hint("restore the file from a backup or a replica")
        .source(e)
    })?;
    Ok(Some(Stored::new(text)))
}

/// Writes the definition, whole and durable; members may read it where `permissions` let them.
pub fn write(metadata: &Dir, text: &str, permissions: &Permissions) -> Result<Stored> {
    if text.len() as u64 > LIMIT {
        return Err(Error::new(
            "definition.too-large",
            "the definition is larger than 1 MiB",
        )
        .hint("move long texts into documents"));
    }
    metadata.write(FILE, text.as_bytes(), permissions)?;
    Ok(Stored::new(text.to_owned()))
}

/// The directories of a base that may be experiments, by code; which of them hold a definition shows when they are
/// opened.
pub fn list(base: &Dir) -> Result<Vec<Code>> {
    let mut codes: Vec<Code> = base
        .entries()?
        .into_iter()
        .filter(|entry| entry.kind == FileKind::Directory)
        .filter_map(|entry| Code::parse(entry.name.to_str()?).ok())
        .collect();
    codes.sort();
    Ok(codes)
}

/// Makes an empty directory, root only, in which an experiment is put together before it gets its place:
/// `<base>/.octonas/staging/<id>`. What a killed run left there is taken away first.
pub fn stage(base: &Dir, id: &ExperimentId) -> Result<Dir> {
    let staging = private_dir(&evidence(base)?, STAGING)?;
    let name = id.to_string();
    staging.remove_tree(&name)?;
    private_dir(&staging, &name)
}

/// Gives what was staged its place in the base; something that is there already is `path.exists`.
pub fn publish(base: &Dir, id: &ExperimentId, code: &Code) -> Result<()> {
    let staging = evidence(base)?.existing(STAGING)?;
    staging.rename(id.to_string(), base, code.as_str(), Replace::Never)
}

/// Takes away what killed runs left in staging; only under the lock of whoever stages. Nobody else has seen any of it.
pub fn clear_staging(base: &Dir) -> Result<()> {
    let Some(staging) = base.open(format!("{EVIDENCE}/{STAGING}"))? else {
        return Ok(());
    };
    for entry in staging.entries()? {
        staging.remove_tree(&entry.name)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::{directory, points_of, with_fault};

    fn id() -> ExperimentId {
        "0b9e0c2e-4b7a-4f5e-9a55-0d4a6f1f7d11".parse().unwrap()
    }

    fn base() -> (tempfile::TempDir, Dir) {
        let (temp, base) = directory();
        base.create_dir(EVIDENCE, 0o700).unwrap();
        (temp, base)
    }

    fn create(base: &Dir) -> Result<()> {
        let staged = stage(base, &id())?;
        staged.create_dir(METADATA, 0o700)?;
        write(
            &staged.existing(METADATA)?,
            "code: eco\n",
            &Permissions::PUBLIC,
        )?;
        publish(base, &id(), &Code::parse("eco")?)
    }

    #[test]
    fn an_experiment_that_is_put_together_is_found_under_its_code() {
        let (_temp, base) = base();
        assert_eq!(list(&base).unwrap(), []);
        create(&base).unwrap();
        for name in ["lost+found", "empty"] {
            base.create_dir(name, 0o700).unwrap();
            base.existing(name)
                .unwrap()
                .create_dir(METADATA, 0o700)
                .unwrap();
        }
        let found = list(&base).unwrap();
        assert_eq!(
            found.iter().map(Code::as_str).collect::<Vec<_>>(),
            ["eco", "empty"]
        );
        let metadata = base.open(format!("eco/{METADATA}")).unwrap().unwrap();
        let stored = read(&metadata).unwrap().unwrap();
        assert_eq!(stored.text, "code: eco\n");
        stored.must_be(&sha256(b"code: eco\n")).unwrap();
        assert_eq!(
            stored.must_be("0").unwrap_err().code(),
            "definition.changed"
        );
        clear_staging(&base).unwrap();
        let staging = base.open(format!("{EVIDENCE}/{STAGING}")).unwrap();
        assert!(staging.is_none_or(|staging| staging.entries().unwrap().is_empty()));
    }

    #[test]
    fn a_second_experiment_of_the_same_code_does_not_replace_the_first() {
        let (_temp, base) = base();
        create(&base).unwrap();
        assert_eq!(create(&base).unwrap_err().code(), "path.exists");
    }

    #[test]
    fn putting_together_can_be_halted_anywhere_and_is_then_repeated() {
        let (_temp, first) = base();
        for nth in 1..=points_of(|| create(&first).unwrap()) {
            let (_temp, base) = base();
            let halted = with_fault("halt", nth, || create(&base));
            let there = list(&base).unwrap().len();
            assert!(halted.is_err());
            if there == 0 {
                create(&base).unwrap();
            }
            assert_eq!(list(&base).unwrap().len(), 1, "point {nth}");
        }
    }
}
