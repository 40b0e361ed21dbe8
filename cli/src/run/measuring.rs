//! Measuring a plan, from a checked request to a complete run directory: shared by `run`, `gate` and `doctor`.
//!
//! Only the order of steps is here: examine the machine, start targets, create the directory, run the course, write the
//! results. Whatever happens after the first round, its measurements end up in a record.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use photofinish_harness::os;
use photofinish_record::{
    Cell, Completion, Finding, Placement, PlacementKind, Plan, PlannedScenario, PlannedServer,
    RECORD_SCHEMA, Record, Tool, cpu_list,
};
use photofinish_reports::describe;
use photofinish_reports::report::Report;
use photofinish_scenarios::plan::{estimate, plan_hash};

use crate::arms::programs::ArmPrograms;
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::lanes::Launches;
use crate::output;
use crate::process::profiler::Sampler;
use crate::request::PreparedRun;
use crate::request::limits;
use crate::request::redo::RedoBudget;
use crate::run::blocks::{BrokenCells, Run, killed};
use crate::run::conditions::Watch;
use crate::run::course::Course;
use crate::run::dependencies;
use crate::run::fitness;
use crate::run::preview;
use crate::run::profiling;
use crate::run::progress::Progress;
use crate::run::round::{self, RoundContext};
use crate::run::shards::ShardedRun;
use crate::run::silence::SilentTargets;
use crate::store::artifacts;
use crate::store::past_runs;
use crate::store::redaction;
use crate::store::run_directory::{RunDirectory, point_latest_to};
use crate::store::run_id::RunId;
use crate::targets::ReadyTargets;

/// Time for which the machine is watched for other work before a run.
const WATCH_TIME: Duration = Duration::from_millis(250);

/// The directory of the lanes' scripts, among the files of the workloads.
const LANES: &str = "lanes";

/// Probes and starts external servers, and puts their software into the plan.
fn start_targets(
    prepared: &mut PreparedRun,
    interrupt: &Interrupt,
) -> Result<ReadyTargets, Failure> {
    let requested = std::mem::take(&mut prepared.targets);
    let targets = requested.start(&prepared.plan.placement.orchestrator_cpus, interrupt)?;
    prepared.warnings.extend(targets.unverified());
    let placement = &prepared.plan.placement;
    let scenarios = prepared.plan.scenarios.iter_mut();
    for (target, server) in scenarios.flat_map(|scenario| &mut scenario.servers) {
        targets.complete(target, server);
        let PlannedServer::External { cpus, .. } = server else {
            continue;
        };
        let found = cpus.as_deref();
        let warning = found.and_then(|found| beside(placement, target, found));
        if let Some(warning) = warning.filter(|warning| !prepared.warnings.contains(warning)) {
            prepared.warnings.push(warning);
        }
    }
    Ok(targets)
}

/// The warning that an unpinned target may share a CPU with the worker.
fn beside(placement: &Placement, target: &str, found: &[usize]) -> Option<String> {
    let shared: Vec<usize> = found
        .iter()
        .copied()
        .filter(|cpu| placement.worker_cpus.contains(cpu))
        .collect();
    let apart = placement.kind == PlacementKind::Split && !shared.is_empty();
    apart.then(|| {
        let elsewhere = cpu_list(&placement.orchestrator_cpus);
        format!(
            "the server of `{target}` may share the worker's {}: each then slows the other down, in some rounds more \
             than in others; start it with `taskset -c {elsewhere}`",
            describe::cpus(&shared)
        )
    })
}

/// The warning that rounds disturbed by other processes go unnoticed, if the servers' processes are not known.
fn unattributed(targets: &ReadyTargets) -> Option<String> {
    targets.processes().is_none().then(|| {
        "the target's processes cannot be distinguished from others (they belong to another user, or run behind a container's \
         port), so rounds that other processes disturb go unnoticed"
            .to_owned()
    })
}

/// The scenario and the cell, with the secrets redacted in the record's plan. A search has cells that the original plan
/// has not, but no additional scenarios and variants.
fn with_secrets<'a>(
    original: &'a Plan,
    scenario: &'a PlannedScenario,
    cell: &Cell,
) -> (&'a PlannedScenario, Cell) {
    let mut scenarios = original.scenarios.iter();
    let same = |other: &&Cell| {
        (&other.scenario, &other.runtime, other.arm) == (&cell.scenario, &cell.runtime, cell.arm)
    };
    let variant = original
        .cells
        .iter()
        .find(same)
        .map(|it| it.variant.clone());
    let cell = Cell {
        variant: variant.unwrap_or_else(|| cell.variant.clone()),
        ..cell.clone()
    };
    let named = scenarios.find(|other| other.name == scenario.name);
    (named.unwrap_or(scenario), cell)
}

/// The record of a run that has not measured anything yet, in the form that a killed run leaves behind.
fn blank_record(prepared: PreparedRun, run: RunId, fitness: Vec<Finding>) -> Record {
    Record {
        schema: RECORD_SCHEMA.to_owned(),
        id: run.id,
        tool: Tool {
            name: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            profile: fitness::PROFILE.to_owned(),
        },
        started_utc: run.started_utc,
        elapsed_ns: 0,
        completion: killed(),
        command_line: redaction::command_line(std::env::args()),
        defaults: prepared.defaults,
        seed: prepared.seed,
        plan_hash: plan_hash(&prepared.plan, prepared.seed),
        plan: prepared.plan,
        machine: os::machine(),
        dependencies: dependencies::versions(),
        warnings: prepared.warnings,
        fitness,
        search: None,
        shards: None,
        rounds: Vec::new(),
        profiles: Vec::new(),
    }
}

/// A run about to begin: the machine checked, targets up, the directory created.
pub struct ReadyRun<'a> {
    pub record: Record,
    /// The programs that the arms' servers have run so far.
    pub programs: Rc<RefCell<ArmPrograms>>,
    /// The plan for workers and servers: with the secrets that the record's plan omits.
    original: Plan,
    /// The directories of the scenario files, by name of the scenario.
    directories: BTreeMap<String, PathBuf>,
    directory: RunDirectory,
    lanes: Launches,
    targets: ReadyTargets,
    redos: RedoBudget,
    sharded: Option<ShardedRun>,
    /// True if each cell is sampled after the last block.
    pub with_profiles: bool,
    interrupt: &'a Interrupt,
}

/// A run that has ended but is not complete on disk yet.
pub struct FinishedRun {
    pub record: Record,
    pub directory: RunDirectory,
    /// The reason the run was cut short, if it was.
    pub failure: Option<Failure>,
    /// The run as a shard, if it is one.
    pub sharded: Option<ShardedRun>,
}

impl<'a> ReadyRun<'a> {
    /// Checks the machine, starts targets and creates the run's directory in `out`; `tell` receives what the user
    /// should know before the run starts.
    pub fn begin(
        mut prepared: PreparedRun,
        out: &Path,
        interrupt: &'a Interrupt,
        tell: &dyn Fn(&str) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        let sharded = prepared.shard.take().map(ShardedRun::new);
        let mut sharded = sharded.transpose()?;
        let mut begun = Self::start(prepared, &mut sharded, out, interrupt, tell);
        match (&mut begun, sharded) {
            (Ok(run), sharded) => run.sharded = sharded,
            (Err(failure), Some(sharded)) => sharded.end(&failure.in_one_line()),
            (Err(_), None) => {}
        }
        begun
    }

    fn start(
        mut prepared: PreparedRun,
        sharded: &mut Option<ShardedRun>,
        out: &Path,
        interrupt: &'a Interrupt,
        tell: &dyn Fn(&str) -> Result<(), Failure>,
    ) -> Result<Self, Failure> {
        for sentence in past_runs::sweep(out) {
            output::advise(&sentence);
        }
        limits::check_open_files(&prepared.plan, os::raise_open_files_limit())?;
        let targets = start_targets(&mut prepared, interrupt)?;
        prepared.warnings.extend(unattributed(&targets));
        let fitness = fitness::examine(&prepared.plan.placement, out, WATCH_TIME);
        prepared.warnings.extend(fitness::warnings(&fitness));
        let original = prepared.plan.clone();
        prepared.redact()?;
        if !output::is_quiet() {
            tell(&preview::summary(&prepared, output::width()))?;
        }
        let redos = prepared.redos;
        let directories = mem::take(&mut prepared.directories);
        let mut record = blank_record(prepared, RunId::now()?, fitness);
        if let Some(sharded) = sharded {
            sharded.join(&mut record, interrupt)?;
        }
        let directory = RunDirectory::make(out, &record)?;
        Ok(Self {
            lanes: Launches::ready(&original, &directory.work_dir().join(LANES))?,
            directory,
            record,
            programs: Rc::default(),
            original,
            directories,
            targets,
            redos,
            sharded: None,
            with_profiles: false,
            interrupt,
        })
    }

    /// Runs the course on the server's CPUs: the orchestrator must not disturb the worker.
    pub fn run(mut self, course: &mut dyn Course) -> FinishedRun {
        // Processes that a server or a worker leaves behind belong to the run.
        os::adopt_orphans();
        let all_cpus = os::allowed_cpus();
        let placement = self.record.plan.placement.clone();
        // If pinning is not possible, the plan's placement applies to no process, and the worker says so.
        let _ = os::pin_process(&placement.orchestrator_cpus);
        let work_dir = self.directory.work_dir();
        let run = self.record.id.clone();
        let mut warnings = BTreeSet::new();
        let sampler = Sampler::new(&work_dir, self.interrupt);
        let mut context = RoundContext {
            programs: &self.programs,
            warnings: &mut warnings,
            stubborn: BTreeSet::new(),
            placement: &placement,
            watch: Watch::over(&placement, &self.targets),
            seed: self.record.seed,
            targets: &mut self.targets,
            work_dir: &work_dir,
            directories: &self.directories,
            run: &run,
            round: 0,
            interrupt: self.interrupt,
            sampler: None,
            runtimes: &self.original.runtimes,
            lanes: &self.lanes,
            sharded: self.sharded.as_ref(),
        };
        let failure = Run {
            progress: Progress::of(&self.record.plan, estimate(&self.record.plan)),
            record: &mut self.record,
            directory: &mut self.directory,
            course,
            redos: self.redos,
            interrupt: self.interrupt,
            measure: &mut |scenario, cell| {
                let (scenario, cell) = with_secrets(&self.original, scenario, cell);
                round::run(scenario, &cell, &mut context)
            },
            broken: BrokenCells::new(),
            silent: SilentTargets::default(),
        }
        .execute();
        let failure = failure.or_else(|| {
            let is_complete = self.record.completion == Completion::Complete;
            if !(self.with_profiles && is_complete) {
                return None;
            }
            // The results must not depend on what follows.
            let _ = self.directory.keep_record(&self.record);
            context.sampler = Some(&sampler);
            let measure = &mut |record: &Record, cell: usize| {
                let plan = &record.plan;
                let cell = &plan.cells[cell];
                let scenario = plan.scenario_of(cell);
                let (scenario, cell) = with_secrets(&self.original, scenario, cell);
                round::run(scenario, &cell, &mut context)
            };
            profiling::sample_cells(&mut self.record, self.interrupt, &sampler, measure)
        });
        drop(self.targets);
        if let Some(sharded) = &self.sharded {
            match (&failure, &self.record.completion) {
                (Some(failure), _) => sharded.end(&failure.in_one_line()),
                (None, Completion::Complete) => {}
                (None, _) => sharded.end("interrupted"),
            }
        }
        self.record.warnings.extend(warnings);
        let _ = os::pin_process(&all_cpus);
        // A search has added blocks.
        self.record.plan_hash = plan_hash(&self.record.plan, self.record.seed);
        FinishedRun {
            record: self.record,
            directory: self.directory,
            failure,
            sharded: self.sharded,
        }
    }
}

/// Makes `latest` lead to a run; without it the run is complete all the same.
pub fn point_to_latest(run: &Path) {
    if let Err(failure) = point_latest_to(run) {
        output::advise(&format!("warning: {}", failure.in_one_line()));
    }
}

/// Writes the run; the record first, so that a failing chart cannot lose it.
pub fn write(report: &Report<'_>, directory: RunDirectory) -> Result<PathBuf, Failure> {
    // If the disk is full, `complete` reports it, and finds another place for the record.
    let _ = directory.keep_record(report.record);
    let (files, failure) = match artifacts::all(report) {
        Ok(files) => (Some(files), None),
        Err(failure) => (None, Some(failure)),
    };
    let path = directory.complete(report.record, files.into_iter().flatten())?;
    point_to_latest(&path);
    failure.map_or(Ok(path), Err)
}
