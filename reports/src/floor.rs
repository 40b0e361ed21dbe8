//! The distance of runtimes from a floor: the same work under the least that an event loop can do.
//!
//! A floor was chosen before the run, so each runtime is compared with it as with a reference, by the group's headline metric.
//! The words are in `describe`.

use crate::comparison::{CellPair, compare};
use crate::describe;
use crate::metrics::named;
use crate::rounds::Rounds;
use crate::summary::{Comparison, Group};

/// A floor, and each runtime of its group compared with it, best first.
struct Distances<'a> {
    floor: &'a str,
    runtimes: Vec<(&'a str, Comparison)>,
}

/// The distances of a group in one sentence.
pub(crate) fn sentence(rounds: &Rounds<'_>, group: &Group<'_>) -> Option<String> {
    let Distances { floor, runtimes } = Distances::of(rounds, group)?;
    Some(describe::distances(floor, &runtimes, group))
}

impl<'a> Distances<'a> {
    /// `None` if the group has no floor with numbers, or nothing beside it.
    fn of(rounds: &Rounds<'_>, group: &Group<'a>) -> Option<Self> {
        let floor = group.floor()?;
        let reference = rounds.index_of(floor)?;
        let metric = named(group.headline())?;
        let compared = group.choices().into_iter().filter_map(|cell| {
            let pair = CellPair {
                cell: rounds.index_of(cell)?,
                reference,
            };
            Some((cell.runtime.as_str(), compare(rounds, metric, pair)?))
        });
        let runtimes: Vec<_> = compared.collect();
        (!runtimes.is_empty()).then_some(Self {
            floor: &floor.runtime,
            runtimes,
        })
    }
}
