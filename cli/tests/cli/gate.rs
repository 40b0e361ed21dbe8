//! Gates and comparisons as CI meets them: exit codes, messages, and what is left behind.
//!
//! Verdicts are pinned on records whose numbers are written here (`records`), since tests that run beside each other disturb one
//! another's rounds; live arms (`arms`) are real servers and real programs, and are asked what no noise can change.

mod arms;
mod records;
mod usage;

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::support::{Finished, Sandbox, program};

/// Rounds so short that forty pairs take seconds.
const SHORT: [&str; 5] = [
    "--duration=20ms",
    "--set=load.warmup=5ms",
    "--concurrency=1",
    "--no-redo",
    "--runtimes=tokio",
];

/// A server that answers every GET of /x with `body`, as a command of its own.
fn server(body: &str) -> String {
    let behaviour = json!({ "mocks": [{ "path": "/x", "method": "GET", "respond": [{ "status": 200, "body": body }] }] });
    format!(
        "exec '{}' serve wiremock --listen 127.0.0.1:{{port}} --behaviour '{behaviour}'",
        program().display()
    )
}

fn gate(sandbox: &Sandbox, base: &str, head: &str, more: &[&str]) -> Finished {
    let arms = [
        "gate",
        "http-get",
        "--base-server",
        base,
        "--head-server",
        head,
    ];
    let path = ["--set=params.path=/x"];
    sandbox.run(&[&arms[..], &path, &SHORT, more].concat())
}

/// The record of a live gate between two equal servers, as JSON, and where it is.
fn measured(sandbox: &Sandbox) -> (Value, PathBuf) {
    let equal = server("same");
    let finished = gate(
        sandbox,
        &equal,
        &equal,
        &["--max-pairs=10", "--limit=throughput=50%"],
    );
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    let place = sandbox.latest().join("record.json");
    let text = std::fs::read_to_string(&place).expect("a record");
    (serde_json::from_str(&text).expect("JSON"), place)
}

#[track_caller]
fn says(finished: &Finished, code: i32, expected: &[&str]) {
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    let text = finished
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for part in expected {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let fits = |line: &str| line.chars().count() <= 80;
    assert!(finished.stdout.lines().all(fits), "{}", finished.stdout);
}
