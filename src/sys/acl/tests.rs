//! Lists in all their forms, and against what `getfacl` and `setfacl` think of them.

use proptest::collection::btree_map;
use proptest::prelude::*;

use super::*;

fn perms() -> impl Strategy<Value = Perms> {
    (0..8_u32).prop_map(Perms::from_bits)
}

fn lists() -> impl Strategy<Value = Acl> {
    let named = || btree_map(0..u32::MAX, perms(), 0..6);
    (
        perms(),
        named(),
        perms(),
        named(),
        perms(),
        perms(),
        any::<bool>(),
    )
        .prop_map(
            |(user_obj, users, group_obj, groups, mask, other, masked)| {
                let needs = masked || !users.is_empty() || !groups.is_empty();
                Acl {
                    user_obj,
                    users,
                    group_obj,
                    groups,
                    mask: needs.then_some(mask),
                    other,
                }
            },
        )
}

fn parse(text: &str) -> Result<Acl> {
    let id = |name: &str| match name {
        "exp-eco-w" => Some(1001),
        "exp-eco-r" => Some(1002),
        _ => None,
    };
    Acl::parse(text, id, id)
}

fn show(acl: &Acl) -> String {
    let name = |id| match id {
        1001 => Some("exp-eco-w".to_owned()),
        1002 => Some("exp-eco-r".to_owned()),
        _ => None,
    };
    acl.to_text(name, name)
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(acl in lists()) {
        prop_assert_eq!(&Acl::decode(&acl.encode()).unwrap(), &acl);
        prop_assert_eq!(parse(&show(&acl)).unwrap(), acl);
    }

    #[test]
    fn no_bytes_and_no_text_make_the_parsers_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..80),
        text in "[ugmo:,rwx0-9a-z-]{0,60}",
    ) {
        if let Ok(acl) = Acl::decode(&bytes) {
            prop_assert!(acl.is_valid());
        }
        let mut versioned = vec![2, 0, 0, 0];
        versioned.extend(&bytes);
        let _ = Acl::decode(&versioned);
        if let Ok(acl) = parse(&text) {
            prop_assert!(acl.is_valid());
        }
    }
}

#[test]
fn the_text_form_is_the_one_of_the_walls() {
    let leaf = "u::rwx,g::---,g:exp-eco-r:r-x,g:exp-eco-w:rwx,m::rwx,o::---";
    let acl = parse(leaf).unwrap();
    assert_eq!(acl.group_obj, Perms::NONE);
    assert_eq!(acl.groups[&1001], Perms::ALL);
    assert_eq!(acl.mode_bits(), 0o770);
    assert_eq!(show(&acl), leaf);
    let long = "user::rwx, group:exp-eco-w:rwx,group::---,mask::rwx,g:exp-eco-r:r-x,other:---";
    assert_eq!(parse(long).unwrap(), acl);
}

#[test]
fn what_is_no_list_is_refused() {
    for (text, code) in [
        ("", "acl.invalid"),
        ("u::rwx,g::---", "acl.invalid"),
        ("u::rwx,g::---,o::---,o::---", "acl.invalid"),
        ("u::rwx,g::---,g:exp-eco-w:rwx,o::---", "acl.invalid"),
        (
            "u::rwx,g::---,g:nobody:rwx,m::rwx,o::---",
            "acl.unknown-name",
        ),
        (
            "u::rwx,g::---,g:4294967295:rwx,m::rwx,o::---",
            "acl.unknown-name",
        ),
        ("u::xwr,g::---,o::---", "acl.invalid"),
        ("u::rwx,g::---,o:a:---", "acl.invalid"),
        ("default:u::rwx,g::---,o::---", "acl.invalid"),
    ] {
        assert_eq!(parse(text).unwrap_err().code(), code, "{text}");
    }
}

#[test]
fn the_access_check_is_that_of_acl_5() {
    let acl = parse("u::rwx,u:7:rw-,g::---,g:1001:rwx,g:1002:r-x,m::r-x,o::--x").unwrap();
    let may = |uid, groups: &[u32]| acl.allowed(1, 100, uid, groups).to_string();
    assert_eq!(may(1, &[]), "rwx", "the owner does not feel the mask");
    assert_eq!(
        may(7, &[1001]),
        "r--",
        "a named user is not helped by a group"
    );
    assert_eq!(may(8, &[1001]), "r-x", "the mask narrows");
    assert_eq!(may(8, &[1002, 100]), "r-x");
    assert_eq!(may(8, &[100]), "---", "the owning group is not `other`");
    assert_eq!(may(8, &[55]), "--x");
}

#[test]
fn a_wide_mask_lets_everybody_named_have_what_the_list_says() {
    let mut acl = Acl::from_mode(0o705);
    acl.groups.insert(1, Perms::READ);
    acl.users.insert(2, Perms::from_bits(2));
    let acl = acl.with_wide_mask();
    assert_eq!(acl.mask, Some(Perms::ALL));
    assert_eq!(acl.mode_bits(), 0o775);
    assert!(Acl::from_mode(0o750).is_minimal() && !acl.is_minimal());
}

/// Ours set and `getfacl` reads; `setfacl` sets and ours read.
#[test]
#[allow(clippy::disallowed_methods)]
fn getfacl_and_setfacl_agree_with_us() {
    use crate::sys::dir::Dir;
    use std::process::Command;

    let temp = tempfile::tempdir().unwrap();
    let dir = Dir::open_absolute(temp.path()).unwrap();
    let acl = parse("u::rwx,u:7:rw-,g::---,g:1001:rwx,g:1002:r-x,m::r-x,o::---").unwrap();
    dir.set_acl(Which::Access, Some(&acl)).unwrap();
    dir.set_acl(Which::Default, Some(&acl)).unwrap();
    let Ok(output) = Command::new("getfacl")
        .args(["-n", "-p", "-c", "-E"])
        .arg(temp.path())
        .output()
    else {
        eprintln!("skipped: getfacl is not installed");
        return;
    };
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = |prefix: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.is_empty());
        lines
            .filter_map(|line| match prefix {
                "" => (!line.starts_with("default:")).then(|| line.to_owned()),
                _ => line.strip_prefix(prefix).map(str::to_owned),
            })
            .collect()
    };
    for prefix in ["", "default:"] {
        assert_eq!(parse(&lines(prefix).join(",")).unwrap(), acl, "{text}");
    }
    let set = "u::rwx,u:9:r--,g::r-x,g:1001:-w-,m::rwx,o::--x";
    let done = Command::new("setfacl")
        .arg("--set")
        .arg(set)
        .arg(temp.path())
        .status()
        .unwrap();
    assert!(done.success());
    assert_eq!(dir.acl(Which::Access).unwrap(), Some(parse(set).unwrap()));
}
