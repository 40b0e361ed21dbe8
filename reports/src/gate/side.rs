//! One cell on one side of a gate, as its rounds tell it, and the pair that the same cell makes on both.
//!
//! A metric block by block, its median, whether its values are sound, and what the servers answered: reading only. What is
//! decided by the values is in `checks`; which cells make pairs is in `sides`.

use std::collections::{BTreeMap, BTreeSet};

use photofinish_record::{Cell, Measured, Record};

use super::rule::Samples;
use crate::metrics::Metric;
use crate::rounds::measured;
use crate::statistics;

/// One cell as it stands on one side.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub(super) record: &'a Record,
    /// Its index in the plan.
    pub(super) cell: usize,
}

/// The same cell on both sides.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    /// `None` where the base has no such cell.
    pub(super) base: Option<Side<'a>>,
    pub(super) head: Side<'a>,
    /// Whether rounds of the same block were measured side by side.
    pub(super) paired: bool,
}

impl Pair<'_> {
    /// A metric's values on both sides, of which `base` is that of the base.
    pub(super) fn samples(self, metric: &Metric, base: Side<'_>) -> Samples {
        let (base, head) = (base.by_block(metric), self.head.by_block(metric));
        if !self.paired {
            return Samples::Apart {
                base: base.into_iter().flatten().collect(),
                head,
            };
        }
        let pairs = base.into_iter().zip(head);
        Samples::Paired(pairs.map(|(base, head)| Some((base?, head?))).collect())
    }
}

impl<'a> Side<'a> {
    /// What was planned of it.
    pub(super) fn planned(self) -> &'a Cell {
        &self.record.plan.cells[self.cell]
    }

    /// What was measured of it, block by block.
    pub(super) fn rounds(self) -> impl Iterator<Item = (usize, &'a Measured)> {
        measured(self.record, self.cell)
    }

    /// The metric's value in each block measured so far, in their order.
    pub(super) fn by_block(self, metric: &Metric) -> Vec<Option<f64>> {
        let all = crate::rounds::counted(self.record)
            .map(|round| round.block + 1)
            .max()
            .unwrap_or(0);
        let mut values = vec![None; all];
        for (block, round) in self.rounds() {
            values[block] = metric.read(&round.worker);
        }
        values
    }

    pub(super) fn median(self, metric: &Metric) -> Option<f64> {
        let values = self.by_block(metric);
        statistics::median(&values.into_iter().flatten().collect::<Vec<_>>())
    }

    /// Why its values are not sound, whatever they are.
    pub(super) fn too_few_samples(self, metric: &Metric) -> Option<String> {
        let samples = self
            .rounds()
            .filter_map(|(_, round)| metric.samples(&round.worker));
        let fewest = samples.min_by_key(|samples| samples.there)?;
        (fewest.there < fewest.needed).then(|| {
            format!(
                "it needs {} operations in a round, and one had {}: lengthen the rounds",
                fewest.needed, fewest.there
            )
        })
    }

    pub(super) fn is_lower_bound(self, metric: &Metric) -> bool {
        self.rounds()
            .any(|(_, round)| metric.is_lower_bound(&round.worker))
    }

    /// What its servers answered, by question.
    pub(super) fn contents(self) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
        let mut contents: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
        for (_, round) in self.rounds() {
            for (question, answer) in &round.worker.contents {
                contents.entry(question).or_default().insert(answer);
            }
        }
        contents
    }
}
