//! A small, correct site for the workloads under test.
//!
//! The response to most paths is the path itself; others have a delay, succeed at the third attempt, or belong to a site
//! of two pages and a document with its report.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::support::tiny_server;

/// The content of `/documents/1.bin`.
const DOCUMENT: &str = "a document";

/// The number of requests for each path.
type RequestCounts = Mutex<HashMap<String, u32>>;

/// Starts a server and returns its address.
pub(crate) fn start() -> String {
    let counts = RequestCounts::default();
    tiny_server::start(move |mut client| {
        for path in tiny_server::paths(client) {
            if client.write_all(&respond(&path, &counts)).is_err() {
                return;
            }
        }
    })
}

fn respond(path: &str, counts: &RequestCounts) -> Vec<u8> {
    let count = {
        let mut counts = counts.lock().expect("nothing panics");
        let count = counts.entry(path.to_owned()).or_default();
        *count += 1;
        *count
    };
    let delay = path.strip_prefix("/delay/");
    if let Some(ns) = delay.and_then(|path| path.strip_suffix("ns")?.parse().ok()) {
        std::thread::sleep(Duration::from_nanos(ns));
    }
    let (status, kind, body) = match path {
        "/robots.txt" => (404, "text/plain", String::new()),
        "/site-report" => (200, "application/json", report()),
        "/documents/1.bin" => (200, "application/octet-stream", DOCUMENT.to_owned()),
        "/" => (
            200,
            "text/html",
            "<title>Home</title><a href=/second>more</a>".to_owned(),
        ),
        "/second" => (200, "text/html", "<title>Second</title>".to_owned()),
        _ if path.starts_with("/flaky/") && count <= 2 => (503, "text/plain", String::new()),
        _ => (200, "text/plain", path.to_owned()),
    };
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} x\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
    [head, body].concat().into_bytes()
}

fn report() -> String {
    let digest = Sha256::digest(DOCUMENT);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    let page = |path, title| json!({ "path": path, "title": title, "allowed": true });
    let pages = [page("/", "Home"), page("/second", "Second")];
    let document =
        json!({ "path": "/documents/1.bin", "length_bytes": DOCUMENT.len(), "sha256": hex });
    json!({ "pages": pages, "documents": [document], "requests": null }).to_string()
}
