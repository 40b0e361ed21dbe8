//! The distance of runtimes from the floors: the same work under the least that an event loop can do.
//!
//! Floors were chosen before the run, so each runtime is compared with each of them as with a reference, by the group's headline
//! metric and by CPU time per operation. Each stack has its own. The words are in `describe`.

use crate::comparison::{CellPair, compare};
use crate::describe;
use crate::metrics::named;
use crate::rounds::Rounds;
use crate::summary::{CellSummary, Group};

/// A sentence for each floor of the group that has numbers, with the runtimes' distances from it, best first; none without runtimes
/// beside it.
pub(crate) fn sentences(rounds: &Rounds<'_>, group: &Group<'_>) -> Vec<String> {
    let floors = group.ranked().into_iter().filter(|cell| cell.is_floor);
    floors
        .filter_map(|floor| sentence(rounds, group, floor))
        .collect()
}

fn sentence(rounds: &Rounds<'_>, group: &Group<'_>, floor: &CellSummary) -> Option<String> {
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
