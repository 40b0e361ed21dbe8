//! Groups: the cells of one scenario under one load, which are those that may be compared.
//!
//! A group knows the metric it is ranked by, its order, and its reference. No number is made here; comparisons are in the
//! cells already, and how a group is told in words is the business of `describe`.

use photofinish_record::Arm;
use photofinish_record::load::Load;

use super::{CellSummary, Status};
use crate::metrics::{RESPONSE_P50, RESPONSE_P99, THROUGHPUT};
use crate::verdict::Comparison;

/// The cells of one scenario under one load: those that may be compared.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    /// Name of the scenario.
    pub scenario: &'a str,
    /// The load.
    pub load: Load,
    /// The side of a gate it is; runtimes are compared within one.
    pub arm: Option<Arm>,
    /// The cells, in the plan's order.
    pub cells: Vec<&'a CellSummary>,
}

impl<'a> Group<'a> {
    pub(super) fn holds(&self, cell: &CellSummary) -> bool {
        self.scenario == cell.scenario && self.load == cell.load && self.arm == cell.arm
    }

    /// The metric that its cells are ranked by, and that its verdicts are told by: throughput under closed load, response
    /// under open load, at the 99th percentile where every round has the samples for it.
    pub fn headline(&self) -> &'static str {
        let too_few = |cell: &&CellSummary| {
            cell.metric(RESPONSE_P99)
                .is_some_and(|metric| metric.advisory.is_some() && !metric.lower_bound)
        };
        match self.load {
            Load::Closed { .. } => THROUGHPUT,
            Load::Open { .. } if self.cells.iter().any(too_few) => RESPONSE_P50,
            Load::Open { .. } => RESPONSE_P99,
        }
    }

    /// The cells with numbers, the best by the headline's metric first.
    pub fn ranked(&self) -> Vec<&'a CellSummary> {
        let mut ranked: Vec<&CellSummary> = self
            .cells
            .iter()
            .copied()
            .filter(|cell| cell.status == Status::Ok)
            .collect();
        let headline = self.headline();
        let worth = |cell: &CellSummary| match (cell.metric(headline), self.load) {
            (None, _) => f64::NEG_INFINITY,
            (Some(metric), Load::Closed { .. }) => metric.median,
            (Some(metric), Load::Open { .. }) => -metric.median,
        };
        ranked.sort_by(|a, b| worth(b).total_cmp(&worth(a)));
        ranked
    }

    /// The cells without numbers, in the plan's order.
    pub fn unranked(&self) -> Vec<&'a CellSummary> {
        self.cells
            .iter()
            .copied()
            .filter(|cell| cell.status != Status::Ok)
            .collect()
    }

    /// The runtime that the others are compared with by the headline's metric; `None` where there is no other.
    pub fn baseline(&self) -> Option<&'a str> {
        self.comparisons()
            .map(|(_, comparison)| comparison.against.as_str())
            .next()
    }

    /// The comparisons by the headline's metric, with the cells they are about, the best first.
    pub fn comparisons(&self) -> impl Iterator<Item = (&'a CellSummary, &'a Comparison)> + use<'a> {
        let headline = self.headline();
        self.ranked()
            .into_iter()
            .filter_map(move |cell| Some((cell, cell.comparisons.get(headline)?)))
    }

    /// Whether any of these comparisons has a verdict.
    pub fn has_verdicts(&self) -> bool {
        self.comparisons()
            .any(|(_, comparison)| comparison.verdict.is_some())
    }

    /// The most rounds any cell was measured in.
    pub fn rounds(&self) -> usize {
        self.cells.iter().map(|cell| cell.rounds).max().unwrap_or(0)
    }
}
