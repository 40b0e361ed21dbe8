//! Running a plan: block after block, cell after cell, until the end, a failure or an interruption.
//!
//! Takes a record whose plan says what to run, and fills in its rounds; the [`Course`] picks the next block. Every
//! finished round goes to the run directory at once, so that no measurement depends on this process staying alive. A
//! block in which a round was disturbed is redone as a whole, whatever it measured. A cell whose round could not run is
//! left out of later blocks, and the others go on; in a gate it ends the run, since a gate compares all of its cells.
//! `round` runs one round, and `conditions` defines what counts as a disturbance.

use std::collections::BTreeMap;
use std::mem;
use std::time::Instant;

use photofinish_record::{Cell, Completion, Outcome, PlannedScenario, Record, Round, nanoseconds};
use photofinish_reports::describe;

use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::request::redo::RedoBudget;
use crate::run::course::Course;
use crate::run::progress::Progress;
use crate::run::round::RoundResult;
use crate::run::silence::SilentTargets;
use crate::store::run_directory::RunDirectory;

/// A run: its record, and everything that takes part in filling it.
pub struct Run<'a> {
    /// The plan to run; filled in with the rounds, the blocks that the course adds, the completion and the elapsed
    /// time.
    pub record: &'a mut Record,
    pub directory: &'a mut RunDirectory,
    pub course: &'a mut dyn Course,
    pub redos: RedoBudget,
    pub interrupt: &'a Interrupt,
    pub measure: &'a mut dyn FnMut(&PlannedScenario, &Cell) -> RoundResult,
    pub progress: Progress,
    /// Cells that could not run, each with the reason.
    pub broken: BrokenCells,
    pub silent: SilentTargets,
}

/// Failures by index of their cell.
pub type BrokenCells = BTreeMap<usize, Failure>;

/// One attempt at a block.
struct Attempt {
    /// The first disturbance of a round, if any.
    disturbance: Option<String>,
    broken: BrokenCells,
}

/// Reasons for a run to end before its course does.
enum Stop {
    Interrupted,
    Failed(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Run<'_> {
    /// Runs every round. Returns the failure that ended the run, if any.
    pub fn execute(mut self) -> Option<Failure> {
        let started = Instant::now();
        let result = self.blocks(started);
        self.progress.ended();
        self.record.elapsed_ns = nanoseconds(started.elapsed());
        let (completion, failure) = match result {
            Ok(()) => self.end(),
            Err(Stop::Interrupted) => (Completion::Interrupted, None),
            Err(Stop::Failed(failure)) => {
                let reason = failure.in_one_line();
                (Completion::Failed { reason }, Some(failure))
            }
        };
        self.record.completion = completion;
        failure
    }

    /// The outcome of a complete course, with the failure of cells that could not run.
    fn end(&mut self) -> (Completion, Option<Failure>) {
        let (broken, all) = (self.broken.len(), self.record.plan.cells.len());
        let in_order = self.in_order_of_failure(&self.broken);
        let mut broken_cells = mem::take(&mut self.broken);
        let failures = in_order.iter().filter_map(|cell| broken_cells.remove(cell));
        let could_not_run = |failure: &Failure| failure.exit() == Exit::CouldNotRun;
        let first = failures.reduce(|first, next| {
            if could_not_run(&first) || !could_not_run(&next) {
                first
            } else {
                next
            }
        });
        let Some(first) = first else {
            return (Completion::Complete, None);
        };
        let supported = |cell: &&Cell| cell.unsupported.is_none();
        let supported = self.record.plan.cells.iter().filter(supported).count();
        let completion = if broken < supported {
            Completion::Complete
        } else {
            let reason = first.in_one_line();
            Completion::Failed { reason }
        };
        let failure = match broken {
            1 => first,
            _ => first.during(format_args!("{broken} of {all} cells could not run")),
        };
        (completion, Some(failure))
    }

    fn blocks(&mut self, started: Instant) -> Result<(), Stop> {
        while let Some(block) = self.next_block()? {
            let rounds = self.rounds_left_in(block);
            if rounds == 0 {
                continue;
            }
            for attempt in 0.. {
                let Attempt {
                    disturbance,
                    broken,
                } = self.attempt(block, attempt, started)?;
                match disturbance {
                    Some(disturbance) if self.redos.take(attempt) => {
                        self.progress.block_again(block, rounds, &disturbance);
                    }
                    _ => {
                        self.leave_out(block, broken);
                        break;
                    }
                }
            }
            self.progress.block_ended(block);
        }
        Ok(())
    }

    /// Rounds of a block whose cells are not broken.
    fn rounds_left_in(&self, block: usize) -> usize {
        let cells = self.record.plan.blocks[block].iter();
        cells.filter(|cell| !self.broken.contains_key(cell)).count()
    }

    /// Leaves the cells that broke in the last attempt at `block` out of later blocks.
    fn leave_out(&mut self, block: usize, broken: BrokenCells) {
        let later: Vec<_> = self.record.plan.blocks.iter().skip(block + 1).collect();
        let cells = &self.record.plan.cells;
        for alike in self.failing_alike(&broken, block) {
            let skipped = |cell: &usize| later.iter().filter(|cells| cells.contains(cell)).count();
            let skipped = alike.iter().map(skipped).sum();
            self.progress.fewer_rounds(skipped);
            if cells.len() > 1 {
                let first = broken[&alike[0]].in_one_line();
                let others = alike[1..].iter().map(|cell| cells[*cell].to_string());
                self.progress
                    .cells_failed(&first, others.collect(), skipped);
            }
        }
        self.broken.extend(broken);
    }

    /// The cells in the order of their last rounds: a cause comes before the cells that were not run because of it.
    fn in_order_of_failure(&self, broken: &BrokenCells) -> Vec<usize> {
        let rounds = &self.record.rounds;
        let mut cells: Vec<usize> = broken.keys().copied().collect();
        cells.sort_by_key(|cell| rounds.iter().rposition(|round| round.cell == *cell));
        cells
    }

    /// The broken cells of a block, those together whose reasons differ in numbers only.
    fn failing_alike(&self, broken: &BrokenCells, block: usize) -> Vec<Vec<usize>> {
        let rounds = self.record.rounds.iter().rev();
        let rounds = rounds.take_while(|round| round.block == block);
        let reasons: BTreeMap<usize, &str> = rounds
            .filter_map(|round| match &round.outcome {
                Outcome::Failed { reason } => Some((round.cell, reason.as_str())),
                _ => None,
            })
            .collect();
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for cell in self.in_order_of_failure(broken) {
            let reason = reasons.get(&cell).copied();
            let same = |group: &&mut Vec<usize>| match (reason, reasons.get(&group[0])) {
                (Some(reason), Some(other)) => describe::is_alike(reason, other),
                _ => false,
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.push(cell),
                None => groups.push(vec![cell]),
            }
        }
        groups
    }

    fn next_block(&mut self) -> Result<Option<usize>, Failure> {
        let known = self.record.plan.blocks.len();
        let next = self.course.next_block(self.record);
        if let Some(block) = next
            && self.record.plan.blocks.len() > known
        {
            self.progress
                .more_rounds(self.record.plan.blocks[block].len());
            self.keep_plan()?;
        }
        if let Some(block) = next {
            self.progress.tries(block, self.course.tries());
        }
        Ok(next)
    }

    /// Stores the plan, which has grown, without the rounds, which are already stored.
    fn keep_plan(&mut self) -> Result<(), Failure> {
        let rounds = mem::take(&mut self.record.rounds);
        let kept = self.directory.keep_plan(self.record);
        self.record.rounds = rounds;
        kept
    }

    /// Runs each cell of a block once.
    fn attempt(&mut self, block: usize, attempt: u32, started: Instant) -> Result<Attempt, Stop> {
        let (mut disturbance, mut broken) = (None, BrokenCells::new());
        for index in self.record.plan.blocks[block].clone() {
            if self.broken.contains_key(&index) {
                continue;
            }
            let plan = &self.record.plan;
            let cell = &plan.cells[index];
            self.progress.round_begins(block, index, cell);
            if self.interrupt.requested() {
                return Err(Stop::Interrupted);
            }
            let offset_ns = nanoseconds(started.elapsed());
            let scenario = plan.scenario_of(cell);
            let result = match self.silent.reason(scenario, cell) {
                Some(reason) => RoundResult::not_run(reason),
                None => (self.measure)(scenario, cell),
            };
            if result.is_silent {
                self.silent.add(scenario, cell);
            }
            let Some(outcome) = result.outcome else {
                return Err(Stop::Interrupted);
            };
            // Only a measured round is worth measuring again.
            let first = result.conditions.disturbance.as_ref();
            let first = first.filter(|_| result.failure.is_none());
            disturbance =
                disturbance.or_else(|| first.map(|reason| format!("{reason} during {cell}")));
            let failure = result
                .failure
                .map(|failure| failure.during(format_args!("{cell}, block {}", block + 1)));
            let round = Round {
                cell: index,
                block,
                attempt,
                offset_ns,
                conditions: result.conditions,
                outcome,
            };
            let kept = self.directory.keep(&round);
            self.progress.round_ended(&round);
            self.record.rounds.push(round);
            kept?;
            if let Some(failure) = failure {
                // A gate compares all of its cells, and a shard cannot leave out what the others measure.
                if self.record.plan.gate.is_some() || self.record.shards.is_some() {
                    return Err(failure.into());
                }
                broken.insert(index, failure);
            }
        }
        Ok(Attempt {
            disturbance,
            broken,
        })
    }
}

/// The completion recorded in advance for a run whose process gets killed.
pub fn killed() -> Completion {
    Completion::Failed {
        reason: "the run was killed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::course::PlannedCourse;
    use crate::store::run_directory;
    use photofinish_harness::os;
    use photofinish_record::{Conditions, RECORD_SCHEMA};
    use serde_json::json;
    use std::time::Duration;

    /// Two cells in each of `blocks` blocks, in alternating order.
    fn record(blocks: usize) -> Record {
        let cell = |runtime: &str| {
            json!({
                "scenario": "null", "runtime": runtime,
                "load": { "model": "closed", "concurrency": 1 }, "unsupported": null,
            })
        };
        let stop = json!({ "ops": 1 });
        let scenario = json!({
            "name": "null", "title": "", "class": "overhead", "workload": "null", "operation": "", "params": {},
            "unit_ns": 1, "servers": { "db": { "kind": "external", "url": "postgres://h/" } }, "warmup": stop, "stop": stop,
            "error_budget": 0.0,
        });
        let orders = [[0, 1], [1, 0]];
        let blocks: Vec<_> = (0..blocks).map(|block| orders[block % 2]).collect();
        serde_json::from_value(json!({
            "schema": RECORD_SCHEMA, "id": "run", "tool": { "name": "", "version": "", "profile": "" },
            "started_utc": "2026-11-20T18:30:00Z", "elapsed_ns": 0, "completion": killed(), "command_line": [],
            "seed": 1, "plan_hash": "", "machine": os::machine(), "dependencies": {}, "warnings": [],
            "rounds": [],
            "plan": {
                "scenarios": [scenario],
                "cells": [cell("sync"), cell("threads")],
                "blocks": blocks,
                "placement": { "kind": "same", "server_cpus": [0], "worker_cpus": [0] },
            },
        }))
        .expect("a record")
    }

    /// The disturbed rounds and the interrupted one, by number in execution order.
    struct Script<'a> {
        blocks: usize,
        redos: RedoBudget,
        disturbed: &'a dyn Fn(usize) -> bool,
        interrupted: Option<usize>,
        failing: Option<usize>,
        /// True if it fails because its target is silent.
        is_silent: bool,
        /// True if the run has to end with a failure.
        fails: bool,
    }

    /// The finished run. What a killed orchestrator would have left behind holds the same rounds.
    fn run(script: &Script<'_>) -> Record {
        let mut record = record(script.blocks);
        let parent = tempfile::tempdir().expect("a directory");
        let mut directory = RunDirectory::make(parent.path(), &record).expect("made");
        let mut number = 0;
        let mut measure = |_: &PlannedScenario, _: &Cell| {
            let disturbed = (script.disturbed)(number);
            let result = RoundResult {
                outcome: (script.interrupted != Some(number)).then(|| Outcome::Unsupported {
                    reason: number.to_string(),
                }),
                failure: (script.failing == Some(number))
                    .then(|| Failure::could_not_run("the worker died")),
                is_silent: script.is_silent && script.failing == Some(number),
                conditions: Conditions {
                    disturbance: disturbed.then(|| format!("disturbed {number}")),
                    ..Conditions::default()
                },
            };
            number += 1;
            result
        };
        let progress = Progress::of(&record.plan, Duration::ZERO);
        let failure = Run {
            record: &mut record,
            directory: &mut directory,
            course: &mut PlannedCourse::new(&|_| false),
            redos: script.redos,
            interrupt: &Interrupt::default(),
            measure: &mut measure,
            progress,
            broken: BrokenCells::new(),
            silent: SilentTargets::default(),
        }
        .execute();
        assert_eq!(failure.is_some(), script.fails);
        let left_behind = directory.work_dir().with_file_name(run_directory::RECORD);
        let left_behind = run_directory::load(&left_behind).expect("a record");
        assert_eq!(left_behind.rounds, record.rounds);
        assert_eq!(left_behind.completion, killed());
        record
    }

    /// Block, attempt and cell of each round.
    fn positions(record: &Record) -> Vec<(usize, u32, usize)> {
        let position = |round: &Round| (round.block, round.attempt, round.cell);
        record.rounds.iter().map(position).collect()
    }

    fn script(blocks: usize, disturbed: &dyn Fn(usize) -> bool) -> Script<'_> {
        Script {
            blocks,
            redos: RedoBudget::of_blocks(blocks),
            disturbed,
            interrupted: None,
            failing: None,
            is_silent: false,
            fails: false,
        }
    }

    #[test]
    fn a_disturbed_block_is_redone_whole_in_the_same_order_and_both_attempts_are_kept() {
        // The second block's first round is disturbed, once.
        let finished = run(&script(2, &|number| number == 2));
        let expected = [
            (0, 0, 0),
            (0, 0, 1),
            (1, 0, 1),
            (1, 0, 0),
            (1, 1, 1),
            (1, 1, 0),
        ];
        assert_eq!(positions(&finished), expected);
        assert_eq!(finished.completion, Completion::Complete);
        let disturbed = finished
            .rounds
            .iter()
            .filter(|round| round.conditions.disturbance.is_some());
        assert_eq!(disturbed.count(), 1);
    }

    #[test]
    fn a_block_is_redone_at_most_twice() {
        let finished = run(&script(1, &|_| true));
        let attempts: Vec<u32> = finished.rounds.iter().map(|round| round.attempt).collect();
        assert_eq!(attempts, [0, 0, 1, 1, 2, 2]);
        assert_eq!(finished.completion, Completion::Complete);
        let last = finished.rounds.last().expect("rounds");
        assert!(last.conditions.disturbance.is_some());
    }

    #[test]
    fn no_more_than_a_quarter_of_the_blocks_are_redone_and_two_where_there_are_few() {
        let check = |blocks: usize, redone: usize| {
            let finished = run(&script(blocks, &|_| true));
            assert_eq!(finished.rounds.len(), 2 * (blocks + redone), "{blocks}");
        };
        check(1, 2);
        check(5, 2);
        check(12, 3);
        check(40, 10);
    }

    #[test]
    fn nothing_is_redone_unless_requested() {
        let finished = run(&Script {
            redos: RedoBudget::NONE,
            ..script(3, &|_| true)
        });
        assert_eq!(finished.rounds.len(), 6);
    }

    #[test]
    fn an_interruption_during_a_redo_keeps_every_round_before_it() {
        // Rounds 0 and 1 are the disturbed first attempt; 3 is the second round of the redo.
        let finished = run(&Script {
            interrupted: Some(3),
            ..script(2, &|number| number == 0)
        });
        assert_eq!(positions(&finished), [(0, 0, 0), (0, 0, 1), (0, 1, 0)]);
        assert_eq!(finished.completion, Completion::Interrupted);
    }

    #[test]
    fn a_silent_target_is_waited_for_once() {
        let finished = run(&Script {
            failing: Some(0),
            is_silent: true,
            fails: true,
            ..script(3, &|_| false)
        });
        assert_eq!(positions(&finished), [(0, 0, 0), (0, 0, 1)]);
        let Outcome::Failed { reason } = &finished.rounds[1].outcome else {
            panic!("{:?}", finished.rounds[1].outcome);
        };
        assert_eq!(
            reason,
            "not run: the target `db` was silent while null / sync (closed, 1 in flight) was set up"
        );
    }

    #[test]
    fn a_cell_that_cannot_run_is_skipped_in_later_blocks() {
        // The first block's second round fails, which is the only round of cell 1 then.
        let finished = run(&Script {
            failing: Some(1),
            fails: true,
            ..script(3, &|_| false)
        });
        let expected = [(0, 0, 0), (0, 0, 1), (1, 0, 0), (2, 0, 0)];
        assert_eq!(positions(&finished), expected);
        assert_eq!(finished.completion, Completion::Complete);
    }

    #[test]
    fn a_cell_that_fails_in_a_disturbed_block_is_retried() {
        let finished = run(&Script {
            failing: Some(1),
            ..script(2, &|number| number == 0)
        });
        assert_eq!(positions(&finished).len(), 6);
    }
}
