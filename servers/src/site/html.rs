//! The HTML of a page: title, links in several forms, and decoys of both.
//!
//! Pure text. Comments and scripts contain fake links, and pictures have titles of their own: a client that
//! matches patterns instead of parsing pages is caught. The set of pages is decided in `plan.rs`.

/// Placeholder in pages for the address under which the site was requested.
pub(super) const ORIGIN: &str = "http://origin.invalid";

/// A link to a path of the site, in one of several forms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Link {
    /// `http://host:port/pages/3`
    Absolute(String),
    /// `../pages/3`
    Relative(String),
    /// `/pages/3`
    Rooted(String),
    /// `/pages/3#part`
    WithFragment(String),
}

impl Link {
    /// The form used in the page at `from`.
    fn href(&self, from: &str) -> String {
        match self {
            Link::Absolute(to) => format!("{ORIGIN}{to}"),
            Link::Relative(to) => relative(from, to),
            Link::Rooted(to) => to.clone(),
            Link::WithFragment(to) => format!("{to}#part"),
        }
    }
}

/// The relative path from the directory of `from` up to the root and down to `to`.
fn relative(from: &str, to: &str) -> String {
    let path = from.split('?').next().unwrap_or(from);
    let depth = path.matches('/').count() - 1;
    let up = match depth {
        0 => "./".to_owned(),
        _ => "../".repeat(depth),
    };
    format!("{up}{}", to.trim_start_matches('/'))
}

/// The whole page at `path`.
pub(super) fn page_html(path: &str, title: Option<&str>, links: &[Link]) -> String {
    let title = title.map_or_else(String::new, |title| {
        format!("<title>\n  {}\n</title>\n", escape(title))
    });
    let items: String = links
        .iter()
        .map(|link| link.href(path))
        .map(|url| format!("<li><a href=\"{}\">{}</a>\n", escape(&url), escape(&url)))
        .collect();
    format!(
        "<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<!-- <title>A comment</title> -->\n{title}\
         <script>var link = '<a href=\"/scripted\">no link</a>';</script>\n\
         <body>\n<svg width=8 height=8><title>A picture</title><circle r=4 /></svg>\n\
         <!-- <a href=\"/commented-out\">no link</a> -->\n\
         <p><a name=part>No link</a>, <a href=\"#part\">this page</a>, <a href='mailto:nobody@example.invalid'>mail</a>, \
         <a HREF=http://elsewhere.invalid/>another site</a>.\n\
         <ul>\n{items}</ul>\n</body>\n</html>\n"
    )
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // A numeric reference, which clients must decode as well.
            '\u{2014}' => escaped.push_str("&#x2014;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_link_climbs_to_the_root() {
        assert_eq!(relative("/", "/pages/3"), "./pages/3");
        assert_eq!(relative("/pages/1", "/pages/3"), "../pages/3");
        assert_eq!(relative("/notes/3/", "/"), "../../");
        assert_eq!(relative("/pages/17?to=/a/b", "/x"), "../x");
    }

    #[test]
    fn titles_are_escaped_and_optional() {
        let html = page_html("/", Some("a < b & c"), &[]);
        assert!(
            html.contains("<title>\n  a &lt; b &amp; c\n</title>"),
            "{html}"
        );
        let html = page_html("/", None, &[Link::Rooted("/pages/3".to_owned())]);
        assert_eq!(
            html.matches("<title>").count(),
            2,
            "those of the comment and the svg"
        );
        assert!(html.contains("<a href=\"/pages/3\">"), "{html}");
    }
}
