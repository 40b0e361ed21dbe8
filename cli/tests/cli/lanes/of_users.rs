//! Workers of users, sound and broken.

use photofinish_record::Outcome;

use super::{every_round_is_proved, perl_is_missing, perl_worker};
use crate::support::{Sandbox, TINY, python};

/// A worker that measures nothing, and reports where it runs.
const WHERE: &str = r#"
import json, os, sys
if sys.argv[1] == "describe":
    lane = {"name": "somewhere", "family": "sequential", "stack": "Test", "summary": "", "workloads": ["null"]}
    print(json.dumps({"protocol": 1, "lanes": [lane]}))
else:
    sys.stdin.readline()
    one = "HISTFAAAACN4nJNpmSzMwMDAzAABMJoRiHl/uEcw2H+ACJznZwIAXDIFAQ=="
    measurement = {
        "sessions": 1, "worker_threads": 1, "ops": 1, "warmup_ops": 0, "warmup_errors": {}, "elapsed_ns": 1000,
        "session_ns": 1000, "throughput_ops_s": 1e6, "service": one, "errors": {}, "traffic": {},
        "cost": {}, "violations": [],
        "runtime_facts": {"affinity": str(sorted(os.sched_getaffinity(0)))},
    }
    print(json.dumps({"protocol": 1, "status": "ok", "measurement": measurement}))
"#;

#[test]
fn a_lane_runs_on_the_cpus_of_the_plan() {
    if python("asyncio", "asyncio").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let script = sandbox.write("worker.py", WHERE);
    let lane = format!("--lane=python3 {}", script.display());
    let run = ["run", "null", "--runtimes=sync", &lane, "--cpus=0"];
    sandbox.run(&[&run[..], &TINY].concat()).check(0, &[]);
    let record = sandbox.record();
    let facts: Vec<_> = record
        .rounds
        .iter()
        .filter(|round| record.plan.cells[round.cell].runtime == "somewhere")
        .map(|round| match &round.outcome {
            Outcome::Ok(measured) => measured.worker.runtime_facts["affinity"].clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(!facts.is_empty());
    let placed = record.plan.placement.worker_cpus.clone();
    assert!(
        facts.iter().all(|fact| *fact == format!("{placed:?}")),
        "{facts:?} {placed:?}"
    );
}

#[test]
fn the_example_in_perl_is_measured_beside_rust() {
    if perl_is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let lane = format!("--lane={}", perl_worker());
    let run = ["run", "http-get", "null", "--runtimes=sync", &lane];
    sandbox.run(&[&run[..], &TINY].concat()).check(0, &[]);
    let record = sandbox.record();
    let perl = record
        .rounds
        .iter()
        .filter(|round| record.plan.cells[round.cell].runtime == "perl");
    assert_eq!(perl.count(), record.rounds.len() / 2);
    every_round_is_proved(&record);
}

/// The example's reply, with one request more than there were.
#[test]
fn a_lane_that_miscounts_gives_no_number() {
    if python("asyncio", "asyncio").is_none() {
        return;
    }
    if perl_is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let script = format!(
        r#"
import json, subprocess, sys
told = subprocess.run({:?}.split() + sys.argv[1:], stdin=sys.stdin, capture_output=True, text=True).stdout
reply = json.loads(told)
if "measurement" in reply:
    reply["measurement"]["traffic"]["http"]["requests"] += 1
print(json.dumps(reply))
"#,
        perl_worker()
    );
    let script = sandbox.write("liar.py", &script);
    let lane = format!("--lane=python3 {}", script.display());
    let run = ["run", "http-get", "--runtimes=sync", &lane];
    sandbox.run(&[&run[..], &TINY].concat()).check(
        5,
        &["http-get / perl", "requests (http): the worker counted"],
    );
}

/// Code that is compiled while it runs needs a warm-up, which all runtimes get; a shorter one of the user's is told.
#[test]
fn all_runtimes_get_the_warm_up_that_a_lane_asks_for() {
    if python("asyncio", "asyncio").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let plan = |min_warmup_ns: u64, more: &[&str], code: i32, expected: &[&str]| {
        let asking = format!(r#""workloads": ["null"], "min_warmup_ns": {min_warmup_ns}"#);
        let worker = WHERE.replace(r#""workloads": ["null"]"#, &asking);
        let script = sandbox.write("worker.py", &worker);
        let lane = format!("--lane=python3 {}", script.display());
        let plan = ["plan", "null", "--runtimes=sync", &lane];
        let planned = sandbox.run(&[&plan[..], more].concat());
        assert_eq!(planned.code, Some(code), "{planned:?}");
        let words = [&*planned.stdout, &*planned.stderr].concat();
        let words = Vec::from_iter(words.split_whitespace()).join(" ");
        for part in expected {
            assert!(words.contains(part), "`{part}` is not in: {words}");
        }
        planned
    };
    let gets = ["1s a round after a warm-up of 4s (for somewhere)"];
    plan(4_000_000_000, &[], 0, &gets);
    let json = plan(4_000_000_000, &["--format=json"], 0, &[]).json();
    let planned = &json["plan"]["scenarios"][0]["warmup"]["duration_ns"];
    assert_eq!(planned, 4_000_000_000_u64);
    let asked = &json["plan"]["runtimes"]["somewhere"]["worker"]["min_warmup_ns"];
    assert_eq!(asked, 4_000_000_000_u64);
    let short = "somewhere: a warm-up of 20ms, where it asks for 4s";
    plan(4_000_000_000, &["--set=load.warmup=20ms"], 0, &[short]);
    let short = "somewhere: a warm-up of 50ms, where it asks for 4s";
    plan(4_000_000_000, &["--quick"], 0, &[short]);
    let refused = "asks for a warm-up of more than 60 s in each round of `somewhere`";
    plan(61_000_000_000, &[], 2, &[refused]);
}

#[test]
fn a_worker_that_is_none_is_told_before_anything_runs() {
    if python("asyncio", "asyncio").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    for (program, expected) in [
        ("print('hello')", "gave an invalid answer"),
        ("import sys; sys.exit('out of order')", "out of order"),
        (
            r#"print('{"protocol": 2, "lanes": []}')"#,
            "speaks protocol 2, expected 1",
        ),
    ] {
        let script = sandbox.write("worker.py", program);
        let lane = format!("--lane=python3 {}", script.display());
        sandbox
            .run(&["run", "null", &lane])
            .check(2, &[expected, "docs/PROTOCOL.md"]);
    }
    sandbox
        .run(&["run", "null", "--lane", "/nowhere/worker"])
        .check(2, &["cannot be started"]);
    assert!(sandbox.hidden().is_none(), "nothing ran");
}

/// A worker that fails in its rounds: they are recorded, and the other runtimes go on.
#[test]
fn a_lane_that_dies_leaves_the_others_their_rounds() {
    if python("asyncio", "asyncio").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let dies = WHERE.replace("    sys.stdin.readline()", "    sys.exit('no memory left')");
    let script = sandbox.write("worker.py", &dies);
    let lane = format!("--lane=python3 {}", script.display());
    let run = ["run", "null", "--runtimes=sync", &lane];
    sandbox
        .run(&[&run[..], &TINY].concat())
        .check(1, &["somewhere", "no memory left"]);
    let record = sandbox.record();
    let of = |name: &str| {
        let rounds = record.rounds.iter();
        rounds
            .filter(|round| record.plan.cells[round.cell].runtime == name)
            .count()
    };
    assert!(of("sync") > 0 && of("somewhere") > 0, "{record:?}");
}
