//! The rules of a site's robots.txt (RFC 9309).
//!
//! The crate `robotxt` reads and matches the rules. Two habits of sites are normalised first: a version after the name
//! of a crawler, as in `photofinish/1.0`, and a delay among the names of a group, which must not end it.

use url::{Position, Url};

/// The product token of the crawler in robots.txt.
pub(super) const AGENT: &str = "photofinish";

/// The rules that apply to this crawler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Robots(robotxt::Robots);

impl Robots {
    /// There are no rules.
    pub(super) fn everything() -> Self {
        Self(robotxt::Robots::allow_all())
    }

    /// The rules are unavailable, so nothing may be assumed.
    pub(super) fn nothing() -> Self {
        Self(robotxt::Robots::disallow_all())
    }

    /// The rules in a response to a request for /robots.txt (section 2.3.1).
    pub(super) fn answered(status: u16, body: &[u8]) -> Self {
        match status {
            200..=299 => Self(robotxt::Robots::parse(&plain(body), AGENT)),
            400..=499 => Self::everything(),
            _ => Self::nothing(),
        }
    }

    /// True if `address` may be requested.
    pub(super) fn allow(&self, address: &Url) -> bool {
        let path = &address[Position::BeforePath..Position::AfterQuery];
        self.0.is_allowed(path) && coded(path).is_none_or(|path| self.0.is_allowed(&path))
    }
}

/// `path` with stars and dollar signs percent-encoded, as rules may write them (section 2.2.3); `None` if it has none.
fn coded(path: &str) -> Option<String> {
    path.contains(['*', '$'])
        .then(|| path.replace('*', "%2A").replace('$', "%24"))
}

/// Normalises every line.
fn plain(body: &[u8]) -> Vec<u8> {
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    let lines = body.split(|byte| matches!(byte, b'\n' | b'\r'));
    let lines: Vec<&[u8]> = lines.filter_map(plain_line).collect();
    lines.join(&b'\n')
}

/// A name without what follows it; `None` for a delay.
fn plain_line(line: &[u8]) -> Option<&[u8]> {
    let starts_with = |word: &[u8]| {
        let start = line.trim_ascii_start().get(..word.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(word))
    };
    if starts_with(b"crawl") {
        return None;
    }
    let Some(colon) = line.iter().position(|byte| *byte == b':') else {
        return Some(line);
    };
    let value = line[colon + 1..].trim_ascii_start();
    let is_of_token = |byte: &&u8| byte.is_ascii_alphabetic() || matches!(byte, b'-' | b'_');
    match value.iter().take_while(is_of_token).count() {
        token if token > 0 && starts_with(b"user") => {
            Some(&line[..line.len() - value.len() + token])
        }
        _ => Some(line),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows_after(status: u16, rules: &str, path: &str) -> bool {
        let address = Url::parse(&format!("http://site.test{path}")).expect("a URL");
        Robots::answered(status, rules.as_bytes()).allow(&address)
    }

    fn allows(rules: &str, path: &str) -> bool {
        allows_after(200, rules, path)
    }

    #[track_caller]
    fn check(rules: &str, paths: &[(&str, bool)]) {
        for (path, allowed) in paths {
            assert_eq!(allows(rules, path), *allowed, "{path}");
        }
    }

    #[test]
    fn the_longest_rule_wins_and_allow_breaks_ties() {
        let rules =
            "User-agent: *\nDisallow: /a\nAllow: /a/b\nDisallow: /a/b/c\nDisallow: /x\nAllow: /x\n";
        let paths = [
            ("/", true),
            ("/a", false),
            ("/a/z", false),
            ("/a/b", true),
            ("/a/b/c/d", false),
            ("/x", true),
        ];
        check(rules, &paths);
        let reversed = "User-agent: *\nAllow: /a/b\nDisallow: /a\n";
        assert!(
            allows(reversed, "/a/b/1") && !allows(reversed, "/a/1"),
            "whatever the order"
        );
    }

    #[test]
    fn rules_for_all_agents_apply_only_without_a_group_for_this_one() {
        let rules = "User-agent: other\nDisallow: /\n\nUser-agent: *\nDisallow: /b\n";
        assert!(allows(rules, "/a") && !allows(rules, "/b"));
        let own = "User-agent: *\nDisallow: /\n\nUser-agent: other\nUser-agent: PhotoFinish\nDisallow: /b # comment\n\n\
                   User-agent: photofinish\nDisallow: /c\n";
        assert!(allows(own, "/a") && !allows(own, "/b") && !allows(own, "/c"));
    }

    #[test]
    fn wildcards_ends_queries_and_marks_are_understood() {
        let rules =
            "\u{feff}user-agent:*\r\ndisallow: /*.pdf$\r\nDisallow: /*?session=\r\nDisallow:\r\n";
        let paths = [
            ("/a.pdf", false),
            ("/a.pdf?x", true),
            ("/a?session=1", false),
            ("/a?x=1", true),
        ];
        check(rules, &paths);
        assert!(
            !allows("User-agent: *\nDisallow: /caf\u{e9}\n", "/caf\u{e9}/1"),
            "percent-encoded or not"
        );
    }

    /// The first place at which a piece of a pattern fits need not be the one at which the rest fits.
    #[test]
    fn a_wildcard_is_tried_at_every_place() {
        for (pattern, path) in [
            ("/*.php$", "/p.php/q/p.php"),
            ("/*/b", "/t~/(z)/b"),
            ("/*/*/c", "/a/b/a/c"),
            ("*aab", "/aaab"),
            ("/a*a$", "/aXaYa"),
            ("/*****b", "/aab"),
        ] {
            let rules = format!("User-agent: *\nDisallow: {pattern}\n");
            assert!(!allows(&rules, path), "{pattern} {path}");
            assert!(allows(&rules, "/other"), "{pattern}");
        }
        assert!(allows("User-agent: *\nDisallow: /a*a$\n", "/a"));
    }

    /// The tables of RFC 9309, sections 2.2.2 and 2.2.3.
    #[test]
    fn an_address_is_the_same_however_its_octets_are_written() {
        for (rule, address) in [
            ("/foo/bar?baz=quz", "/foo/bar?baz=quz"),
            (
                "/foo/bar?baz=https://foo.bar",
                "/foo/bar?baz=https://foo.bar",
            ),
            ("/foo/bar/\u{30c4}", "/foo/bar/%E3%83%84"),
            ("/foo/bar/%E3%83%84", "/foo/bar/%e3%83%84"),
            ("/foo/bar/%62%61%7A", "/foo/bar/baz"),
            ("/foo/bar/baz", "/foo/bar/%62%61%7A"),
            ("/path/file-with-a-%2A.html", "/path/file-with-a-*.html"),
            ("/path/foo-%24", "/path/foo-$"),
            ("/path/a$b", "/path/a$b"),
        ] {
            let rules = format!("User-agent: *\nDisallow: {rule}\n");
            assert!(!allows(&rules, address), "{rule} {address}");
        }
    }

    #[test]
    fn versions_are_ignored_and_only_a_rule_ends_a_group_of_agents() {
        for names in [
            "User-agent: photofinish/1.0 (bench)",
            "user agent : Photofinish\t# ours",
            "User-agent: photofinish\nCrawl-delay: 1\nUser-agent: other",
            "User-agent: photofinish\nSitemap: http://site.test/s.xml\nUser-agent: other",
            "User-agent: photofinish\nHost: site.test\n\nUser-agent: other",
            "\u{feff}User-agent: photofinish/2",
        ] {
            let rules = format!("{names}\nDisallow: /a\n\nUser-agent: *\nAllow: /\n");
            assert!(!allows(&rules, "/a"), "{names}");
        }
        let other = "User-agent: photo\nUser-agent: photofinisher\nDisallow: /\n";
        assert!(allows(other, "/a"));
    }

    #[test]
    fn hostile_robots_txt_is_survived() {
        for rules in [
            "\u{e9}".repeat(40_000),
            "a:".repeat(9_000) + "\n\u{2014}",
            "User-agent: *\nDisallow: /%".to_owned(),
        ] {
            assert!(allows(&rules, "/a"), "{}", &rules[..12]);
        }
    }

    #[test]
    fn no_rules_allow_everything_and_unreadable_rules_nothing() {
        assert!(allows_after(404, "User-agent: *\nDisallow: /", "/a"));
        assert!(!allows_after(503, "", "/a"));
        assert!(allows_after(200, "", "/a"));
    }
}
