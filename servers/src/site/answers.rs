//! Answers requests for the site: at once, slowly, with a failure the first time, with a redirect, or with 404.
//!
//! Every request is counted under its path and query. A client identifies itself in `x-client`; for each client the
//! page that fails once fails and succeeds in turn, so that one server serves many crawls and remembers only the
//! clients that have yet to come back. The content is chosen in `plan.rs`. Read `report.rs` next.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, LOCATION, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};

use super::html::ORIGIN;
use super::plan::{Page, ROBOTS, Served, Serving, Site};
use super::report::Report;
use crate::{Counts, sleep};

/// Path of the report.
const REPORT: &str = "/site-report";
/// Header in which a client identifies itself.
const CLIENT: &str = "x-client";

/// Maximum number of clients remembered, and of paths besides those of the site; and the maximum length of either. What
/// is beyond is answered, but not remembered.
const MOST_REMEMBERED: usize = 20_000;
const LONGEST_REMEMBERED_BYTES: usize = 1024;

const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";
const BINARY: &str = "application/octet-stream";

type Answer = Response<Full<Bytes>>;

/// The site, and the state of its visitors.
#[derive(Debug)]
pub(super) struct SiteService {
    site: Site,
    slow: Duration,
    counts: Arc<Counts>,
    requests: Mutex<BTreeMap<String, u64>>,
    /// Clients for which the page that fails once has failed and not succeeded yet.
    failed: Mutex<BTreeSet<(String, String)>>,
}

impl SiteService {
    pub(super) fn new(site: Site, slow: Duration, counts: Arc<Counts>) -> Self {
        SiteService {
            site,
            slow,
            counts,
            requests: Mutex::default(),
            failed: Mutex::default(),
        }
    }

    /// The answer to one request, after its delay.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let in_flight = self.counts.enter();
        let path = request.uri().path_and_query();
        let path = path.map_or("/", |path| path.as_str());
        let answer = match (request.method(), path) {
            (&Method::GET | &Method::HEAD, REPORT) => self.report(),
            (&Method::GET | &Method::HEAD, _) => {
                self.note(path);
                self.visit(path, request.headers()).await
            }
            _ => with(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET\n".into()),
        };
        drop(in_flight);
        self.counts.requests.fetch_add(1, Relaxed);
        answer
    }

    fn note(&self, path: &str) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        // The site's own paths are limited in number anyway.
        let remembered = requests.len().saturating_sub(self.site.served.len());
        let is_known = self.site.served.contains_key(path);
        match requests.get_mut(path) {
            Some(count) => *count += 1,
            None if is_known || is_memorable(path, remembered) => {
                requests.insert(path.to_owned(), 1);
            }
            None => {}
        }
    }

    async fn visit(&self, path: &str, headers: &HeaderMap) -> Answer {
        if path == "/robots.txt" {
            return with(StatusCode::OK, TEXT, ROBOTS.into());
        }
        match self.site.served.get(path) {
            None => with(StatusCode::NOT_FOUND, HTML, NOTHING_HERE.into()),
            Some(Served::Document(bytes)) => {
                with(StatusCode::OK, BINARY, Bytes::copy_from_slice(bytes))
            }
            Some(Served::Redirect { status, to }) => redirect(*status, to),
            Some(Served::Page(page)) => self.page(page, path, headers).await,
        }
    }

    async fn page(&self, page: &Page, path: &str, headers: &HeaderMap) -> Answer {
        match page.serving {
            Serving::AtOnce => {}
            Serving::Slowly => sleep(self.slow).await,
            Serving::FailingOnce if self.is_first_visit(path, headers) => {
                self.counts.faults.fetch_add(1, Relaxed);
                return unavailable();
            }
            Serving::FailingOnce => {}
        }
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        let host = host.filter(|host| host.bytes().all(is_part_of_host));
        let origin = format!("http://{}", host.unwrap_or("localhost"));
        let html = page.html.replace(ORIGIN, &origin);
        with(StatusCode::OK, HTML, html.into())
    }

    /// True on the first visit of this client, and on the first after a success.
    fn is_first_visit(&self, path: &str, headers: &HeaderMap) -> bool {
        let client = headers.get(CLIENT).and_then(|client| client.to_str().ok());
        let visit = (client.unwrap_or_default().to_owned(), path.to_owned());
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let again = failed.remove(&visit);
        if !again && is_memorable(&visit.0, failed.len()) {
            failed.insert(visit);
        }
        !again
    }

    fn report(&self) -> Answer {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let peak = self.counts.peak_in_flight.load(Relaxed);
        let report = Report::of(&self.site, requests.clone(), peak);
        let json = serde_json::to_vec(&report).expect("numbers and texts are always JSON");
        with(StatusCode::OK, JSON, json.into())
    }
}

/// True if a client's text may be remembered in addition to `remembered` others.
fn is_memorable(text: &str, remembered: usize) -> bool {
    text.len() <= LONGEST_REMEMBERED_BYTES && remembered < MOST_REMEMBERED
}

/// True for the bytes of a host and its port: any other host is not shown on a page.
fn is_part_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte)
}

const NOTHING_HERE: &str = "<!doctype html><title>Nothing here</title><a href=\"/\">Home</a>\n";

fn with(status: StatusCode, content_type: &'static str, body: Bytes) -> Answer {
    let mut answer = Response::new(Full::new(body));
    *answer.status_mut() = status;
    let content_type = HeaderValue::from_static(content_type);
    answer.headers_mut().insert(CONTENT_TYPE, content_type);
    answer
}

fn redirect(status: u16, to: &str) -> Answer {
    let status = StatusCode::from_u16(status).expect("301 or 302");
    let mut answer = with(status, HTML, "<!doctype html><title>Moved</title>\n".into());
    let to = HeaderValue::from_str(to).expect("paths of the site are visible ASCII");
    answer.headers_mut().insert(LOCATION, to);
    answer
}

fn unavailable() -> Answer {
    let body = "<!doctype html><title>Try again</title>\n".into();
    let mut answer = with(StatusCode::SERVICE_UNAVAILABLE, HTML, body);
    let headers = answer.headers_mut();
    headers.insert(RETRY_AFTER, HeaderValue::from_static("0"));
    answer
}
