//! What is said of the floor: the measuring loop around an operation that does nothing, under the same runtime.
//!
//! It is shown beside every result, so that nobody takes the tool's own time for the runtime's.

use crate::summary::CellSummary;
use crate::units;

/// From this factor on, runtimes have floors of their own.
const ALIKE: f64 = 1.5;

/// What the measuring loop takes, in one sentence, each runtime once; `None` where it was not measured.
pub fn floor<'a>(cells: impl Iterator<Item = &'a CellSummary>) -> Option<String> {
    let mut floors: Vec<(&str, f64)> = Vec::new();
    for cell in cells {
        let known = floors.iter().any(|(runtime, _)| *runtime == cell.runtime);
        if let Some(floor_ns) = floor_ns(cell).filter(|_| !known) {
            floors.push((&cell.runtime, floor_ns));
        }
    }
    let values = || floors.iter().map(|(_, floor_ns)| *floor_ns);
    let least = values().reduce(f64::min)?;
    let most = values().reduce(f64::max)?;
    let said = match most < ALIKE * least {
        true => units::duration(most),
        false => floors
            .iter()
            .map(|(runtime, floor_ns)| format!("{runtime} {}", units::duration(*floor_ns)))
            .collect::<Vec<_>>()
            .join(", "),
    };
    Some(format!("Floor of the loop, per operation: {said}."))
}

fn floor_ns(cell: &CellSummary) -> Option<f64> {
    cell.metric("floor_ns_per_op").map(|metric| metric.median)
}
