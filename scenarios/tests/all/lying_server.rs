//! HTTP workloads against a server that occasionally sends wrong content: each wrong response is reported as one.
//!
//! A whole round runs in this process over real sockets, to find workloads that do not check their responses at all.

mod round_schema;

use std::io::{BufRead, BufReader, Write as _};
use std::net::TcpStream;
use std::num::NonZeroU64;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use photofinish_harness::workload::Failure;
use photofinish_record::Measurement;
use photofinish_record::load::Stop;
use photofinish_record::protocol::{TargetAddress, WorkerPlan};
use photofinish_workloads::registry::workload;
use photofinish_workloads::worker::work;
use serde_json::json;

use crate::support::rounds::{measured, plan};
use crate::support::tiny_server;

const WORKLOADS: [&str; 9] = [
    "http-get",
    "http-stream",
    "http-connect",
    "http-fanout",
    "http-delay",
    "http-limited",
    "http-queue",
    "http-json",
    "http-post",
];

const OPERATIONS: u64 = 30;

/// Wrong responses of the server.
#[derive(Clone, Copy)]
enum Lies {
    Never,
    /// One in seven, after the two hundred requests in which a workload learns the right content: it asks for each twice.
    Later,
}

#[test]
fn every_workload_catches_a_wrong_body() {
    for name in WORKLOADS {
        for runtime in ["sync", "tokio"] {
            let right = round(name, runtime, Lies::Never);
            assert!(right.errors.is_empty(), "{name}: {:?}", right.errors);
            let wrong = round(name, runtime, Lies::Later);
            let kinds: Vec<&String> = wrong.errors.keys().collect();
            assert_eq!(kinds, [Failure::WRONG_CONTENT], "{name} under {runtime}");
        }
    }
}

/// One of three requests has to fail, in a different way in each operation; this server fails none of them.
#[test]
fn an_unexpected_success_is_caught() {
    for runtime in ["sync", "threads", "tokio"] {
        let round = round("http-errors", runtime, Lies::Never);
        let kinds: Vec<&String> = round.errors.keys().collect();
        assert_eq!(kinds, [Failure::WRONG_CONTENT], "{runtime}");
        // Two of four kinds of failure involve the server.
        assert_eq!(round.ops, OPERATIONS / 2, "{runtime}");
        for kind in ["reset", "status"] {
            let expected = format!("expected failure `{kind}`, got success");
            let mut violations = round.violations.iter();
            let noticed = violations.any(|violation| violation.ends_with(&expected));
            assert!(noticed, "{runtime}: {expected}: {:?}", round.violations);
        }
    }
}

fn round(name: &str, runtime: &str, lies: Lies) -> Measurement {
    let directory = tempfile::tempdir().expect("a directory");
    let unit = Duration::from_millis(1);
    let entry = workload(name).expect("it ships");
    let url = format!("http://{}", server(lies));
    let target = TargetAddress {
        url,
        address: None,
        mock: false,
        tls: None,
    };
    // At least two hundred requests before the first wrong response.
    let warmup = NonZeroU64::new(200).expect("some");
    let plan = WorkerPlan {
        warmup: Stop::Ops(warmup),
        targets: [("http".to_owned(), target)].into(),
        ..plan(
            entry,
            &json!({}),
            unit,
            runtime,
            OPERATIONS,
            directory.path(),
        )
    };
    measured(&plan, work(&plan).result)
}

fn server(lies: Lies) -> String {
    let requests = AtomicU64::new(0);
    tiny_server::start(move |client| serve(client, &requests, lies))
}

fn serve(client: &TcpStream, requests: &AtomicU64, lies: Lies) {
    let mut output = client;
    let mut reader = BufReader::new(client);
    while let Some(sent) = request(&mut reader) {
        let number = requests.fetch_add(1, Ordering::Relaxed);
        let is_lie = matches!(lies, Lies::Later) && number > 200 && number.is_multiple_of(7);
        let body = match (sent.is_empty(), is_lie) {
            (true, false) => document("truth"),
            (true, true) => document("a lie"),
            // A document is echoed.
            (false, false) => sent,
            (false, true) => sent.replace("abc", "abd"),
        };
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        if output.write_all([head, body].concat().as_bytes()).is_err() {
            return;
        }
    }
}

/// The body of the next request; `None` at the end.
fn request(reader: &mut impl BufRead) -> Option<String> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            let mut body = vec![0; length];
            reader.read_exact(&mut body).ok()?;
            return String::from_utf8(body).ok();
        }
    }
}

/// A user and a post in one document, for workloads that decode it.
fn document(word: &str) -> String {
    json!({ "id": 1, "userId": 1, "name": word, "email": word, "title": word }).to_string()
}
