use super::*;
use crate::words::split;
use proptest::prelude::*;

/// Where nothing of what the tests name exists.
const START: &str = "/";

fn asked(command: &str, role: Role, client: &[u8]) -> Result<Session> {
    session(
        &split(command.as_bytes())?,
        role,
        &mut &*client,
        Path::new(START),
    )
}

fn vector(command: &str, role: Role) -> String {
    let session = asked(command, role, b"").unwrap();
    let words: Vec<_> = session
        .vector
        .iter()
        .map(|word| String::from_utf8_lossy(word))
        .collect();
    words.join(" ")
}

#[test]
fn a_receiver_gets_our_modes_last() {
    assert_eq!(
        vector(
            "rsync --server -vlogDtpre.iLsfxCIvu . eco/raw/",
            Role::Person
        ),
        "--server -vlogDtpre.iLsfxCIvu --no-perms --omit-dir-times --chmod=D2770,Fug+rw,Fo= . eco/raw/"
    );
    assert_eq!(
        vector("rsync --server -tre.LsfxCIvu . .", Role::Source),
        "--server -tre.LsfxCIvu --no-perms --omit-dir-times --chmod=D2770,Fug+rw,Fo= --munge-links . ."
    );
}

#[test]
fn letters_may_come_one_by_one_as_openrsync_sends_them() {
    assert_eq!(
        vector(
            "rsync --server --sender -g -l -o -p -D -r -t -v --numeric-ids . eco/raw",
            Role::Person
        ),
        "--server --sender -g -l -o -p -D -r -t -v --numeric-ids . eco/raw"
    );
}

#[test]
fn a_sender_gets_nothing_added() {
    assert_eq!(
        vector(
            r"rsync --server --sender -vlogDtpre.iLsfxCIvu . eco/raw/my\ file",
            Role::Person
        ),
        "--server --sender -vlogDtpre.iLsfxCIvu . eco/raw/my file"
    );
}

#[test]
fn values_are_joined_to_their_options() {
    assert_eq!(
        vector(
            "rsync --server -trB700 -@-1 --timeout=5 --backup-dir old --link-dest ../x --partial-dir .p . eco/raw",
            Role::Person
        ),
        "--server -B700 -tr -@-1 --timeout=5 --backup-dir=old --link-dest=../x --partial-dir=.p \
         --no-perms --omit-dir-times --chmod=D2770,Fug+rw,Fo= . eco/raw"
    );
}

#[test]
fn secluded_arguments_are_read_from_the_client() {
    let client = b"rsync\0--delete\0--timeout=9\0.\0eco/a b;c\0\0rest";
    let session = asked("rsync --server -slogDtpre.iLsfxCIvu", Role::Person, client).unwrap();
    assert_eq!(session.paths, [b"eco/a b;c".to_vec()]);
    assert_eq!(session.vector[1], b"-logDtpre.iLsfxCIvu");
    assert_eq!(session.vector[2], b"--delete");
    for client in [
        &b""[..],
        b"rsync\0--daemon\0.\0x\0\0",
        b"--delete\0.\0x\0\0",
        b"rsync\0-X\0.\0x\0\0",
        b"rsync\0.\0--daemon\0\0",
    ] {
        assert!(asked("rsync --server -slogDtpre.iLsfxCIvu", Role::Person, client).is_err());
    }
}

#[test]
fn what_is_not_a_plain_transfer_is_refused() {
    for command in [
        "rsync",
        "rsync --daemon",
        "rsync --server --daemon .",
        "rsync -a /etc/passwd x",
        "rsync --sender --server -r . x",
        "rsync --server -r --sender . x",
        "rsync --server -vlogDtpAre.iLsfxCIvu . x",
        "rsync --server -vlogDtpXre.iLsfxCIvu . x",
        "rsync --server -r --copy-devices . x",
        "rsync --server -r --write-devices . x",
        "rsync --server -r --super . x",
        "rsync --server -r --fake-super . x",
        "rsync --server -r --log-file=x . x",
        "rsync --server -r --log-file x . x",
        "rsync --server -r --temp-dir /tmp . x",
        "rsync --server -r -T /tmp . x",
        "rsync --server -r --chmod=a+rwx . x",
        "rsync --server -r --perms . x",
        "rsync --server -r --config=x . x",
        "rsync --server -re sh . x",
        "rsync --server -r -e sh . x",
        "rsync --server -r -M--super . x",
        "rsync --server -r -f x . x",
        "rsync --server -r -B . x",
        "rsync --server -r -- . x",
        "rsync --server -r - . x",
        "rsync --server -r . -x",
        "rsync --server -r . --daemon",
        "rsync --server -r . x --log-file=y",
        "rsync --server -r . a b",
        "rsync --server -r . ''",
        "rsync --server -r ''",
        "rsync --server -r x",
        "rsync --server -r",
        "rsync --server -r --delete=now . eco/raw",
        "rsync --server -r --iconv=latin1 . x",
        "rsync --server -r --log-format=%f . x",
        "rsync --server -r --partial-dir=/tmp . x",
        "rsync --server -r --timeout . x",
    ] {
        assert!(asked(command, Role::Person, b"").is_err(), "{command}");
    }
}

#[test]
fn a_source_only_adds() {
    for command in [
        "rsync --server --sender -r . x",
        "rsync --server -r . /in/x",
        "rsync --server -r . ../x",
        "rsync --server -r . a/../../x",
        "rsync --server -r --delete . x",
        "rsync --server -r --delete-after . x/y",
        "rsync --server -r --remove-source-files . x/y",
        "rsync --server -r --inplace . x",
        "rsync --server -r --append . x",
        "rsync --server -rb . x",
        "rsync --server -r --backup-dir=b . x",
        "rsync --server -r --suffix=b . x",
        "rsync --server -r --partial . x",
        "rsync --server -r --partial-dir p . x",
        "rsync --server -r --delay-updates . x",
        "rsync --server -r --link-dest=p . x",
        "rsync --server -r --copy-dest p . x",
        "rsync --server -r --compare-dest p . x",
        "rsync --server -r --files-from=- . x",
        "rsync --server -r --force . x",
        "rsync --server -rK . x",
    ] {
        assert!(asked(command, Role::Source, b"").is_err(), "{command}");
    }
    assert!(
        asked(
            "rsync --server -vlogDtpre.iLsfxCIvu --timeout=30 . 2026/",
            Role::Source,
            b""
        )
        .is_ok()
    );
}

proptest! {
    #[test]
    fn arbitrary_commands_never_panic(command in proptest::collection::vec(any::<u8>(), 0..200), client in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(words) = split(&command) {
            let _ = session(&words, Role::Person, &mut client.as_slice(), Path::new(START));
        }
    }

    #[test]
    fn no_refused_option_gets_through(
        words in proptest::collection::vec(prop::sample::select(vec![
            "-vlogDtpre.iLsfxCIvu", "-A", "-rX", "-s", "-e", "-e.Lsf", "-B", "-B7", "-@", "-T", "-M--super", "--daemon", "--daemon=1",
            "--log-file=x", "--log-file", "--temp-dir", "--super", "--fake-super", "--copy-devices", "--write-devices",
            "--backup-dir", "--partial-dir", "--link-dest", "--suffix", "--timeout", "--delete", "--chmod=a+w", "--sender", "--server",
            "--no-munge-links", "--", "-", ".", "x", "eco/raw", "--files-from", "--info=all", "--timeout=3",
        ]), 0..8),
        role in prop::sample::select(vec![Role::Person, Role::Source]),
        sends in any::<bool>(),
    ) {
        let start = if sends { "rsync --server --sender " } else { "rsync --server " };
        let command = format!("{start}{}", words.join(" "));
        let client = b"rsync\0--delete\0.\0eco/raw\0\0";
        if let Ok(session) = asked(&command, role, client) {
            // As popt reads it: no word is the value of another, and nothing but paths follows the dot.
            let dot = session.vector.iter().position(|word| word == b".").unwrap();
            for option in &session.vector[..dot] {
                let text = String::from_utf8_lossy(option).into_owned();
                prop_assert!(text.starts_with('-') && text.len() > 1, "{}", text);
                if let Some(long) = text.strip_prefix("--") {
                    let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
                    let ours = RECEIVER.contains(&text.as_str()) || text == SOURCE || text == "--server" || text == "--sender";
                    let known = table::LONG.iter().find(|known| known.name == name);
                    prop_assert!(ours || known.is_some_and(|known| (known.value == table::Value::None) == value.is_none()), "{}", text);
                    if role == Role::Source && !ours {
                        prop_assert_eq!(known.unwrap().whom, table::For::All);
                    }
                } else {
                    let letters = text[1..].split('e').next().unwrap();
                    let plain = letters.bytes().all(|letter| table::LETTERS.contains(&letter));
                    prop_assert!(plain || text.starts_with("-B") || text.starts_with("-@"), "{}", text);
                }
            }
            for path in &session.vector[dot + 1..] {
                prop_assert!(!path.starts_with(b"-"));
            }
            prop_assert_eq!(session.vector[..dot].iter().any(|word| word == b"--no-perms"), !sends);
        }
    }
}
