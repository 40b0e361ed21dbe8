//! A worker as the orchestrator sees it: a fresh process, a plan on its stdin, one line of JSON for an answer.
//!
//! The protocol is `harness::protocol`; nothing here knows what a worker does inside. Waiting is bounded by what the
//! plan asks for, generously, so that a worker that hangs ends the run with a message instead of holding it up.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use photofinish_record::load::{Load, Stop};
use photofinish_record::protocol::{WORKER_PROTOCOL, WorkerPlan, WorkerReply, WorkerResult};

use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::process::child::{LineProcess, NoLine};

/// Set-up: files of hundreds of megabytes are made there.
const SET_UP: Duration = Duration::from_secs(60);

/// How many times longer than planned the phases may take.
const SLACK: u32 = 10;

/// How many units of delay the operations that are in flight at the end may wait for.
const UNITS: u32 = 600;

/// What a phase that is bounded by operations may take: its speed cannot be known beforehand.
const COUNTED_PHASE: Duration = Duration::from_secs(1800);

/// Pause between two looks at whether the servers still live.
const LOOK_AFTER_SERVERS: Duration = Duration::from_millis(250);

/// Why a worker gave no result.
#[derive(Debug)]
pub enum Trouble {
    /// An end of the whole run was asked for.
    Interrupted,
    /// A server it talks to is gone; the worker was ended, for it would have measured nothing but that.
    ServerGone,
    /// It died or fell silent, in words: `was killed by SIGKILL`.
    Broken(String),
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Interrupted => Self::new(Exit::Interrupted, "interrupted"),
            Trouble::ServerGone => Self::could_not_run("a server is gone"),
            Trouble::Broken(how) => Self::could_not_run(format!("the worker {how}")).hint(
                "the rounds before are in the record; `dmesg` tells of processes killed for want of memory",
            ),
        }
    }
}

/// Runs one worker, which is `program`, to its end, as long as the servers live. It is gone when this returns.
pub fn measure(
    program: &Path,
    plan: &WorkerPlan,
    interrupt: &Interrupt,
    servers_live: &mut dyn FnMut() -> bool,
) -> Result<WorkerResult, Trouble> {
    let broken =
        |error: &dyn std::fmt::Display| Trouble::Broken(format!("cannot be started: {error}"));
    let plan_line = serde_json::to_string(plan).map_err(|error| broken(&error))?;
    let mut command = Command::new(program);
    command.arg("worker");
    let mut worker = LineProcess::spawn(command, interrupt).map_err(|error| broken(&error))?;
    if worker.tell(&plan_line).is_err() {
        return Err(Trouble::Broken(worker.how_it_ended()));
    }
    worker.hang_up();
    let line = answer(&mut worker, patience(plan), servers_live)?;
    let result = understand(&line)?;
    // Its whole cost and all its sockets end with it; only then are the servers asked for their counts.
    worker.end_within(SET_UP);
    Ok(result)
}

fn answer(
    worker: &mut LineProcess,
    patience: Duration,
    servers_live: &mut dyn FnMut() -> bool,
) -> Result<String, Trouble> {
    let deadline = Instant::now() + patience;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match worker.next_line(left.min(LOOK_AFTER_SERVERS)) {
            Ok(line) => return Ok(line),
            Err(NoLine::TimedOut(_)) if !servers_live() => return Err(Trouble::ServerGone),
            Err(NoLine::TimedOut(_)) if !left.is_zero() => {}
            Err(NoLine::TimedOut(_)) => return Err(silence(NoLine::TimedOut(patience))),
            Err(no_line) => return Err(silence(no_line)),
        }
    }
}

fn silence(no_line: NoLine) -> Trouble {
    match no_line {
        NoLine::Interrupted => Trouble::Interrupted,
        NoLine::Ended(how) => Trouble::Broken(how),
        NoLine::TimedOut(patience) => {
            Trouble::Broken(format!("gave no answer for {} s", patience.as_secs()))
        }
    }
}

fn understand(line: &str) -> Result<WorkerResult, Trouble> {
    let reply: WorkerReply = serde_json::from_str(line)
        .map_err(|error| Trouble::Broken(format!("answered what is no reply: {error}")))?;
    match reply.protocol {
        WORKER_PROTOCOL => Ok(reply.result),
        other => Err(Trouble::Broken(format!(
            "speaks version {other} of the protocol instead of {WORKER_PROTOCOL}"
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
