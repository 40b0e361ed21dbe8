//! The distance of runtimes from a floor: the same work under the least that an event loop can do.
//!
//! A floor was chosen before the run, so each runtime is compared with it as with a reference, by the group's headline metric.
//! The words are in `describe`.

use crate::comparison::{CellPair, compare};
use crate::describe;
use crate::metrics::named;
use crate::rounds::Rounds;
use crate::summary::{CellSummary, Group};

/// The distances of a group, best first, in one sentence; `None` if it has no floor with numbers, or nothing beside it.
pub(crate) fn sentence(rounds: &Rounds<'_>, group: &Group<'_>) -> Option<String> {
    let floor = group.floor()?;
    let reference = rounds.index_of(floor)?;
    let metric = named(group.headline())?;
    let compared = |cell: &CellSummary| {
        let cell = rounds.index_of(cell)?;
        compare(rounds, metric, CellPair { cell, reference })
    };
    let choices = group.choices();
    let distances: Vec<_> = choices
        .iter()
        .filter_map(|cell| Some((cell.runtime.as_str(), compared(cell)?)))
        .collect();
    (!distances.is_empty()).then(|| describe::distances(&floor.runtime, &distances, group))
}
