//! Running a plan: block after block, cell after cell, until the end, a failure or an interruption.
//!
//! Takes a plan and returns it with its rounds; which block comes next is said by its `course`. Every finished round is
//! handed to `keep` at once, so that nothing measured depends on this process living on. A block in which something disturbed a round is redone whole, whatever it measured. What a
//! round is, `round` knows; what disturbs one, `conditions`; what becomes of the rounds, `commands::run` decides.

use std::time::Instant;

use photofinish_record::{Cell, Completion, Outcome, Plan, PlannedScenario, Round, nanoseconds};

use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::run::course::Course;
use crate::run::progress::Progress;
use crate::run::round::{Broken, Ended, Watched};

/// How often a single block is redone at the most: what disturbs three times in a row is there to stay.
const REDOS_PER_BLOCK: u32 = 2;

/// The least that may be redone in all, however few blocks there are.
const FEWEST_REDOS: u32 = 2;

/// One of how many blocks may be redone: a run takes a quarter longer than planned at the worst.
const BLOCKS_PER_REDO: usize = 4;

/// How often blocks may still be redone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redo {
    left: u32,
}

impl Redo {
    /// Not at all.
    pub const NEVER: Self = Self { left: 0 };

    /// As often as a plan of so many blocks allows.
    pub fn of_blocks(blocks: usize) -> Self {
        let share = u32::try_from(blocks / BLOCKS_PER_REDO).unwrap_or(u32::MAX);
        Self {
            left: share.max(FEWEST_REDOS),
        }
    }

    /// Whether a block may be redone whose attempt number `attempt` was disturbed; takes it off.
    fn grants(&mut self, attempt: u32) -> bool {
        let granted = attempt < REDOS_PER_BLOCK && self.left > 0;
        self.left -= u32::from(granted);
        granted
    }
}

/// What came of a run.
pub struct Finished {
    /// What was run: the plan, with the blocks that its course made.
    pub plan: Plan,
    /// All rounds, in the order they ran.
    pub rounds: Vec<Round>,
    /// Whether it came to its end.
    pub completion: Completion,
    /// Why not, for people, where it failed.
    pub failure: Option<Failure>,
    /// From the first round's start to the last one's end, in ns.
    pub elapsed_ns: u64,
}

/// What a run is made of.
pub struct Run<'a> {
    /// What is to be run.
    pub plan: Plan,
    /// Which of its blocks come.
    pub course: &'a mut dyn Course,
    /// How often blocks may be redone.
    pub redo: Redo,
    /// Whether an end was asked for.
    pub interrupt: &'a Interrupt,
    /// Measures a round.
    pub measure: &'a mut dyn FnMut(&PlannedScenario, &Cell) -> Watched,
    /// Takes each finished round.
    pub keep: &'a mut dyn FnMut(Keep<'_>) -> Result<(), Failure>,
    /// Is told how far it is.
    pub progress: &'a mut Progress,
}

/// Something to be kept at once, so that it stays even if this process does not.
pub enum Keep<'a> {
    /// A finished round.
    Round(&'a Round),
    /// The plan, which has grown.
    Plan(&'a Plan),
}

/// How an attempt at a block ended.
enum Attempt {
    /// With all its rounds, of which one or more were disturbed in this way.
    Whole { disturbance: Option<String> },
    /// With the run.
    CutShort,
}

impl Run<'_> {
    /// Runs every round.
    pub fn execute(mut self) -> Finished {
        let started = Instant::now();
        let mut finished = SoFar::nothing();
        while let Some(block) = self.next_block(&mut finished) {
            if !self.block(block, started, &mut finished) {
                break;
            }
            self.progress.block_ended(block);
        }
        self.progress.ended();
        Finished {
            plan: self.plan,
            rounds: finished.rounds,
            completion: finished.completion,
            failure: finished.failure,
            elapsed_ns: nanoseconds(started.elapsed()),
        }
    }

    fn next_block(&mut self, finished: &mut SoFar) -> Option<usize> {
        let known = self.plan.blocks.len();
        let block = self.course.next_block(&mut self.plan, &finished.rounds)?;
        let grown = self.plan.blocks.len() - known;
        if grown > 0 {
            self.progress.more_rounds(self.plan.blocks[block].len());
            if let Err(failure) = (self.keep)(Keep::Plan(&self.plan)) {
                finished.fails(failure);
                return None;
            }
        }
        Some(block)
    }

    /// Runs a block until nothing disturbed it or it may not be redone; whether the run goes on.
    fn block(&mut self, block: usize, started: Instant, finished: &mut SoFar) -> bool {
        for attempt in 0.. {
            let place = Place {
                block,
                attempt,
                started,
            };
            match self.attempt(place, finished) {
                Attempt::CutShort => return false,
                Attempt::Whole {
                    disturbance: Some(disturbance),
                } if self.redo.grants(attempt) => {
                    let rounds = self.plan.blocks[block].len();
                    self.progress.block_again(block, rounds, &disturbance);
                }
                Attempt::Whole { .. } => break,
            }
        }
        true
    }

    fn attempt(&mut self, place: Place, finished: &mut SoFar) -> Attempt {
        let mut first_disturbance = None;
        for index in self.plan.blocks[place.block].clone() {
            self.progress
                .round_begins(place.block, &self.plan.cells[index]);
            let ran = self.round(place, index);
            if let Some(round) = &ran.round {
                first_disturbance =
                    first_disturbance.or(disturbance_of(&self.plan.cells[index], round));
            }
            if !finished.takes(ran, self.keep) {
                return Attempt::CutShort;
            }
            self.progress.round_ended();
        }
        Attempt::Whole {
            disturbance: first_disturbance,
        }
    }

    fn round(&mut self, place: Place, index: usize) -> Ran {
        if self.interrupt.requested() {
            return Ran::NOTHING;
        }
        let offset_ns = nanoseconds(place.started.elapsed());
        let cell = &self.plan.cells[index];
        let Watched { ended, conditions } = (self.measure)(scenario_of(&self.plan, cell), cell);
        let round = |outcome| Round {
            cell: index,
            block: place.block,
            attempt: place.attempt,
            offset_ns,
            conditions,
            outcome,
        };
        match ended {
            Ended::Outcome(outcome) => Ran {
                round: Some(round(outcome)),
                failure: None,
            },
            Ended::Interrupted => Ran::NOTHING,
            Ended::Broken(broken) => {
                let Broken { failure, outcome } = *broken;
                let reason = failure.in_one_line();
                let place = format!("{cell}, block {}", place.block + 1);
                Ran {
                    round: Some(round(outcome.unwrap_or(Outcome::Failed { reason }))),
                    failure: Some(failure.during(place)),
                }
            }
        }
    }
}

/// Where in the run a round is.
#[derive(Clone, Copy)]
struct Place {
    block: usize,
    attempt: u32,
    started: Instant,
}

fn disturbance_of(cell: &Cell, round: &Round) -> Option<String> {
    let disturbance = round.conditions.disturbance.as_deref()?;
    Some(format!("{disturbance} during {cell}"))
}

fn scenario_of<'a>(plan: &'a Plan, cell: &Cell) -> &'a PlannedScenario {
    plan.scenarios
        .iter()
        .find(|scenario| scenario.name == cell.scenario)
        .expect("a cell's scenario is in its plan")
}

/// A round that ran, or `None` where it was interrupted before there was anything to keep.
struct Ran {
    round: Option<Round>,
    failure: Option<Failure>,
}

impl Ran {
    const NOTHING: Self = Self {
        round: None,
        failure: None,
    };
}

/// A run so far.
struct SoFar {
    rounds: Vec<Round>,
    completion: Completion,
    failure: Option<Failure>,
}

impl SoFar {
    fn nothing() -> Self {
        Self {
            rounds: Vec::new(),
            completion: Completion::Complete,
            failure: None,
        }
    }

    fn fails(&mut self, failure: Failure) {
        self.completion = Completion::Failed {
            reason: failure.in_one_line(),
        };
        self.failure = Some(failure);
    }

    /// Takes a round in; whether the run goes on after it.
    fn takes(&mut self, ran: Ran, keep: &mut dyn FnMut(Keep<'_>) -> Result<(), Failure>) -> bool {
        let mut failure = ran.failure;
        match ran.round {
            None => self.completion = Completion::Interrupted,
            Some(round) => {
                if let Err(not_kept) = keep(Keep::Round(&round)) {
                    failure = failure.or(Some(not_kept));
                }
                self.rounds.push(round);
            }
        }
        if let Some(failure) = failure {
            self.fails(failure);
        }
        self.completion == Completion::Complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::course::Planned;
    use photofinish_record::Conditions;
    use serde_json::json;
    use std::time::Duration;

    /// Two cells in each of `blocks` blocks, in turned order.
    fn plan(blocks: usize) -> Plan {
        let cell = |runtime: &str| {
            json!({
                "scenario": "null", "runtime": runtime,
                "load": { "model": "closed", "concurrency": 1 }, "unsupported": null,
            })
        };
        let stop = json!({ "ops": 1 });
        let scenario = json!({
            "name": "null", "title": "", "class": "floor", "workload": "null", "operation": "", "params": {},
            "unit_ns": 1, "servers": {}, "warmup": stop, "stop": stop, "error_budget": 0.0,
        });
        let orders = [[0, 1], [1, 0]];
        let blocks: Vec<_> = (0..blocks).map(|block| orders[block % 2]).collect();
        serde_json::from_value(json!({
            "scenarios": [scenario],
            "cells": [cell("sync"), cell("threads")],
            "blocks": blocks,
            "placement": { "kind": "same", "server_cpus": [0], "worker_cpus": [0] },
        }))
        .expect("a plan")
    }

    /// Rounds of which those whose number, in the order in which they ran, is in `disturbed` were disturbed, and of which
    /// the one numbered `interrupted` was interrupted.
    struct Script<'a> {
        blocks: usize,
        redo: Redo,
        disturbed: &'a dyn Fn(usize) -> bool,
        interrupted: Option<usize>,
    }

    /// The finished run, and how many rounds were handed on.
    fn run(script: &Script<'_>) -> (Finished, usize) {
        let plan = plan(script.blocks);
        let (mut number, mut kept) = (0, 0);
        let mut measure = |_: &PlannedScenario, _: &Cell| {
            let disturbance = (script.disturbed)(number).then(|| format!("disturbed {number}"));
            let ended = match script.interrupted == Some(number) {
                true => Ended::Interrupted,
                false => Ended::Outcome(Outcome::Unsupported {
                    reason: number.to_string(),
                }),
            };
            number += 1;
            let conditions = Conditions {
                disturbance,
                ..Conditions::default()
            };
            Watched { ended, conditions }
        };
        let mut keep = |kept_now: Keep<'_>| {
            kept += usize::from(matches!(kept_now, Keep::Round(_)));
            Ok(())
        };
        let finished = Run {
            plan: plan.clone(),
            course: &mut Planned::new(&|_, _| false),
            redo: script.redo,
            interrupt: &Interrupt::default(),
            measure: &mut measure,
            keep: &mut keep,
            progress: &mut Progress::of(&plan, Duration::ZERO),
        }
        .execute();
        (finished, kept)
    }

    /// Block, attempt and cell of each round.
    fn places(finished: &Finished) -> Vec<(usize, u32, usize)> {
        let place = |round: &Round| (round.block, round.attempt, round.cell);
        finished.rounds.iter().map(place).collect()
    }

    fn script(blocks: usize, disturbed: &dyn Fn(usize) -> bool) -> Script<'_> {
        Script {
            blocks,
            redo: Redo::of_blocks(blocks),
            disturbed,
            interrupted: None,
        }
    }

    #[test]
    fn a_disturbed_block_is_redone_whole_in_the_same_order_and_both_attempts_are_kept() {
        // The second block's first round is disturbed, once.
        let (finished, kept) = run(&script(2, &|number| number == 2));
        let expected = [
            (0, 0, 0),
            (0, 0, 1),
            (1, 0, 1),
            (1, 0, 0),
            (1, 1, 1),
            (1, 1, 0),
        ];
        assert_eq!(places(&finished), expected);
        assert_eq!(kept, 6);
        assert_eq!(finished.completion, Completion::Complete);
        let disturbed = finished
            .rounds
            .iter()
            .filter(|round| round.conditions.disturbance.is_some());
        assert_eq!(disturbed.count(), 1);
    }

    #[test]
    fn a_block_is_redone_twice_at_the_most_and_stays_as_it_is_then() {
        let (finished, _) = run(&script(1, &|_| true));
        let attempts: Vec<u32> = finished.rounds.iter().map(|round| round.attempt).collect();
        assert_eq!(attempts, [0, 0, 1, 1, 2, 2]);
        assert_eq!(finished.completion, Completion::Complete);
        let last = finished.rounds.last().expect("rounds");
        assert!(last.conditions.disturbance.is_some());
    }

    #[test]
    fn no_more_than_a_quarter_of_the_blocks_are_redone_and_two_where_there_are_few() {
        let check = |blocks: usize, redone: usize| {
            let (finished, _) = run(&script(blocks, &|_| true));
            assert_eq!(finished.rounds.len(), 2 * (blocks + redone), "{blocks}");
        };
        check(1, 2);
        check(5, 2);
        check(12, 3);
        check(40, 10);
    }

    #[test]
    fn nothing_is_redone_where_that_was_not_asked_for() {
        let (finished, _) = run(&Script {
            redo: Redo::NEVER,
            ..script(3, &|_| true)
        });
        assert_eq!(finished.rounds.len(), 6);
    }

    #[test]
    fn an_interruption_during_a_redo_keeps_every_round_before_it() {
        // Rounds 0 and 1 are the disturbed first attempt; 3 is the second round of the redo.
        let (finished, kept) = run(&Script {
            interrupted: Some(3),
            ..script(2, &|number| number == 0)
        });
        assert_eq!(places(&finished), [(0, 0, 0), (0, 0, 1), (0, 1, 0)]);
        assert_eq!(kept, 3);
        assert_eq!(finished.completion, Completion::Interrupted);
    }
}
