//! Groups: the cells of one scenario under one load, which may be compared with each other.
//!
//! A group knows its headline metric, its ranking, and its reference. No number is computed here: comparisons are
//! already in the cells, and the words for a group are in `describe`.

use photofinish_record::Arm;
use photofinish_record::load::Load;

use super::{CellSummary, Comparison, Status};
use crate::metrics::{RESPONSE_P50, RESPONSE_P99, THROUGHPUT};

/// The cells of one scenario under one load: those that may be compared.
#[derive(Clone, Debug)]
pub struct Group<'a> {
    pub scenario: &'a str,
    pub load: Load,
    /// The side of a gate; runtimes are compared within one.
    pub arm: Option<Arm>,
    /// Language and libraries of its runtimes; `None` of those in this program.
    pub stack: Option<&'a str>,
    /// The cells, in the plan's order.
    pub cells: Vec<&'a CellSummary>,
}

impl<'a> Group<'a> {
    /// The metric of the ranking and of the headline's verdicts: throughput under closed load, response under open
    /// load, at the 99th percentile if every round has the samples for it.
    pub fn headline(&self) -> &'static str {
        let too_few = |cell: &&CellSummary| {
            cell.metric(RESPONSE_P99)
                .is_some_and(|metric| metric.too_few.is_some())
        };
        match self.load {
            Load::Closed { .. } => THROUGHPUT,
            Load::Open { .. } if self.cells.iter().any(too_few) => RESPONSE_P50,
            Load::Open { .. } => RESPONSE_P99,
        }
    }

    /// The cells with numbers, best first by the headline metric; floors come last.
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
        ranked.sort_by(|a, b| {
            let by_worth = worth(b).total_cmp(&worth(a));
            a.is_floor.cmp(&b.is_floor).then(by_worth)
        });
        ranked
    }

    /// The ranked cells that can be chosen: no floors.
    pub fn choices(&self) -> Vec<&'a CellSummary> {
        let mut choices = self.ranked();
        choices.retain(|cell| !cell.is_floor);
        choices
    }

    /// The cells with numbers in the order of charts, which is the same in all of them: the reference first, the others as
    /// in the plan.
    pub(crate) fn in_plan_order(&self) -> Vec<&'a CellSummary> {
        let reference = self.reference();
        let cells = self.cells.iter().copied();
        let mut ordered: Vec<&CellSummary> =
            cells.filter(|cell| cell.status == Status::Ok).collect();
        ordered.sort_by_key(|cell| Some(cell.runtime.as_str()) != reference);
        ordered
    }

    /// The reference of the comparisons by the headline metric; `None` if there is no other runtime.
    pub fn reference(&self) -> Option<&'a str> {
        self.comparisons()
            .map(|(_, comparison)| comparison.against.as_str())
            .next()
    }

    /// The comparisons by the headline metric, with their cells, best first.
    pub fn comparisons(&self) -> impl Iterator<Item = (&'a CellSummary, &'a Comparison)> + use<'a> {
        let headline = self.headline();
        self.ranked()
            .into_iter()
            .filter_map(move |cell| Some((cell, cell.comparisons.get(headline)?)))
    }

    /// True if any of these comparisons has a verdict.
    pub fn has_verdicts(&self) -> bool {
        self.comparisons()
            .any(|(_, comparison)| comparison.verdict.is_some())
    }

    /// Maximum number of rounds over all cells.
    pub fn rounds(&self) -> usize {
        self.cells.iter().map(|cell| cell.rounds).max().unwrap_or(0)
    }
}
