//! Markdown → one page of HTML that needs nothing else: styles within, no script, no request to anywhere.
//!
//! Raw HTML in the Markdown is shown as text, an image becomes its description, and a link leads to https, http, a mail
//! address or a file beside. The page forbids itself the rest (Content Security Policy).

use std::collections::BTreeSet;

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd};

use super::escape;
use crate::experiment::Language;

const STYLE: &str = include_str!("../../templates/documents/page.css");

/// The fewest sections for which a page gets a table of contents.
const CONTENTS_FROM: usize = 4;

/// A whole page.
pub fn page(markdown: &str, title: &str, language: Language) -> String {
    let options = Options::ENABLE_TABLES | Options::ENABLE_FOOTNOTES;
    let mut events: Vec<Event<'_>> = Parser::new_ext(markdown, options).map(tame).collect();
    let sections = name_headings(&mut events);
    let mut body = String::with_capacity(markdown.len() * 2);
    pulldown_cmark::html::push_html(&mut body, events.into_iter().flat_map(scroll));
    let contents = contents(&sections, language);
    // The contents stand after the title.
    let at = body.find("</h1>").map_or(0, |at| at + "</h1>".len());
    let (head, rest) = body.split_at(at);
    format!(
        "<!DOCTYPE html>\n<html lang=\"{lang}\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"generator\" content=\"OctoNAS\">\n<title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n\
         <body>\n<main>\n{head}{contents}{rest}</main>\n</body>\n</html>\n",
        lang = language.as_str(),
        title = escape::html(title),
    )
}

/// What would do something else than be read becomes text.
fn tame(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::HtmlBlock) => Event::Start(Tag::Paragraph),
        Event::End(TagEnd::HtmlBlock) => Event::End(TagEnd::Paragraph),
        Event::Start(Tag::Image { .. }) => Event::Start(Tag::Emphasis),
        Event::End(TagEnd::Image) => Event::End(TagEnd::Emphasis),
        Event::Start(Tag::Link {
            link_type,
            dest_url,
            title,
            id,
        }) => Event::Start(Tag::Link {
            link_type,
            dest_url: destination(dest_url),
            title,
            id,
        }),
        other => other,
    }
}

/// A document beside is another page.
fn destination(address: CowStr<'_>) -> CowStr<'_> {
    if !leads_on(&address) {
        return CowStr::Borrowed("#");
    }
    match address.strip_suffix(".md") {
        Some(stem) if !stem.contains([':', '/']) => format!("{stem}.html").into(),
        _ => address,
    }
}

pub(super) fn leads_on(address: &str) -> bool {
    ["https://", "http://", "mailto:", "#"]
        .iter()
        .any(|start| address.starts_with(start))
        || (!address.contains(':') && !address.starts_with('/') && !address.starts_with('\\'))
}

/// The longest code that is kept on one line, in characters: a unit, a name.
const WHOLE: usize = 24;

/// A table may be wider than the page: it scrolls by itself. Short code is not broken.
fn scroll(event: Event<'_>) -> impl Iterator<Item = Event<'_>> {
    let event = match event {
        Event::Code(text) if text.chars().count() <= WHOLE => {
            let text = escape::html(&text);
            Event::InlineHtml(format!("<code class=\"whole\">{text}</code>").into())
        }
        other => other,
    };
    let (before, after) = match &event {
        Event::Start(Tag::Table(_)) => (Some("<div class=\"table\">\n"), None),
        Event::End(TagEnd::Table) => (None, Some("</div>\n")),
        _ => (None, None),
    };
    let html = |text: &'static str| Event::Html(CowStr::Borrowed(text));
    before
        .map(html)
        .into_iter()
        .chain(std::iter::once(event))
        .chain(after.map(html))
}

/// Gives every heading an id, and the second level as (id, text).
fn name_headings(events: &mut [Event<'_>]) -> Vec<(String, String)> {
    let mut taken = BTreeSet::new();
    let mut sections = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for i in 0..events.len() {
        match &events[i] {
            Event::Start(Tag::Heading { .. }) => open = Some((i, String::new())),
            Event::Text(text) | Event::Code(text) => {
                if let Some((_, heading)) = &mut open {
                    heading.push_str(text);
                }
            }
            Event::End(TagEnd::Heading(level)) => {
                let level = *level as usize;
                if let Some((start, text)) = open.take() {
                    let mut id = slug(&text);
                    while !taken.insert(id.clone()) {
                        id.push('-');
                    }
                    if let Event::Start(Tag::Heading { id: place, .. }) = &mut events[start] {
                        *place = Some(id.clone().into());
                    }
                    if level == 2 {
                        sections.push((id, text));
                    }
                }
            }
            _ => {}
        }
    }
    sections
}

/// Letters and digits of the heading, the rest as `-`.
fn slug(text: &str) -> String {
    let mut out = String::from("s-");
    for c in text.chars().flat_map(char::to_lowercase) {
        if c.is_alphanumeric() {
            out.push(c);
        } else if !out.ends_with('-') {
            out.push('-');
        }
    }
    out.trim_end_matches('-').to_owned()
}

fn contents(sections: &[(String, String)], language: Language) -> String {
    if sections.len() < CONTENTS_FROM {
        return String::new();
    }
    let label = match language {
        Language::Fr => "Sommaire",
        Language::En => "Contents",
    };
    let mut out = format!("\n<nav aria-label=\"{label}\">\n<ul>\n");
    for (id, text) in sections {
        out.push_str("<li><a href=\"#");
        out.push_str(&escape::html(id));
        out.push_str("\">");
        out.push_str(&escape::html(text));
        out.push_str("</a></li>\n");
    }
    out.push_str("</ul>\n</nav>");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_html_and_images_and_strange_links_are_only_shown() {
        let page = page(
            "# T\n\n<script>alert(1)</script>\n\nx <img src=http://x onerror=a> y\n\n![i](http://x/y.png)\n\n[a](javascript:alert(1)) [b](https://example.org) [c](file:///etc/passwd) [d](//evil)\n",
            "</title><script>",
            Language::Fr,
        );
        assert!(!page.contains("<script"), "{page}");
        assert!(!page.contains("<img"), "{page}");
        assert!(!page.contains("javascript:"), "{page}");
        assert!(!page.contains("file:"), "{page}");
        assert!(!page.contains("//evil"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
        assert!(
            page.contains("<a href=\"https://example.org\">b</a>"),
            "{page}"
        );
        assert!(page.contains("<html lang=\"fr\">"), "{page}");
        assert!(
            page.contains("<title>&lt;/title&gt;&lt;script&gt;</title>"),
            "{page}"
        );
    }

    #[test]
    fn headings_have_ids_of_their_own_and_a_long_page_has_contents() {
        let text = "# T\n\n## Où ?\n\n## Où !\n\n## `a` & b\n\n## 4\n";
        let page = page(text, "T", Language::Fr);
        for id in ["\"s-où\"", "\"s-où-\"", "\"s-a-b\"", "\"s-4\""] {
            assert!(page.contains(&format!("id={id}")), "{id} in {page}");
        }
        assert!(page.contains("<nav aria-label=\"Sommaire\">"), "{page}");
        assert!(page.contains("</h1>\n<nav"), "{page}");
        let short = super::page("# T\n\n## a\n", "T", Language::En);
        assert!(!short.contains("<nav"), "{short}");
    }
}
