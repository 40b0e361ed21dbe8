//! The orchestrator's side of a worker: a fresh process that gets a plan on stdin and answers with one line of JSON.
//!
//! The protocol is `record::protocol`. A worker has its own time limits; one that hangs nevertheless is killed once
//! all of them have passed.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use photofinish_harness::measure::{ArrivalPipe, PipePacer, longest_round};
use photofinish_harness::os;
use photofinish_record::Measurement;
use photofinish_record::protocol::{WORKER_PROTOCOL, WorkerPlan, WorkerReply, WorkerResult};

use crate::cleaning;
use crate::exit::{Exit, Failure, OrFail as _};
use crate::interrupt::Interrupt;
use crate::process::child::{LineProcess, NoLine, no_answer};
use crate::process::profiler::Sampler;
use crate::process::this_program;
use crate::store::redaction;

/// Extra time beyond the worker's own limits.
const MARGIN: Duration = Duration::from_secs(5);

/// Time within which a worker that has replied must exit.
const EXITING: Duration = Duration::from_secs(10);

/// Maximum length of stored text, in bytes.
const LONGEST_TEXT: usize = 4096;

/// Interval between checks that the servers are alive.
const SERVER_CHECK: Duration = Duration::from_millis(250);

/// Timeout for a program to report that it has no plan.
const NO_PLAN_TIME: Duration = Duration::from_secs(5);

/// The error of a worker without a plan.
pub const NO_PLAN: &str = "the worker has no plan";

/// True if `program` can be a worker: started as one without a plan, it reports that.
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
fn failed(program: &Path, how: impl std::fmt::Display) -> Failure {
    let how = how.to_string();
    let own = this_program().is_ok_and(|own| own == program);
    let hint = if how.contains("killed by SIGKILL") {
        "earlier rounds are in the record; check `dmesg` for out-of-memory kills".to_owned()
    } else if how.contains("os error 11") || how.contains("spawn thread") {
        os::RAISE_THREAD_LIMIT.to_owned()
    } else if own {
        "earlier rounds are in the record".to_owned()
    } else {
        let program = program.display();
        format!(
            "if {program} is not a Photofinish program but a server, add --server '{{exe}} --port {{port}}'"
        )
    };
    Failure::could_not_run(format!("the worker {how}")).hint(hint)
}

/// A program that can be a worker.
pub enum WorkerProgram<'a> {
    /// Photofinish itself, in this or another version.
    Own(&'a Path),
    /// This version of Photofinish, with the arrivals of open loads through a FIFO, as a lane gets them.
    Piped(&'a Path),
    /// A lane, with the command that starts its worker.
    Lane(Command),
}

/// Runs `worker` until it ends, or until a server dies. The process has ended when this returns.
pub fn measure(
    worker: WorkerProgram<'_>,
    plan: &WorkerPlan,
    interrupt: &Interrupt,
    sampler: Option<&Sampler>,
    servers_live: &mut dyn FnMut() -> bool,
) -> Result<WorkerResult, Failure> {
    let paces_itself = matches!(worker, WorkerProgram::Own(_));
    let (mut command, own) = match worker {
        WorkerProgram::Own(program) | WorkerProgram::Piped(program) => {
            (Command::new(program), Some(program))
        }
        WorkerProgram::Lane(command) => (command, None),
    };
    let mut plan = plan.clone();
    let pipe = if paces_itself {
        None
    } else {
        ArrivalPipe::make(&mut plan).or_fail("cannot make a FIFO for the arrivals")?
    };
    let failed = |how: &dyn std::fmt::Display| match own {
        Some(program) => failed(program, how),
        None => Failure::could_not_run(format!("the lane's worker {how}"))
            .hint("earlier rounds are in the record; `photofinish check-worker` tests a worker"),
    };
    let unstarted =
        |error: &dyn std::fmt::Display| failed(&format_args!("cannot be started: {error}"));
    let plan_line = serde_json::to_string(&plan).map_err(|error| unstarted(&error))?;
    // A backtrace would displace the message in the last lines of stderr.
    command.arg("worker").env("RUST_BACKTRACE", "0");
    let worker = LineProcess::spawn(command, interrupt);
    let mut worker = worker.map_err(|error| unstarted(&error))?;
    if let Some(sampler) = sampler {
        sampler.begin(worker.id())?;
    }
    if worker.tell(&plan_line).is_err() {
        return Err(failed(&worker.how_it_ended()));
    }
    worker.hang_up();
    let pacer = pipe.map(ArrivalPipe::start).transpose();
    let pacer = pacer.or_fail("cannot start the pacer's thread")?;
    let patience = longest_round(&plan).saturating_add(MARGIN);
    let line = answer(&mut worker, patience, servers_live, &failed)?;
    let mut result = understand(&line).map_err(|how| failed(&how))?;
    if let (Some(pacer), WorkerResult::Ok { measurement, .. }) = (pacer, &mut result) {
        paced(pacer, measurement).map_err(|how| failed(&how))?;
    }
    // Its sockets close when it exits; only then are the servers asked for their counts.
    worker.end_within(EXITING);
    Ok(result)
}

/// Adds the pacer's numbers to those of a worker that took its arrivals from a FIFO.
pub fn paced(pacer: PipePacer, measurement: &mut Measurement) -> Result<(), String> {
    match pacer.end() {
        Some(paced) => paced.complete(measurement),
        None => Err("never opened the FIFO of its arrivals".to_owned()),
    }
}

fn answer(
    worker: &mut LineProcess,
    patience: Duration,
    servers_live: &mut dyn FnMut() -> bool,
    failed: &dyn Fn(&dyn std::fmt::Display) -> Failure,
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
            Err(NoLine::TimedOut(_)) => return Err(failed(&no_answer(patience))),
            Err(NoLine::Ended(how)) => return Err(failed(&how)),
            Err(NoLine::Interrupted) => {
                return Err(Failure::new(Exit::Interrupted, "interrupted"));
            }
        }
    }
}

/// The result in a reply, or the problem with it.
fn understand(line: &str) -> Result<WorkerResult, String> {
    let invalid = |error| entering(&format!("sent an invalid reply: {error}"));
    let reply: WorkerReply = serde_json::from_slice(line.as_bytes()).map_err(invalid)?;
    // Server text enters the record here.
    let reply = redaction::all_texts(&reply, &entering);
    let reply = reply.ok_or("sent a reply that cannot be redacted")?;
    if reply.protocol != WORKER_PROTOCOL {
        return Err(format!(
            "speaks another version of the protocol: expected {WORKER_PROTOCOL}, got {}",
            reply.protocol
        ));
    }
    if let WorkerResult::Ok { measurement, .. } = &reply.result {
        let checked = measurement.check();
        checked.map_err(|error| format!("sent an invalid reply: {error}"))?;
    }
    Ok(reply.result)
}

/// Text from a worker, possibly quoting a server, made safe for the record.
fn entering(text: &str) -> String {
    let safe = redaction::text(&cleaning::cut(text, 16 * LONGEST_TEXT));
    cleaning::cut(&cleaning::one_line(&safe), LONGEST_TEXT)
}
