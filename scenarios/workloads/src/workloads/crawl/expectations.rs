//! Checks of a crawl: each allowed page once in the results, and the right number of requests at the site.
//!
//! Both the crawl's results and the site's counts are checked, since either alone could be right by accident. Pure
//! functions, so that tests can feed them the results of a broken crawl. `site.rs` reads the site's report.

use std::collections::BTreeMap;

use photofinish_harness::workload::{Failure, Totals};
use url::Url;

use super::super::html_page::NO_TITLE;
use super::super::site::{SitePage, SiteReport};

/// The pages that a crawl of the site must find.
pub(super) fn expected(report: &SiteReport, root: &Url) -> BTreeMap<String, String> {
    let allowed = report.pages.iter().filter(|page| page.allowed);
    let entry = |page: &SitePage| {
        let address = root.join(&page.path).ok()?;
        let title = page.title.as_deref().unwrap_or(NO_TITLE);
        Some((address.into(), title.to_owned()))
    };
    allowed.filter_map(entry).collect()
}

/// Checks for exactly the expected pages, each once and with its title.
pub(super) fn check_results(
    expected: &BTreeMap<String, String>,
    results: &str,
) -> Result<(), Failure> {
    let mut missing = expected.clone();
    for line in results.lines() {
        let (address, title) = line.split_once('\t').unwrap_or((line, ""));
        let wrong = match (expected.get(address), missing.remove(address)) {
            (None, _) => format!("{address} is in the results, but is not a page to visit"),
            (Some(_), None) => format!("{address} is in the results twice"),
            (Some(right), _) if right != title => {
                format!("expected `{right}` as the title of {address}, got `{title}`")
            }
            _ => continue,
        };
        return Err(Failure::wrong_content(wrong));
    }
    match missing.keys().next() {
        None => Ok(()),
        Some(address) => Err(Failure::wrong_content(format!(
            "{address} is not in the results, and {} more are not",
            missing.len() - 1
        ))),
    }
}

/// Violations in the requests received by the site: none may be disallowed, and if no crawl failed each must occur once
/// per crawl.
pub(super) fn check_visits(report: &SiteReport, totals: &Totals) -> Vec<String> {
    let disallowed = (report.disallowed_requests > 0).then(|| {
        format!(
            "{} requests of pages that robots.txt disallows",
            report.disallowed_requests
        )
    });
    let seen = report.requests.clone().filter(|_| totals.failed == 0);
    let counts = seen.map(|seen| check_counts(report, seen, totals.succeeded));
    let counts = counts.into_iter().flatten();
    disallowed.into_iter().chain(counts).collect()
}

/// Checks that the site received each request as often as `crawls` crawls make it.
fn check_counts(report: &SiteReport, mut seen: BTreeMap<String, u64>, crawls: u64) -> Vec<String> {
    let mut broken = Vec::new();
    let mut exactly = |path: &str, times: u64| {
        let requests = seen.remove(path).unwrap_or(0);
        (requests != times).then(|| {
            format!("expected {times} requests of {path} in {crawls} crawls, got {requests}")
        })
    };
    broken.extend(exactly("/robots.txt", crawls));
    for page in report.pages.iter().filter(|page| page.allowed) {
        let each = if page.fails_once { 2 } else { 1 };
        broken.extend(exactly(&page.path, each * crawls));
    }
    let documents = report.documents.iter().map(|document| &document.path);
    for path in report.redirects.iter().chain(documents) {
        broken.extend(exactly(path, crawls));
    }
    // The remaining requests are broken links: there is no list of them, but none is tried twice.
    let too_often = seen.iter().filter(|(_, requests)| **requests > crawls);
    broken.extend(too_often.map(|(path, requests)| {
        format!("expected at most {crawls} requests of {path} in {crawls} crawls, got {requests}")
    }));
    broken
}

#[cfg(test)]
mod tests {
    use photofinish_record::Traffic;

    use super::super::super::tallies::{detail, totals};
    use super::*;

    fn report() -> SiteReport {
        let json = serde_json::json!({
            "pages": [
                {"path": "/", "title": "Root", "allowed": true, "fails_once": false},
                {"path": "/a", "title": null, "allowed": true, "fails_once": true},
                {"path": "/private/x", "title": "X", "allowed": false, "fails_once": false},
            ],
            "redirects": ["/moved"],
            "documents": [{"path": "/d", "length_bytes": 1, "sha256": ""}],
            "requests": {"/robots.txt": 2, "/": 2, "/a": 4, "/moved": 2, "/d": 2, "/missing": 2},
            "disallowed_requests": 0,
            "peak_in_flight": 10,
        });
        serde_json::from_value(json).expect("a report")
    }

    #[test]
    fn duplicate_missing_disallowed_and_mistitled_pages_are_caught() {
        let root = Url::parse("http://h:1/").expect("a URL");
        let expected = expected(&report(), &root);
        let message = |results: &str| detail(check_results(&expected, results));
        let (first, second) = ("http://h:1/\tRoot\n", "http://h:1/a\tno title\n");
        assert_eq!(message(&[first, second].concat()), "");
        assert_eq!(message(&[second, first].concat()), "", "in any order");
        assert!(
            message(&[first, second, first].concat())
                .contains("http://h:1/ is in the results twice")
        );
        assert!(message(first).contains("http://h:1/a is not in the results"));
        assert!(message("http://h:1/private/x\tX\n").contains("not a page to visit"));
        assert!(message("http://h:1/\tRooot\n").contains("expected `Root` as the title"));
    }

    #[test]
    fn too_many_or_too_few_requests_are_reported() {
        let check = |path: &str, requests: u64, expected: &[&str]| {
            let mut report = report();
            let seen = report.requests.as_mut().expect("it counts");
            seen.insert(path.to_owned(), requests);
            let totals = totals(2, 0, "http", Traffic::default());
            assert_eq!(check_visits(&report, &totals), expected, "{path}");
        };
        check("/", 2, &[]);
        check("/", 3, &["expected 2 requests of / in 2 crawls, got 3"]);
        check("/a", 2, &["expected 4 requests of /a in 2 crawls, got 2"]);
        check(
            "/moved",
            0,
            &["expected 2 requests of /moved in 2 crawls, got 0"],
        );
        check(
            "/robots.txt",
            0,
            &["expected 2 requests of /robots.txt in 2 crawls, got 0"],
        );
        check(
            "/missing",
            3,
            &["expected at most 2 requests of /missing in 2 crawls, got 3"],
        );
    }

    #[test]
    fn a_site_without_counts_has_no_violations() {
        let mut report = report();
        report.requests = None;
        let totals = totals(2, 0, "http", Traffic::default());
        assert_eq!(check_visits(&report, &totals), [""; 0]);
    }

    #[test]
    fn a_disallowed_page_is_reported_even_if_a_crawl_failed() {
        let mut report = report();
        report.disallowed_requests = 1;
        let totals = totals(0, 1, "http", Traffic::default());
        let message = check_visits(&report, &totals);
        assert_eq!(message, ["1 requests of pages that robots.txt disallows"]);
    }
}
