//! The site itself: the content of each path, drawn from a seed, and nothing else.
//!
//! Pure: a seed and a number of pages in, paths and their contents out. Every allowed page can be reached from the root
//! along allowed links, some of them only through a redirect. Everything that misleads a careless crawler is there too:
//! cycles, relative and absolute links, broken links, links in comments and scripts, pages that robots.txt disallows,
//! and redirects to them. `html.rs` writes the HTML; `answers.rs` decides how and when it is sent.

use std::collections::BTreeMap;

use super::html::{Link, page_html};

/// The site's robots.txt. Precedence matters (`/private/open/` is allowed by the longer rule), and so does the group:
/// the first one disallows everything, but for another agent.
pub(super) const ROBOTS: &str = "\
# Rules of the mock site. The last group is for everybody else.
User-agent: hasty-bot  # not welcome
Disallow: /

User-agent: *
Disallow: /private/      # nobody's business
Allow: /private/open/    # but this is
Disallow: /*.print$
Disallow:                # an empty rule disallows nothing
Sitemap: /sitemap.xml
";

/// Documents that are not pages, with their sizes in bytes.
pub(super) const DOCUMENTS: [(&str, usize); 3] = [
    ("/documents/1.bin", 4 << 10),
    ("/documents/2.bin", 64 << 10),
    ("/documents/3.bin", 256 << 10),
];

/// The resource at one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Served {
    /// A page of HTML.
    Page(Page),
    /// A redirect to another path.
    Redirect { status: u16, to: String },
    /// Bytes without a title.
    Document(Vec<u8>),
}

/// A page, and how it is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Page {
    /// Its title, as a reader sees it.
    pub(super) title: Option<String>,
    /// True if robots.txt allows it.
    pub(super) allowed: bool,
    pub(super) serving: Serving,
    /// Contains [`super::html::ORIGIN`] in place of the site's own address.
    pub(super) html: String,
}

/// Ways of serving a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Serving {
    AtOnce,
    /// After the delay of the behaviour.
    Slowly,
    /// With 503 to each client's first request.
    FailingOnce,
}

/// A whole site by path; any other path is answered with 404.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Site {
    pub(super) served: BTreeMap<String, Served>,
}

impl Site {
    /// The site for this seed, with `pages` allowed pages.
    pub(super) fn draw(seed: u64, pages: u32) -> Self {
        Drawing::new(seed, pages).site()
    }
}

/// A page before its HTML is written.
#[derive(Debug)]
struct PageDraft {
    path: String,
    title: Option<String>,
    allowed: bool,
    serving: Serving,
    links: Vec<Link>,
}

/// Links on the root page, enough for a crawler to have concurrent work early on.
const LINKS_OF_ROOT: u32 = 12;
/// Links of each page beyond those that make it reachable.
const OTHER_LINKS: u64 = 3;

struct Drawing {
    draws: Draws,
    allowed: u32,
    sketches: Vec<PageDraft>,
    served: BTreeMap<String, Served>,
}

impl Drawing {
    fn new(seed: u64, pages: u32) -> Self {
        Drawing {
            draws: Draws::new(seed),
            allowed: pages,
            sketches: Vec::new(),
            served: BTreeMap::new(),
        }
    }

    fn site(mut self) -> Site {
        self.sketch_allowed();
        self.link_each_to_an_earlier_one();
        self.link_across();
        self.add_disallowed();
        self.add_broken_links();
        self.add_documents();
        for sketch in &self.sketches {
            let html = page_html(&sketch.path, sketch.title.as_deref(), &sketch.links);
            let page = Page {
                title: sketch.title.clone(),
                allowed: sketch.allowed,
                serving: sketch.serving,
                html,
            };
            self.served.insert(sketch.path.clone(), Served::Page(page));
        }
        Site {
            served: self.served,
        }
    }

    fn sketch_allowed(&mut self) {
        for number in 0..self.allowed {
            let path = match number % 20 {
                _ if number == 0 => "/".to_owned(),
                3 => format!("/notes/{number}/"),
                13 => format!("/private/open/{number}"),
                17 => format!("/pages/{number}?view=full"),
                _ => format!("/pages/{number}"),
            };
            let serving = match number {
                1 => Serving::Slowly,
                2 => Serving::FailingOnce,
                _ => Serving::AtOnce,
            };
            self.sketches.push(PageDraft {
                path,
                title: title(number),
                allowed: true,
                serving,
                links: Vec::new(),
            });
        }
    }

    /// Makes each page reachable, one in ten only through a redirect.
    fn link_each_to_an_earlier_one(&mut self) {
        for number in 1..self.allowed {
            let parent = match number {
                ..=LINKS_OF_ROOT => 0,
                _ => self.draws.below(u64::from(number)) as usize,
            };
            let mut to = self.sketches[number as usize].path.clone();
            if number % 10 == 9 {
                to = self.redirect(format!("/moved/{number}"), to);
            }
            self.link(parent, to);
        }
    }

    /// Links between random pages, so that there are cycles and pages reached more than once.
    fn link_across(&mut self) {
        for from in 0..self.sketches.len() {
            for _ in 0..OTHER_LINKS {
                let to = self.any_page();
                let to = self.sketches[to].path.clone();
                self.link(from, to);
            }
        }
    }

    /// Adds pages that robots.txt disallows, linked like all others, one of them through a redirect as well.
    fn add_disallowed(&mut self) {
        for number in 0..self.allowed / 20 + 2 {
            let path = match number % 2 {
                0 => format!("/private/{number}"),
                _ => format!("/pages/{number}.print"),
            };
            let (from, to) = (self.any_page(), self.any_page());
            let links = vec![self.draws.form(self.sketches[to].path.clone())];
            self.link(from, path.clone());
            if number == 0 {
                let redirect = self.redirect("/moved/private".to_owned(), path.clone());
                self.link(0, redirect);
            }
            self.sketches.push(PageDraft {
                path,
                title: Some(format!("Not for robots {number}")),
                allowed: false,
                serving: Serving::AtOnce,
                links,
            });
        }
    }

    fn add_broken_links(&mut self) {
        for number in 0..self.allowed / 25 + 1 {
            let from = self.any_page();
            self.link(from, format!("/missing/{number}"));
        }
    }

    fn add_documents(&mut self) {
        for (path, length_bytes) in DOCUMENTS {
            self.link(0, path.to_owned());
            let bytes = (0..length_bytes).map(|_| self.draws.next() as u8).collect();
            self.served.insert(path.to_owned(), Served::Document(bytes));
        }
    }

    /// A random allowed page.
    fn any_page(&mut self) -> usize {
        self.draws.below(u64::from(self.allowed)) as usize
    }

    fn link(&mut self, from: usize, to: String) {
        let link = self.draws.form(to);
        self.sketches[from].links.push(link);
    }

    /// Adds a redirect at `path`; returns the path.
    fn redirect(&mut self, path: String, to: String) -> String {
        let status = [301, 302][self.draws.below(2) as usize];
        self.served
            .insert(path.clone(), Served::Redirect { status, to });
        path
    }
}

/// One page in nine has no title; others have characters that HTML writes as entities.
fn title(number: u32) -> Option<String> {
    match number % 9 {
        5 => None,
        7 => Some(format!(
            "Page {number}: <b> & \"entities\" \u{2014} caf\u{e9}"
        )),
        _ => Some(format!("Page {number}")),
    }
}

/// SplitMix64 (Steele, Lea and Flood, 2014) from a seed: the site is drawn once and in one order.
struct Draws(u64);

impl Draws {
    fn new(seed: u64) -> Self {
        Draws(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// A link to `to` in a random notation.
    fn form(&mut self, to: String) -> Link {
        match self.below(4) {
            0 => Link::Absolute(to),
            1 => Link::Relative(to),
            2 => Link::WithFragment(to),
            _ => Link::Rooted(to),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::html::ORIGIN;
    use super::*;

    /// The paths in a page's list of links.
    fn linked(html: &str) -> impl Iterator<Item = String> {
        let written = html.split("<li><a href=\"").skip(1);
        written.map(|rest| {
            let link = rest
                .split('"')
                .next()
                .expect("an end")
                .replace("&amp;", "&");
            let link = link.trim_start_matches(ORIGIN);
            let path = link
                .trim_end_matches("#part")
                .trim_start_matches(['.', '/']);
            format!("/{path}")
        })
    }

    /// Paths reachable from the root by following every link and redirect without entering a disallowed page.
    fn reachable(site: &Site) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut waiting = vec!["/".to_owned()];
        while let Some(path) = waiting.pop() {
            if !found.insert(path.clone()) {
                continue;
            }
            match site.served.get(&path) {
                Some(Served::Page(page)) if page.allowed => waiting.extend(linked(&page.html)),
                Some(Served::Redirect { to, .. }) => waiting.push(to.clone()),
                _ => {}
            }
        }
        found
    }

    fn pages(site: &Site, allowed: bool) -> Vec<&String> {
        let is = |served: &Served| matches!(served, Served::Page(page) if page.allowed == allowed);
        let entries = site.served.iter();
        entries
            .filter(|(_, served)| is(served))
            .map(|(path, _)| path)
            .collect()
    }

    #[test]
    fn a_site_has_the_requested_number_of_reachable_pages() {
        for (seed, count) in [(1, 200), (2, 200), (1, 20), (7, 3), (7, 1)] {
            let site = Site::draw(seed, count);
            let allowed = pages(&site, true);
            assert_eq!(allowed.len(), count as usize, "seed {seed}");
            let reachable = reachable(&site);
            for path in allowed.into_iter().chain(pages(&site, false)) {
                assert!(reachable.contains(path), "{path} of seed {seed}");
            }
        }
    }

    #[test]
    fn a_site_has_every_trap_for_a_careless_crawler() {
        let site = Site::draw(1, 200);
        let has = |what: fn(&Served) -> bool| site.served.values().any(what);
        assert!(has(|served| matches!(
            served,
            Served::Redirect { status: 301, .. }
        )));
        assert!(has(|served| matches!(
            served,
            Served::Redirect { status: 302, .. }
        )));
        for serving in [Serving::Slowly, Serving::FailingOnce] {
            let so =
                |served: &&Served| matches!(served, Served::Page(page) if page.serving == serving);
            assert_eq!(site.served.values().filter(so).count(), 1, "{serving:?}");
        }
        assert!(has(
            |served| matches!(served, Served::Page(page) if page.title.is_none())
        ));
        let disallowed = pages(&site, false);
        assert!(disallowed.iter().any(|path| path.starts_with("/private/")));
        assert!(disallowed.iter().any(|path| path.ends_with(".print")));
        let allowed = pages(&site, true);
        assert!(
            allowed
                .iter()
                .any(|path| path.starts_with("/private/open/"))
        );
        let written = |text: &str| {
            let so =
                |served: &Served| matches!(served, Served::Page(page) if page.html.contains(text));
            site.served.values().any(so)
        };
        for text in ["href=\"../", "missing/", "#part", ORIGIN] {
            assert!(written(text), "{text}");
        }
    }

    #[test]
    fn a_site_is_determined_by_its_seed() {
        assert_eq!(Site::draw(5, 50), Site::draw(5, 50));
        assert_ne!(Site::draw(5, 50), Site::draw(6, 50));
    }
}
