//! `/site-report`: the site's contents and the requests it received, as JSON.
//!
//! Counts are per path, since the server started; requests for the report are not counted. Nothing is judged here:
//! which requests a crawler should have made is up to the reader of the report.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::plan::{Served, Serving, Site};

#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    /// Every page, including those that robots.txt disallows.
    pub(super) pages: Vec<PageReport<'a>>,
    /// The paths that redirect.
    pub(super) redirects: Vec<&'a str>,
    /// Everything that is not a page.
    pub(super) documents: Vec<DocumentReport<'a>>,
    /// Requests by path, including paths that do not exist: the first 20,000 that are not longer than 1,024 bytes.
    pub(super) requests: BTreeMap<String, u64>,
    /// Total requests for pages that robots.txt disallows.
    pub(super) disallowed_requests: u64,
    /// Maximum number of requests processed at once.
    pub(super) peak_in_flight: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct PageReport<'a> {
    path: &'a str,
    /// Decoded title; null if the page has none.
    title: Option<&'a str>,
    allowed: bool,
    /// True if each client's first request is answered with 503.
    fails_once: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct DocumentReport<'a> {
    path: &'a str,
    length_bytes: usize,
    /// Hash of the content, in lower-case hexadecimal.
    sha256: String,
}

impl<'a> Report<'a> {
    pub(super) fn of(site: &'a Site, requests: BTreeMap<String, u64>, peak_in_flight: u64) -> Self {
        let (mut pages, mut redirects, mut documents) = (Vec::new(), Vec::new(), Vec::new());
        let mut disallowed_requests = 0;
        for (path, served) in &site.served {
            match served {
                Served::Page(page) => {
                    if !page.allowed {
                        disallowed_requests += requests.get(path).copied().unwrap_or(0);
                    }
                    pages.push(PageReport {
                        path,
                        title: page.title.as_deref(),
                        allowed: page.allowed,
                        fails_once: page.serving == Serving::FailingOnce,
                    });
                }
                Served::Redirect { .. } => redirects.push(path.as_str()),
                Served::Document(bytes) => documents.push(DocumentReport {
                    path,
                    length_bytes: bytes.len(),
                    sha256: hexadecimal(&Sha256::digest(bytes)),
                }),
            }
        }
        Report {
            pages,
            redirects,
            documents,
            requests,
            disallowed_requests,
            peak_in_flight,
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
