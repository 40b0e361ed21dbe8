//! Measuring the same thing twice, to find out how small a difference this machine can tell.
//!
//! An ordinary plan, as `photofinish run` would make it from the same words, with its one cell in each block twice; so
//! the pairs go through the very machinery that comparisons go through. What the rounds say is the business of
//! `reports::resolution`.

use std::time::Duration;

use clap::Parser;
use photofinish_harness::os;
use photofinish_record::draw::draw_below;
use photofinish_record::{Completion, Plan};
use photofinish_reports::resolution::Resolution;
use photofinish_scenarios::plan::estimate;

use crate::arms::Arms;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::request::{Prepared, Request};
use crate::run::conditions::Watch;
use crate::run::course::Planned;
use crate::run::orchestrate::{self, Redo};
use crate::run::progress::Progress;
use crate::run::round::{self, Surroundings};
use crate::run::twin::Twin;

/// What is measured, in the words of the command line: sockets, threads and both processes at work, in pairs enough for
/// an interval and rounds short enough for a person who waits.
const MEASURED: [&str; 11] = [
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
struct Words {
    #[command(flatten)]
    request: Request,
}

/// Two arms that are the same, ready to run.
pub struct Sameness {
    prepared: Prepared,
    redo: Redo,
}

impl Sameness {
    /// The plan on the CPUs that `--cpus` names, or on all.
    pub fn plan(cpus: Option<&str>) -> Result<Self, Failure> {
        let cpus = cpus.map(|cpus| format!("--cpus={cpus}"));
        let words = MEASURED.iter().map(|word| (*word).to_owned()).chain(cpus);
        let request = Words::parse_from(words).request;
        let mut prepared = request.prepare()?;
        duplicate(&mut prepared.plan, prepared.seed);
        let redo = request.redo(&prepared.plan);
        Ok(Self { prepared, redo })
    }

    /// About how long it takes.
    pub fn estimate(&self) -> Duration {
        estimate(&self.prepared.plan)
    }

    /// Runs it, in a directory that is gone afterwards. `None` where no pair has numbers.
    pub fn measure(self, interrupt: &Interrupt) -> Result<Option<Resolution>, Failure> {
        let Prepared {
            plan,
            seed,
            targets,
            ..
        } = self.prepared;
        let directory = tempfile::tempdir().map_err(|error| {
            Failure::could_not_run("cannot make a temporary directory").caused_by(error)
        })?;
        let mut targets = targets.start(&plan.placement.server_cpus, interrupt)?;
        let mut around = Surroundings {
            twin: Twin::default(),
            arms: &Arms::None,
            placement: &plan.placement,
            watch: Watch::over(&plan.placement, &targets),
            seed,
            targets: &mut targets,
            work_dir: directory.path(),
            interrupt,
        };
        let mut progress = Progress::of(&plan, estimate(&plan));
        let all_cpus = os::allowed_cpus();
        // As in a run: this process must not disturb the worker.
        let _ = os::pin_process(&plan.placement.server_cpus);
        let finished = orchestrate::Run {
            plan: plan.clone(),
            course: &mut Planned::new(&|_, _| false),
            redo: self.redo,
            interrupt,
            measure: &mut |scenario, cell| round::run(scenario, cell, &mut around),
            keep: &mut |_| Ok(()),
            progress: &mut progress,
        }
        .execute();
        let _ = os::pin_process(&all_cpus);
        match (finished.failure, finished.completion) {
            (Some(failure), _) => Err(failure),
            (None, Completion::Interrupted) => Err(Failure::new(
                Exit::Interrupted,
                "interrupted before the same thing was measured often enough",
            )
            .hint("`photofinish doctor --no-measure` looks at the machine without measuring")),
            (None, _) => Ok(Resolution::of(&plan, &finished.rounds)),
        }
    }
}

/// Puts the plan's only cell into each block twice, under two indices; which goes first is drawn for every two blocks,
/// so that each goes first equally often.
fn duplicate(plan: &mut Plan, seed: u64) {
    let cell = plan.cells[0].clone();
    plan.cells = vec![cell.clone(), cell];
    for (index, block) in plan.blocks.iter_mut().enumerate() {
        let drawn = draw_below(seed, index as u64 / 2, 2) as usize;
        let first = (drawn + index) % 2;
        *block = vec![first, 1 - first];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_arms_are_the_same_and_go_first_equally_often() {
        let plan = Sameness::plan(None).expect("a plan").prepared.plan;
        assert_eq!(plan.cells.len(), 2);
        assert_eq!(plan.cells[0], plan.cells[1]);
        let first = plan.blocks.iter().filter(|block| **block == [0, 1]);
        let second = plan.blocks.iter().filter(|block| **block == [1, 0]);
        assert_eq!((first.count(), second.count()), (6, 6));
    }
}
