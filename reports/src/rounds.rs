//! The rounds of a record that count, and the values read from them.
//!
//! A disturbed block is redone as a whole, and only the rounds of each block's last complete attempt count: in numbers,
//! charts, checks and exports alike. All code that iterates over rounds goes through [`Rounds`], so that none can
//! forget this. It borrows plan and rounds, so that a run in progress can be examined without copying either.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use photofinish_record::latency::Latencies;
use photofinish_record::{
    Arm, Cell, Measured, Measurement, Outcome, Plan, PlannedScenario, Record, Round,
};

use photofinish_record::shard::ShardSet;

use crate::metrics::{Metric, SampleCount};
use crate::rule::Samples;
use crate::summary::CellSummary;

/// The rounds that count, by cell.
#[derive(Debug)]
pub struct Rounds<'a> {
    pub plan: &'a Plan,
    all: Vec<&'a Round>,
    /// The attempt of each block that counts.
    attempts: BTreeMap<usize, u32>,
    by_cell: Vec<Vec<&'a Round>>,
    /// The shards whose rounds these are; `None` of a run on one machine.
    pub(crate) shards: Option<&'a ShardSet>,
}

impl<'a> Rounds<'a> {
    pub fn of(record: &'a Record) -> Self {
        Self {
            shards: record.shards.as_ref(),
            ..Self::new(&record.plan, &record.rounds)
        }
    }

    pub fn new(plan: &'a Plan, rounds: impl IntoIterator<Item = &'a Round>) -> Self {
        let all: Vec<&Round> = rounds.into_iter().collect();
        let attempts = counting_attempts(&all);
        let by_cell = vec![Vec::new(); plan.cells.len()];
        let mut rounds = Self {
            plan,
            all,
            attempts,
            by_cell,
            shards: None,
        };
        for round in rounds.counted().collect::<Vec<_>>() {
            if let Some(of_cell) = rounds.by_cell.get_mut(round.cell) {
                of_cell.push(round);
            }
        }
        rounds
    }

    fn counts(&self, round: &Round) -> bool {
        self.attempts.get(&round.block) == Some(&round.attempt)
    }

    /// Every round, including those of discarded attempts.
    pub(crate) fn every(&self) -> impl Iterator<Item = &'a Round> + Clone {
        self.all.iter().copied()
    }

    /// The rounds that count, in execution order, including those of cells that are not in the plan.
    pub fn counted(&self) -> impl Iterator<Item = &'a Round> + Clone {
        self.every().filter(|round| self.counts(round))
    }

    /// Number of blocks with rounds.
    pub fn blocks(&self) -> usize {
        self.attempts.len()
    }

    /// The rounds of a cell, in execution order.
    pub fn of_cell(&self, cell: usize) -> &[&'a Round] {
        self.by_cell.get(cell).map_or(&[], Vec::as_slice)
    }

    /// The measured rounds of a cell, in execution order.
    pub fn measured(&self, cell: usize) -> impl Iterator<Item = &'a Measured> {
        let of_cell = self.of_cell(cell).iter();
        of_cell.filter_map(|round| measured(round))
    }

    pub(crate) fn scenario(&self, name: &str) -> Option<&'a PlannedScenario> {
        let mut scenarios = self.plan.scenarios.iter();
        scenarios.find(|scenario| scenario.name == name)
    }

    /// The index of a summarised cell in the plan.
    pub(crate) fn index_of(&self, cell: &CellSummary) -> Option<usize> {
        self.plan.cells.iter().position(|planned| {
            planned.scenario == cell.scenario
                && planned.runtime == cell.runtime
                && planned.load == cell.load
                && planned.arm == cell.arm
        })
    }

    /// The values of a metric over the measured rounds of a cell.
    pub(crate) fn values(&self, cell: usize, metric: &Metric) -> Vec<f64> {
        let rounds = self.measured(cell);
        rounds
            .filter_map(|round| metric.read(&round.worker))
            .collect()
    }

    /// The value of a metric in each block, in block order.
    pub(crate) fn by_block(&self, cell: usize, metric: &Metric) -> Vec<Option<f64>> {
        let mut values = BTreeMap::new();
        for round in self.of_cell(cell) {
            if let Some(measured) = measured(round) {
                values.insert(round.block, metric.read(&measured.worker));
            }
        }
        let blocks = self.attempts.keys();
        blocks
            .map(|block| values.get(block).copied().flatten())
            .collect()
    }

    /// The values of two cells in the blocks in which both were measured.
    pub(crate) fn pairs(&self, base: usize, head: usize, metric: &Metric) -> Samples {
        let base = self.by_block(base, metric).into_iter();
        let pairs = base.zip(self.by_block(head, metric));
        Samples::Paired(pairs.map(|(base, head)| base.zip(head)).collect())
    }

    /// The fewest samples behind a percentile in a round of a cell, if they are fewer than it needs.
    pub(crate) fn too_few_samples(&self, cell: usize, metric: &Metric) -> Option<SampleCount> {
        self.measured(cell)
            .filter_map(|round| metric.samples(&round.worker))
            .min_by_key(|samples| samples.present)
            .filter(|samples| samples.present < samples.needed)
    }

    pub(crate) fn is_lower_bound(&self, cell: usize, metric: &Metric) -> bool {
        self.measured(cell)
            .any(|round| metric.is_lower_bound(&round.worker))
    }

    /// The answers of a cell's servers, by question.
    pub(crate) fn contents(&self, cell: usize) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
        let mut contents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (question, answer) in self.measured(cell).flat_map(|round| &round.worker.contents) {
            contents.entry(question).or_default().insert(answer);
        }
        contents
    }

    /// Rounds of earlier attempts, which do not count, in execution order.
    pub(crate) fn discarded(&self) -> impl Iterator<Item = &'a Round> + Clone {
        self.every().filter(|round| !self.counts(round))
    }

    /// Merges one kind of time over all rounds of a cell into one histogram: for display only, never for inference.
    pub(crate) fn merged(
        &self,
        cell: usize,
        times: impl Fn(&'a Measurement) -> Option<Cow<'a, Latencies>>,
    ) -> Latencies {
        let mut merged = Latencies::default();
        self.measured(cell)
            .filter_map(|round| times(&round.worker))
            .for_each(|times| merged.merge(&times));
        merged
    }
}

pub(crate) fn measured(round: &Round) -> Option<&Measured> {
    match &round.outcome {
        Outcome::Ok(measured) => Some(measured),
        _ => None,
    }
}

/// The attempt of each block that counts: the last of those with the most rounds, so that a redo that was cut short
/// does not replace the attempt before it.
fn counting_attempts(rounds: &[&Round]) -> BTreeMap<usize, u32> {
    let mut sizes: BTreeMap<(usize, u32), usize> = BTreeMap::new();
    for round in rounds {
        *sizes.entry((round.block, round.attempt)).or_default() += 1;
    }
    let mut largest: BTreeMap<usize, (usize, u32)> = BTreeMap::new();
    for ((block, attempt), size) in sizes {
        let best = largest.entry(block).or_default();
        *best = (size, attempt).max(*best);
    }
    let attempts = largest.into_iter();
    attempts
        .map(|(block, (_, attempt))| (block, attempt))
        .collect()
}

/// True if two cells, of one record or of two, are the same but for their arms.
pub(crate) fn same_cell(a: &Cell, b: &Cell) -> bool {
    a.scenario == b.scenario && a.runtime == b.runtime && a.load == b.load
}

/// The cells that a record is about: those of a gate's base are there for comparison only.
pub(crate) fn own_cells(plan: &Plan) -> impl Iterator<Item = usize> {
    let cells = plan.cells.iter().enumerate();
    cells
        .filter(|(_, cell)| cell.arm != Some(Arm::Base))
        .map(|(index, _)| index)
}
