//! `photofinish run`: measure, record, report.
//!
//! The order of things, and nothing else: check everything, make the directory, stand targets up, run the plan, write
//! what there is, say how it went. Whatever happens after the first round, what was measured ends up in a record.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use photofinish_harness::os;
use photofinish_harness::record::{
    Completion, Plan, PlannedServer, RECORD_SCHEMA, Record, Round, Tool,
};
use photofinish_reports::summary::{Status, Summary};
use photofinish_reports::terminal;
use photofinish_reports::verdict::all_decided;
use photofinish_scenarios::plan::{estimate, plan_hash};

use crate::conditions::Watch;
use crate::course::{Course, Planned, Searching};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::orchestrate::{self, Finished, Keep, Redo};
use crate::progress::Progress;
use crate::request::{Prepared, Request, Wanted};
use crate::round::{self, Surroundings};
use crate::run_directory::RunDirectory;
use crate::run_id::RunId;
use crate::targets::Standing;
use crate::twin::Twin;
use crate::{
    artifacts, dependencies, fitness, limits, next_steps, output, preview, redact, warnings,
};

/// How long the machine is watched for other work before a run.
const WATCHED: Duration = Duration::from_millis(250);

/// Measures scenarios under several runtimes, and reports on them
///
/// Each round is a fresh process; rounds run in blocks that hold every cell once, in random order. The record, the
/// report (HTML and PNG) and the histogram log go into a directory of their own. Ctrl-C keeps what was measured.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish run
  photofinish run http-get --runtimes sync,threads,tokio --concurrency 1,64
  photofinish run http-delay --set unit=1s
  photofinish run http-get --target http=http://127.0.0.1:8080/index.html
  photofinish run db-select --target db=local
  photofinish run my-scenario.toml --rounds 10 --duration 2s --format json")]
pub struct Run {
    #[command(flatten)]
    request: Request,

    /// Where run directories go
    #[arg(
        long,
        value_name = "DIR",
        default_value = "photofinish-runs",
        help_heading = "Output"
    )]
    out: PathBuf,

    /// How to print the results
    #[arg(long, value_enum, default_value_t = Format::Table, help_heading = "Output")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Tables for people
    Table,
    /// One JSON document, the summary; everything else goes to stderr
    Json,
}

impl Run {
    /// Measures.
    pub fn execute(self) -> Result<Exit, Failure> {
        let mut prepared = self.request.prepare()?;
        let twin = Twin::from_environment()?;
        twin.join(&mut prepared.plan, prepared.seed);
        limits::check_open_files(&prepared.plan, os::raise_open_files_limit())?;
        let interrupt = Interrupt::on_signals().map_err(|error| {
            Failure::could_not_run("cannot listen for signals").caused_by(error)
        })?;
        let standing = stand_up(&mut prepared, &interrupt)?;
        prepared.warnings.extend(unattributed(&standing));
        let fitness = fitness::examine(&prepared.plan.placement, &self.out, WATCHED);
        prepared.warnings.extend(warnings::of(&fitness));
        self.tell(&preview::what(&prepared, output::width()))?;
        let run = RunId::now()?;
        let record = Record {
            fitness,
            ..blank_record(&prepared, run)
        };
        let directory = RunDirectory::make(&self.out, &record)?;
        let redo = self.request.redo(&record.plan);
        let measured = Measuring {
            record,
            directory,
            standing,
            redo,
            twin,
            interrupt: &interrupt,
        };
        let (record, directory, failure) = measured.by(prepared.search);
        self.conclude(&record, directory, failure)
    }

    /// Text for people; with JSON on stdout it goes to stderr.
    fn tell(&self, text: &str) -> Result<(), Failure> {
        match self.format {
            Format::Table => output::say(text),
            Format::Json => {
                output::advise(text);
                Ok(())
            }
        }
    }

    /// Writes and prints what there is, and ends as the run did.
    fn conclude(
        &self,
        record: &Record,
        directory: RunDirectory,
        failure: Option<Failure>,
    ) -> Result<Exit, Failure> {
        let summary = Summary::of(record);
        let written = write(record, directory);
        match self.format {
            Format::Json => output::emit_json(&summary)?,
            Format::Table => {
                // Apart from what was said before the run.
                output::say("")?;
                let style = terminal::Style {
                    width: output::width(),
                    colour: output::stdout_has_colour(),
                };
                output::say(&terminal::render(record, style))?;
            }
        }
        if let Ok(place) = &written {
            self.tell(&format!("\n{}", next_steps::after(record, place)))?;
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        written?;
        ended_as(record, &summary)
    }
}

/// Probes and starts external servers, and has the plan know what they are.
fn stand_up(prepared: &mut Prepared, interrupt: &Interrupt) -> Result<Standing, Failure> {
    let targets = std::mem::take(&mut prepared.targets);
    let standing = targets.stand_up(&prepared.plan.placement.server_cpus, interrupt)?;
    let known = standing.planned();
    for (target, server) in prepared
        .plan
        .scenarios
        .iter_mut()
        .flat_map(|scenario| &mut scenario.servers)
    {
        if let (PlannedServer::External { .. }, Some(planned)) = (&server, known.get(target)) {
            *server = planned.clone();
        }
    }
    Ok(standing)
}

/// Without knowing the servers' processes nobody can tell their CPU time from that of strangers.
fn unattributed(standing: &Standing) -> Option<String> {
    standing.processes().is_none().then(|| {
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
        command_line: redact::command_line(std::env::args()),
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
struct Measuring<'a> {
    record: Record,
    directory: RunDirectory,
    standing: Standing,
    redo: Redo,
    twin: Twin,
    interrupt: &'a Interrupt,
}

impl Measuring<'_> {
    /// Goes through the plan, or searches for what is `wanted`.
    fn by(self, wanted: Option<Wanted>) -> (Record, RunDirectory, Option<Failure>) {
        let Some(Wanted {
            objective,
            arrivals,
        }) = wanted
        else {
            let blank = self.record.clone();
            let decided = |_: &Plan, rounds: &[Round]| is_decided(&blank, rounds);
            return self.run(&mut Planned::new(&decided));
        };
        let mut searching =
            Searching::new(&self.record.plan, objective, arrivals, self.record.seed);
        let (mut record, directory, failure) = self.run(&mut searching);
        searching.learn_last(&record.rounds);
        record.search = Some(searching.search());
        (record, directory, failure)
    }

    /// Runs the course on the server's CPUs: the orchestrator must not disturb the worker.
    fn run(mut self, course: &mut dyn Course) -> (Record, RunDirectory, Option<Failure>) {
        let all_cpus = os::allowed_cpus();
        // Where pinning is not possible, the plan's placement holds for no process, and the worker says so.
        let _ = os::pin_process(&self.record.plan.placement.server_cpus);
        let work_dir = self.directory.work_dir();
        let placement = self.record.plan.placement.clone();
        let mut around = Surroundings {
            twin: self.twin,
            placement: &placement,
            watch: Watch::over(&placement, &self.standing),
            seed: self.record.seed,
            standing: &mut self.standing,
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
        drop(self.standing);
        let _ = os::pin_process(&all_cpus);
        let failure = take_in(&mut self.record, finished);
        (self.record, self.directory, failure)
    }
}

/// Whether every comparison of the record with these rounds is decided.
fn is_decided(blank: &Record, rounds: &[Round]) -> bool {
    all_decided(&Record {
        rounds: rounds.to_vec(),
        ..blank.clone()
    })
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
fn write(record: &Record, directory: RunDirectory) -> Result<PathBuf, Failure> {
    // A disk that is full now is told by `complete`, which knows where else to put the record.
    let _ = directory.keep_record(record);
    let (files, unmade) = match artifacts::of(record) {
        Ok(files) => (files, None),
        Err(failure) => (Vec::new(), Some(failure)),
    };
    let place = directory.complete(record, &files)?;
    unmade.map_or(Ok(place), Err)
}

/// How a run ends that was measured and written.
fn ended_as(record: &Record, summary: &Summary) -> Result<Exit, Failure> {
    if record.completion == Completion::Interrupted {
        let (done, all) = (finished_rounds(record), planned_rounds(&record.plan));
        let message =
            format!("interrupted after {done} of {all} rounds; what was measured is kept");
        return Err(Failure::new(Exit::Interrupted, message));
    }
    let mut invalid = summary
        .cells
        .iter()
        .filter(|cell| cell.status == Status::Invalid);
    let Some(first) = invalid.next() else {
        return Ok(Exit::Done);
    };
    let others = invalid.count();
    let reason = first.reason.as_deref().unwrap_or("its content was wrong");
    let place = format!("{} / {} ({})", first.scenario, first.runtime, first.load);
    let others = if others > 0 {
        format!(" (and {others} more cells)")
    } else {
        String::new()
    };
    Err(Failure::new(Exit::Wrong, format!("measured, but wrong: {place}: {reason}{others}"))
        .hint("the record has every round's counts; `mismatches`, `violations` and `errors` tell what was seen"))
}

/// Each once, however often its block was redone.
fn finished_rounds(record: &Record) -> usize {
    let places = record.rounds.iter().map(|round| (round.block, round.cell));
    places.collect::<BTreeSet<_>>().len()
}

fn planned_rounds(plan: &Plan) -> usize {
    plan.blocks.iter().map(Vec::len).sum()
}
