//! Command lines that are refused before anything runs.

use serde_json::{Value, json};

use super::{SHORT, gate, server};
use crate::support::Sandbox;

#[test]
fn a_gate_that_could_never_fail_is_refused() {
    let sandbox = Sandbox::new();
    let equal = server("same");
    let gate = |more: &[&str]| gate(&sandbox, &equal, &equal, more);
    gate(&["--max-pairs=5"]).check(4, &["could never fail", "no regression can be told"]);
    gate(&["--limit=response_p99=5%"]).check(4, &["could never fail", "open load"]);
    gate(&["--limit=throughput=> 0"]).check(2, &["could never fail"]);
    gate(&["--limit=errors=100%"]).check(2, &["could never fail"]);
    gate(&["--limit=thruput=5%"]).check(2, &["no metric `thruput`", "throughput"]);
    gate(&["--limit=throughput"]).check(2, &["METRIC=TEXT"]);
    assert!(!sandbox.path().join("photofinish-runs").exists());
}

#[test]
fn arms_that_make_no_sense_are_usage_errors() {
    let sandbox = Sandbox::new();
    let refused = |arguments: &[&str], expected: &[&str]| {
        sandbox
            .run(&[&["gate"], arguments].concat())
            .check(2, expected);
    };
    refused(&["http-get"], &["a gate needs two arms"]);
    refused(&["http-get", "--base-server=x {port}"], &["--head-server"]);
    refused(
        &["http-get", "--base-server=./a", "--head-server=./b {port}"],
        &["--base-server: the command has no {port}"],
    );
    refused(
        &[
            "null",
            "--base-server=./a {port}",
            "--head-server=./b {port}",
        ],
        &["uses no server"],
    );
    refused(
        &["null", "--base-exe=./not-there", "--head-exe=./neither"],
        &["no executable"],
    );
    refused(
        &["null", "--rounds=3", "--baseline=x"],
        &["--rounds is not for a gate"],
    );
    refused(
        &["http-get", "--base-rev=HEAD", "--server=./a {port}"],
        &[
            "--server: the command has no {exe}",
            "'{exe} --port {port}'",
        ],
    );
    refused(
        &["http-get", "--base-rev=HEAD", "--server={exe}"],
        &["--server: the command has no {port}"],
    );
    // Here is no repository: the scenario is looked at before anything of a revision is.
    sandbox.write("typo.toml", "workload = 'http-gte'\n");
    refused(
        &["typo.toml", "--base-rev=HEAD", "--server={exe} {port}"],
        &["typo.toml:1", "unknown workload `http-gte`"],
    );
    let elsewhere = ["--server-url=http://192.0.2.1:{port}/"];
    let arms = [
        "http-get",
        "--base-server=./a {port}",
        "--head-server=./b {port}",
    ];
    refused(&[&arms[..], &elsewhere].concat(), &["127.0.0.1"]);
    for not_http in ["ws://127.0.0.1:{port}/", "http=http://127.0.0.1:{port}/"] {
        let url = format!("--server-url={not_http}");
        let expected = [
            "not a URL of the target `http`",
            "such as http://127.0.0.1:{port}",
        ];
        refused(&[&arms[..], &[&url]].concat(), &expected);
    }
}

#[test]
fn a_scenarios_own_gate_is_checked_and_reported_by_line() {
    let sandbox = Sandbox::new();
    let text =
        "workload = 'http-get'\n[params]\npath = '/x'\n[gate]\nthroughput = '40%'\nerrors = '0'\n";
    sandbox.write("mine.toml", text);
    let equal = server("same");
    let arms = [
        "gate",
        "mine.toml",
        "--base-server",
        &equal,
        "--head-server",
        &equal,
    ];
    let more = ["--max-pairs=10", "--format=json"];
    let finished = sandbox.run(&[&arms[..], &SHORT, &more].concat());
    let report: Value = finished.json();
    let checks = report["checks"].as_array().expect("checks");
    let of = |metric: &str| checks.iter().find(|check| check["metric"] == metric);
    let throughput = of("throughput_ops_s").expect("asked");
    assert_eq!(
        throughput["place"],
        json!({ "file": "mine.toml", "line": 5 })
    );
    assert_eq!(of("errors").expect("asked")["verdict"], "pass");

    sandbox.write("typo.toml", &text.replace("throughput", "thruput"));
    sandbox
        .run(&["plan", "typo.toml"])
        .check(2, &["typo.toml:5", "thruput", "throughput"]);
}

/// Goal: an output never replaces another one or what is read. Method: one file in several spellings.
#[test]
fn outputs_that_would_overwrite_something_are_refused_before_anything_runs() {
    let sandbox = Sandbox::new();
    let run = [
        "run",
        "null",
        "--runtimes=sync",
        "--rounds=2",
        "--duration=20ms",
        "--no-redo",
    ];
    sandbox.run(&run).check(0, &[]);
    let latest = sandbox.latest().canonicalize().expect("a run");
    let before = std::fs::read(latest.join("record.json")).expect("a record");
    std::fs::copy(latest.join("record.json"), sandbox.path().join("base.json")).expect("copied");
    std::os::unix::fs::symlink("x", sandbox.path().join("link")).expect("linked");
    sandbox.write("x", "mine");
    sandbox.write("my.toml", "workload = 'null'\n");
    let gate = "gate photofinish-runs/latest --baseline base.json";
    let live = "gate ./my.toml --base-exe /bin/true --head-exe /bin/false";
    for (command, writes, expected_text) in [
        (
            gate,
            "--write=json=x --write=junit=./x",
            "--write junit=./x: it would replace the file of --write json=x",
        ),
        (
            gate,
            "--write=json=x --write=junit=link",
            "--write junit=link: it would replace the file of --write json=x",
        ),
        (
            gate,
            "--write=json=base.json",
            "it would replace base.json, which is read",
        ),
        (
            gate,
            "--write=json=photofinish-runs/latest/record.json",
            "is part of a finished run",
        ),
        (
            gate,
            "--write=json=photofinish-runs/latest/charts/new.json",
            "is part of a finished run",
        ),
        (
            gate,
            "--write=json=photofinish-runs",
            "expected a file, got the directory",
        ),
        (
            gate,
            "--write=json=-",
            "--write json=-: expected a file, got stdout",
        ),
        (
            live,
            "--save-baseline=x --write=json=photofinish-baselines/./x.json",
            "it would replace the file of --save-baseline",
        ),
        (
            live,
            "--write=markdown=my.toml",
            "it would replace ./my.toml, which is read",
        ),
        (
            live,
            "--save-baseline=a/b",
            "is not a valid name for a baseline",
        ),
        (
            "run ./my.toml --runtimes sync",
            "--save-baseline=a/b",
            "is not a valid name for a baseline",
        ),
        (
            "run ./my.toml",
            "--baselines=photofinish-runs/latest --save-baseline=record",
            "is part of a finished run",
        ),
    ] {
        let line: Vec<&str> = command.split(' ').chain(writes.split(' ')).collect();
        sandbox.run(&line).check(2, &[expected_text, "hint: "]);
    }
    assert_eq!(
        std::fs::read_to_string(sandbox.path().join("x")).expect("a file"),
        "mine"
    );
    assert_eq!(
        std::fs::read(latest.join("record.json")).expect("a record"),
        before
    );
    // Next to the run's own files, and any number of times to a device.
    let harmless = [
        "--write=json=photofinish-runs/latest/gate.json",
        "--write=json=/dev/null",
        "--write=junit=/dev/null",
    ];
    let finished = sandbox.run(&[&Vec::from_iter(gate.split(' '))[..], &harmless].concat());
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    assert!(latest.join("gate.json").exists());
}
