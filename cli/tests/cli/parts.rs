//! Figures per part as users see them: a scripted mix whose counts are all known in advance, under every runtime.

use photofinish_harness::runtimes::default_runtimes;
use serde_json::{Value, json};

use crate::support::Sandbox;

/// 600 operations per round: each reads, every third writes, and every second write fails and ends its operation
/// before it can confirm.
const MIX: &str = r#"
title = "Reads and writes"
workload = "scripted"

[params]
times = []
parts = [
    { name = "read", status = 200, time_us = 1.0 },
    { name = "write", every = 3, status = 201, fails_every = 6 },
    { name = "confirm", every = 3, status = 204 },
]

[load]
concurrency = 4
warmup_ops = 50
ops = 600

[expect]
errors = "20%"
"#;

#[test]
fn every_runtime_counts_the_same_parts_and_shows_them() {
    let sandbox = Sandbox::new();
    sandbox.write("mix.toml", MIX);
    let arguments = [
        "run",
        "mix.toml",
        "--rounds",
        "2",
        "--no-redo",
        "--format",
        "json",
    ];
    let finished = sandbox.run(&arguments).check(0, &[]);
    let summary: Value = serde_json::from_str(&finished.stdout).expect("one document");
    let cells = summary["cells"].as_array().expect("cells");
    assert_eq!(cells.len(), default_runtimes().count());
    for cell in cells {
        let parts = cell["parts"].as_array().expect("parts");
        let counts: Vec<Value> = parts
            .iter()
            .map(|part| {
                json!([
                    part["name"],
                    part["count"],
                    part["failed"],
                    part["statuses"]
                ])
            })
            .collect();
        // A failed write still has the status from the script.
        let expected = [
            json!(["read", 1_200, 0, { "200": 1_200 }]),
            json!(["write", 400, 200, { "201": 400 }]),
            json!(["confirm", 200, 0, { "204": 200 }]),
        ];
        assert_eq!(counts, expected, "{}", cell["runtime"]);
        let p50 = parts[0]["metrics"]["service_p50_ns"]["median"].as_f64();
        assert!(p50 >= Some(1_000.0), "{p50:?}");
        assert_eq!(cell["metrics"]["errors"]["median"], 100.0);
    }
    let report = ["report", "photofinish-runs/latest"];
    sandbox.run(&report).check(0, &[]);
    let page = std::fs::read_to_string(sandbox.latest().join("report.html")).expect("a page");
    assert!(page.contains("confirm"));
    let csv = ["export", "photofinish-runs/latest", "--format", "csv-parts"];
    let csv = sandbox.run(&csv).check(0, &[]).stdout;
    assert!(csv.contains("status: 100"), "{csv}");
    assert_eq!(csv.lines().count(), 1 + cells.len() * 2 * 3, "{csv}");
}

#[test]
fn parts_that_cannot_be_distinguished_are_refused_before_anything_runs() {
    let sandbox = Sandbox::new();
    sandbox.write("mix.toml", &MIX.replace("confirm", "read"));
    let expected = ["expected a different name for each part, got `read` twice"];
    sandbox.run(&["run", "mix.toml"]).check(2, &expected);
}
