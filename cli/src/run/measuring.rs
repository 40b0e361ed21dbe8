//! Measuring a plan, from checked arguments to a complete run directory: what `run` and `gate` have in common.
//!
//! The order of things, and nothing else: look at the machine, stand targets up, make the directory, run the course,
//! write what there is. Whatever happens after the first round, what was measured ends up in a record. What is asked for
//! is the business of `request`; how it went is said by the commands.

use std::path::{Path, PathBuf};
use std::time::Duration;

use photofinish_harness::os;
use photofinish_record::{Completion, PlannedServer, RECORD_SCHEMA, Record, Tool};
use photofinish_scenarios::plan::{estimate, plan_hash};

use crate::arms::Arms;
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::output;
use crate::request::Prepared;
use crate::request::limits;
use crate::run::conditions::Watch;
use crate::run::course::Course;
use crate::run::dependencies;
use crate::run::fitness;
use crate::run::orchestrate::{self, Finished, Keep, Redo};
use crate::run::preview;
use crate::run::progress::Progress;
use crate::run::round::{self, Surroundings};
use crate::run::twin::Twin;
use crate::run::warnings;
use crate::store::artifacts;
use crate::store::redaction;
use crate::store::run_directory::RunDirectory;
use crate::store::run_id::RunId;
use crate::targets::ReadyTargets;

/// How long the machine is watched for other work before a run.
const WATCHED: Duration = Duration::from_millis(250);

/// Probes and starts external servers, and enters into the plan what they are.
fn start_targets(prepared: &mut Prepared, interrupt: &Interrupt) -> Result<ReadyTargets, Failure> {
    let requested = std::mem::take(&mut prepared.targets);
    let targets = requested.start(&prepared.plan.placement.server_cpus, interrupt)?;
    let scenarios = prepared.plan.scenarios.iter_mut();
    for (target, server) in scenarios.flat_map(|scenario| &mut scenario.servers) {
        if let PlannedServer::External { software, .. } = server {
            *software = targets.software(target);
        }
    }
    Ok(targets)
}

/// Without knowing the servers' processes nobody can tell their CPU time from that of strangers.
fn unattributed(targets: &ReadyTargets) -> Option<String> {
    targets.processes().is_none().then(|| {
        "the target's processes cannot be told from others (they belong to another user, or stand behind a container's \
         port), so rounds that other processes disturb go unnoticed"
            .to_owned()
    })
}

/// The record of a run that has not measured anything yet; should it be killed, this is how it is found.
fn blank_record(prepared: &Prepared, run: RunId) -> Record {
    Record {
        schema: RECORD_SCHEMA.to_owned(),
        id: run.id,
        tool: Tool {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            profile: warnings::PROFILE.to_owned(),
        },
        started_utc: run.started_utc,
        elapsed_ns: 0,
        completion: Completion::Failed {
            reason: "the run was killed".to_owned(),
        },
        command_line: redaction::command_line(std::env::args()),
        seed: prepared.seed,
        plan_hash: plan_hash(&prepared.plan, prepared.seed),
        plan: prepared.plan.clone(),
        machine: os::machine(),
        dependencies: dependencies::versions(),
        warnings: prepared.warnings.clone(),
        fitness: Vec::new(),
        search: None,
        rounds: Vec::new(),
    }
}

/// All that measuring takes.
pub struct Measuring<'a> {
    record: Record,
    directory: RunDirectory,
    targets: ReadyTargets,
    arms: Arms,
    redo: Redo,
    twin: Twin,
    interrupt: &'a Interrupt,
}

/// What came of measuring, not yet complete on the disk.
pub struct Measured {
    /// The record with its rounds.
    pub record: Record,
    /// Where it goes.
    pub directory: RunDirectory,
    /// Why it could not go on, where it could not.
    pub failure: Option<Failure>,
}

/// What measuring begins with.
pub struct Beginning<'a> {
    /// What is to be measured.
    pub prepared: Prepared,
    /// What differs between the sides of a gate.
    pub arms: Arms,
    /// How often blocks may be redone.
    pub redo: Redo,
    /// Where run directories go.
    pub out: &'a Path,
    /// Whether an end was asked for.
    pub interrupt: &'a Interrupt,
}

impl<'a> Measuring<'a> {
    /// Checks the machine, stands targets up and makes the directory; `tell` gets what people should know beforehand.
    pub fn begin(
        beginning: Beginning<'a>,
        tell: &dyn Fn(&str) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let Beginning {
            mut prepared,
            arms,
            redo,
            out,
            interrupt,
        } = beginning;
        let twin = Twin::from_environment()?;
        twin.join(&mut prepared.plan, prepared.seed);
        limits::check_open_files(&prepared.plan, os::raise_open_files_limit())?;
        let targets = start_targets(&mut prepared, interrupt)?;
        prepared.warnings.extend(unattributed(&targets));
        let fitness = fitness::examine(&prepared.plan.placement, out, WATCHED);
        prepared.warnings.extend(warnings::of(&fitness));
        tell(&preview::what(&prepared, output::width()))?;
        let run = RunId::now()?;
        let record = Record {
            fitness,
            ..blank_record(&prepared, run)
        };
        let directory = RunDirectory::make(out, &record)?;
        Ok(Self {
            record,
            directory,
            targets,
            arms,
            redo,
            twin,
            interrupt,
        })
    }

    /// The record as it is before the first round.
    pub fn record(&self) -> &Record {
        &self.record
    }
}

impl Measuring<'_> {
    /// Runs the course on the server's CPUs: the orchestrator must not disturb the worker.
    pub fn run(mut self, course: &mut dyn Course) -> Measured {
        // What a server or a worker leaves behind is no stranger.
        os::adopt_orphans();
        let all_cpus = os::allowed_cpus();
        // Where pinning is not possible, the plan's placement holds for no process, and the worker says so.
        let _ = os::pin_process(&self.record.plan.placement.server_cpus);
        let work_dir = self.directory.work_dir();
        let placement = self.record.plan.placement.clone();
        let mut around = Surroundings {
            twin: self.twin,
            arms: &self.arms,
            placement: &placement,
            watch: Watch::over(&placement, &self.targets),
            seed: self.record.seed,
            targets: &mut self.targets,
            work_dir: &work_dir,
            interrupt: self.interrupt,
        };
        let mut progress = Progress::of(&self.record.plan, estimate(&self.record.plan));
        let mut so_far = self.record.clone();
        let finished = orchestrate::Run {
            plan: self.record.plan.clone(),
            course,
            redo: self.redo,
            interrupt: self.interrupt,
            measure: &mut |scenario, cell| round::run(scenario, cell, &mut around),
            keep: &mut |news| match news {
                Keep::Round(round) => self.directory.keep(round),
                Keep::Plan(plan) => {
                    so_far.plan = plan.clone();
                    self.directory.keep_plan(&so_far)
                }
            },
            progress: &mut progress,
        }
        .execute();
        drop(self.targets);
        let _ = os::pin_process(&all_cpus);
        let failure = take_in(&mut self.record, finished);
        Measured {
            record: self.record,
            directory: self.directory,
            failure,
        }
    }
}

fn take_in(record: &mut Record, finished: Finished) -> Option<Failure> {
    // A search has made its blocks on the way.
    record.plan_hash = plan_hash(&finished.plan, record.seed);
    record.plan = finished.plan;
    record.rounds = finished.rounds;
    record.completion = finished.completion;
    record.elapsed_ns = finished.elapsed_ns;
    finished.failure
}

/// Writes the run; the record first, so that nothing a chart does can lose it.
pub fn write(record: &Record, directory: RunDirectory) -> Result<PathBuf, Failure> {
    // A disk that is full now is told by `complete`, which knows where else to put the record.
    let _ = directory.keep_record(record);
    let (files, unmade) = match artifacts::of(record) {
        Ok(files) => (files, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let place = directory.complete(record, &files)?;
    unmade.map_or(Ok(place), Err)
}
