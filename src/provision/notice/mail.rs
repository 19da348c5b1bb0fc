//! A mail as a message of RFC 5322: plain text in UTF-8, its subject in encoded words (RFC 2047), no header that a text
//! could add.

use std::fmt::Write as _;

/// The longest subject, in characters.
const SUBJECT_MAX: usize = 150;
/// The most bytes of text in one encoded word: 75 characters with their frame (RFC 2047, section 2).
const WORD_MAX: usize = 45;
/// The longest line of a body, in bytes; RFC 5322, section 2.1.1 has 998.
const LINE_MAX: usize = 900;

/// The subject and the body of a text whose first line is `Subject: …`.
pub(super) fn split(text: &str) -> (String, String) {
    let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
    let subject = first.strip_prefix("Subject:").unwrap_or(first);
    (one_line(subject), rest.trim_start_matches('\n').to_owned())
}

/// Without controls, and not too long.
fn one_line(text: &str) -> String {
    let plain: String = text
        .chars()
        .map(|c| if is_plain(c) { c } else { ' ' })
        .collect();
    let words: Vec<&str> = plain.split_whitespace().collect();
    words.join(" ").chars().take(SUBJECT_MAX).collect()
}

/// No control, and nothing that turns a text around.
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// The whole message. `to` are accounts of the NAS or addresses that were checked; who sends it is written by the NAS.
pub(super) fn message(to: &[String], subject: &str, body: &str) -> Vec<u8> {
    let mut out = String::new();
    let _ = writeln!(out, "From: OctoNAS <root>");
    let _ = writeln!(out, "To: {}", to.join(", "));
    let _ = writeln!(out, "Subject: {}", encoded(&one_line(subject)));
    // No answer by a machine (RFC 3834).
    out.push_str("Auto-Submitted: auto-generated\nMIME-Version: 1.0\n");
    let (charset, encoding) = if body.is_ascii() {
        ("us-ascii", "7bit")
    } else {
        ("utf-8", "8bit")
    };
    let _ = writeln!(out, "Content-Type: text/plain; charset={charset}");
    let _ = writeln!(out, "Content-Transfer-Encoding: {encoding}\n");
    for line in body.lines() {
        let line: String = line.chars().filter(|c| is_plain(*c)).collect();
        let mut rest = line.as_str();
        while rest.len() > LINE_MAX {
            let at = rest.floor_char_boundary(LINE_MAX);
            out.push_str(&rest[..at]);
            out.push('\n');
            rest = &rest[at..];
        }
        out.push_str(rest);
        out.push('\n');
    }
    out.into_bytes()
}

/// As encoded words where it is not ASCII.
fn encoded(text: &str) -> String {
    if text.is_ascii() && !text.contains("=?") {
        return text.to_owned();
    }
    let mut words: Vec<String> = Vec::new();
    let mut word = String::new();
    for c in text.chars() {
        if word.len() + c.len_utf8() > WORD_MAX {
            words.push(std::mem::take(&mut word));
        }
        word.push(c);
    }
    words.push(word);
    let framed: Vec<String> = words
        .iter()
        .map(|word| format!("=?utf-8?B?{}?=", base64(word.as_bytes())))
        .collect();
    framed.join("\n ")
}

/// RFC 4648, section 4.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let all = chunk.iter().enumerate().fold(0_u32, |all, (at, byte)| {
            all | u32::from(*byte) << (16 - 8 * at)
        });
        for at in 0..4 {
            let letter = LETTERS[(all >> (18 - 6 * at) & 63) as usize];
            out.push(if at <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_that_of_the_rfc() {
        for (plain, wanted) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), wanted);
        }
    }

    #[test]
    fn no_text_adds_a_header() {
        let evil = "eco\r\nBcc: everybody@example.org\r\n\r\nbody %s%n";
        let (subject, body) = split(&format!("Subject: {evil}\n\nText\n"));
        assert_eq!(subject, "eco");
        let text = String::from_utf8(message(&["root".into()], evil, &body)).unwrap();
        let head = text.split("\n\n").next().unwrap();
        assert!(!head.contains("\nBcc"), "{head}");
        assert_eq!(head.matches("Subject:").count(), 1);
        assert!(head.contains("Subject: eco Bcc: everybody@example.org body %s%n"));
    }

    #[test]
    fn accents_are_encoded_words_of_at_most_75_characters() {
        let subject = "Écarts à l’expérience « été »".repeat(4);
        let text = String::from_utf8(message(&["root".into()], &subject, "été\n")).unwrap();
        let lines = text
            .lines()
            .skip_while(|line| !line.starts_with("Subject:"));
        let words: Vec<&str> = lines
            .take_while(|line| line.contains("=?utf-8?B?"))
            .collect();
        assert!(words.len() > 1);
        assert!(
            words[1..]
                .iter()
                .all(|line| line.starts_with(' ') && line.len() <= 76)
        );
        assert!(text.ends_with("Content-Transfer-Encoding: 8bit\n\nété\n"));
    }

    #[test]
    fn lines_stay_shorter_than_mail_allows() {
        let text = message(&["root".into()], "x", &"é".repeat(3000));
        assert!(
            text.split(|byte| *byte == b'\n')
                .all(|line| line.len() < 998)
        );
    }
}
