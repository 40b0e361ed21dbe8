//! A worker under test: plans for it, and what it replies to them.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use photofinish_harness::measure::{ArrivalPipe, FIRST_WARMUP_OP, PipePacer};
use photofinish_harness::os;
use photofinish_record::Measurement;
use photofinish_record::protocol::{
    Audit, LaneDescription, WORKER_PROTOCOL, WorkerPlan, WorkerReply, WorkerResult,
};
use serde_json::{Value, json};

use super::super::recording_server::{RecordingServer, Script};
use super::super::{LaneCommand, launched};
use crate::interrupt::Interrupt;
use crate::process::worker::paced;
use crate::process::{LineProcess, NoLine};

/// Time within which a worker must reply to a plan that takes a fraction of a second.
pub(super) const REPLYING: Duration = Duration::from_secs(30);

/// Time within which a worker must end on SIGTERM, with its parent, and after its reply.
pub(super) const ENDING: Duration = Duration::from_secs(1);

/// Pause between two looks at what a server has seen.
const POLL: Duration = Duration::from_millis(10);

/// The worker of a lane.
pub(super) struct Bench<'a> {
    pub(super) command: &'a LaneCommand,
    pub(super) lane: &'a LaneDescription,
    pub(super) work_dir: PathBuf,
    pub(super) interrupt: &'a Interrupt,
}

/// A phase of so many operations.
pub(super) fn ops(count: u64) -> Value {
    json!({ "ops": count })
}

/// A phase of this length.
pub(super) fn lasting(length: Duration) -> Value {
    json!({ "duration_ns": u64::try_from(length.as_nanos()).unwrap_or(u64::MAX) })
}

pub(super) fn server(script: Script) -> Result<RecordingServer, String> {
    RecordingServer::start(script).map_err(|error| format!("the server cannot be started: {error}"))
}

impl Bench<'_> {
    /// A plan for the workload, with a field that no worker knows yet.
    pub(super) fn plan(&self, workload: &str, stop: &Value) -> Value {
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

    /// A plan whose requests carry the numbers of their operations.
    pub(super) fn http_plan(&self, server: &RecordingServer, stop: &Value) -> Value {
        let mut plan = self.plan("http-get", stop);
        plan["params"] = json!({ "path": "/body", "numbered": true });
        let address = server.address.to_string();
        plan["targets"] = json!({
            "http": { "url": format!("http://{address}"), "address": address, "mock": false }
        });
        plan
    }

    pub(super) fn start(&self, plan: &Value) -> Result<LineProcess, String> {
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

    /// A worker in the middle of a long measurement, which its server has seen begin.
    pub(super) fn at_work(&self) -> Result<LineProcess, String> {
        let server = server(Script::HONEST)?;
        let worker = self.start(&self.http_plan(&server, &lasting(REPLYING)))?;
        let deadline = Instant::now() + REPLYING;
        while !server.is_below(FIRST_WARMUP_OP) {
            if Instant::now() > deadline {
                return Err(format!("it did not measure within {REPLYING:?}"));
            }
            thread::sleep(POLL);
        }
        Ok(worker)
    }

    pub(super) fn reply(&self, plan: &Value) -> Result<WorkerResult, String> {
        let mut worker = self.start(plan)?;
        result(&line(&mut worker)?)
    }

    pub(super) fn measurement(&self, plan: &Value) -> Result<Measurement, String> {
        measured(self.reply(plan)?).map(|(measurement, _)| measurement)
    }

    /// The measurement of an open load, whose arrivals come through a FIFO unless the runtime is one of this program; they are
    /// given up `drain` after the end of the schedule.
    pub(super) fn open_measurement(
        &self,
        mut plan: Value,
        drain: Duration,
    ) -> Result<Measurement, String> {
        let pacer = self.pacer(&mut plan, drain)?;
        let mut measurement = self.measurement(&plan)?;
        match pacer {
            Some(pacer) => paced(pacer, &mut measurement).map_err(|how| format!("it {how}"))?,
            None if measurement.open.is_none() => {
                return Err("it has no numbers of an open load".to_owned());
            }
            None => {}
        }
        Ok(measurement)
    }

    fn pacer(&self, plan: &mut Value, drain: Duration) -> Result<Option<PipePacer>, String> {
        if self.command.is_own {
            return Ok(None);
        }
        let cannot = |error: &dyn std::fmt::Display| format!("arrivals cannot be paced: {error}");
        let mut typed: WorkerPlan =
            serde_json::from_slice(plan.to_string().as_bytes()).map_err(|error| cannot(&error))?;
        let pipe = ArrivalPipe::make(&mut typed).map_err(|error| cannot(&error))?;
        let (Some(pipe), Some(piped)) = (pipe, typed.piped) else {
            return Ok(None);
        };
        plan["arrivals"] = json!(piped.arrivals);
        plan["schedule_ns"] = json!(piped.schedule_ns);
        plan["late_ns"] = json!(piped.late_ns);
        plan["drain_ns"] = json!(u64::try_from(drain.as_nanos()).unwrap_or(u64::MAX));
        pipe.start().map(Some).map_err(|error| cannot(&error))
    }
}

/// The result in a line of a worker.
pub(super) fn result(line: &str) -> Result<WorkerResult, String> {
    let reply: WorkerReply = serde_json::from_slice(line.as_bytes())
        .map_err(|error| format!("its reply is invalid: {error}"))?;
    Ok(reply.result)
}

pub(super) fn measured(result: WorkerResult) -> Result<(Measurement, Option<Audit>), String> {
    match result {
        WorkerResult::Ok { measurement, audit } => Ok((*measurement, audit)),
        WorkerResult::Unsupported { reason }
        | WorkerResult::Failed { reason, .. }
        | WorkerResult::Wrong { reason } => Err(format!("it did not measure: {reason}")),
    }
}

pub(super) fn line(worker: &mut LineProcess) -> Result<String, String> {
    worker.next_line(REPLYING).map_err(|how| match how {
        NoLine::Ended(how) => format!("it gave no reply: it {how}"),
        NoLine::TimedOut(_) | NoLine::Interrupted => {
            format!("it gave no reply in {} s", REPLYING.as_secs())
        }
    })
}
