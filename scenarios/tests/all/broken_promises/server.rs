//! A small site that keeps all of its own promises: what the workloads under test talk to.
//!
//! It answers each path with the path itself, but for those that mean something: an answer that comes late, one that comes
//! at the third attempt, and a site of two pages and a document with its report.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::support::tiny_server;

/// What stands at `/documents/1.bin`.
const DOCUMENT: &str = "a document";

/// How often each path was asked for.
type Asked = Mutex<HashMap<String, u32>>;

/// Starts one, and gives its address.
pub(crate) fn start() -> String {
    let asked = Asked::default();
    tiny_server::start(move |mut client| {
        for path in tiny_server::paths(client) {
            if client.write_all(&answer(&path, &asked)).is_err() {
                return;
            }
        }
    })
}

fn answer(path: &str, asked: &Asked) -> Vec<u8> {
    let times = {
        let mut asked = asked.lock().expect("nothing panics");
        let times = asked.entry(path.to_owned()).or_default();
        *times += 1;
        *times
    };
    let late = path.strip_prefix("/delay/");
    if let Some(ns) = late.and_then(|path| path.strip_suffix("ns")?.parse().ok()) {
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
        _ if path.starts_with("/flaky/") && times <= 2 => (503, "text/plain", String::new()),
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
