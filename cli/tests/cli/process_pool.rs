//! The lane `asyncio-processes`: its processes are part of its cost, and none of them is left behind.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use photofinish_harness::os;
use photofinish_record::Outcome;
use serde_json::json;

use crate::lanes::every_round_is_proved;
use crate::support::{Sandbox, children, python, wait_for, wait_until_gone};

fn python_is_missing() -> bool {
    python("asyncio", "asyncio").is_none()
}

/// The directory of the lane's sources.
fn sources() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("lanes/python")
}

#[test]
fn offloaded_calls_run_in_processes_with_the_same_results() {
    if python_is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let scenarios = ["cpu-offload", "cpu-inline", "blocking-offloaded", "null"];
    let short = [
        "--runtimes=asyncio,asyncio-processes",
        "--rounds=1",
        "--duration=10ms",
        "--concurrency=2",
        "--set=load.warmup=1ms",
        "--set=unit=2ms",
        "--no-redo",
    ];
    let run = [&["run"], &scenarios[..], &short].concat();
    sandbox.run(&run).check(0, &[]);
    let record = sandbox.record();
    assert_eq!(record.rounds.len(), 2 * scenarios.len());
    every_round_is_proved(&record);
    for round in &record.rounds {
        let cell = &record.plan.cells[round.cell];
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("{:?}", round.outcome)
        };
        let facts = &measured.worker.runtime_facts;
        let offloads = cell.scenario != "null";
        let pooled = cell.runtime == "asyncio-processes";
        assert_eq!(
            facts.contains_key("processes"),
            pooled && offloads,
            "{cell}"
        );
        assert_eq!(
            facts.contains_key("executor_threads"),
            !pooled && offloads,
            "{cell}"
        );
    }
}

/// Each process of a pool burns a known CPU time: no less is in the cost, and no more than the system counted.
#[test]
fn the_processes_of_a_pool_are_part_of_its_cost_and_end_with_it() {
    if python_is_missing() {
        return;
    }
    let program = r#"
import os, resource, sys, time
sys.path.insert(0, sys.argv[1])
import frame
from asyncio_processes import Processes

def burn():
    until = time.process_time_ns() + 100_000_000
    while time.process_time_ns() < until:
        pass

def ns(usage):
    return round((usage.ru_utime + usage.ru_stime) * 1e9)

processes = Processes()
cost = frame.Cost(processes.usage)
for call in [processes.pool.submit(burn) for _ in range(4)]:
    call.result()
spent = cost.since()
processes.close()
counted = ns(resource.getrusage(resource.RUSAGE_SELF)) + ns(resource.getrusage(resource.RUSAGE_CHILDREN))
claimed = spent["cpu_user_ns"] + spent["cpu_system_ns"]
assert 390_000_000 < claimed <= counted, (claimed, counted)
alone = frame.Cost().since()
assert spent["threads"] > processes.count, spent
assert spent["peak_rss_bytes"] > alone["peak_rss_bytes"], (spent, alone)
try:
    left = os.waitpid(-1, os.WNOHANG)
except ChildProcessError:
    left = None
assert left is None, left
"#;
    let output = Command::new("python3")
        .args(["-c", program])
        .arg(sources())
        .output()
        .expect("python3 runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
}

/// The orchestrator itself may be killed, and then nobody is there to end what its worker left behind.
#[test]
fn the_processes_of_a_pool_end_if_their_worker_is_killed() {
    if python_is_missing() || !cfg!(target_os = "linux") {
        return;
    }
    let sandbox = Sandbox::new();
    let plan = json!({
        "protocol": 1, "workload": "null", "params": {}, "unit_ns": 1_000_000, "runtime": "asyncio-processes",
        "cpus": [], "worker_threads": 1, "load": { "model": "closed", "concurrency": 1 },
        "warmup": { "ops": 1 }, "stop": { "duration_ns": 60_000_000_000_u64 }, "seed": 1, "targets": {},
        "work_dir": sandbox.path(),
    });
    let worker = Command::new("python3")
        .arg(sources().join("asyncio_processes.py"))
        .arg("worker")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("python3 runs");
    let mut worker = Worker(worker);
    let mut stdin = worker.0.stdin.take().expect("a pipe");
    writeln!(stdin, "{plan}").expect("the worker reads its plan");
    let id = worker.0.id();
    let cpus = os::allowed_cpus().len();
    let processes = wait_for("the pool", || {
        Some(children(id)).filter(|all| all.len() == cpus)
    });
    drop(worker);
    wait_until_gone(&processes);
}

/// A worker that is killed when it is dropped.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.kill().expect("it is there");
        self.0.wait().expect("it has ended");
    }
}
