//! Input made to do harm: each ends soon, with a message, and without a panic.

use std::time::{Duration, Instant};

use super::super::INPUT_MAX;
use super::{Strictness, given, message, read};

/// Refused within a time that a person does not notice, even in an unoptimised build on a busy machine.
fn refused(input: &[u8]) -> String {
    let begun = Instant::now();
    let text = read(input, Strictness::Given).unwrap_err().to_string();
    assert!(
        begun.elapsed() < Duration::from_secs(10),
        "{:?}",
        begun.elapsed()
    );
    assert!(text.len() < 100_000, "a message of {} bytes", text.len());
    text
}

#[test]
fn a_bomb_of_aliases_is_refused_at_its_first_fuse() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for i in 1..20 {
        let previous = format!("*a{},", i - 1).repeat(9);
        bomb.extend([
            "a",
            &i.to_string(),
            ": &a",
            &i.to_string(),
            " [",
            &previous,
            "]\n",
        ]);
    }
    assert!(refused(bomb.as_bytes()).contains("an anchor"));
    assert!(refused(b"octonas: 1\ncode: *x\n").starts_with("line 2:"));
    assert!(refused(b"title: !!python/object:os.system x\n").contains("a tag"));
    assert!(refused(b"a: 1\n---\nb: 2\n").contains("second document"));
}

#[test]
fn ten_megabytes_are_not_even_parsed() {
    let text = refused(&vec![b'a'; 10 * 1024 * 1024]);
    assert!(text.contains("10485760 bytes"), "{text}");
}

#[test]
fn deep_nesting_is_refused_without_using_the_stack() {
    for unit in [
        "[", "{a: ", "- ", "? ", "a:\n ", "[{", "- [", "!!x ", "&a ", "'", "\"", "|\n", "- - \n",
    ] {
        refused(&unit.repeat(INPUT_MAX / unit.len()).into_bytes());
    }
    let block = (0..600)
        .map(|i| format!("{}a:\n", " ".repeat(i)))
        .collect::<Vec<_>>()
        .concat();
    refused(block.as_bytes());
}

#[test]
fn a_file_of_the_largest_size_ends_soon_whatever_is_in_it() {
    for unit in [
        "a: 1\n",
        "a,",
        "- a\n",
        "? a\n: b\n",
        "x",
        "\n",
        "#",
        "{}",
        "- {a: b}\n",
        ": ",
        "%",
        "---\n",
        "\t",
        "é",
    ] {
        let head = "octonas: 1\nvariables:\n";
        refused(
            &format!(
                "{head}{}",
                unit.repeat((INPUT_MAX - head.len()) / unit.len())
            )
            .into_bytes(),
        );
    }
    let keys = (0..15_000)
        .map(|i| format!("k{i}: 1\n"))
        .collect::<Vec<_>>()
        .concat();
    refused(keys.as_bytes());
    let items = format!(
        "octonas: 1\npeople: [{}]",
        "{name: A, account: a1, access: read},".repeat(6000)
    );
    refused(items.as_bytes());
    refused(format!("octonas: 1\nlicence: {}", "C".repeat(200_000)).as_bytes());
}

#[test]
fn a_definition_that_would_not_fit_once_written_is_refused_when_given() {
    let text = format!(
        "octonas: 1\ncode: ab\ntitle: T\nkeywords: [{}]",
        "a,".repeat(45_000)
    );
    given(&text).unwrap();
    let text = text.replace("a,", "'- ',");
    assert!(refused(text.as_bytes()).contains("too large"));
}

#[test]
fn what_is_not_text_is_refused_with_its_line() {
    assert_eq!(
        refused(b"octonas: 1\ntitle: \xff\n"),
        "line 2: the file is not UTF-8 (save it with the encoding UTF-8)"
    );
    assert_eq!(
        refused(b"octonas: 1\ntitle: a\0b\n"),
        "line 2: the file contains a NUL character"
    );
    assert!(refused(b"").contains("the file is empty"));
    assert!(refused(b"# only a comment\n").contains("empty"));
    assert!(refused(b"octonas: 1\n  code: x\n").contains("this is not YAML"));
    assert!(refused(b"{\"octonas\": 1, \"title\": \"\\ud83d\"}").contains("this is not YAML"));
}

#[test]
fn a_byte_order_mark_and_crlf_are_read_over() {
    assert_eq!(
        given("\u{feff}octonas: 1\r\ncode: lake\r\ntitle: T\r\n")
            .unwrap()
            .title,
        "T"
    );
}

#[test]
fn a_key_twice_is_named_with_both_lines() {
    let text = message("title: U\n");
    assert!(
        text.contains("line 4: the key `title` is here a second time; it was on line 3"),
        "{text}"
    );
    let text = message("people: [{name: A, name: B}]");
    assert!(text.contains("the key `name`"), "{text}");
    assert!(message("? [a]\n: b").contains("a key must be a word"));
}

#[test]
fn a_path_that_leaves_the_experiment_is_refused_wherever_it_stands() {
    for path in [
        "..",
        "../x",
        "raw/../../etc",
        "/etc",
        "raw//x",
        "\"raw\\0\"",
        "\"a\\nb\"",
        "\"a\\u202eb\"",
        "'a\\b'",
        "nul",
        "metadata",
        "Landing/x",
        "raw/",
        "' '",
        "\"\\u200b\"",
    ] {
        let text = message(&format!("sources: [{{id: s, kind: linux, into: {path}}}]"));
        assert!(
            text.starts_with("line 4: sources[0].into: "),
            "{path}: {text}"
        );
    }
    let long = format!(
        "sources: [{{id: s, kind: linux, into: {}}}]",
        "a".repeat(256)
    );
    assert!(message(&long).contains("256 bytes"));
    given(&format!(
        "octonas: 1\ncode: ab\ntitle: T\nsources: [{{id: s, kind: linux, into: {}}}]",
        "a".repeat(255)
    ))
    .unwrap();
}

#[test]
fn text_that_deceives_is_refused_in_every_field_for_people() {
    for (rest, field) in [
        ("description: \"a\\u202eb\"", "description"),
        ("keywords: [\"a\\x1b[2J\"]", "keywords[0]"),
        ("people: [{name: \"a\\nb\"}]", "people[0].name"),
        ("funding: [{funder: \"a\\u0085b\"}]", "funding[0].funder"),
        (
            "facility: {name: F, chambers: [\"C\\u20281\"]}",
            "facility.chambers[0]",
        ),
        ("variables: [{name: \"\\u2066\"}]", "variables[0].name"),
    ] {
        let text = message(rest);
        assert!(text.starts_with(&format!("line 4: {field}: ")), "{text}");
        assert!(!text.contains('\u{202e}') && !text.contains('\x1b'));
    }
}

#[test]
fn a_message_repeats_no_control_characters_of_the_input() {
    for text in [
        message("\"\\e[2J\\u202e\": 1"),
        message("licence: \"\\e[2J\\u202e\""),
        message("people: \"\\e]0;x\\a\""),
        message("description: \"\\x00\\e\""),
    ] {
        assert!(
            !text.chars().any(|c| c.is_control() || c == '\u{202e}'),
            "{text:?}"
        );
    }
}
