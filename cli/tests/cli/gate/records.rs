//! Records gated again, baselines and comparisons: verdicts on numbers that are written here.

use serde_json::{Value, json};

use super::{SHORT, gate, measured, says, server};
use crate::schemas;
use crate::support::{Finished, Sandbox};

/// The rounds of the record with throughputs of their own: of base and head, with one percent of noise.
fn with_throughput(record: &mut Value, base: f64, head: f64) {
    let arms: Vec<Value> = record["plan"]["cells"]
        .as_array()
        .expect("cells")
        .iter()
        .map(|cell| cell["arm"].clone())
        .collect();
    for round in record["rounds"].as_array_mut().expect("rounds") {
        let block = round["block"].as_u64().expect("a number");
        let of_head = arms[round["cell"].as_u64().expect("a number") as usize] == "head";
        let noise = 1.0 + 0.01 * ((7 * block + 3 * u64::from(of_head)) % 5) as f64 / 4.0;
        let value = if of_head { head } else { base } * noise;
        round["outcome"]["worker"]["throughput_ops_s"] = json!(value);
        round["conditions"]["disturbance"] = Value::Null;
    }
}

/// Gates a record again that was changed by `change`.
fn regated(sandbox: &Sandbox, record: &Value, more: &[&str]) -> Finished {
    let place = sandbox.write("changed.json", &record.to_string());
    let place = place.to_str().expect("UTF-8").to_owned();
    sandbox.run(&[&["gate", &place][..], more].concat())
}

#[test]
fn a_record_gated_again_gets_the_verdict_of_its_rounds() {
    let sandbox = Sandbox::new();
    let (mut record, _) = measured(&sandbox);
    with_throughput(&mut record, 10_000.0, 10_000.0);
    says(
        &regated(&sandbox, &record, &[]),
        0,
        &["PASS", "the check holds"],
    );

    with_throughput(&mut record, 10_000.0, 8_000.0);
    let expected = ["REGRESSION", "the base: +25% time per operation"];
    says(&regated(&sandbox, &record, &[]), 3, &expected);

    // Every format, printed and written beside.
    for format in ["json", "csv", "markdown", "annotations", "junit"] {
        let file = sandbox.path().join(format);
        let write = format!("--write={format}={}", file.display());
        let printed = regated(&sandbox, &record, &["--format", format, &write]);
        assert_eq!(printed.code, Some(3), "{printed:#?}");
        let written = std::fs::read_to_string(&file).expect("written");
        assert_eq!(printed.stdout, written);
        assert!(!written.is_empty(), "{format}");
    }
    regated(&sandbox, &record, &["--write=pdf=x"]).check(2, &["FORMAT=FILE", "junit"]);

    // Against a record the head alone speaks: here against itself.
    let place = sandbox.path().join("changed.json");
    let against = format!("--baseline={}", place.display());
    let finished = regated(&sandbox, &record, &[&against, "--format=json"]);
    let report: Value = finished.json();
    let checks = report["checks"].as_array().expect("checks");
    assert_eq!(checks.len(), 1, "{report}");
    assert_eq!(checks[0]["slowdown"]["estimate"], 0.0, "{report}");

    // Swapped arms look like an improvement, and that is said.
    with_throughput(&mut record, 5_000.0, 10_000.0);
    let expected = ["PASS", "an improvement, or the arms are swapped"];
    says(&regated(&sandbox, &record, &[]), 0, &expected);

    // Half the blocks lack their head.
    with_throughput(&mut record, 10_000.0, 10_000.0);
    let mut truncated = record.clone();
    let rounds = truncated["rounds"].as_array_mut().expect("rounds");
    rounds.truncate(7);
    truncated["completion"] = json!({ "status": "interrupted" });
    says(
        &regated(&sandbox, &truncated, &[]),
        4,
        &["INCONCLUSIVE", "interrupted"],
    );

    // A cell without its partner.
    let mut alone = record.clone();
    alone["plan"]["cells"][0]["runtime"] = json!("smol");
    let expected = ["INCONCLUSIVE", "the base has no matching cell"];
    says(&regated(&sandbox, &alone, &[]), 4, &expected);

    // Others had the machine.
    let mut busy = record.clone();
    for round in busy["rounds"].as_array_mut().expect("rounds") {
        round["conditions"]["disturbance"] = json!("other processes took 50% of the CPU time");
    }
    let expected = ["UNFIT", "too busy to measure", "other processes took 50%"];
    says(&regated(&sandbox, &busy, &[]), 4, &expected);

    // Nothing is asked.
    let mut empty = record.clone();
    empty["plan"]["gate"]["terms"] = json!([]);
    let expected = ["INCONCLUSIVE", "nothing could fail"];
    says(&regated(&sandbox, &empty, &[]), 4, &expected);

    // Fast because it answers wrongly.
    let mut wrong = record.clone();
    with_throughput(&mut wrong, 10_000.0, 50_000.0);
    wrong["rounds"][3]["outcome"]["mismatches"] = json!(["the worker got 10 answers of 12"]);
    says(
        &regated(&sandbox, &wrong, &[]),
        5,
        &["WRONG", "10 answers of 12"],
    );
}

#[test]
fn a_truncated_record_is_refused() {
    let sandbox = Sandbox::new();
    let (record, _) = measured(&sandbox);
    let text = record.to_string();
    let place = sandbox.write("cut.json", &text[..text.len() / 2]);
    let place = place.to_str().expect("UTF-8");
    sandbox
        .run(&["gate", place])
        .check(1, &["is not a record of this version", "hint:"]);
}

#[test]
fn baselines_are_kept_listed_shown_promoted_and_removed() {
    let sandbox = Sandbox::new();
    let run = ["run", "null", "--rounds=10", "--save-baseline=main"];
    sandbox.run(&[&run[..], &SHORT].concat()).check(0, &[]);
    let listed = sandbox.run(&["baseline", "list"]).check(0, &[]).stdout;
    assert!(
        listed.starts_with("main") && listed.contains("10 rounds"),
        "{listed}"
    );
    let shown = sandbox
        .run(&["baseline", "show", "main"])
        .check(0, &[])
        .stdout;
    assert!(shown.contains("tokio"), "{shown}");
    sandbox
        .run(&["baseline", "promote", "main", "release"])
        .check(0, &[]);
    sandbox
        .run(&["baseline", "promote", "photofinish-runs/latest", "other"])
        .check(0, &[]);
    sandbox.run(&["baseline", "remove", "other"]).check(0, &[]);
    sandbox
        .run(&["baseline", "remove", "other"])
        .check(1, &["unknown baseline `other`", "main, release"]);
    sandbox
        .run(&["baseline", "show", "../main"])
        .check(2, &["is not a valid name"]);

    // The same machine and boot: the verdict is no mere advice.
    let now = [
        "gate",
        "null",
        "--baseline=main",
        "--max-pairs=10",
        "--format=json",
    ];
    let finished = sandbox.run(&[&now[..], &SHORT].concat());
    let report: Value = finished.json();
    assert_eq!(report["paired"], false);
    assert_eq!(report["advisory"], Value::Null);

    // Another boot: advice, and under --strict no pass.
    let text = std::fs::read_to_string(sandbox.path().join("photofinish-baselines/main.json"));
    let mut elsewhere: Value = serde_json::from_str(&text.expect("kept")).expect("JSON");
    elsewhere["machine"]["cpu_model"] = json!("another");
    sandbox.write("elsewhere.json", &elsewhere.to_string());
    let again = [
        "gate",
        "photofinish-runs/latest",
        "--baseline=elsewhere.json",
    ];
    let advice = sandbox.run(&again);
    says(&advice, 0, &["advice only", "another machine"]);
    let strict = sandbox.run(&[&again[..], &["--strict"]].concat());
    says(&strict, 4, &["advice only"]);
}

#[test]
fn two_runs_are_compared_unless_their_work_differs() {
    let sandbox = Sandbox::new();
    let run = |arguments: &[&str], name: &str| {
        let name = format!("--save-baseline={name}");
        let arguments = [&["run"], arguments, &["--rounds=6", &name], &SHORT[..]].concat();
        sandbox.run(&arguments).check(0, &[]);
    };
    run(&["null"], "one");
    run(&["null"], "two");
    run(&["file-read", "--set=params.size=4KiB"], "small");
    run(&["file-read", "--set=params.size=8KiB"], "large");
    let json = ["--format=json"];
    let compared = sandbox
        .run(&[&["compare", "one", "two"][..], &json].concat())
        .check(0, &[]);
    let document: Value = compared.json();
    schemas::check("comparison", &document);
    let ratio = &document["cells"][0]["metrics"]["throughput_ops_s"]["ratio"];
    assert!(ratio["low"].as_f64() <= ratio["median"].as_f64(), "{ratio}");
    let expected = ["the parameter size is"];
    sandbox
        .run(&["compare", "small", "large"])
        .check(2, &expected);
    let expected = [
        "nothing in the two runs can be compared",
        "the base does not have it",
    ];
    sandbox
        .run(&["compare", "one", "large"])
        .check(2, &expected);
    sandbox
        .run(&["compare", "one", "missing"])
        .check(1, &["unknown baseline `missing`"]);
    let table = sandbox
        .run(&["compare", "one", "two", "--html", "compared.html"])
        .check(0, &[])
        .stdout;
    // How many of each depends on the machine.
    assert!(
        table.contains(" without a verdict") || table.contains(" inconclusive"),
        "{table}"
    );
    let page = std::fs::read_to_string(sandbox.path().join("compared.html")).expect("a page");
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("id=\"changes\""));
    assert!(
        table.lines().all(|line| line.chars().count() <= 80),
        "{table}"
    );
}

#[test]
fn a_verdict_counts_even_if_nothing_can_be_saved() {
    let sandbox = Sandbox::new();
    let (mut record, _) = measured(&sandbox);
    with_throughput(&mut record, 10_000.0, 8_000.0);
    let ok = format!("--write=json={}", sandbox.path().join("ok.json").display());
    let finished = regated(&sandbox, &record, &["--write=junit=/proc/x.xml", &ok]);
    says(&finished, 3, &["REGRESSION"]);
    assert!(
        finished.stderr.contains("cannot write /proc/x.xml"),
        "{}",
        finished.stderr
    );
    assert!(sandbox.path().join("ok.json").is_file());

    // A name that is none is found out before anything runs, here before an arm fails to start.
    let arms = [
        "gate",
        "http-get",
        "--base-server=false {port}",
        "--head-server=false {port}",
    ];
    let expected = ["`a/b` is not a valid name"];
    sandbox
        .run(&[&arms[..], &["--save-baseline=a/b"]].concat())
        .check(2, &expected);
    sandbox
        .run(&["run", "null", "--save-baseline=a/b"])
        .check(2, &expected);

    // A place that is none costs the baseline alone.
    sandbox.write("file", "");
    let equal = server("same");
    let more = [
        "--max-pairs=10",
        "--limit=throughput=50%",
        "--save-baseline=main",
        "--baselines=file",
    ];
    let finished = gate(&sandbox, &equal, &equal, &more);
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    assert!(
        finished.stderr.contains("use --baselines"),
        "{}",
        finished.stderr
    );
}

#[test]
fn cells_missing_in_the_head_leave_a_gate_inconclusive() {
    let sandbox = Sandbox::new();
    let run = [
        "run",
        "null",
        "file-read",
        "--runtimes=tokio,sync",
        "--concurrency=1,16",
        "--rounds=10",
    ];
    let more = [
        "--duration=20ms",
        "--set=load.warmup=5ms",
        "--no-redo",
        "--save-baseline=m",
    ];
    sandbox.run(&[&run[..], &more].concat()).check(0, &[]);
    let head = [
        "gate",
        "null",
        "--baseline=m",
        "--max-pairs=10",
        "--runtimes=tokio",
        "--concurrency=1",
    ];
    let more = ["--duration=25ms", "--set=load.warmup=5ms", "--no-redo"];
    let gated = sandbox.run(&[&head[..], &more].concat());
    let early = gated.stderr.find("this gate can fail but not pass");
    let first_pair = gated.stderr.find("pair 1 of");
    assert!(early.is_some() && early < first_pair, "{}", gated.stderr);
    let text = std::fs::read_to_string(sandbox.latest().join("record.json")).expect("a record");
    let mut record: Value = serde_json::from_str(&text).expect("JSON");
    // Faster than any base, so that the cell which both have passes.
    with_throughput(&mut record, 1e12, 1e12);
    let finished = regated(&sandbox, &record, &["--baseline=m", "--format=json"]);
    assert_eq!(finished.code, Some(4), "{finished:#?}");
    let report = finished.json();
    let checks = report["checks"].as_array().expect("checks");
    let lost = checks
        .iter()
        .filter(|check| check["reason"] == "the head has no matching cell");
    assert_eq!(lost.count(), 3, "{report}");
    assert_eq!(checks.len(), 4, "{report}");
    let warnings = report["warnings"].to_string();
    assert!(
        warnings.contains("length of a round of null is 20ms in the base and 25ms"),
        "{warnings}"
    );
    assert!(
        warnings.contains("the base also has file-read"),
        "{warnings}"
    );
    assert_eq!(report["head"]["kind"], "record");

    // The other way round.
    let table = regated(&sandbox, &record, &["--baseline=m"]);
    says(
        &table,
        4,
        &["INCONCLUSIVE", "the head has no matching cell"],
    );
}

#[test]
fn a_record_with_a_huge_block_number_is_read_without_harm() {
    let sandbox = Sandbox::new();
    let (mut record, _) = measured(&sandbox);
    for block in [1_000_000_000_000_u64, u64::MAX] {
        record["rounds"][0]["block"] = json!(block);
        let finished = regated(&sandbox, &record, &[]);
        assert!(matches!(finished.code, Some(0..=5)), "{finished:#?}");
    }
}

#[test]
fn a_busy_machine_is_reported_as_remeasured_only_if_it_was() {
    let sandbox = Sandbox::new();
    let (mut record, _) = measured(&sandbox);
    for round in record["rounds"].as_array_mut().expect("rounds") {
        round["conditions"]["disturbance"] = json!("others");
    }
    let expected = [
        "UNFIT",
        "10 of 10 blocks were disturbed (none redone): others",
    ];
    says(&regated(&sandbox, &record, &[]), 4, &expected);
}
