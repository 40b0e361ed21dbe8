//! `photofinish run`: measure, record, report.
//!
//! What measuring takes is in `measuring`; here is which course it takes (the plan's, or a search's), and how it is said
//! how it went.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use photofinish_record::{Completion, Plan, Record};
use photofinish_reports::report::{Report, all_decided};
use photofinish_reports::summary::{Status, Summary};
use photofinish_reports::terminal;

use crate::arms::Arms;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output;
use crate::request::{Request, Wanted};
use crate::run::course::{Planned, Searching};
use crate::run::measuring::{self, Beginning, Measured, Measuring};
use crate::store::baselines::{Baselines, DIRECTORY};
use crate::store::next_steps;
use crate::store::run_directory::RunDirectory;

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

    /// Keeps the record as a baseline of this name, to be compared with later
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    save_baseline: Option<String>,

    /// Where baselines are
    #[arg(long, value_name = "DIR", default_value = DIRECTORY, help_heading = "Output")]
    baselines: PathBuf,

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
        let prepared = self.request.prepare()?;
        let interrupt = Interrupt::on_signals().map_err(|error| {
            Failure::could_not_run("cannot listen for signals").caused_by(error)
        })?;
        let search = prepared.search.clone();
        let beginning = Beginning {
            redo: self.request.redo(&prepared.plan),
            prepared,
            arms: Arms::None,
            out: &self.out,
            interrupt: &interrupt,
        };
        let measuring = Measuring::begin(beginning, &|text| self.tell(text))?;
        let Measured {
            record,
            directory,
            failure,
        } = by(search, measuring);
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
        let report = Report::of(record);
        let written = measuring::write(record, directory);
        match self.format {
            Format::Json => output::emit_json(&report.summary)?,
            Format::Table => {
                // Apart from what was said before the run.
                output::say("")?;
                output::say(&terminal::render(&report, output::style()))?;
            }
        }
        if let Ok(place) = &written {
            self.tell(&format!("\n{}", next_steps::after(record, place)))?;
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        written?;
        if let Some(name) = &self.save_baseline {
            let place = Baselines::of(&self.baselines).keep(name, record)?;
            self.tell(&format!("Baseline: {}", place.display()))?;
        }
        ended_as(record, &report.summary)
    }
}

/// Goes through the plan, or searches for what is `wanted`.
fn by(wanted: Option<Wanted>, measuring: Measuring<'_>) -> Measured {
    let blank = measuring.record().clone();
    let Some(Wanted {
        objective,
        arrivals,
    }) = wanted
    else {
        return measuring.run(&mut Planned::new(&all_decided));
    };
    let mut searching = Searching::new(&blank.plan, objective, arrivals, blank.seed);
    let mut measured = measuring.run(&mut searching);
    searching.learn_last(&measured.record.rounds);
    measured.record.search = Some(searching.search());
    measured
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
