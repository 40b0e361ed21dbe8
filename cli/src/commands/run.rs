//! `photofinish run`: measure, record, report.
//!
//! `run::measuring` does the measuring; this module selects the course (the plan's, or a search's) and handles the
//! output and the exit code.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Args, Parser, ValueEnum};
use photofinish_record::{Completion, Record};
use photofinish_reports::describe;
use photofinish_reports::report::{Report, all_decided};
use photofinish_reports::summary::{Status, Summary};
use photofinish_reports::terminal;
use photofinish_reports::thresholds::{ThresholdVerdict, is_missed_for_good};

use super::{Arguments, Command};
use crate::arms::command::ServerArguments;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output;
use crate::process::profiler;
use crate::request::shards::ShardArguments;
use crate::request::{PreparedRun, Request, SearchGoal};
use crate::run::course::{PlannedCourse, SearchCourse};
use crate::run::measuring::{self, FinishedRun, ReadyRun};
use crate::run::shards::ShardedRun;
use crate::store::baselines::{Baselines, DIRECTORY};
use crate::store::next_steps;
use crate::store::outputs::Outputs;
use crate::store::run_directory::{RECORD, RunDirectory};

/// `photofinish run -h`, for a screen of 24 lines.
pub const BRIEF: &str = "\
Measure scenarios under several runtimes and report the results

Usage: photofinish run [SCENARIO|FILE.toml]... [OPTIONS]

What      --runtimes A,B      the first is the reference [default: all]
          --concurrency N,N   sessions at once; several make a sweep
          --rate R,R          open load: arrivals per second
          --set KEY=VALUE     a key of the scenario, such as unit=1s
          --target NAME=URL   your own server, such as http=http://127.0.0.1:80/
          --server CMD        your own server, started for each round
          --find-max GOAL     highest rate with, say, \"response_p99 < 10ms\"
How long  --rounds N          a verdict needs 8 [default: 10]
          --duration TIME     of each round, such as 500ms
          --until-decided     as many rounds as it takes, up to 40
          --quick             a smoke test
Where     --placement KIND    split, same or shared CPUs of server and worker
Limits    --expect TEXT       such as \"errors < 1%\"; exit code 3 if missed
Output    --out DIR           parent of the run directory
          --format json       the summary, for programs

`photofinish run` alone is a tour; `photofinish list` shows the scenarios, and
`photofinish run --help` every option, with examples.
";

/// Measure scenarios under several runtimes and report the results
///
/// Each round runs in a fresh process. A block has one round of every cell, in random order. The record, the report
/// (HTML and PNG) and the histogram log are written to a new run directory. Ctrl-C keeps the results so far.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish run
  photofinish run http-get --runtimes sync,threads,tokio --concurrency 1,64
  photofinish run http-delay --set unit=1s
  photofinish run http-get --target http=http://127.0.0.1:8080/index.html
  photofinish run http-get --server 'node server.js {port}' --ready /health
  photofinish run db-select --target db=local
  photofinish run http-get --rate 1000 --expect 'response_p99 < 50ms' --expect 'errors < 0.1%'
  photofinish run my-scenario.toml --rounds 10 --duration 2s --format json")]
pub struct Run {
    #[command(flatten)]
    request: Request,

    #[command(flatten)]
    server: ServerArguments,

    #[command(flatten)]
    shards: ShardArguments,

    /// Sample the worker's stacks in one more round of each cell, for flame graphs in the report; needs `perf`
    #[arg(long, help_heading = "What to measure")]
    profile: bool,

    /// Parent of the run directories
    #[arg(
        long,
        value_name = "DIR",
        default_value = "photofinish-runs",
        help_heading = "Output"
    )]
    out: PathBuf,

    /// Save the record as a baseline with this name, for later comparisons
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    save_baseline: Option<String>,

    /// Directory of the baselines
    #[arg(long, value_name = "DIR", default_value = DIRECTORY, help_heading = "Output")]
    baselines: PathBuf,

    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table, help_heading = "Output")]
    format: Format,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Human-readable tables
    Table,
    /// The summary as one JSON document; everything else goes to stderr
    Json,
}

impl Run {
    pub fn execute(self) -> Result<Exit, Failure> {
        if let Some(name) = &self.save_baseline {
            // What cannot be kept must be reported before the run, not after it.
            let baselines = Baselines::of(&self.baselines);
            Outputs::default().write("--save-baseline", &baselines.path(name)?)?;
            baselines.check_writable()?;
        }
        let mut prepared = self.request.prepare_with(&self.server.defaults()?)?;
        self.server.enter(&mut prepared.plan);
        let allow_remote = self.request.allows_remote();
        prepared.shard = self.shards.request(&mut prepared, allow_remote)?;
        let interrupt = Interrupt::on_signals()?;
        if self.profile {
            check_profile(&prepared, &interrupt)?;
        }
        let search = prepared.search.clone();
        let missed = |record: &Record| is_missed_for_good(&record.plan, &record.rounds);
        let mut run = ReadyRun::begin(prepared, &self.out, &interrupt, &|text| self.tell(text))?;
        run.with_profiles = self.profile;
        let FinishedRun {
            record,
            directory,
            failure,
            sharded,
        } = match search {
            Some(goal) => search_for(goal, run),
            None => {
                let decided = |record: &Record| all_decided(&record.plan, &record.rounds);
                let mut course = PlannedCourse::new(&decided);
                course.pointless = Some(&missed as _).filter(|_| self.request.fails_fast());
                run.run(&mut course)
            }
        };
        match sharded {
            Some(sharded) => self.conclude_share(record, directory, failure, &sharded),
            None => self.conclude(&record, directory, failure),
        }
    }

    /// Writes the record of a share. Its numbers are no result, so that there are no tables.
    fn conclude_share(
        &self,
        record: Record,
        directory: RunDirectory,
        failure: Option<Failure>,
        sharded: &ShardedRun,
    ) -> Result<Exit, Failure> {
        let path = directory.complete(&record, [])?;
        measuring::point_to_latest(&path);
        let left = sharded.leave(&record);
        let (shard, rounds) = (sharded.shard(), record.rounds.len());
        let rounds = describe::plural(rounds, "round");
        self.tell(&format!(
            "Shard {shard}: {rounds} of its share, in {}",
            path.join(RECORD).display()
        ))?;
        if let Some(failure) = failure {
            return Err(failure);
        }
        let merge = left?;
        self.tell(&format!("When all shards have ended: {merge}"))?;
        // Judged alone, without the shards that it cannot know.
        let alone = Record {
            shards: None,
            ..record
        };
        exit(&alone, &Summary::of(&alone))
    }

    /// Prints human-readable text; with JSON on stdout it goes to stderr.
    fn tell(&self, text: &str) -> Result<(), Failure> {
        match self.format {
            Format::Table => output::say(text),
            Format::Json => {
                output::advise(text);
                Ok(())
            }
        }
    }

    /// Writes and prints the results. Returns the exit code.
    fn conclude(
        &self,
        record: &Record,
        directory: RunDirectory,
        failure: Option<Failure>,
    ) -> Result<Exit, Failure> {
        let report = Report::of(record);
        let written = measuring::write(&report, directory);
        let cells = &report.summary.cells;
        let nothing_measured = cells.iter().all(|cell| cell.metrics.is_empty());
        let shown = match (&written, self.format) {
            // The failure and the record say enough.
            (Ok(path), Format::Table) if failure.is_some() && nothing_measured => {
                output::say(&format!("Record: {}", path.join(RECORD).display()))
            }
            _ => self.show(&report, written.as_deref().ok()),
        };
        if let Some(failure) = failure {
            return Err(failure);
        }
        let path = written?;
        if let Some(name) = &self.save_baseline {
            let path = Baselines::of(&self.baselines).keep(name, record)?;
            self.tell(&format!("Baseline: {}", path.display()))?;
        }
        let exit = exit(record, &report.summary)?;
        let complete = format!("the run is complete: {}", path.display());
        shown.map_err(|failure| failure.hint(complete))?;
        Ok(exit)
    }

    /// Prints the results of a run, which was written to `path`.
    fn show(&self, report: &Report<'_>, path: Option<&Path>) -> Result<(), Failure> {
        match self.format {
            Format::Json => output::emit_json(&report.summary)?,
            Format::Table => {
                if !output::is_quiet() {
                    // Separates the results from the preview.
                    output::say("")?;
                }
                let tables = terminal::render_in(report, output::style(), output::detail());
                output::say(&tables)?;
            }
        }
        let path = path.filter(|_| !output::is_quiet());
        let next = path.map(|path| format!("\n{}", next_steps::after(report.record, path)));
        next.map_or(Ok(()), |next| self.tell(&next))
    }
}

/// Checks that the cells of a run can be sampled.
fn check_profile(prepared: &PreparedRun, interrupt: &Interrupt) -> Result<(), Failure> {
    let wrong = |option: &str, hint: &str| {
        Err(Failure::usage(format!("--profile cannot be used with {option}")).hint(hint))
    };
    if prepared.shard.is_some() {
        return wrong("--shard", "run it on one machine");
    }
    if prepared.search.is_some() {
        return wrong("--find-max", "run it with the rate that was found: --rate");
    }
    let runtimes = &prepared.plan.runtimes;
    let is_own = |name: &str| {
        runtimes
            .get(name)
            .is_none_or(|traits| traits.worker.is_none())
    };
    let mut cells = prepared.plan.cells.iter();
    profiler::check(cells.any(|cell| is_own(&cell.runtime)), interrupt)
}

/// Checks the arguments of a run without running anything.
pub fn check(words: impl Iterator<Item = String>) -> Result<(), Failure> {
    let words = ["photofinish", "run"]
        .map(str::to_owned)
        .into_iter()
        .chain(words);
    let parsed = Arguments::try_parse_from(words).map_err(|error| {
        let text = error.to_string();
        let reason = text.lines().next().unwrap_or_default();
        Failure::usage(reason.trim_start_matches("error: ").to_owned())
            .hint("`photofinish run --help` shows what it takes")
    })?;
    let Command::Run(run) = parsed.command else {
        unreachable!("the command is `run`");
    };
    let mut prepared = run.request.prepare_with(&run.server.defaults()?)?;
    let allow_remote = run.request.allows_remote();
    run.shards.request(&mut prepared, allow_remote).map(drop)
}

fn search_for(goal: SearchGoal, run: ReadyRun<'_>) -> FinishedRun {
    let (plan, seed) = (&run.record.plan, run.record.seed);
    let mut course = SearchCourse::new(plan, goal.objective, goal.arrivals, seed);
    let mut finished = run.run(&mut course);
    finished.record.search = Some(course.search(&finished.record.rounds));
    finished
}

/// The exit code of a run that has been measured and written.
pub fn exit(record: &Record, summary: &Summary) -> Result<Exit, Failure> {
    if record.completion == Completion::Interrupted {
        // Retries do not count.
        let done = record.rounds.iter().map(|round| (round.block, round.cell));
        let done = done.collect::<BTreeSet<_>>().len();
        let all: usize = record.plan.blocks.iter().map(Vec::len).sum();
        let message = format!("interrupted after {done} of {all} rounds; results so far are kept");
        return Err(Failure::new(Exit::Interrupted, message));
    }
    let cells = summary.cells.iter();
    let mut invalid = cells.filter(|cell| cell.status == Status::Invalid);
    let Some(first) = invalid.next() else {
        return thresholds(record, summary);
    };
    let reason = first.reason.as_deref().unwrap_or("its content was wrong");
    let cell = format!("{} / {} ({})", first.scenario, first.runtime, first.load);
    let others = match invalid.count() {
        0 => String::new(),
        others => format!(" (and {others} more cells)"),
    };
    Err(Failure::new(
        Exit::Wrong,
        format!("measured, but wrong: {cell}: {reason}{others}"),
    )
    .hint("the record has every round's counts; see its `mismatches`, `violations` and `errors`"))
}

/// The exit code by the thresholds.
fn thresholds(record: &Record, summary: &Summary) -> Result<Exit, Failure> {
    let checks = &summary.thresholds;
    let Some(sentence) = describe::thresholds_not_met(checks) else {
        return Ok(Exit::Done);
    };
    let blocks = record.rounds.iter().map(|round| round.block);
    let done = blocks.collect::<BTreeSet<_>>().len();
    let all = record.plan.blocks.len();
    let cut_short = done < all && record.plan.looks.is_empty();
    let missed = checks
        .iter()
        .any(|check| check.verdict == ThresholdVerdict::Missed);
    let (exit, ended) = match missed {
        true if cut_short => (
            Exit::Missed,
            format!("; ended after {done} of {all} blocks"),
        ),
        true => (Exit::Missed, String::new()),
        false => (Exit::Unfit, String::new()),
    };
    Err(Failure::new(exit, sentence + &ended).hint(
        "the table of thresholds has each with its value, and the report shows the distributions",
    ))
}
