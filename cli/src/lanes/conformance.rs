//! The checks of `photofinish check-worker`: what a worker has to do for its numbers to mean anything.
//!
//! Each check runs the worker for a moment and compares what it says with what its server saw, or with what the system says
//! about its process. A check is a function and a line in [`CHECKS`]. A lane without the workload that a check needs is not
//! tested by it, and the table says so.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use photofinish_harness::os;
use photofinish_harness::runtimes::descriptor;
use photofinish_record::Measurement;
use photofinish_record::draw::draw_below;
use photofinish_record::protocol::{LaneDescription, WORKER_PROTOCOL, WorkerReply, WorkerResult};
use serde_json::{Value, json};

use super::recording_server::RecordingServer;
use super::{LaneCommand, launched};
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::process::{LineProcess, NoLine};

/// Time within which a worker must reply to a plan that takes a fraction of a second.
const REPLYING: Duration = Duration::from_secs(30);

/// Time within which a worker must end on SIGTERM, and after its reply.
const ENDING: Duration = Duration::from_secs(1);

/// The first operation of the warm-up.
const FIRST_WARMUP_OP: u64 = 1 << 48;

/// The outcome of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    Passed,
    /// Not applicable, for this reason.
    Skipped(String),
    /// With the difference.
    Failed(String),
}

/// A check: what must hold, the workload it needs, and the function that tests it.
type Check = (
    &'static str,
    Option<&'static str>,
    fn(&Bench<'_>) -> Result<(), String>,
);

const CHECKS: [Check; 12] = [
    (
        "its description names a lane and workloads",
        None,
        description,
    ),
    (
        "a phase by count runs that many operations",
        Some("null"),
        by_count,
    ),
    ("a phase by time lasts that long", Some("null"), by_time),
    ("an unknown workload is unsupported", None, unknown_workload),
    (
        "a plan of another protocol is refused",
        None,
        other_protocol,
    ),
    (
        "one line on its standard output, then it exits",
        Some("null"),
        one_line,
    ),
    (
        "every thread runs on the CPUs of the plan",
        Some("null"),
        affinity,
    ),
    ("SIGTERM ends it", Some("null"), ends_on_sigterm),
    (
        "its requests and connections are those that the server saw",
        Some("http-get"),
        counts,
    ),
    (
        "operations are numbered from 0, those of the warm-up from 2^48",
        Some("http-get"),
        numbers,
    ),
    (
        "its draws follow from the seed and the operation's number",
        Some("http-limited"),
        draws,
    ),
    (
        "other content than before is a failure",
        Some("http-get"),
        lies,
    ),
];

/// Every check of one lane, in order.
pub fn check(
    command: &LaneCommand,
    lane: &LaneDescription,
    interrupt: &Interrupt,
    mut tell: impl FnMut(&str, &Outcome) -> Result<(), Failure>,
) -> Result<bool, Failure> {
    let work_dir = super::scratch()?;
    let bench = Bench {
        command,
        lane,
        work_dir: work_dir.path().to_owned(),
        interrupt,
    };
    let mut passed = true;
    for (claim, workload, run) in CHECKS {
        let missing =
            workload.filter(|workload| !lane.workloads.iter().any(|known| known == workload));
        let outcome = match missing {
            Some(workload) => Outcome::Skipped(format!("the lane has no workload `{workload}`")),
            None => run(&bench).map_or_else(Outcome::Failed, |()| Outcome::Passed),
        };
        passed &= !matches!(outcome, Outcome::Failed(_));
        tell(claim, &outcome)?;
    }
    Ok(passed)
}

/// A worker under test.
struct Bench<'a> {
    command: &'a LaneCommand,
    lane: &'a LaneDescription,
    work_dir: PathBuf,
    interrupt: &'a Interrupt,
}

impl Bench<'_> {
    /// A plan for the workload, with a field that no worker knows yet.
    fn plan(&self, workload: &str, stop: &Value) -> Value {
        let cpus: Vec<usize> = os::allowed_cpus().first().copied().into_iter().collect();
        json!({
            "protocol": WORKER_PROTOCOL,
            "workload": workload,
            "params": {},
            "unit_ns": 1_000_000,
            "runtime": self.lane.name,
            "cpus": cpus,
            "worker_threads": 1,
            "load": { "model": "closed", "concurrency": 2 },
            "warmup": { "ops": 10 },
            "stop": stop,
            "seed": 42,
            "targets": {},
            "work_dir": self.work_dir,
            "a_field_of_later_versions": true,
        })
    }

    fn http_plan(&self, server: &RecordingServer, stop: &Value) -> Value {
        let mut plan = self.plan("http-get", stop);
        plan["params"] = json!({ "path": "/body", "numbered": true });
        let address = server.address.to_string();
        plan["targets"] = json!({
            "http": { "url": format!("http://{address}"), "address": address, "mock": false }
        });
        plan
    }

    fn start(&self, plan: &Value) -> Result<LineProcess, String> {
        let cpus: Vec<usize> = plan["cpus"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|cpu| usize::try_from(cpu.as_u64()?).ok())
            .collect();
        let words: &[OsString] = &self.command.words;
        let mut command: Command =
            launched(words, &cpus).map_err(|failure| failure.in_one_line())?;
        command.arg("worker");
        if let Some(directory) = &self.command.directory {
            command.current_dir(directory.path());
        }
        let mut worker = LineProcess::spawn(command, self.interrupt)
            .map_err(|error| format!("it cannot be started: {error}"))?;
        worker
            .tell(&plan.to_string())
            .map_err(|error| format!("it does not read its plan: {error}"))?;
        worker.hang_up();
        Ok(worker)
    }

    fn reply(&self, plan: &Value) -> Result<WorkerResult, String> {
        let mut worker = self.start(plan)?;
        let line = line(&mut worker)?;
        let reply: WorkerReply = serde_json::from_str(&line)
            .map_err(|error| format!("its reply is invalid: {error}"))?;
        Ok(reply.result)
    }

    fn measurement(&self, plan: &Value) -> Result<Measurement, String> {
        match self.reply(plan)? {
            WorkerResult::Ok { measurement, .. } => Ok(*measurement),
            WorkerResult::Unsupported { reason }
            | WorkerResult::Failed { reason, .. }
            | WorkerResult::Wrong { reason } => Err(format!("it did not measure: {reason}")),
        }
    }
}

fn line(worker: &mut LineProcess) -> Result<String, String> {
    worker.next_line(REPLYING).map_err(|how| match how {
        NoLine::Ended(how) => format!("it gave no reply: it {how}"),
        NoLine::TimedOut(_) | NoLine::Interrupted => {
            format!("it gave no reply in {} s", REPLYING.as_secs())
        }
    })
}

fn equal<T: PartialEq + std::fmt::Display>(what: &str, expected: T, got: T) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    Err(format!("{what}: expected {expected}, got {got}"))
}

fn description(bench: &Bench<'_>) -> Result<(), String> {
    let LaneDescription {
        name, workloads, ..
    } = bench.lane;
    if name.is_empty() {
        return Err("the lane has no name".to_owned());
    }
    if descriptor(name).is_some() {
        return Err(format!("`{name}` is a built-in runtime"));
    }
    if workloads.is_empty() {
        return Err("the lane has no workload".to_owned());
    }
    Ok(())
}

fn by_count(bench: &Bench<'_>) -> Result<(), String> {
    let measured = bench.measurement(&bench.plan("null", &json!({ "ops": 101 })))?;
    equal("operations", 101, measured.ops)?;
    equal("operations of the warm-up", 10, measured.warmup_ops)?;
    equal(
        "values in the histogram",
        measured.ops,
        measured.service.count(),
    )
}

fn by_time(bench: &Bench<'_>) -> Result<(), String> {
    let length = Duration::from_millis(100);
    let stop = json!({ "duration_ns": u64::try_from(length.as_nanos()).unwrap_or(u64::MAX) });
    let measured = bench.measurement(&bench.plan("null", &stop))?;
    let lasted = Duration::from_nanos(measured.elapsed_ns);
    // It lasts from the first start on, which may be later than that of the clock.
    if lasted < length.mul_f64(0.95) {
        return Err(format!("expected about {length:?}, got {lasted:?}"));
    }
    let rate = measured.ops as f64 / lasted.as_secs_f64();
    let share = measured.throughput_ops_s / rate;
    if !(0.8..=1.25).contains(&share) {
        let got = measured.throughput_ops_s;
        return Err(format!(
            "{} operations in {lasted:?} are {rate:.0}/s, and it reports {got:.0}/s",
            measured.ops
        ));
    }
    equal(
        "values in the histogram",
        measured.ops,
        measured.service.count(),
    )
}

fn unknown_workload(bench: &Bench<'_>) -> Result<(), String> {
    match bench.reply(&bench.plan("no-such-workload", &json!({ "ops": 1 })))? {
        WorkerResult::Unsupported { .. } => Ok(()),
        other => Err(format!("expected `unsupported`, got {other:?}")),
    }
}

fn other_protocol(bench: &Bench<'_>) -> Result<(), String> {
    let mut plan = bench.plan("null", &json!({ "ops": 1 }));
    plan["protocol"] = json!(WORKER_PROTOCOL + 1);
    match bench.reply(&plan) {
        Ok(WorkerResult::Ok { .. }) => {
            Err("it measured a plan that it cannot understand".to_owned())
        }
        // It may also end with an error.
        Ok(_) | Err(_) => Ok(()),
    }
}

fn one_line(bench: &Bench<'_>) -> Result<(), String> {
    let mut worker = bench.start(&bench.plan("null", &json!({ "ops": 10 })))?;
    line(&mut worker)?;
    match worker.next_line(REPLYING) {
        Ok(line) => Err(format!("a second line: {line:.60}")),
        Err(NoLine::Ended(_)) => Ok(()),
        Err(NoLine::TimedOut(_) | NoLine::Interrupted) => Err("it did not exit".to_owned()),
    }
}

/// A plan that keeps the worker busy for longer than the check takes.
fn long_plan(bench: &Bench<'_>) -> Value {
    bench.plan("null", &json!({ "duration_ns": 10_000_000_000_u64 }))
}

fn affinity(bench: &Bench<'_>) -> Result<(), String> {
    let plan = long_plan(bench);
    let expected = plan["cpus"][0].to_string();
    let worker = bench.start(&plan)?;
    thread::sleep(Duration::from_millis(500));
    let tasks = fs::read_dir(format!("/proc/{}/task", worker.id()))
        .map_err(|error| format!("its threads cannot be listed: {error}"))?;
    for task in tasks.flatten() {
        let Ok(status) = fs::read_to_string(task.path().join("status")) else {
            continue; // It has ended.
        };
        let mut lines = status.lines();
        let allowed = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
        equal(
            "the CPUs of a thread",
            expected.as_str(),
            allowed.unwrap_or_default().trim(),
        )?;
    }
    Ok(())
}

fn ends_on_sigterm(bench: &Bench<'_>) -> Result<(), String> {
    let mut worker = bench.start(&long_plan(bench))?;
    thread::sleep(Duration::from_millis(500));
    let process = i32::try_from(worker.id()).map_err(|error| error.to_string())?;
    kill(Pid::from_raw(process), Signal::SIGTERM).map_err(|error| error.to_string())?;
    let sent = Instant::now();
    if worker.end_within(ENDING) {
        return Ok(());
    }
    Err(format!(
        "it was still there {:?} after SIGTERM",
        sent.elapsed()
    ))
}

fn server(honest: usize) -> Result<RecordingServer, String> {
    RecordingServer::start(honest).map_err(|error| format!("the server cannot be started: {error}"))
}

fn counts(bench: &Bench<'_>) -> Result<(), String> {
    let server = server(usize::MAX)?;
    let plan = bench.http_plan(&server, &json!({ "ops": 50 }));
    let measured = bench.measurement(&plan)?;
    let seen = server.seen();
    let traffic = measured.traffic.get("http").copied().unwrap_or_default();
    equal("operations", 50, measured.ops)?;
    equal("requests", seen.paths.len() as u64, traffic.requests)?;
    equal("connections", seen.connections, traffic.connections)
}

fn numbers(bench: &Bench<'_>) -> Result<(), String> {
    let server = server(usize::MAX)?;
    let measured = bench.measurement(&bench.http_plan(&server, &json!({ "ops": 50 })))?;
    let mut times: BTreeMap<u64, u64> = BTreeMap::new();
    for path in server.seen().paths {
        if let Some(number) = path
            .rsplit_once("op=")
            .and_then(|(_, number)| number.parse().ok())
        {
            *times.entry(number).or_default() += 1;
        }
    }
    let expected: BTreeSet<u64> = (0..measured.ops)
        .chain(FIRST_WARMUP_OP..FIRST_WARMUP_OP + measured.warmup_ops)
        .collect();
    let got: BTreeSet<u64> = times.keys().copied().collect();
    if let Some(missing) = expected.difference(&got).next() {
        return Err(format!("operation {missing} was not asked for"));
    }
    if let Some(surplus) = got.difference(&expected).next() {
        return Err(format!(
            "operation {surplus} was asked for and does not exist"
        ));
    }
    match times.iter().find(|(_, times)| **times > 1) {
        Some((number, times)) => Err(format!("operation {number} was asked for {times} times")),
        None => Ok(()),
    }
}

/// Requests whose delays are drawn: each path as often as the formula says, beside a like number of requests in set-up.
fn draws(bench: &Bench<'_>) -> Result<(), String> {
    const URLS: u64 = 3;
    const DELAYS: u64 = 5;
    let server = server(usize::MAX)?;
    let mut plan = bench.http_plan(&server, &json!({ "ops": 40 }));
    plan["workload"] = json!("http-limited");
    plan["params"] = json!({ "urls": URLS, "at_once": 2, "longest_units": DELAYS });
    let (seed, unit_ns) = (plan["seed"].as_u64(), plan["unit_ns"].as_u64());
    let measured = bench.measurement(&plan)?;
    let mut left = [0_i64; DELAYS as usize];
    let paths = server.seen().paths;
    for (units, left) in (1..).zip(&mut left) {
        let path = format!("/delay/{}ns", unit_ns.unwrap_or_default() * units);
        *left = paths.iter().filter(|asked| **asked == path).count() as i64;
    }
    let warmup = FIRST_WARMUP_OP..FIRST_WARMUP_OP + measured.warmup_ops;
    for op in (0..measured.ops).chain(warmup) {
        let first = op.wrapping_mul(URLS);
        for url in 0..URLS {
            let drawn = draw_below(seed.unwrap_or_default(), first.wrapping_add(url), DELAYS);
            left[drawn as usize] -= 1;
        }
    }
    let of_set_up = left[0];
    if of_set_up >= 0 && left.iter().all(|left| *left == of_set_up) {
        return Ok(());
    }
    Err(format!(
        "beside the {} requests drawn by the formula, expected as many for each of {DELAYS} paths, got {left:?}",
        (measured.ops + measured.warmup_ops) * URLS
    ))
}

fn lies(bench: &Bench<'_>) -> Result<(), String> {
    // The reference, the warm-up and some operations are honest.
    let server = server(40)?;
    let measured = bench.measurement(&bench.http_plan(&server, &json!({ "ops": 100 })))?;
    let wrong = measured
        .errors
        .get("wrong-content")
        .map_or(0, |failures| failures.count);
    if wrong == 0 {
        let kinds: Vec<_> = measured.errors.keys().map(String::as_str).collect();
        return Err(format!(
            "expected failures of the kind `wrong-content`, got {kinds:?}"
        ));
    }
    equal(
        "operations and failures",
        100,
        measured.ops + measured.failed_ops(),
    )
}
