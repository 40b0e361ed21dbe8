//! The expected pages of a site without a report: those found by one crawl, alone and page by page.
//!
//! It runs before the clock starts, in every round, and obeys robots.txt. An infinite site (a calendar that links to
//! tomorrow) is an error.

use std::collections::BTreeMap;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::Failure;

use super::super::site::Visitor;
use super::part::CrawlState;

/// The title of each page that may be visited, by its address.
pub(super) async fn survey<R: Runtime>(
    runtime: &R,
    visitor: &mut Visitor<R>,
    crawl: &CrawlState<R>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut titles = BTreeMap::new();
    while let Some(address) = crawl.next()? {
        if let Some(title) = crawl.visit(runtime, visitor, &address).await? {
            titles.insert(address.into(), title);
        }
    }
    if titles.is_empty() {
        let message = "there is nothing to crawl: the root is not an HTML page, redirects to another site, or is \
                       disallowed by robots.txt";
        return Err(Failure::new(Failure::STATUS, message));
    }
    Ok(titles)
}
