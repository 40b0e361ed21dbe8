//! `/site-report`: what the site holds and what was asked of it, as JSON.
//!
//! Counts are by path and from the start of the server on; reading the report is not among them. Nothing is judged here:
//! what a crawler should have asked for is the business of whoever reads the report.

use std::collections::BTreeMap;

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::plan::{Served, Serving, Site};

#[derive(Debug, Serialize)]
pub(super) struct Report<'a> {
    /// Every page, those that robots.txt disallows included.
    pub(super) pages: Vec<PageReport<'a>>,
    /// The paths that redirect.
    pub(super) redirects: Vec<&'a str>,
    /// Everything that is no page.
    pub(super) documents: Vec<DocumentReport<'a>>,
    /// Requests by path, whether anything is there or not.
    pub(super) requests: BTreeMap<String, u64>,
    /// Requests of pages that robots.txt disallows, all together.
    pub(super) disallowed_requests: u64,
    /// Maximum number of requests processed at once.
    pub(super) peak_in_flight: u64,
}

#[derive(Debug, Serialize)]
pub(super) struct PageReport<'a> {
    path: &'a str,
    /// As a reader sees it; null where the page has none.
    title: Option<&'a str>,
    allowed: bool,
    /// True if each client's first request is answered with 503.
    fails_once: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct DocumentReport<'a> {
    path: &'a str,
    length_bytes: usize,
    /// Of its content, in lower-case hexadecimal.
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
