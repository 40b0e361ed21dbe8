//! Thresholds of a run through the program: exit codes, messages, and what is refused before anything runs.
//!
//! Shares of failures are known in advance whatever else the machine does; times are not, so verdicts on them are
//! pinned on hand-written records in `reports`.

use serde_json::{Value, json};

use crate::support::{Finished, Sandbox};

/// The last twenty of eighty responses are a 500; the first of all is the reference.
const FAILING: &str = r#"
workload = "http-get"
params.path = "/x"
params.content = "any"
runtimes = ["tokio"]

[server.http]
kind = "wiremock"
mocks = [{ method = "GET", path = "/x", respond = [
    { body = "a", times = 65 }, { status = 500, body = "b" },
] }]

[load]
ops = 80
warmup_ops = 4
"#;

fn run(sandbox: &Sandbox, scenario: &str, expect: &str, more: &[&str]) -> Finished {
    let file = sandbox.write("mine.toml", &format!("{scenario}\n[expect]\n{expect}\n"));
    let file = file.to_str().expect("UTF-8").to_owned();
    sandbox.run(&[&["run", &file, "--rounds=2", "--no-redo"][..], more].concat())
}

fn verdicts(document: &Value) -> Vec<&str> {
    let checks = document["thresholds"].as_array().expect("thresholds");
    let verdicts = checks.iter().map(|check| check["verdict"].as_str());
    verdicts
        .map(|verdict| verdict.expect("a verdict"))
        .collect()
}

#[test]
fn every_verdict_has_its_exit_code() {
    let sandbox = Sandbox::new();
    let met = run(&sandbox, FAILING, "errors = '< 50%'", &["--format=json"]).check(0, &[]);
    assert_eq!(verdicts(&met.json()), ["met"]);
    let missed = run(&sandbox, FAILING, "errors = '< 1%'", &["--format=json"]);
    let missed = missed.check(
        3,
        &[
            "1 of 1 threshold missed: mine / tokio",
            "errors is 25%",
            "expected < 1%",
        ],
    );
    let document = missed.json();
    assert_eq!(verdicts(&document), ["missed"]);
    assert_eq!(document["thresholds"][0]["rounds_missed"], 2);
    assert_eq!(document["thresholds"][0]["place"]["line"], 18);
    // Eighty operations are too few for a p99.
    let expected_text = ["cannot be told", "needs 10000 operations"];
    run(
        &sandbox,
        FAILING,
        "errors = '< 50%'\nservice_p99 = '< 1s'",
        &[],
    )
    .check(4, &expected_text);
    // A missed threshold takes precedence over one that cannot be judged, and a wrong measurement over both.
    run(
        &sandbox,
        FAILING,
        "errors = ['< 1%']\nservice_p99 = '< 1s'",
        &[],
    )
    .check(3, &["missed"]);
    let wrong = [
        "measured, but wrong",
        "25% of operations failed; the limit is 0%",
    ];
    run(&sandbox, FAILING, "service_p99 = '< 1s'", &[]).check(5, &wrong);
    let budget = ["measured, but wrong", "the limit is 2%"];
    run(&sandbox, FAILING, "errors = ['< 1%', '2%']", &[]).check(5, &budget);
    // The table is on stdout, and its lines fit.
    let shown = run(&sandbox, FAILING, "errors = '< 1%'", &[]);
    assert!(shown.stdout.contains("tokio errors"), "{}", shown.stdout);
    assert!(shown.stdout.contains("0 of 2"), "{}", shown.stdout);
    // Everything rendered from the record later has the thresholds too.
    let latest = sandbox.latest();
    let latest = latest.to_str().expect("UTF-8");
    for (format, expected_text) in [
        ("junit", "errors &lt; 1%"),
        ("annotations", "line=18"),
        ("markdown", "| missed |"),
    ] {
        let exported = sandbox.run(&["export", latest, "--format", format]);
        assert!(
            exported.stdout.contains(expected_text),
            "{format}: {exported:#?}"
        );
    }
}

#[test]
fn the_command_line_adds_thresholds_and_replaces_those_of_the_file() {
    let sandbox = Sandbox::new();
    let strict = "errors = '< 1%'";
    run(&sandbox, FAILING, strict, &["--expect=errors < 50%"]).check(0, &[]);
    let expected_text = ["errors is 25%", "expected none"];
    run(&sandbox, FAILING, "", &["--expect", "errors = 0"]).check(3, &expected_text);
    let file = sandbox.path().join("mine.toml");
    let file = file.to_str().expect("UTF-8");
    let planned = sandbox.run(&["plan", file, "--expect", "errors < 5%"]);
    assert!(
        planned.stdout.contains("mine: expected errors < 5%"),
        "{planned:#?}"
    );
}

#[test]
fn an_unjudgeable_threshold_is_refused_before_anything_runs() {
    let sandbox = Sandbox::new();
    let refused = |expect: &str, more: &[&str], expected_text: &[&str]| {
        run(&sandbox, "workload = 'null'", expect, more).check(2, expected_text);
        assert!(
            !sandbox.path().join("photofinish-runs").exists(),
            "{expect}"
        );
    };
    refused(
        "respons_p99 = '< 1ms'",
        &[],
        &[
            "mine.toml:3:1",
            "unknown metric `respons_p99`",
            "did you mean `response_p99`?",
        ],
    );
    refused(
        "service_p99.5 = '5%'",
        &[],
        &["mine.toml:3:", "expected an objective such as \"< 20ms\""],
    );
    refused(
        "errors = '> 0'",
        &[],
        &["mine.toml:3:", "expected \"0\", or a share"],
    );
    refused("service_p50 = '< 0ms'", &[], &["could never be met"]);
    refused(
        "service_p50 = true",
        &[],
        &["expected a text such as \"< 20ms\""],
    );
    refused(
        "request.buy.service_p99 = '< 1ms'",
        &[],
        &["unknown part `buy`"],
    );
    refused(
        "response_p99 = '< 1ms'",
        &[],
        &["exists only under an open load", "--rate 1000"],
    );
    refused(
        "",
        &["--expect=lag_p99 < 1ms"],
        &["exists only under an open load"],
    );
    refused(
        "",
        &["--expect=service_p99"],
        &["expected a metric, `<` or `>`, and a limit"],
    );
    refused(
        "",
        &["--expect=p99 < 1ms"],
        &["there is no metric `p99`", "hint: metrics: throughput"],
    );
    refused(
        "",
        &["--expect=request.a b.errors < 1%"],
        &["unknown part `a b`"],
    );
    refused("", &["--fail-fast"], &["--fail-fast needs a threshold"]);
    refused(
        "",
        &["--find-max=response_p99 < 1s", "--expect=errors < 1%"],
        &["cannot be used with"],
    );
    sandbox
        .run(&["gate", "null", "--expect=errors < 1%", "--baseline=x"])
        .check(2, &["--expect is not for a gate"]);
}

/// Goal: a run that can no longer meet a threshold ends early, between blocks. Method: of nine rounds the fifth
/// decides.
#[test]
fn fail_fast_ends_a_run_that_the_rest_could_not_save() {
    let sandbox = Sandbox::new();
    let fast = ["--rounds=9", "--fail-fast"];
    let file = sandbox.write(
        "fast.toml",
        &format!("{FAILING}\n[expect]\nerrors = '< 1%'\n"),
    );
    let file = file.to_str().expect("UTF-8");
    let run = |more: &[&str]| sandbox.run(&[&["run", file, "--no-redo"][..], more].concat());
    run(&fast).check(3, &["missed in 5 of 9 rounds", "ended after 5 of 9 blocks"]);
    assert_eq!(sandbox.record().rounds.len(), 5);
    run(&[&fast[..], &["--expect=errors < 50%"]].concat()).check(0, &[]);
    assert_eq!(sandbox.record().rounds.len(), 9);
}

/// Goal: known distributions give the known verdict. Method: a scripted run, without the disturbances that
/// other tests make, and judged again from its record.
#[test]
fn scripted_times_are_on_the_right_side_of_the_limit() {
    let sandbox = Sandbox::new();
    let times = "params.times=[{ share = 1.0, time_us = 2000.0 }]";
    let limits = ["--expect=service_p50 < 1ms", "--expect=service_p50.5 > 1ms"];
    let refused = sandbox.run(&[&["run", "scripted"][..], &limits].concat());
    refused.check(2, &["expected an objective such as \"< 20ms\""]);
    let limits = [
        "--expect=service_p50 < 1.9ms",
        "--expect=service_max < 50s",
        "--runtimes=tokio",
    ];
    let short = [
        "--rounds=2",
        "--no-redo",
        "--set=load.ops=60",
        "--set=load.warmup_ops=2",
    ];
    sandbox.run(&[&["run", "scripted", "--set", times][..], &limits, &short].concat());
    let mut record = serde_json::to_value(sandbox.record()).expect("JSON");
    for round in record["rounds"].as_array_mut().expect("rounds") {
        round["conditions"]["disturbance"] = Value::Null;
    }
    let path = sandbox.write("calm.json", &record.to_string());
    let exported = sandbox.run(&["export", path.to_str().expect("UTF-8"), "--format=json"]);
    let document = exported.json();
    let median_ns = document["thresholds"][0]["value"]
        .as_f64()
        .expect("a median");
    assert!(
        median_ns >= 2e6,
        "no operation is shorter than its script: {median_ns}"
    );
    assert_eq!(
        json!(verdicts(&document)),
        json!(["missed", "met"]),
        "{document}"
    );
}
