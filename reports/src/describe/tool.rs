//! The tool's own influence on the numbers: how well arrivals were paced, and the overhead of the measuring loop.
//!
//! Both are shown with every result, so that nobody mistakes the tool's time for the runtime's.

use super::{list, range};
use crate::summary::CellSummary;
use crate::units;

/// Overheads that differ by at least this factor are listed by runtime.
const ALIKE: f64 = 1.5;

/// Sentences about pacing and overhead for some cells, as far as they were measured.
pub fn tool<'a>(cells: impl Iterator<Item = &'a CellSummary> + Clone) -> Vec<String> {
    [pacing(cells.clone()), overhead(cells)]
        .into_iter()
        .flatten()
        .collect()
}

fn pacing<'a>(cells: impl Iterator<Item = &'a CellSummary>) -> Option<String> {
    let paced: Vec<(f64, bool)> = cells
        .filter_map(|cell| {
            let error = cell.metric("pacing_error_p99_ns")?;
            Some((error.median, cell.arrivals.as_ref()?.pacer_alone))
        })
        .collect();
    let errors = range(paced.iter().map(|(error_ns, _)| *error_ns), units::duration)?;
    let cpu = if paced.iter().all(|(_, alone)| *alone) {
        "had a CPU to itself"
    } else {
        "shared its CPU"
    };
    Some(format!("The pacer {cpu}; its error was {errors} (p99)."))
}

/// The overhead of the measuring loop, each runtime once.
fn overhead<'a>(cells: impl Iterator<Item = &'a CellSummary>) -> Option<String> {
    let mut overheads: Vec<(&str, f64)> = Vec::new();
    for cell in cells {
        let known = overheads
            .iter()
            .any(|(runtime, _)| *runtime == cell.runtime);
        if let Some(metric) = cell.metric("overhead_ns_per_op").filter(|_| !known) {
            overheads.push((&cell.runtime, metric.median));
        }
    }
    let values = overheads.iter().map(|(_, overhead_ns)| *overhead_ns);
    let least = values.clone().reduce(f64::min)?;
    let most = values.reduce(f64::max)?;
    let text = if most < ALIKE * least {
        units::duration(most)
    } else {
        let text = |(runtime, overhead_ns): &(&str, f64)| {
            format!("{runtime} {}", units::duration(*overhead_ns))
        };
        list(overheads.iter().map(text), ", ")
    };
    Some(format!("Overhead of the loop, per operation: {text}."))
}
