//! Addresses of a crawl: visited, waiting, allowed.
//!
//! Pure: addresses in, addresses out. An address is taken only once, however often and in whichever form it is linked;
//! only on the site of the root, and only if robots.txt allows it. Redirects are treated like links, so that they
//! cannot circumvent the rules. `crawl/part.rs` fetches, `html_page.rs` reads pages.

use std::collections::{HashSet, VecDeque};

use url::Url;

use super::robots::Robots;

/// Addresses seen and addresses waiting.
#[derive(Debug)]
pub(super) struct Frontier {
    root: Url,
    robots: Robots,
    seen: HashSet<Url>,
    waiting: VecDeque<Url>,
}

impl Frontier {
    /// A crawl that starts at `root`.
    pub(super) fn new(root: Url, robots: Robots) -> Self {
        let mut frontier = Self {
            root: root.clone(),
            robots,
            seen: HashSet::new(),
            waiting: VecDeque::new(),
        };
        frontier.offer(root);
        frontier
    }

    /// Adds a link to `address`, which waits for its turn if it may be visited and has not been seen before.
    pub(super) fn offer(&mut self, mut address: Url) {
        address.set_fragment(None);
        if address.origin() != self.root.origin() || self.seen.contains(&address) {
            return;
        }
        if self.robots.allow(&address) {
            self.waiting.push_back(address.clone());
        }
        self.seen.insert(address);
    }

    /// The next address to visit.
    pub(super) fn take(&mut self) -> Option<Url> {
        self.waiting.pop_front()
    }

    /// The number of waiting addresses.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::html_page::HtmlPage;
    use super::*;

    fn url(path: &str) -> Url {
        Url::parse("http://site.test:8080/")
            .expect("a URL")
            .join(path)
            .expect("a path")
    }

    #[test]
    fn an_address_waits_once_in_whichever_form_it_is_linked() {
        let mut frontier = Frontier::new(url("/"), Robots::everything());
        assert_eq!(frontier.take(), Some(url("/")));
        for form in [
            "/a",
            "/a#part",
            "./a",
            "/b/../a",
            "http://SITE.test:8080/a",
            "//site.test:8080/a",
        ] {
            frontier.offer(url(form));
        }
        for elsewhere in [
            "http://other.test/",
            "http://site.test/a",
            "https://site.test:8080/a",
            "mailto:a@b",
        ] {
            frontier.offer(url(elsewhere));
        }
        frontier.offer(url("/a?x=1"));
        assert_eq!(frontier.waiting(), 2);
        assert_eq!(
            [frontier.take(), frontier.take()],
            [Some(url("/a")), Some(url("/a?x=1"))]
        );
        assert_eq!(frontier.take(), None);
    }

    #[test]
    fn a_hand_written_site_is_crawled_by_its_robots_txt() {
        // Goal: the pure part of a crawl on a site that no generator made. Method: its pages by hand, walked as
        // `crawl` walks them, redirects included.
        let robots = "# example shop\nUser-agent: BadBot\nDisallow: /\n\nUser-agent: *\nCrawl-delay: 1\n\
                      Disallow: /cart\nDisallow: /search\nAllow: /search/about\nDisallow: /*.php$\n";
        let fetch = |path: &str| match path {
            "/" => {
                "<title>Shop</title><nav><a href=/catalog/>All</a> <a href='cart?item=1'>Cart</a>\
                    <a href=search/about>How to search</a> <a href=go>Offer</a></nav><a href=https://cdn.test/x>x</a>"
            }
            "/catalog/" => {
                "<base href='/catalog/items/'><a href=1.html>1</a><a href=2.html#reviews>2</a><a href='../../'>up</a>"
            }
            "/catalog/items/1.html" => {
                "<h1>One</h1><a href=2.html>next</a><a href=/old.php>old</a>"
            }
            "/catalog/items/2.html" => {
                "<title>Two</title><a href=1.html>back</a><a href=/search?q=two>more</a>"
            }
            "/search/about" => "<title>About</title><a href=/>home</a>",
            "/go" => "redirect:/search?q=offer",
            path => panic!("{path} must not be asked for"),
        };
        let mut frontier = Frontier::new(url("/"), Robots::answered(200, robots.as_bytes()));
        let mut visited = Vec::new();
        while let Some(address) = frontier.take() {
            let body = fetch(address.path());
            if let Some(to) = body.strip_prefix("redirect:") {
                frontier.offer(address.join(to).expect("a path"));
                continue;
            }
            let page = HtmlPage::read(body.as_bytes());
            page.links_from(&address)
                .for_each(|link| frontier.offer(link));
            visited.push(format!("{} {}", address.path(), page.title_or_none()));
        }
        visited.sort();
        let expected = [
            "/ Shop",
            "/catalog/ no title",
            "/catalog/items/1.html no title",
            "/catalog/items/2.html Two",
            "/search/about About",
        ];
        assert_eq!(visited, expected);
    }
}
