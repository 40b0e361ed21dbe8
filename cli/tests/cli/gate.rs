//! Gates and comparisons as CI meets them: exit codes, messages, and what is left behind.
//!
//! Verdicts are pinned on records whose numbers are written here, since tests that run beside each other disturb one
//! another's rounds; live arms are real servers and real programs, and are asked what no noise can change.

use std::path::PathBuf;
use std::process::Command;

use photofinish_record::Arm;
use serde_json::{Value, json};

use crate::schemas;
use crate::support::{Finished, Sandbox, is_gone, program, python, wait_for, wait_until_gone};

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
fn says(finished: &Finished, code: i32, told: &[&str]) {
    assert_eq!(finished.code, Some(code), "{finished:#?}");
    let text = finished
        .stdout
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for part in told {
        assert!(text.contains(part), "`{part}` is not in: {text}");
    }
    let fits = |line: &str| line.chars().count() <= 80;
    assert!(finished.stdout.lines().all(fits), "{}", finished.stdout);
}

#[test]
fn a_record_is_gated_again_with_the_verdict_that_its_rounds_give() {
    let sandbox = Sandbox::new();
    let (mut record, _) = measured(&sandbox);
    with_throughput(&mut record, 10_000.0, 10_000.0);
    says(
        &regated(&sandbox, &record, &[]),
        0,
        &["PASS", "the check holds"],
    );

    with_throughput(&mut record, 10_000.0, 8_000.0);
    let told = ["REGRESSION", "throughput is 25% worse"];
    says(&regated(&sandbox, &record, &[]), 3, &told);

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
    let told = ["PASS", "an improvement, or the arms are swapped"];
    says(&regated(&sandbox, &record, &[]), 0, &told);

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
    let told = ["INCONCLUSIVE", "the base has no such cell"];
    says(&regated(&sandbox, &alone, &[]), 4, &told);

    // Others had the machine.
    let mut busy = record.clone();
    for round in busy["rounds"].as_array_mut().expect("rounds") {
        round["conditions"]["disturbance"] = json!("other processes took 50% of the CPU time");
    }
    let told = ["UNFIT", "too busy to tell", "other processes took 50%"];
    says(&regated(&sandbox, &busy, &[]), 4, &told);

    // Nothing is asked.
    let mut empty = record.clone();
    empty["plan"]["gate"]["terms"] = json!([]);
    let told = ["INCONCLUSIVE", "nothing could fail"];
    says(&regated(&sandbox, &empty, &[]), 4, &told);

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
fn a_record_that_was_cut_off_is_no_record() {
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
fn live_arms_are_measured_in_balanced_pairs_and_what_is_printed_is_in_the_record() {
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
fn an_arm_that_answers_otherwise_is_wrong_however_fast_unless_that_is_allowed() {
    let sandbox = Sandbox::new();
    let (base, head) = (server("a long answer"), server("short"));
    let more = ["--max-pairs=10", "--limit=throughput=50%"];
    let finished = gate(&sandbox, &base, &head, &more);
    says(
        &finished,
        5,
        &["WRONG", "the arms answer differently: GET /x"],
    );
    let allowed = [&more[..], &["--content-may-differ"]].concat();
    let finished = gate(&sandbox, &base, &head, &allowed);
    assert_ne!(finished.code, Some(5), "{finished:#?}");
}

#[test]
fn an_arm_that_does_not_come_up_or_crashes_ends_the_gate_with_its_last_words() {
    let sandbox = Sandbox::new();
    let good = server("same");
    gate(&sandbox, &good, "echo no luck >&2; exit 3 # {port}", &[])
        .check(1, &["the head", "exit status: 3", "no luck"]);
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
fn a_gate_that_could_never_fail_is_not_begun() {
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
    let refused = |arguments: &[&str], told: &[&str]| {
        sandbox.run(&[&["gate"], arguments].concat()).check(2, told);
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
}

#[test]
fn a_scenarios_own_gate_is_checked_with_its_file_and_asked_by_its_line() {
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
fn two_builds_of_a_program_are_workers_and_every_round_is_one_of_them() {
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
    // An arm that is no such program is told as what it is.
    let arguments = ["gate", "null", "--base-exe", "/bin/true", "--head-exe"];
    let head = [head.to_str().expect("UTF-8")];
    sandbox
        .run(&[&arguments[..], &head, &SHORT].concat())
        .check(1, &["the base", "the worker"]);
}

#[test]
fn another_revision_is_built_beside_the_working_tree_and_leaves_no_worktree() {
    // The base answers `ok`, the working tree something else: only the two really built can tell.
    let sandbox = Sandbox::new();
    let project = sandbox.path().join("project");
    std::fs::create_dir_all(project.join("src")).expect("made");
    let server = include_str!("../../../examples/small_server.rs");
    let write = |name: &str, text: &str| std::fs::write(project.join(name), text).expect("written");
    write(
        "Cargo.toml",
        "[package]\nname = 'small'\nedition = '2024'\n[workspace]\n",
    );
    write(".gitignore", "target\nCargo.lock\n");
    write("src/main.rs", server);
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@localhost"];
        let mut git = Command::new("git");
        git.current_dir(&project).args(identity).args(arguments);
        Finished::of(&mut git).check(0, &[]).stdout
    };
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message=first"]);
    let changed = server.replace(
        "content-length: 2\\r\\n\\r\\nok",
        "content-length: 3\\r\\n\\r\\nnew",
    );
    assert_ne!(changed, server);
    write("src/main.rs", &changed);
    // As in a pre-commit hook: there is staged work, and git's variables lead to it.
    write("staged", "");
    git(&["add", "staged"]);
    let index = project.join(".git/index");
    let staged = std::fs::read(&index).expect("an index");
    let gate = |more: &[&str]| {
        let arguments = [&["gate", "http-get", "--base-rev=HEAD"], more, &SHORT[..]].concat();
        let mut command = sandbox.command(&arguments);
        command.current_dir(&project).env_remove("CARGO_TARGET_DIR");
        command.env("GIT_DIR", project.join(".git"));
        command.env("GIT_INDEX_FILE", &index);
        Finished::of(&mut command)
    };
    let arms = [
        "--server={exe} {port} 10",
        "--max-pairs=10",
        "--set=params.path=/",
    ];
    let finished = gate(&arms);
    let told = [
        "WRONG",
        "2 bytes",
        "of the base and 3 bytes",
        "with changes",
    ];
    says(&finished, 5, &told);
    assert!(std::fs::read(&index).is_ok_and(|after| after == staged));
    assert_eq!(git(&["worktree", "list"]).lines().count(), 1);
    let mut nowhere = sandbox.command(&["gate", "http-get", "--base-rev=nowhere"]);
    Finished::of(nowhere.current_dir(&project)).check(2, &["no revision `nowhere`"]);
}

/// A server that works, does not replace the shell that starts it, and takes a while to leave: it writes down the CPU time
/// that it has taken then.
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

/// The CPU time of an arm's server is the gate's own, though the shell between the two dies first: otherwise every round
/// would be disturbed by its own server. Counted where the system counts it, in the gate and all that it has waited for,
/// beside what the servers themselves say: no other process of a busy machine has a part in it.
#[test]
fn the_cpu_time_of_an_arms_server_is_the_gates_own() {
    let Some(python) = python("socket", "its standard library") else {
        return;
    };
    let sandbox = Sandbox::new();
    sandbox.write("server.py", WORKING_SERVER);
    // What follows keeps any shell from replacing itself with the server; the other arm's leaves the process group as well.
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
    let spent = std::fs::read_to_string(spent).expect("every server leaves in its own time");
    let spent: Vec<u64> = spent
        .lines()
        .map(|line| line.parse().expect("ns"))
        .collect();
    assert_eq!(spent.len(), sandbox.record().rounds.len(), "{spent:?}");
    let spent: u64 = spent.iter().sum();
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
        .check(1, &["no baseline `other`", "main, release"]);
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
fn two_runs_are_compared_and_what_is_not_the_same_work_is_refused() {
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
    let told = ["the parameter size is"];
    sandbox.run(&["compare", "small", "large"]).check(2, &told);
    let told = [
        "nothing in the two runs can be compared",
        "the base does not have it",
    ];
    sandbox.run(&["compare", "one", "large"]).check(2, &told);
    sandbox
        .run(&["compare", "one", "missing"])
        .check(1, &["there is no baseline `missing`"]);
    let table = sandbox.run(&["compare", "one", "two"]).check(0, &[]).stdout;
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
