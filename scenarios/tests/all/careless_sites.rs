//! Crawls of sites that violate the rules, as many do: successful nevertheless, or reported.
//!
//! Whole rounds run over real sockets against a server that closes connections without announcing it, and one that later
//! no longer serves the report of its pages.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use photofinish_record::protocol::{TargetAddress, WorkerPlan, WorkerResult};
use photofinish_workloads::registry::workload;
use photofinish_workloads::worker::work;
use serde_json::{Value, json};

use crate::support::rounds::{measured, plan};
use crate::support::tiny_server;

const OPERATIONS: u64 = 10;

#[derive(Clone, Copy)]
struct Site {
    /// Number of responses before a connection is closed unannounced.
    responses_per_connection: u32,
    /// Number of times that the report of its pages is served.
    reports: u32,
}

#[test]
fn requests_are_repeated_after_an_unannounced_close() {
    for responses_per_connection in [1, 3] {
        for reports in [0, u32::MAX] {
            let site = Site {
                responses_per_connection,
                reports,
            };
            for runtime in ["sync", "threads", "tokio", "smol"] {
                let pages = json!({ "pages": ["/", "/a"] });
                for (name, params) in [("crawl", json!({})), ("scrape", pages)] {
                    let (plan, result) = round(name, &params, runtime, &start(site));
                    let round = measured(&plan, result);
                    assert!(round.errors.is_empty(), "{name}: {:?}", round.errors);
                    assert_eq!(round.violations, [""; 0], "{name} under {runtime}");
                    assert_eq!(round.ops, OPERATIONS, "{name} under {runtime}");
                }
            }
        }
    }
}

/// Goal: a crawl begins at the path in the target's URL. Method: count the requests from a page without links.
#[test]
fn a_crawl_starts_at_the_targets_path() {
    let site = Site {
        responses_per_connection: u32::MAX,
        reports: 0,
    };
    let (plan, result) = round(
        "crawl",
        &json!({}),
        "tokio",
        &format!("{}/leaf?x=1", start(site)),
    );
    let round = measured(&plan, result);
    assert!(round.errors.is_empty(), "{:?}", round.errors);
    // One request for the report; robots.txt and the page once before the warm-up, and in each operation.
    let crawls = 1 + 1 + OPERATIONS;
    assert_eq!(round.traffic["http"].requests, 1 + 2 * crawls);
}

#[test]
fn a_site_that_stops_serving_its_report_is_caught() {
    let site = Site {
        responses_per_connection: u32::MAX,
        reports: 1,
    };
    let (_, result) = round("crawl", &json!({}), "tokio", &start(site));
    let message = format!("{result:?}");
    assert!(
        message.contains("the site no longer serves the report of its requests"),
        "{message}"
    );
}

fn round(name: &str, params: &Value, runtime: &str, url: &str) -> (WorkerPlan, WorkerResult) {
    let directory = tempfile::tempdir().expect("a directory");
    let entry = workload(name).expect("it ships");
    let url = url.to_owned();
    let target = TargetAddress {
        url,
        address: None,
        mock: false,
        tls: None,
    };
    let unit = Duration::from_millis(1);
    let plan = WorkerPlan {
        targets: [("http".to_owned(), target)].into(),
        ..plan(entry, params, unit, runtime, OPERATIONS, directory.path())
    };
    let result = work(&plan).result;
    (plan, result)
}

/// Starts a server and returns its URL.
fn start(site: Site) -> String {
    let reports = AtomicU32::new(0);
    let address = tiny_server::start(move |client| serve(client, site, &reports));
    format!("http://{address}")
}

fn serve(mut client: &TcpStream, site: Site, reports: &AtomicU32) {
    let responses = site.responses_per_connection as usize;
    for path in tiny_server::paths(client).take(responses) {
        let reported =
            path == "/site-report" && reports.fetch_add(1, Ordering::Relaxed) < site.reports;
        let response = if reported { report() } else { page(&path) };
        if client.write_all(response.as_bytes()).is_err() {
            return;
        }
    }
}

/// A ring of pages, each of which links to two more.
const PAGES: [(&str, &str); 6] = [
    ("/", "<title>/</title><a href=a>a</a><a href=b>b</a>"),
    ("/a", "<title>/a</title><a href=b>b</a><a href=c>c</a>"),
    ("/b", "<title>/b</title><a href=c>c</a><a href=d>d</a>"),
    ("/c", "<title>/c</title><a href=d>d</a><a href=/>/</a>"),
    ("/d", "<title>/d</title><a href=/>/</a><a href=a>a</a>"),
    // Not linked.
    ("/leaf?x=1", "<title>/leaf?x=1</title>"),
];

fn page(path: &str) -> String {
    match PAGES.iter().find(|(known, _)| *known == path) {
        Some((_, body)) => response("200 OK", "text/html", body),
        None => response("404 Not Found", "text/plain", ""),
    }
}

fn report() -> String {
    let pages: Vec<Value> = PAGES[..5]
        .iter()
        .map(|(path, _)| json!({ "path": path, "title": path, "allowed": true }))
        .collect();
    let report = json!({ "pages": pages }).to_string();
    response("200 OK", "application/json", &report)
}

fn response(status: &str, kind: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{body}")
}
