//! An A/A comparison, to find the smallest difference that can be detected on this machine.
//!
//! Performs the run that `photofinish run` would do with the same arguments, as two identical arms of a gate.
//! `reports::resolution` interprets its rounds.

use std::time::Duration;

use clap::Parser;
use photofinish_record::Completion;
use photofinish_reports::resolution::Resolution;
use photofinish_scenarios::plan::{estimate, in_pairs};

use crate::exit::{Exit, Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::request::{PreparedRun, Request};
use crate::run::course::PlannedCourse;
use crate::run::measuring::{FinishedRun, ReadyRun};

/// The arguments of the run: sockets, threads and both processes in use, enough pairs for an interval, and rounds short
/// enough for a waiting user.
const ARGUMENTS: [&str; 11] = [
    "sameness",
    "http-get",
    "--runtimes",
    "threads",
    "--concurrency",
    "8",
    "--rounds",
    "12",
    "--duration",
    "400ms",
    "--set=load.warmup=100ms",
];

#[derive(Parser)]
struct Arguments {
    #[command(flatten)]
    request: Request,
}

/// Two identical arms, ready to run.
pub struct Sameness(PreparedRun);

impl Sameness {
    /// Plans it for the CPUs that `--cpus` names, or for all.
    pub fn plan(cpus: Option<&str>) -> Result<Self, Failure> {
        let cpus = cpus.map(|cpus| format!("--cpus={cpus}"));
        let words = ARGUMENTS.iter().map(|word| (*word).to_owned()).chain(cpus);
        let mut prepared = Arguments::parse_from(words).request.prepare()?;
        prepared.plan = in_pairs(prepared.plan, None, None, prepared.seed);
        Ok(Self(prepared))
    }

    /// Approximate duration.
    pub fn estimate(&self) -> Duration {
        estimate(&self.0.plan)
    }

    /// Runs it, in a directory that is removed afterwards. `None` if no pair has numbers.
    pub fn measure(self, interrupt: &Interrupt) -> Result<Option<Resolution>, Failure> {
        let directory = tempfile::tempdir().or_fail("cannot make a temporary directory")?;
        let run = ReadyRun::begin(self.0, directory.path(), interrupt, &|_| Ok(()))?;
        let FinishedRun {
            record, failure, ..
        } = run.run(&mut PlannedCourse::new(&|_| false));
        match (failure, &record.completion) {
            (Some(failure), _) => Err(failure),
            (None, Completion::Interrupted) => Err(Failure::new(
                Exit::Interrupted,
                "interrupted before the A/A comparison had enough rounds",
            )
            .hint("`photofinish doctor --no-measure` examines the machine without measuring")),
            (None, _) => Ok(Resolution::of(&record.plan, &record.rounds)),
        }
    }
}
