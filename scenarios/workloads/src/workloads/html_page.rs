//! The title and the links of an HTML page.
//!
//! The tokenizer is html5gum's, which follows the WHATWG standard, so that comments, scripts and entities are read as a
//! browser reads them. Title and links need no tree, except that a picture's own title is not the page's.

use html5gum::{DefaultEmitter, StartTag, Token, Tokenizer};
use url::Url;

/// The contents of one page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HtmlPage {
    /// The text of the first title, entities decoded, white space as in `document.title`; `None` if there is none.
    pub(super) title: Option<String>,
    /// The targets of its links, as written.
    links: Vec<String>,
    /// The page's own base for relative links.
    base: Option<String>,
}

/// Maximum number of bytes read of a page: a tag full of attributes takes more than thirty times its length in memory.
const LONGEST_HTML: usize = 2 << 20;

/// Maximum number of letters of a title.
const LONGEST_TITLE: usize = 1_000;

/// Stands for the title of a page without one.
pub(super) const NO_TITLE: &str = "no title";

impl HtmlPage {
    /// Reads the first [`LONGEST_HTML`] bytes of a page; any bytes are valid input.
    pub(super) fn read(html: &[u8]) -> Self {
        let html = &html[..html.len().min(LONGEST_HTML)];
        let mut emitter = DefaultEmitter::default();
        // Into the text of scripts, styles and titles, where `<` begins no tag.
        emitter.naively_switch_states(true);
        let mut reading = Reading::default();
        for Ok(token) in Tokenizer::new_with_emitter(html, emitter) {
            reading.take(token);
        }
        // An element that is never closed includes everything after it.
        reading.end_title();
        reading.page
    }

    /// The title for display: that of the page, or a note that it has none.
    pub(super) fn title_or_none(&self) -> &str {
        self.title.as_deref().unwrap_or(NO_TITLE)
    }

    /// The targets of the links of a page at `address`; invalid URLs are left out, as browsers do.
    pub(super) fn links_from(&self, address: &Url) -> impl Iterator<Item = Url> {
        let base = self.base.as_ref().and_then(|base| address.join(base).ok());
        let base = base.unwrap_or_else(|| address.clone());
        self.links
            .iter()
            .filter_map(move |link| base.join(link).ok())
    }
}

#[derive(Default)]
struct Reading {
    page: HtmlPage,
    /// The title so far, while within one.
    title: Option<String>,
    /// Depth of nested pictures.
    pictures: u32,
}

impl Reading {
    fn take(&mut self, token: Token) {
        match token {
            Token::StartTag(tag) => self.start(&tag),
            Token::EndTag(tag) if &**tag.name == b"svg" => {
                self.pictures = self.pictures.saturating_sub(1);
            }
            Token::EndTag(tag) if &**tag.name == b"title" => self.end_title(),
            Token::String(text) => {
                if let Some(title) = &mut self.title {
                    title.push_str(&String::from_utf8_lossy(&text));
                }
            }
            _ => {}
        }
    }

    fn start(&mut self, tag: &StartTag<()>) {
        let attribute = |name: &[u8]| {
            let value = tag.attributes.get(name)?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        match &**tag.name {
            b"svg" if !tag.self_closing => self.pictures += 1,
            b"title" if self.pictures == 0 && self.page.title.is_none() => {
                self.title = Some(String::new());
            }
            b"a" | b"area" => self.page.links.extend(attribute(b"href")),
            b"base" if self.page.base.is_none() => self.page.base = attribute(b"href"),
            _ => {}
        }
    }

    fn end_title(&mut self) {
        if let Some(title) = self.title.take() {
            let words: Vec<&str> = title.split_ascii_whitespace().collect();
            self.page.title = Some(words.join(" ").chars().take(LONGEST_TITLE).collect());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn title(html: &str) -> Option<String> {
        HtmlPage::read(html.as_bytes()).title
    }

    #[test]
    fn a_title_is_read_as_a_browser_reads_it() {
        let some = |title: &str| Some(title.to_owned());
        assert_eq!(title("<title>Plain</title>"), some("Plain"));
        assert_eq!(
            title("<TITLE lang=en>\n  A &lt;b&gt; &amp; c&#x2014;d \n</TITLE>"),
            some("A <b> & c\u{2014}d")
        );
        assert_eq!(
            title("<title>A <b>tag</b> within</title>"),
            some("A <b>tag</b> within")
        );
        assert_eq!(
            title("<title>First</title><title>Second</title>"),
            some("First")
        );
        assert_eq!(title("<title></title>"), some(""));
        assert_eq!(title("<title>Never <b>closed"), some("Never <b>closed"));
    }

    /// Goal: the memory that a page takes is bounded. Method: a title after the end of what is read, and a long one.
    #[test]
    fn an_endless_page_is_read_in_part() {
        let late = format!("<p{}><title>Late</title>", " a".repeat(LONGEST_HTML / 2));
        assert_eq!(title(&late), None);
        let long = title(&format!("<title>{}</title>", "ü".repeat(2 * LONGEST_TITLE)));
        assert_eq!(long.map(|title| title.chars().count()), Some(LONGEST_TITLE));
    }

    #[test]
    fn lookalikes_of_titles_are_ignored() {
        for html in [
            "<p>No title</p>",
            "<!-- <title>A comment</title> -->",
            "<script>'<title>A script</title>'</script>",
            "<svg><title>A picture</title></svg>",
            "<svg><g><svg><title>x</title></svg><title>A picture</title></g></svg>",
            "",
        ] {
            assert_eq!(title(html), None, "{html}");
            assert_eq!(HtmlPage::read(html.as_bytes()).title_or_none(), NO_TITLE);
        }
        let after = "<svg><title>A picture</title></svg><title>A page</title>";
        assert_eq!(title(after).as_deref(), Some("A page"));
    }

    #[test]
    fn links_are_resolved_against_the_page_or_its_base() {
        let html = "<a href='../b?x=1&amp;y=2'>b</a><A HREF=c>c</A><a name=x>none</a><area href=/d><!-- <a href=no> -->\
                    <script>'<a href=no>'</script><a href='http://'>broken</a><a href=mailto:x@y>mail</a>";
        let address = Url::parse("http://h/dir/page").expect("a URL");
        let found = |html: &str| {
            let page = HtmlPage::read(html.as_bytes());
            page.links_from(&address)
                .map(String::from)
                .collect::<Vec<_>>()
        };
        let expected = [
            "http://h/b?x=1&y=2",
            "http://h/dir/c",
            "http://h/d",
            "mailto:x@y",
        ];
        assert_eq!(found(html), expected);
        assert_eq!(
            found("<base href=/other/><a href=e>e</a>"),
            ["http://h/other/e"]
        );
    }
}
