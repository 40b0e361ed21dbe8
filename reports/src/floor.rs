//! The distance of runtimes from a floor: the same work under the least that an event loop can do.
//!
//! A floor was chosen before the run, so each runtime is compared with it as with a reference, by the group's headline metric
//! and by CPU time per operation. Each stack has its own. The words are in `describe`.

use crate::comparison::{CellPair, compare};
use crate::describe;
use crate::metrics::named;
use crate::rounds::Rounds;
use crate::summary::{CellSummary, Group};

/// The distances of a group, best first, in one sentence; `None` if it has no floor with numbers, or nothing beside it.
pub(crate) fn sentence(rounds: &Rounds<'_>, group: &Group<'_>) -> Option<String> {
    let floor = group.floor()?;
    let reference = rounds.index_of(floor)?;
    let compared = |cell: &CellSummary, metric: &str| {
        let cell = rounds.index_of(cell)?;
        compare(rounds, named(metric)?, CellPair { cell, reference })
    };
    let choices = group.choices();
    let distances = |metric: &str| -> Vec<_> {
        choices
            .iter()
            .filter_map(|cell| Some((cell.runtime.as_str(), compared(cell, metric)?)))
            .collect()
    };
    let by = [
        (describe::headline(group), distances(group.headline())),
        ("CPU time per operation", distances(CPU_PER_OP)),
    ];
    describe::distances(&floor.runtime, &by)
}

const CPU_PER_OP: &str = "cpu_ns_per_op";
