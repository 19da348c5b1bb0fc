//! Whether a page is one that we could have written. Pages lie beside the data, a package or a disk of somebody else brings them
//! along, and the web interface shows them to administrators within its own page: what could act there is not shown.

/// The elements that our pages have in their `<main>`, as pulldown-cmark writes them.
const ELEMENTS: [&str; 32] = [
    "a",
    "blockquote",
    "br",
    "code",
    "dd",
    "del",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "li",
    "nav",
    "ol",
    "p",
    "pre",
    "span",
    "strong",
    "sup",
    "table",
    "tbody",
    "td",
    "th",
    "thead",
    "tr",
    "ul",
];
/// What is written into `style`.
const STYLES: [&str; 3] = [
    "text-align: center",
    "text-align: left",
    "text-align: right",
];

/// What a page begins with. Anything else is shown as the text that it is.
const START: &str = "<!DOCTYPE html>";

/// True where nothing between `<main>` and `</main>` acts by itself, or leads to what acts. What lies around it is not shown.
pub fn is_tame(page: &str) -> bool {
    if !page.starts_with(START) {
        return true;
    }
    let (Some(begin), Some(end)) = (page.find("<main>"), page.rfind("</main>")) else {
        return true;
    };
    let mut rest = page.get(begin + "<main>".len()..end).unwrap_or_default();
    while let Some(at) = rest.find('<') {
        let tag = rest.get(at + 1..).unwrap_or_default();
        let Some((tag, after)) = tag.split_once('>') else {
            return false;
        };
        if tag.contains('<') || !is_known(tag) {
            return false;
        }
        rest = after;
    }
    true
}

/// `p`, `/p`, `hr /`, `a href="…"`.
fn is_known(tag: &str) -> bool {
    if let Some(name) = tag.strip_prefix('/') {
        return ELEMENTS.contains(&name);
    }
    let tag = tag.strip_suffix(" /").unwrap_or(tag);
    let (name, mut rest) = tag.split_once(' ').unwrap_or((tag, ""));
    if !ELEMENTS.contains(&name) {
        return false;
    }
    while !rest.is_empty() {
        let Some((attribute, value)) = rest.split_once("=\"") else {
            return false;
        };
        let Some((value, after)) = value.split_once('"') else {
            return false;
        };
        if !is_harmless(attribute, value) {
            return false;
        }
        rest = match after.strip_prefix(' ') {
            Some(more) => more,
            None if after.is_empty() => after,
            None => return false,
        };
    }
    true
}

fn is_harmless(attribute: &str, value: &str) -> bool {
    match attribute {
        // None that could be taken for an attribute by whoever looks less closely.
        "aria-label" | "class" | "id" | "start" | "title" => !value.contains('='),
        "style" => STYLES.contains(&value),
        "href" => {
            // Written in another way, a colon is one all the same.
            let plain = value.replace("&amp;", "").replace("&#x27;", "");
            !plain.contains('&')
                && !value.contains(char::is_whitespace)
                && super::html::leads_on(value)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::documents::html;
    use crate::experiment::Language;

    #[test]
    fn what_we_write_is_tame_whatever_somebody_wrote_into_it() {
        let markdown = "# T <img src=x onerror=alert(1)>\n\n## A & b\n\n1. x\n2. y\n\n4. z\n\n- *e* **s** `c` `a longer piece of code than a line`\n\n\
             ```sh\nls <x>\n```\n\n| a | b |\n|--:|:-:|\n| 1 | [l](https://example.org/?a=1&b='2') |\n\n> q[^1]\n\n[^1]: note\n\n\
             [j](javascript:alert(1)) [m](mailto:a@b.org) [f](ACCESS.en.md) ![i](x.png)\n\n---\n\n<script>alert(1)</script>\n\na  \nb\n";
        let page = html::page(markdown, "T", Language::En);
        assert!(is_tame(&page), "{page}");
    }

    #[test]
    fn what_acts_is_not_tame() {
        for wild in [
            "<script>alert(1)</script>",
            "<img src=\"x\" onerror=\"alert(1)\">",
            "<p onclick=\"alert(1)\">",
            "<P>",
            "<a href=\"javascript:alert(1)\">",
            "<a href=\"javascript&colon;alert(1)\">",
            "<a href=\"java&#115;cript:alert(1)\">",
            "<a href='x'>",
            "<a href=\"x\"onclick=\"y\">",
            "<a\nhref=\"x\">",
            "<div style=\"background: url(x)\">",
            "<style>",
            "<svg/onload=alert(1)>",
            "<!-- ",
            "<iframe src=\"x\">",
            "<main>",
            "<p title=\"<nav\">",
            "<p title=\" href=\">",
            "<a href=\"java\tscript\">",
            "<",
        ] {
            let main = format!("<main><p>x</p>{wild}</main>");
            assert!(!is_tame(&format!("{START}\n{main}")), "{wild}");
            assert!(is_tame(&format!("# A title\n\n{main}")), "{wild}");
        }
        assert!(is_tame(&format!("{START}<script>alert(1)</script>")));
        // As the web interface cuts it: from the first to the last.
        let page = format!("{START}<main></main><script>x</script></main>");
        assert!(!is_tame(&page));
    }
}
