//! The orchestrator's side of a worker: a fresh process that gets a plan on stdin and answers with one line of JSON.
//!
//! The protocol is `record::protocol`. Every wait is bounded by a generous multiple of the plan's phases, so that a worker
//! that hangs ends the run with a message.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use photofinish_record::load::{Load, Stop};
use photofinish_record::protocol::{WORKER_PROTOCOL, WorkerPlan, WorkerReply, WorkerResult};

use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::process::child::{LineProcess, NoLine};

/// Time for set-up, which may write files of hundreds of megabytes.
const SET_UP: Duration = Duration::from_secs(60);

/// Maximum ratio of the actual to the planned length of a phase.
const SLACK: u32 = 10;

/// Maximum wait, in units of delay, for operations in flight at the end.
const UNITS: u32 = 600;

/// Timeout for a phase that ends by count: its speed cannot be known in advance.
const COUNTED_PHASE: Duration = Duration::from_secs(1800);

/// Interval between checks that the servers are alive.
const SERVER_CHECK: Duration = Duration::from_millis(250);

/// The reason a worker gave no result.
#[derive(Debug)]
pub enum WorkerError {
    /// The user asked the whole run to end.
    Interrupted,
    /// A server has died; the worker was ended, since it would have measured only that.
    ServerGone,
    /// It died or stopped responding: `was killed by SIGKILL`.
    Failed(String),
}

impl From<WorkerError> for Failure {
    fn from(error: WorkerError) -> Self {
        match error {
            WorkerError::Interrupted => Self::new(Exit::Interrupted, "interrupted"),
            WorkerError::ServerGone => Self::could_not_run("a server is gone"),
            WorkerError::Failed(how) => Self::could_not_run(format!("the worker {how}"))
                .hint("earlier rounds are in the record; check `dmesg` for out-of-memory kills"),
        }
    }
}

/// Runs `program` as a worker until it ends, or until a server dies. The process has ended when this returns.
pub fn measure(
    program: &Path,
    plan: &WorkerPlan,
    interrupt: &Interrupt,
    servers_live: &mut dyn FnMut() -> bool,
) -> Result<WorkerResult, WorkerError> {
    let failed =
        |error: &dyn std::fmt::Display| WorkerError::Failed(format!("cannot be started: {error}"));
    let plan_line = serde_json::to_string(plan).map_err(|error| failed(&error))?;
    let mut command = Command::new(program);
    command.arg("worker");
    let mut worker = LineProcess::spawn(command, interrupt).map_err(|error| failed(&error))?;
    if worker.tell(&plan_line).is_err() {
        return Err(WorkerError::Failed(worker.how_it_ended()));
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
) -> Result<String, WorkerError> {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match worker.next_line(left.min(SERVER_CHECK)) {
            Ok(line) => return Ok(line),
            Err(NoLine::TimedOut(_)) if !servers_live() => return Err(WorkerError::ServerGone),
            Err(NoLine::TimedOut(_)) if !left.is_zero() => {}
            Err(NoLine::TimedOut(_)) => return Err(silence(NoLine::TimedOut(patience))),
            Err(no_line) => return Err(silence(no_line)),
        }
    }
}

fn silence(no_line: NoLine) -> WorkerError {
    match no_line {
        NoLine::Interrupted => WorkerError::Interrupted,
        NoLine::Ended(how) => WorkerError::Failed(how),
        NoLine::TimedOut(patience) => {
            WorkerError::Failed(format!("gave no answer for {} s", patience.as_secs()))
        }
    }
}

fn understand(line: &str) -> Result<WorkerResult, WorkerError> {
    let reply: WorkerReply = serde_json::from_str(line)
        .map_err(|error| WorkerError::Failed(format!("sent an invalid reply: {error}")))?;
    match reply.protocol {
        WORKER_PROTOCOL => Ok(reply.result),
        other => Err(WorkerError::Failed(format!(
            "speaks another version of the protocol: expected {WORKER_PROTOCOL}, got {other}"
        ))),
    }
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
