//! Running a plan: block after block, cell after cell, until the end, a failure or an interruption.
//!
//! Takes a plan and returns rounds; every finished round is handed to `keep` at once, so that nothing measured depends
//! on this process living on. What a round is, `round` knows; what becomes of the rounds, `commands::run` decides.

use std::time::Instant;

use photofinish_harness::record::{Completion, Conditions, Outcome, Plan, PlannedScenario, Round};

use crate::exit::Failure;
use crate::progress::Progress;
use crate::round::{self, Ended, Surroundings};

/// What came of a run.
pub struct Finished {
    /// All rounds, in the order they ran.
    pub rounds: Vec<Round>,
    /// Whether it came to its end.
    pub completion: Completion,
    /// Why not, for people, where it failed.
    pub failure: Option<Failure>,
    /// From the first round's start to the last one's end, in ns.
    pub elapsed_ns: u64,
}

/// Runs every round of `plan`.
pub fn run(
    plan: &Plan,
    around: &mut Surroundings<'_>,
    progress: &mut Progress,
    keep: &mut dyn FnMut(&Round) -> Result<(), Failure>,
) -> Finished {
    let started = Instant::now();
    let mut finished = Finished {
        rounds: Vec::new(),
        completion: Completion::Complete,
        failure: None,
        elapsed_ns: 0,
    };
    'blocks: for (block, cells) in plan.blocks.iter().enumerate() {
        for &index in cells {
            let offset_ns = elapsed_ns(started);
            let next = RoundOf {
                plan,
                index,
                block,
                offset_ns,
            };
            progress.round_begins(block, &plan.cells[index]);
            if !finished.takes(next.run(around), keep) {
                break 'blocks;
            }
            progress.round_ended();
        }
        progress.block_ended(block);
    }
    progress.ended();
    finished.elapsed_ns = elapsed_ns(started);
    finished
}

fn elapsed_ns(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

/// A round that is about to run.
struct RoundOf<'a> {
    plan: &'a Plan,
    index: usize,
    block: usize,
    offset_ns: u64,
}

/// A round that ran, or `None` where it was interrupted before there was anything to keep.
struct Ran {
    round: Option<Round>,
    failure: Option<Failure>,
}

impl RoundOf<'_> {
    fn run(&self, around: &mut Surroundings<'_>) -> Ran {
        if around.interrupt.requested() {
            return Ran {
                round: None,
                failure: None,
            };
        }
        let cell = &self.plan.cells[self.index];
        match round::run(self.scenario(), cell, around) {
            Ended::Outcome(outcome) => Ran {
                round: Some(self.with(outcome)),
                failure: None,
            },
            Ended::Interrupted => Ran {
                round: None,
                failure: None,
            },
            Ended::Broken(failure) => {
                let reason = failure.in_one_line();
                let place = format!(
                    "{} / {} ({}), block {}",
                    cell.scenario,
                    cell.runtime,
                    cell.load,
                    self.block + 1
                );
                Ran {
                    round: Some(self.with(Outcome::Failed { reason })),
                    failure: Some(failure.during(place)),
                }
            }
        }
    }

    fn scenario(&self) -> &PlannedScenario {
        let name = &self.plan.cells[self.index].scenario;
        let of_this_name = |scenario: &&PlannedScenario| scenario.name == *name;
        self.plan
            .scenarios
            .iter()
            .find(of_this_name)
            .expect("a cell's scenario is in its plan")
    }

    fn with(&self, outcome: Outcome) -> Round {
        Round {
            cell: self.index,
            block: self.block,
            attempt: 0,
            offset_ns: self.offset_ns,
            conditions: Conditions::default(),
            outcome,
        }
    }
}

impl Finished {
    /// Takes a round in; whether the run goes on after it.
    fn takes(&mut self, ran: Ran, keep: &mut dyn FnMut(&Round) -> Result<(), Failure>) -> bool {
        let mut failure = ran.failure;
        match ran.round {
            None => self.completion = Completion::Interrupted,
            Some(round) => {
                if let Err(not_kept) = keep(&round) {
                    failure = failure.or(Some(not_kept));
                }
                self.rounds.push(round);
            }
        }
        if let Some(failure) = &failure {
            self.completion = Completion::Failed {
                reason: failure.in_one_line(),
            };
        }
        self.failure = failure;
        self.completion == Completion::Complete
    }
}
