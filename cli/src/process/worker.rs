//! The orchestrator's side of a worker: a fresh process that gets a plan on stdin and answers with one line of JSON.
//!
//! The protocol is `record::protocol`. Every wait is bounded by a generous multiple of the plan's phases, so that a worker
//! that hangs ends the run with a message.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use photofinish_record::load::{Load, Stop};
use photofinish_record::protocol::{WORKER_PROTOCOL, WorkerPlan, WorkerReply, WorkerResult};
use serde_json::Value;

use crate::cleaning;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::process::child::{LineProcess, NoLine, no_answer};
use crate::store::redaction;

/// Time for set-up, which may write files of hundreds of megabytes.
const SET_UP: Duration = Duration::from_secs(60);

/// Maximum ratio of the actual to the planned length of a phase.
const SLACK: u32 = 10;

/// Maximum wait, in units of delay, for operations in flight at the end.
const UNITS: u32 = 600;

/// Timeout for a phase that ends by count: its speed cannot be known in advance.
const COUNTED_PHASE: Duration = Duration::from_secs(1800);

/// Maximum length of a text that is kept, in bytes.
const LONGEST_TEXT: usize = 4096;

/// Interval between checks that the servers are alive.
const SERVER_CHECK: Duration = Duration::from_millis(250);

/// Time for a program to find that it has no plan.
const NO_PLAN_TIME: Duration = Duration::from_secs(5);

/// The problem of a worker without a plan.
pub const NO_PLAN: &str = "the worker has no plan";

/// True if `program` can be a worker: started as one without a plan, it says so.
pub fn is_worker(program: &Path, interrupt: &Interrupt) -> bool {
    let mut command = Command::new(program);
    command.arg("worker");
    let Ok(mut worker) = LineProcess::spawn(command, interrupt) else {
        return false;
    };
    worker.hang_up();
    let answer = worker.next_line(NO_PLAN_TIME);
    matches!(answer, Err(NoLine::Ended(how)) if how.contains(NO_PLAN))
}

/// A worker that died, stopped responding or sent nonsense.
fn failed(how: impl std::fmt::Display) -> Failure {
    Failure::could_not_run(format!("the worker {how}"))
        .hint("earlier rounds are in the record; check `dmesg` for out-of-memory kills")
}

/// Runs `program` as a worker until it ends, or until a server dies. The process has ended when this returns.
pub fn measure(
    program: &Path,
    plan: &WorkerPlan,
    interrupt: &Interrupt,
    servers_live: &mut dyn FnMut() -> bool,
) -> Result<WorkerResult, Failure> {
    let plan_line = serde_json::to_string(plan)
        .map_err(|error| failed(format_args!("cannot be started: {error}")))?;
    let mut command = Command::new(program);
    command.arg("worker");
    let mut worker = LineProcess::spawn(command, interrupt)
        .map_err(|error| failed(format_args!("cannot be started: {error}")))?;
    if worker.tell(&plan_line).is_err() {
        return Err(failed(worker.how_it_ended()));
    }
    worker.hang_up();
    let line = answer(&mut worker, patience(plan), servers_live)?;
    let result = understand(&line)?;
    // Its sockets close when it exits; only then are the servers asked for their counts.
    worker.end_within(SET_UP);
    Ok(result)
}

fn answer(
    worker: &mut LineProcess,
    patience: Duration,
    servers_live: &mut dyn FnMut() -> bool,
) -> Result<String, Failure> {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match worker.next_line(left.min(SERVER_CHECK)) {
            Ok(line) => return Ok(line),
            // The worker would measure only that.
            Err(NoLine::TimedOut(_)) if !servers_live() => {
                return Err(Failure::could_not_run("a server is gone"));
            }
            Err(NoLine::TimedOut(_)) if !left.is_zero() => {}
            Err(NoLine::TimedOut(_)) => return Err(failed(no_answer(patience))),
            Err(NoLine::Ended(how)) => return Err(failed(how)),
            Err(NoLine::Interrupted) => {
                return Err(Failure::new(Exit::Interrupted, "interrupted"));
            }
        }
    }
}

fn understand(line: &str) -> Result<WorkerResult, Failure> {
    let invalid = |error| failed(format_args!("sent an invalid reply: {error}"));
    let mut reply: Value = serde_json::from_str(line).map_err(invalid)?;
    // Here texts of servers enter the record.
    redaction::json(&mut reply, &entering);
    let reply: WorkerReply = serde_json::from_value(reply).map_err(invalid)?;
    match reply.protocol {
        WORKER_PROTOCOL => Ok(reply.result),
        other => Err(failed(format_args!(
            "speaks another version of the protocol: expected {WORKER_PROTOCOL}, got {other}"
        ))),
    }
}

/// A text of a worker, which may be a server's, as it enters the record.
fn entering(text: &str) -> String {
    let safe = redaction::text(&cleaning::cut(text, 16 * LONGEST_TEXT));
    cleaning::cut(&cleaning::one_line(&safe), LONGEST_TEXT)
}

fn patience(plan: &WorkerPlan) -> Duration {
    let delays = Duration::from_nanos(plan.unit_ns).saturating_mul(UNITS);
    let phases = phase(plan.warmup, plan.load).saturating_add(phase(plan.stop, plan.load));
    SET_UP.saturating_add(phases).saturating_add(delays)
}

fn phase(stop: Stop, load: Load) -> Duration {
    match (stop, load) {
        (Stop::Ops(ops), Load::Open { rate_hz, .. }) => {
            let seconds = ops.get() as f64 / rate_hz.get();
            Duration::try_from_secs_f64(seconds)
                .map_or(Duration::MAX, |planned| planned.saturating_mul(SLACK))
        }
        (Stop::DurationNs(planned_ns), _) => {
            Duration::from_nanos(planned_ns.get()).saturating_mul(SLACK)
        }
        (Stop::Ops(_), Load::Closed { .. }) => COUNTED_PHASE,
    }
}
