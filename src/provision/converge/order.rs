//! In which order the steps of a plan are carried out.

use crate::object::Kind;
use crate::provision::plan::{Action, Step};

/// Creation goes by kind, but the experiment's own directory lets people in only when its mount stands: in a common share
/// they would be inside at once, on a file system where links are followed and nothing can be closed. Removal shuts the
/// door first, then unmounts, then lets go of the folder and the groups.
pub(super) fn ordered(steps: &[Step]) -> Vec<&Step> {
    let rank = |step: &Step| match (step.action == Action::Delete, step.object.kind) {
        (false, Kind::Directory) if step.object.key.is_empty() => 1,
        (false, kind) if kind <= Kind::Mounts => 0,
        (false, _) => 2,
        (true, kind) if kind.is_door() => 3,
        (true, Kind::Privileges) => 4,
        (true, Kind::Source) => 5,
        (true, Kind::Entry) => 6,
        (true, Kind::Mounts) => 7,
        (true, Kind::SharedFolder) => 8,
        (true, Kind::Directory) => 9,
        (true, _) => 10,
    };
    let mut ordered: Vec<&Step> = steps.iter().collect();
    ordered.sort_by_key(|step| rank(step));
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::object::{Attributes, ObjectId};

    fn step(kind: Kind, key: &str, action: Action) -> Step {
        Step {
            object: ObjectId::new(kind, key),
            action,
            attributes: Attributes::new(),
            record: Attributes::new(),
            changes: Vec::new(),
        }
    }

    #[test]
    fn people_are_let_in_when_the_mount_stands_and_before_it_is_shared() {
        let steps = [
            step(Kind::Group, "exp-lake-w", Action::Create),
            step(Kind::Directory, "", Action::Create),
            step(Kind::Directory, "raw", Action::Create),
            step(Kind::Entry, "lake", Action::Create),
            step(Kind::Mounts, "lake", Action::Create),
            step(Kind::SharedFolder, "lake", Action::Create),
            step(Kind::SmbShare, "lake", Action::Create),
        ];
        let order: Vec<String> = ordered(&steps)
            .into_iter()
            .map(|step| step.object.to_string())
            .collect();
        assert_eq!(
            order,
            [
                "group exp-lake-w",
                "directory raw",
                "configuration entry lake",
                "mounts lake",
                "directory .",
                "shared folder lake",
                "SMB share lake"
            ]
        );
    }

    #[test]
    fn what_is_taken_away_goes_in_the_other_direction() {
        let steps = [
            step(Kind::Group, "exp-lake-w", Action::Delete),
            step(Kind::SharedFolder, "lake", Action::Delete),
            step(Kind::Mounts, "lake", Action::Delete),
            step(Kind::SmbShare, "lake", Action::Delete),
        ];
        let order: Vec<Kind> = ordered(&steps)
            .into_iter()
            .map(|step| step.object.kind)
            .collect();
        assert_eq!(
            order,
            [
                Kind::SmbShare,
                Kind::Mounts,
                Kind::SharedFolder,
                Kind::Group
            ]
        );
    }
}
