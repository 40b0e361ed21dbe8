//! A visitor of the mock site, and the site's report, for `scrape`, `download` and `crawl`.
//!
//! The report, fetched before the clock starts, gives the expected results; fetched again after it has stopped, it
//! gives the requests that the site received. Other sites have no report: a workload then visits the site before the
//! clock starts, alone and in sequence, and expects the same results from then on.

use std::collections::BTreeMap;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{Failure, RoundEnv};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::expectation::Expectation;
use super::http_connection::{Connection, Endpoint};
use super::reference::FETCHING;
use super::robots::AGENT;
use super::wire::within;
use crate::protocol::http::Method;

mod visitors;

/// Length of the longest report, in bytes: parsed, anything longer could take a gigabyte.
const LONGEST_REPORT: usize = 1 << 20;

pub(super) use visitors::Visitors;

/// The contents of a site, and the requests it has received.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct SiteReport {
    pub(super) pages: Vec<SitePage>,
    #[serde(default)]
    pub(super) redirects: Vec<String>,
    #[serde(default)]
    pub(super) documents: Vec<SiteDocument>,
    /// Requests by path; `None` if the site does not count, in which case the two below are 0.
    pub(super) requests: Option<BTreeMap<String, u64>>,
    #[serde(default)]
    pub(super) disallowed_requests: u64,
    #[serde(default)]
    pub(super) peak_in_flight: u64,
}

/// A page of the site.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct SitePage {
    pub(super) path: String,
    pub(super) title: Option<String>,
    pub(super) allowed: bool,
    #[serde(default)]
    pub(super) fails_once: bool,
}

/// A document of the site.
#[derive(Clone, Debug, Deserialize)]
pub struct SiteDocument {
    pub(super) path: String,
    pub(super) length_bytes: u64,
    pub(super) sha256: String,
}

impl SiteReport {
    /// Fetches the report; `None` if the site has none.
    pub(super) async fn fetch<R: Runtime>(env: &RoundEnv<R>) -> Result<Option<Self>, Failure> {
        let mut visitor = Visitor::limited(env, "report")?;
        let status = visitor.get("/site-report").await?;
        if visitor.body().len() > LONGEST_REPORT {
            return Ok(None);
        }
        // Some sites answer unknown paths with a page, so the content decides, not the type.
        let message = serde_json::from_slice::<Value>(visitor.body());
        let (200, Ok(message)) = (status, message) else {
            return Ok(None);
        };
        if message.get("pages").is_none() {
            return Ok(None);
        }
        let report = serde_json::from_value(message);
        report.map(Some).map_err(|error| {
            Failure::wrong_content(format!(
                "the site's own /site-report cannot be read: {error}"
            ))
        })
    }

    /// The counts since the `earlier` report.
    pub(super) fn since(mut self, earlier: &Self) -> Self {
        if let (Some(requests), Some(before)) = (&mut self.requests, &earlier.requests) {
            for (path, count) in &mut *requests {
                *count = count.saturating_sub(before.get(path).copied().unwrap_or(0));
            }
            requests.retain(|_, count| *count > 0);
        }
        self.disallowed_requests -= self.disallowed_requests.min(earlier.disallowed_requests);
        // The peak since the site started: unless it has grown, it may be due to another client.
        if self.peak_in_flight == earlier.peak_in_flight {
            self.peak_in_flight = 0;
        }
        self
    }

    /// The page at `path`.
    pub(super) fn page(&self, path: &str) -> Result<&SitePage, Failure> {
        let page = self.pages.iter().find(|page| page.path == path);
        page.ok_or_else(|| missing("page", path))
    }

    /// The document at `path`.
    pub(super) fn document(&self, path: &str) -> Result<&SiteDocument, Failure> {
        let document = self.documents.iter().find(|document| document.path == path);
        document.ok_or_else(|| missing("document", path))
    }
}

fn missing(thing: &str, path: &str) -> Failure {
    Failure::new(Failure::STATUS, format!("the site has no {thing} `{path}`"))
}

/// `failure`, with advice if its cause is that a site lacks a path of parameter `param`.
pub(super) fn not_there(failure: Failure, param: &str) -> Failure {
    if failure.kind != Failure::STATUS {
        return failure;
    }
    failure.hint(format!(
        "name pages that this site has, as in --set '{param}=[\"/\"]', or accept the status, as in --set status=2xx"
    ))
}

/// A client of the site with its own connection.
pub(super) struct Visitor<R: Runtime> {
    connection: Connection<R>,
    endpoint: Endpoint,
    name: String,
    request: Vec<u8>,
    /// The runtime that limits the time of each response; `None` in the measurement.
    timer: Option<R>,
}

impl<R: Runtime> Visitor<R> {
    /// A visitor outside the measurement, which waits for each response no longer than [`FETCHING`].
    pub(super) fn limited(env: &RoundEnv<R>, name: &str) -> Result<Self, Failure> {
        let timer = Some(env.runtime.clone());
        Ok(Self {
            timer,
            ..Self::new(env, name)?
        })
    }

    /// A visitor called `name`; the connection is opened at the first request.
    pub(super) fn new(env: &RoundEnv<R>, name: &str) -> Result<Self, Failure> {
        let endpoint = Endpoint::of(env)?;
        Ok(Self {
            connection: Connection::new(env, &endpoint),
            endpoint,
            name: name.to_owned(),
            request: Vec::new(),
            timer: None,
        })
    }

    /// Opens the connection now.
    pub(super) async fn connect(&mut self) -> Result<(), Failure> {
        self.connection.connect().await
    }

    /// Changes its name.
    pub(super) fn rename(&mut self, name: &str) {
        name.clone_into(&mut self.name);
    }

    /// The root of the site: its top, or the path in the target's URL.
    pub(super) fn root(&self) -> Result<Url, Failure> {
        let (authority, path) = (self.endpoint.authority(), self.endpoint.path("/"));
        let root = Url::parse(&format!("http://{authority}{path}"));
        root.map_err(|error| Failure::new(Failure::IO, error.to_string()))
    }

    /// Requests a path with its query; returns the status. The accessors give the response until the next one.
    ///
    /// A site may close a kept connection at any time, which only the next request detects: such a request is repeated
    /// once (RFC 9110, section 9.2.2).
    pub(super) async fn get(&mut self, path: &str) -> Result<u16, Failure> {
        match self.timer.clone() {
            Some(timer) => {
                let what = format!("the response to GET {path}");
                within(&timer, FETCHING, &what, self.get_or_repeat(path)).await
            }
            // Boxed: a crawl's futures are deep, and a session's thread has a small stack.
            None => Box::pin(self.get_or_repeat(path)).await,
        }
    }

    async fn get_or_repeat(&mut self, path: &str) -> Result<u16, Failure> {
        let may_be_closed = self.connection.is_usable();
        match self.get_over_this(path).await {
            Err(_) if may_be_closed && !self.connection.was_answered() => {
                self.get_over_this(path).await
            }
            outcome => outcome,
        }
    }

    async fn get_over_this(&mut self, path: &str) -> Result<u16, Failure> {
        let headers = [("user-agent", AGENT), ("x-client", &self.name)];
        self.endpoint
            .encode_get_with(path, &headers, &mut self.request)?;
        self.connection
            .exchange(Method::Get, &mut self.request)
            .await
    }

    /// Like [`Visitor::get`], but an unexpected status is a failure.
    pub(super) async fn get_expected(
        &mut self,
        path: &str,
        expectation: &Expectation,
    ) -> Result<(), Failure> {
        let status = self.get(path).await?;
        expectation.check_status(|| format!("GET {path}"), status)
    }

    /// The body of the last answer.
    pub(super) fn body(&self) -> &[u8] {
        self.connection.body()
    }

    /// The body of the last answer, mutable so that it can be passed on; the next answer overwrites it.
    pub(super) fn body_mut(&mut self) -> &mut Vec<u8> {
        self.connection.body_mut()
    }

    /// True if the last response was a page.
    pub(super) fn is_html(&self) -> bool {
        let content_type = self.connection.content_type().unwrap_or_default();
        content_type.to_ascii_lowercase().starts_with(b"text/html")
    }

    /// The target of a redirect in the last response, to a request of `address`.
    pub(super) fn leads_to(&self, address: &Url) -> Option<Url> {
        let location = std::str::from_utf8(self.connection.location()?).ok()?;
        address.join(location).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn earlier_requests_are_subtracted_from_the_counts() {
        let counted = |root, second, disallowed_requests| SiteReport {
            requests: Some(BTreeMap::from([
                ("/".to_owned(), root),
                ("/second".to_owned(), second),
            ])),
            disallowed_requests,
            ..SiteReport::default()
        };
        let since = counted(5, 1, 3).since(&counted(1, 1, 2));
        let left = BTreeMap::from([("/".to_owned(), 4)]);
        let peaks = |earlier, peak_in_flight| {
            let at = |peak_in_flight| SiteReport {
                peak_in_flight,
                ..SiteReport::default()
            };
            at(peak_in_flight).since(&at(earlier)).peak_in_flight
        };
        assert_eq!((peaks(20, 20), peaks(1, 20)), (0, 20));
        assert_eq!((since.requests, since.disallowed_requests), (Some(left), 1));
    }
}
