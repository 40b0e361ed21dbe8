//! Addresses of a crawl: visited, waiting, allowed.
//!
//! Pure: addresses in, addresses out. An address is taken only once, however often and in whichever form it is linked;
//! only on the site of the root, and only if robots.txt allows it. Redirects are treated like links, so that they
//! cannot circumvent the rules. `crawl/part.rs` fetches, `html_page.rs` reads pages.

use std::collections::{HashSet, VecDeque};

use photofinish_harness::workload::Failure;
use url::Url;

use super::robots::Robots;

/// Maximum number of addresses, visited or not; a larger site is too much for one operation.
const MOST_ADDRESSES: usize = 10_000;

/// Length of the longest address that is visited, in bytes (RFC 9110, section 4.1): servers refuse longer ones.
const LONGEST_ADDRESS: usize = 8_000;

/// Addresses seen and addresses waiting.
#[derive(Debug)]
pub(super) struct Frontier {
    root: Url,
    robots: Robots,
    seen: HashSet<Url>,
    waiting: VecDeque<Url>,
    /// True if the site has more addresses.
    overflown: bool,
}

impl Frontier {
    /// A crawl that starts at `root`.
    pub(super) fn new(root: Url, robots: Robots) -> Self {
        let mut frontier = Self {
            root: root.clone(),
            robots,
            seen: HashSet::new(),
            waiting: VecDeque::new(),
            overflown: false,
        };
        frontier.offer(root);
        frontier
    }

    /// Adds a link to `address`, which waits for its turn if it may be visited and has not been seen before.
    pub(super) fn offer(&mut self, mut address: Url) {
        address.set_fragment(None);
        let foreign = address.origin() != self.root.origin();
        if foreign || address.as_str().len() > LONGEST_ADDRESS || self.seen.contains(&address) {
            return;
        }
        if self.seen.len() >= MOST_ADDRESSES {
            self.overflown = true;
            return;
        }
        if self.robots.allow(&address) {
            self.waiting.push_back(address.clone());
        }
        self.seen.insert(address);
    }

    /// The next address to visit.
    ///
    /// # Errors
    ///
    /// A failure if the site has more than [`MOST_ADDRESSES`].
    pub(super) fn take(&mut self) -> Result<Option<Url>, Failure> {
        if self.overflown {
            let message =
                format!("the site has more than {MOST_ADDRESSES} addresses, too many for a crawl");
            return Err(Failure::new(Failure::IO, message));
        }
        Ok(self.waiting.pop_front())
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
    fn a_page_is_queued_once_however_it_is_linked() {
        let mut frontier = Frontier::new(url("/"), Robots::everything());
        assert_eq!(frontier.take(), Ok(Some(url("/"))));
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
            [Ok(Some(url("/a"))), Ok(Some(url("/a?x=1")))]
        );
        assert_eq!(frontier.take(), Ok(None));
    }

    #[test]
    fn addresses_are_bounded_in_number_and_length() {
        let mut frontier = Frontier::new(url("/"), Robots::everything());
        frontier.offer(url(&"x".repeat(LONGEST_ADDRESS)));
        (1..MOST_ADDRESSES).for_each(|number| frontier.offer(url(&format!("/{number}"))));
        assert_eq!(frontier.waiting(), MOST_ADDRESSES);
        assert!(frontier.take().is_ok());
        (0..MOST_ADDRESSES).for_each(|number| frontier.offer(url(&format!("/more/{number}"))));
        assert_eq!(frontier.seen.len(), MOST_ADDRESSES);
        let message = frontier.take().expect_err("too many").into_detail();
        assert_eq!(
            message,
            "the site has more than 10000 addresses, too many for a crawl"
        );
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
        while let Ok(Some(address)) = frontier.take() {
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
