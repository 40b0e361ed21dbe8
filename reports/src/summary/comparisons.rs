//! Which cell is compared with which: each with the reference runtime under the same scenario, load and side.
//!
//! What a comparison comes to is computed in `verdict`, from the rounds of both.

use photofinish_record::Record;

use super::{CellSummary, Status};
use crate::metrics;
use crate::verdict::{self, Pair};

/// Adds to each cell its comparisons with the reference of its group.
pub(super) fn with_comparisons(record: &Record, mut cells: Vec<CellSummary>) -> Vec<CellSummary> {
    for index in 0..cells.len() {
        let Some(against) = reference(record, &cells, index) else {
            continue;
        };
        let pair = Pair {
            cell: index,
            against,
        };
        let comparisons = metrics::METRICS.iter().filter_map(|metric| {
            let comparison = verdict::compare(record, metric, pair)?;
            Some((metric.name.to_string(), comparison))
        });
        cells[index].comparisons = comparisons.collect();
    }
    cells
}

/// The cell that a cell is compared with: that of the plan's reference runtime if it has numbers, else the first of the
/// group that has. `None` for that one itself, and for a cell without numbers.
fn reference(record: &Record, cells: &[CellSummary], index: usize) -> Option<usize> {
    let comparable = |other: &&usize| {
        let (other, cell) = (&cells[**other], &cells[index]);
        other.status == Status::Ok
            && other.scenario == cell.scenario
            && other.load == cell.load
            && other.arm == cell.arm
    };
    let all: Vec<usize> = (0..cells.len()).collect();
    let named = |other: &&usize| record.plan.reference.as_ref() == Some(&cells[**other].runtime);
    let mut group = all.iter().filter(comparable);
    let first = group.clone().next();
    let against = *group.find(named).or(first)?;
    (against != index && cells[index].status == Status::Ok).then_some(against)
}
