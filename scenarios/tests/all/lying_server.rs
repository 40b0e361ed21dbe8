//! HTTP workloads against a server that lies now and then: each wrong answer is told as one, and nothing else is.
//!
//! A whole round runs in this process, over real sockets, so that what is broken is the server and not a value handed to
//! a function: a workload that did not look at its answers would pass here unnoticed.

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
use photofinish_scenarios::registry::workload;
use photofinish_scenarios::worker::work;
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

/// How often a server lies.
#[derive(Clone, Copy)]
enum Lies {
    Never,
    /// After the first hundred requests, with which a workload learns what is right, once in seven.
    Later,
}

#[test]
fn a_wrong_body_is_told_by_every_workload_that_asks_for_one() {
    for name in WORKLOADS {
        for runtime in ["sync", "tokio"] {
            let honest = round(name, runtime, Lies::Never);
            assert!(honest.errors.is_empty(), "{name}: {:?}", honest.errors);
            let lied_to = round(name, runtime, Lies::Later);
            let kinds: Vec<&String> = lied_to.errors.keys().collect();
            assert_eq!(kinds, [Failure::WRONG_CONTENT], "{name} under {runtime}");
        }
    }
}

/// One of three requests has to fail, by another kind in each operation; this server fails none of them.
#[test]
fn a_request_that_had_to_fail_and_did_not_is_told() {
    for runtime in ["sync", "threads", "tokio"] {
        let round = round("http-errors", runtime, Lies::Never);
        let kinds: Vec<&String> = round.errors.keys().collect();
        assert_eq!(kinds, [Failure::WRONG_CONTENT], "{runtime}");
        // Of four operations in turn two meet the server.
        assert_eq!(round.ops, OPERATIONS / 2, "{runtime}");
        for told in ["`reset` succeeded", "`status` succeeded"] {
            let told = format!("what had to fail as {told}");
            let is_told = round.violations.iter().any(|said| said.ends_with(&told));
            assert!(is_told, "{runtime}: {told}: {:?}", round.violations);
        }
    }
}

fn round(name: &str, runtime: &str, lies: Lies) -> Measurement {
    let directory = tempfile::tempdir().expect("a directory");
    let unit = Duration::from_millis(1);
    let entry = workload(name).expect("it ships");
    let url = format!("http://{}/", server(lies));
    let target = TargetAddress { url, mock: false };
    // A request each, at the least, before the first lie and after it.
    let warmup = NonZeroU64::new(100).expect("some");
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
    tiny_server::start(move |client| answer(client, &requests, lies))
}

fn answer(client: &TcpStream, requests: &AtomicU64, lies: Lies) {
    let mut answers = client;
    let mut reader = BufReader::new(client);
    while let Some(sent) = request(&mut reader) {
        let number = requests.fetch_add(1, Ordering::Relaxed);
        let is_lie = matches!(lies, Lies::Later) && number > 100 && number.is_multiple_of(7);
        let body = match (sent.is_empty(), is_lie) {
            (true, false) => document("truth"),
            (true, true) => document("a lie"),
            // Who sends a document wants it back.
            (false, false) => sent,
            (false, true) => sent.replace("abc", "abd"),
        };
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
        if answers.write_all([head, body].concat().as_bytes()).is_err() {
            return;
        }
    }
}

/// The body of the next request; `None` where the client has gone.
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

/// A user and a post at once, for those who look into what they are answered.
fn document(word: &str) -> String {
    json!({ "id": 1, "userId": 1, "name": word, "email": word, "title": word }).to_string()
}
