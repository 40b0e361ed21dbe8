//! Gates and comparisons as CI meets them: exit codes, messages, and what is left behind.
//!
//! Verdicts are pinned on records whose numbers are written here, since tests that run beside each other disturb one
//! another's rounds; live arms are real servers and real programs, and are asked what no noise can change.

use std::path::PathBuf;
use std::process::Command;

use photofinish_record::Arm;
use serde_json::{Value, json};

use crate::schemas;
use crate::support::{
    Finished, Sandbox, arguments, is_gone, program, python, send, wait_for, wait_until_gone,
};

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
fn live_arms_are_measured_in_balanced_pairs_and_the_output_matches_the_record() {
    let sandbox = Sandbox::new();
    let equal = server("same");
    let more = ["--max-pairs=10", "--limit=throughput=50%", "--format=json"];
    let live = gate(&sandbox, &equal, &equal, &more);
    let report: Value = live.json();
    schemas::check("gate", &report);
    assert_eq!(report["blocks"], 10);
    let record = sandbox.record();
    let first_heads = record
        .plan
        .blocks
        .iter()
        .filter(|block| record.plan.cells[block[0]].arm == Some(Arm::Head))
        .count();
    assert_eq!(first_heads, 5);
    let run = sandbox.latest();
    let run = run.to_str().expect("UTF-8");
    let again = sandbox.run(&["gate", run, "--format=json"]);
    assert_eq!((again.code, &again.stdout), (live.code, &live.stdout));
    let page = std::fs::read_to_string(sandbox.latest().join("report.html")).expect("a page");
    assert!(page.contains("id=\"gate\""));
}

#[test]
fn an_arm_with_different_responses_is_wrong_unless_that_is_allowed() {
    let sandbox = Sandbox::new();
    let (base, head) = (server("a long answer"), server("short"));
    let more = ["--max-pairs=10", "--limit=throughput=50%"];
    let finished = gate(&sandbox, &base, &head, &more);
    says(
        &finished,
        5,
        &["WRONG", "the arms answer differently: GET /x"],
    );
    // No more pairs are measured than it takes to exclude chance.
    assert_eq!(sandbox.record().rounds.len(), 6);
    let allowed = [&more[..], &["--content-may-differ"]].concat();
    let finished = gate(&sandbox, &base, &head, &allowed);
    assert_ne!(finished.code, Some(5), "{finished:#?}");
}

#[test]
fn an_arm_that_fails_to_start_or_crashes_ends_the_gate_with_its_stderr() {
    let sandbox = Sandbox::new();
    let good = server("same");
    gate(&sandbox, &good, "echo no luck >&2; exit 3 # {port}", &[]).check(
        1,
        &[
            "the head: the server",
            "ended with exit code 3 before it was ready",
            "no luck",
        ],
    );
    let dies = format!("( sleep 0.4; kill $$ ) & {good}");
    let arms = [
        "gate",
        "http-get",
        "--base-server",
        &dies,
        "--head-server",
        &good,
    ];
    let longer = ["--set=params.path=/x", "--duration=5s", "--no-redo"];
    sandbox
        .run(&[&arms[..], &longer].concat())
        .check(1, &["the base"]);
}

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

#[test]
fn two_builds_of_a_program_are_measured_as_workers() {
    let sandbox = Sandbox::new();
    let copy = |name: &str| {
        let place = sandbox.path().join(name);
        std::fs::copy(program(), &place).expect("copied");
        place
    };
    let (base, head) = (copy("base"), copy("head"));
    let arguments = [
        "gate",
        "null",
        "--base-exe",
        base.to_str().expect("UTF-8"),
        "--head-exe",
        head.to_str().expect("UTF-8"),
        "--max-pairs=10",
        "--limit=throughput=50%",
        "--limit=errors=0",
    ];
    let finished = sandbox.run(&[&arguments[..], &SHORT].concat());
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    let record = sandbox.record();
    let gated = record.plan.gate.as_ref().expect("a gate");
    assert!(gated.base.identity.is_some(), "{gated:?}");
    assert_eq!(gated.base.identity, gated.head.identity);
    let copies = |warning: &String| warning.contains("the same program, byte for byte");
    assert!(record.warnings.iter().any(copies), "{:?}", record.warnings);
    assert_eq!(record.rounds.len(), 20);
    // A server is no such program, and would be waited for in vain; nor is one that ends at once.
    sandbox.write("server", "#!/bin/sh\nexec sleep 600\n");
    let server = sandbox.path().join("server");
    let may_run = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&server, may_run).expect("permitted");
    for base in ["/bin/true", "./server"] {
        let arguments = ["gate", "null", "--base-exe", base, "--head-exe"];
        let head = [head.to_str().expect("UTF-8")];
        let message = format!("{base} is not a Photofinish program");
        sandbox
            .run(&[&arguments[..], &head, &SHORT].concat())
            .check(1, &[&message, "--server '{exe} --port {port}'"]);
    }
}

/// A server that works, does not replace the shell that starts it, and takes a while to leave: it writes down the CPU
/// time that it has taken then.
const WORKING_SERVER: &str = r#"
import os, signal, socket, sys, threading, time
def leave(*_):
    time.sleep(0.1)
    with open("spent", "a") as spent:
        spent.write(f"{time.process_time_ns()}\n")
    os._exit(0)
def serve(client):
    unread = b""
    while True:
        while b"\r\n\r\n" not in unread:
            more = client.recv(65536)
            if not more:
                return
            unread += more
        unread = unread.split(b"\r\n\r\n", 1)[1]
        total = 0
        for number in range(20000):
            total += number
        client.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
signal.signal(signal.SIGTERM, leave)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    client, _ = listener.accept()
    threading.Thread(target=serve, args=(client,), daemon=True).start()
"#;

/// The CPU time of an arm's server is the gate's own, though the shell between the two dies first: otherwise every
/// round would be disturbed by its own server. Counted where the system counts it, in the gate and all that it has
/// waited for, beside what the servers themselves say: no other process of a busy machine has a part in it.
#[test]
fn the_cpu_time_of_an_arms_server_is_the_gates_own() {
    let Some(python) = python("socket", "its standard library") else {
        return;
    };
    let sandbox = Sandbox::new();
    sandbox.write("server.py", WORKING_SERVER);
    // What follows keeps any shell from replacing itself with the server; the other arm's leaves the process group as
    // well.
    let server = format!("'{}' server.py {{port}}; true", python.display());
    let leaves = format!("setsid {server} & wait");
    let arms = [
        "gate",
        "http-get",
        "--base-server",
        &server,
        "--head-server",
        &leaves,
    ];
    let more = ["--max-pairs=10", "--limit=throughput=50%", "--set=path=/x"];
    let mut gate = sandbox.start(&[&arms[..], &more, &SHORT].concat());
    let process = gate.id();
    wait_for("the end of the gate", || is_gone(process).then_some(()));
    let (own, spent) = (cpu_ns(process), sandbox.path().join("spent"));
    let finished = gate.finish();
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    // On a busy machine some may be killed before they can say it.
    let spent = std::fs::read_to_string(spent).expect("servers that leave in time");
    let spent: u64 = spent
        .lines()
        .map(|line| line.parse::<u64>().expect("ns"))
        .sum();
    assert!(spent > 0);
    assert!(own >= spent, "{own} ns in all, {spent} ns in the servers");
}

/// CPU time of a process that nobody has waited for yet, and of all that it has waited for.
fn cpu_ns(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).expect("not waited for");
    let (_, after_name) = stat.rsplit_once(')').expect("a name");
    let times = after_name.split_whitespace().skip(11).take(4);
    times
        .map(|ticks| ticks.parse::<u64>().expect("ticks") * 10_000_000)
        .sum()
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
fn an_interrupted_gate_keeps_its_pairs_and_leaves_no_server() {
    let sandbox = Sandbox::new();
    let equal = server("same");
    let arguments = [
        "gate",
        "http-get",
        "--base-server",
        &equal,
        "--head-server",
        &equal,
    ];
    let path = ["--set=params.path=/x", "--limit=throughput=1%"];
    let mut run = sandbox.start(&[&arguments[..], &path, &SHORT].concat());
    wait_for("rounds", || (sandbox.rounds_so_far() >= 3).then_some(()));
    let guard = run.wait_for_child("arm-server");
    run.signal("INT");
    run.finish().check(130, &["interrupted before the verdict"]);
    wait_until_gone(&[guard]);
    assert!(sandbox.record().rounds.len() >= 3);
    let again = sandbox.run(&["gate", "photofinish-runs/latest"]);
    says(&again, 4, &["INCONCLUSIVE", "interrupted"]);
}

/// A command that starts `server.py` with `code`, which has `port`, `listener` and the helpers of this text.
fn scripted(sandbox: &Sandbox, name: &str, code: &str) -> Option<String> {
    const BEGINNING: &str = r#"
import os, signal, socket, sys, threading, time
born = time.monotonic()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
def respond(client, status="200 OK"):
    unread = b""
    while True:
        while b"\r\n\r\n" not in unread:
            more = client.recv(65536)
            if not more:
                return
            unread += more
        unread = unread.split(b"\r\n\r\n", 1)[1]
        client.sendall(f"HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\nok".encode())
"#;
    let python = python("socket", "its standard library")?;
    sandbox.write(name, &format!("{BEGINNING}{code}"));
    Some(format!("'{}' {name} {{port}}", python.display()))
}

const ANSWERING: &str = "
while True:
    client, _ = listener.accept()
    threading.Thread(target=respond, args=(client,), daemon=True).start()
";

/// Two pairs: enough of a gate that is about its arms.
const TWO_PAIRS: [&str; 2] = ["--max-pairs=10", "--limit=throughput=50%"];

#[test]
fn a_starting_server_is_waited_for() {
    let sandbox = Sandbox::new();
    let starting = "
while True:
    client, _ = listener.accept()
    age = time.monotonic() - born
    if age < 0.2:
        client.close()
    else:
        status = '503 Starting' if age < 0.4 else '200 OK'
        threading.Thread(target=respond, args=(client, status), daemon=True).start()
";
    let Some(starting) = scripted(&sandbox, "starting.py", starting) else {
        return;
    };
    let finished = gate(&sandbox, &starting, &server("ok"), &TWO_PAIRS);
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    assert_eq!(sandbox.record().rounds.len(), 20);
}

#[test]
fn an_arm_with_wrong_responses_is_named() {
    let sandbox = Sandbox::new();
    let failing = "
while True:
    client, _ = listener.accept()
    threading.Thread(target=respond, args=(client, '500 No'), daemon=True).start()
";
    let Some(failing) = scripted(&sandbox, "failing.py", failing) else {
        return;
    };
    gate(&sandbox, &server("ok"), &failing, &TWO_PAIRS).check(1, &["the head: ", "500"]);
}

#[test]
fn a_command_that_is_not_a_server_in_the_foreground_is_reported() {
    let sandbox = Sandbox::new();
    let good = server("same");
    let check = |base: &str, expected: &[&str]| {
        let finished = gate(&sandbox, base, &good, &[]).check(1, expected);
        assert!(
            finished.stderr.contains("the base: the server"),
            "{}",
            finished.stderr
        );
        assert!(
            !finished.stderr.contains("error: error"),
            "{}",
            finished.stderr
        );
        assert_eq!(
            finished.stderr.matches("exit code").count(),
            1,
            "{}",
            finished.stderr
        );
    };
    let foreground = [
        "ended with exit code 0 before it was ready",
        "hint:",
        "`sh`",
        "foreground",
    ];
    check("sleep 60 {port} & exit 0", &foreground);
    check("true {port} &", &foreground);
    let Some(killed) = scripted(&sandbox, "killed.py", "os.kill(os.getpid(), 9)") else {
        return;
    };
    let finished = gate(&sandbox, &format!("{killed}; exit $?"), &good, &[]);
    finished.check(1, &["was killed by SIGKILL before it was ready"]);
}

#[test]
fn a_shells_error_from_a_ready_arm_is_a_warning() {
    let sandbox = Sandbox::new();
    let base = format!("nosuchcommand env.sh; {}", server("ok"));
    let finished = gate(&sandbox, &base, &server("ok"), &TWO_PAIRS);
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    let warnings = sandbox.record().warnings;
    let is_reported = |warning: &&String| {
        warning.contains("the base: its server started, but") && warning.contains("nosuchcommand")
    };
    assert_eq!(
        warnings.iter().filter(is_reported).count(),
        1,
        "{warnings:?}"
    );
}

/// The processes whose command line holds `word`.
fn processes_with(word: &str) -> Vec<u32> {
    let all = std::fs::read_dir("/proc")
        .expect("Linux")
        .filter_map(Result::ok);
    let ids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|id| {
        arguments(*id)
            .iter()
            .any(|argument| argument.contains(word))
    })
    .collect()
}

#[test]
fn a_server_in_its_own_session_ends_with_its_round_or_a_killed_guard() {
    let sandbox = Sandbox::new();
    let Some(base) = scripted(&sandbox, "own_session.py", ANSWERING) else {
        return;
    };
    let mark = format!("mark-{}", std::process::id());
    let twice = format!("(setsid {base} {mark} &) ; sleep 600");
    let finished = gate(
        &sandbox,
        &format!("setsid {base} {mark} & wait"),
        &twice,
        &TWO_PAIRS,
    );
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    assert_eq!(processes_with(&mark), [0; 0]);

    let arms = [
        "gate",
        "http-get",
        "--base-server",
        &twice,
        "--head-server",
        &twice,
    ];
    let longer = ["--set=params.path=/x", "--duration=20s", "--no-redo"];
    let mut run = sandbox.start(&[&arms[..], &longer].concat());
    run.wait_for_child("worker");
    let guard = run.wait_for_child("arm-server");
    send("KILL", guard);
    let kept = ["was killed by SIGKILL", "Record: photofinish-runs/"];
    run.finish().check(1, &kept);
    wait_for("the server's end", || {
        processes_with(&mark).is_empty().then_some(())
    });
}

/// Goal: a server that somebody else starts for the arm, as a daemon does for a container, is not left to run beside
/// the next rounds. Method: the test is that somebody.
#[test]
fn a_server_that_is_still_there_after_its_round_ends_the_gate() {
    let sandbox = Sandbox::new();
    let Some(server) = scripted(&sandbox, "daemon.py", ANSWERING) else {
        return;
    };
    let arms = [
        "gate",
        "http-get",
        "--base-server",
        "echo {port} > port; exec sleep 600",
    ];
    let more = [
        "--head-server",
        "echo {port} > port; exec sleep 600",
        "--set=params.path=/x",
    ];
    let run = sandbox.start(&[&arms[..], &more, &SHORT].concat());
    let port = wait_for("a port", || {
        let port = std::fs::read_to_string(sandbox.path().join("port")).ok()?;
        port.ends_with('\n').then(|| port.trim().to_owned())
    });
    let mut daemon = Command::new("sh");
    let daemon = daemon.args(["-c", &format!("exec {}", server.replace("{port}", &port))]);
    let mut daemon = daemon.current_dir(sandbox.path()).spawn().expect("started");
    let pid = format!("is still running (pid {})", daemon.id());
    let finished = run.finish();
    daemon.kill().expect("killed");
    daemon.wait().expect("waited for");
    finished.check(1, &[": the server", &pid, "hint:"]);
}

#[test]
fn ctrl_c_while_an_arm_starts_ends_it_at_once() {
    let sandbox = Sandbox::new();
    let mark = format!("7{}", std::process::id());
    let coming = format!("sleep {mark}; true {{port}}");
    let arms = [
        "gate",
        "http-get",
        "--base-server",
        &coming,
        "--head-server",
        &coming,
    ];
    let mut run = sandbox.start(&[&arms[..], &["--set=path=/x"], &SHORT].concat());
    run.wait_for_child("arm-server");
    wait_for("the command", || {
        (!processes_with(&mark).is_empty()).then_some(())
    });
    let asked = std::time::Instant::now();
    run.signal("INT");
    run.finish().check(130, &["interrupted"]);
    // It was 20 s: the guard did not listen while it waited.
    assert!(asked.elapsed().as_secs() < 10, "{:?}", asked.elapsed());
    wait_for("the command's end", || {
        processes_with(&mark).is_empty().then_some(())
    });
}

#[test]
fn a_program_that_is_replaced_while_it_is_measured_ends_the_gate() {
    let sandbox = Sandbox::new();
    let Some(server) = scripted(&sandbox, "edited.py", ANSWERING) else {
        return;
    };
    let arms = [
        "gate",
        "http-get",
        "--base-server",
        &server,
        "--head-server",
        &server,
    ];
    let more = ["--max-pairs=10", "--limit=throughput=50%", "--set=path=/x"];
    let run = sandbox.start(&[&arms[..], &more, &SHORT].concat());
    wait_for("a round", || (sandbox.rounds_so_far() >= 1).then_some(()));
    sandbox.write("edited.py", "another");
    let finished = run.finish();
    // The next round may have found out first.
    assert_eq!(finished.code, Some(1), "{finished:#?}");
    let record = sandbox.record();
    let gated = record.plan.gate.expect("a gate");
    assert!(gated.base.sha256.is_some_and(|sum| sum.len() == 64));
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

/// Goal: a warning says that two commands started the same program. Method: two scripts that become the same server.
#[test]
fn commands_that_start_the_same_program_are_reported() {
    let sandbox = Sandbox::new();
    let script = |name: &str| {
        let command = server("same").replace("{port}", "$1");
        sandbox.write(name, &format!("#!/bin/sh\n# {name}\n{command}\n"));
        format!("exec sh ./{name} {{port}}")
    };
    let (base, head) = (script("old.sh"), script("new.sh"));
    let finished = gate(&sandbox, &base, &head, &TWO_PAIRS);
    assert!(matches!(finished.code, Some(0 | 3 | 4)), "{finished:#?}");
    let warnings = sandbox.record().warnings.concat();
    let program = program().display().to_string();
    assert!(
        warnings.contains(&format!("both arms ran {program}, although")),
        "{warnings}"
    );
    assert!(finished.stdout.contains("both arms ran"), "{finished:#?}");
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
