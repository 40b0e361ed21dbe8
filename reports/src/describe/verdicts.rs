//! What is said of runtimes against each other: who is first, how far from the reference, and whether that is a
//! difference.
//!
//! All of it is by the headline's metric of a group. Runtimes of which the same is said are named together. What a
//! verdict means is decided in `verdict.rs` of the crate, and explained by `legends`.

use photofinish_record::load::Load;

use super::value;
use crate::metrics::{RESPONSE_P50, RESPONSE_P99, THROUGHPUT};
use crate::summary::{CellSummary, Group};
use crate::units;
use crate::verdict::{Comparison, Verdict};

/// The runtime that is first by the headline's metric, as a sentence; `None` where none has numbers.
pub fn first(group: &Group<'_>) -> Option<String> {
    let first = *group.ranked().first()?;
    let value = value(first.metric(group.headline()));
    Some(match group.load {
        Load::Closed { .. } => format!("{} at {value} operations per second.", first.runtime),
        Load::Open { .. } => {
            let by = headline(group);
            format!("{}, whose {by} is {value}.", first.runtime)
        }
    })
}

/// The headline's metric in words.
pub fn headline(group: &Group<'_>) -> &'static str {
    match group.headline() {
        THROUGHPUT => "throughput",
        RESPONSE_P99 => "response p99",
        RESPONSE_P50 => "response p50",
        other => other,
    }
}

/// Who is faster than the reference, who is not, and from where on this run could have told; `None` where there was
/// nothing to compare.
pub fn verdicts(group: &Group<'_>) -> Option<String> {
    let baseline = group.baseline()?;
    let said = said_alike(group);
    if let ([(said, _)], false) = (said.as_slice(), group.has_verdicts()) {
        return Some(format!("No verdict against {baseline}: {}.", said.reason()));
    }
    let phrases: Vec<String> = said
        .iter()
        .map(|(said, runtimes)| said.of(runtimes))
        .collect();
    let callable = callable(group).map(|text| format!(" {text}"));
    Some(format!(
        "By {} against {baseline}: {}.{}",
        headline(group),
        phrases.join("; "),
        callable.unwrap_or_default()
    ))
}

/// What is said of a runtime against the reference.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Said<'a> {
    verdict: Option<Verdict>,
    reason: Option<&'a str>,
}

impl Said<'_> {
    fn reason(&self) -> &str {
        self.reason.unwrap_or("the record does not say why")
    }

    fn of(&self, runtimes: &[&str]) -> String {
        let names = runtimes.join(", ");
        let reason = self.reason.map(|reason| format!(" ({reason})"));
        let reason = reason.unwrap_or_default();
        match self.verdict {
            Some(Verdict::Tie) => format!("{names} a tie{reason}"),
            Some(verdict) => format!("{names} {}{reason}", verdict_word(verdict)),
            None => format!("{names} without a verdict{reason}"),
        }
    }
}

/// Runtimes of which the same is said, the best first.
fn said_alike<'a>(group: &Group<'a>) -> Vec<(Said<'a>, Vec<&'a str>)> {
    let mut alike: Vec<(Said<'a>, Vec<&'a str>)> = Vec::new();
    let order = |said: &Said<'_>| match said.verdict {
        Some(Verdict::Faster) => 0,
        Some(Verdict::Tie) => 1,
        Some(Verdict::Slower) => 2,
        Some(Verdict::Inconclusive) => 3,
        None => 4,
    };
    for (cell, comparison) in group.comparisons() {
        let said = Said {
            verdict: comparison.verdict,
            reason: comparison.reason.as_deref(),
        };
        match alike.iter_mut().find(|(known, _)| *known == said) {
            Some((_, runtimes)) => runtimes.push(&cell.runtime),
            None => alike.push((said, vec![&cell.runtime])),
        }
    }
    alike.sort_by_key(|(said, _)| order(said));
    alike
}

/// From which difference on this run could have told, over all comparisons of the group.
fn callable(group: &Group<'_>) -> Option<String> {
    let shares: Vec<f64> = group
        .comparisons()
        .filter_map(|(_, comparison)| comparison.smallest_callable)
        .collect();
    let least = units::percent(shares.iter().copied().reduce(f64::min)?);
    let most = units::percent(shares.iter().copied().reduce(f64::max)?);
    Some(match least == most {
        true => format!("The smallest difference that could have been called: {least}."),
        false => {
            format!("The smallest differences that could have been called: {least} to {most}.")
        }
    })
}

/// A verdict in the word that people read.
pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Faster => "faster",
        Verdict::Slower => "slower",
        Verdict::Tie => "tie",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// The verdict of a comparison for a table; nothing where there is none.
pub fn verdict(comparison: &Comparison) -> &'static str {
    comparison.verdict.map_or("", verdict_word)
}

/// The verdict on a cell by the headline's metric; nothing of the reference itself, and where there is none.
pub fn verdict_of(cell: &CellSummary, group: &Group<'_>) -> String {
    let comparison = cell.comparisons.get(group.headline());
    comparison.map_or("", verdict).to_owned()
}

/// The ratio to the reference by the headline's metric; `1×` of the reference itself.
pub fn ratio(cell: &CellSummary, group: &Group<'_>) -> String {
    match cell.comparisons.get(group.headline()) {
        Some(comparison) => units::ratio(comparison.median),
        None if group.baseline() == Some(&cell.runtime) => "1×".to_owned(),
        None => "n/a".to_owned(),
    }
}

/// How far that ratio's interval reaches; nothing where one round has no spread.
pub fn ratio_spread(cell: &CellSummary, group: &Group<'_>) -> String {
    let spread = |ratio: &Comparison| units::spread(ratio.median, ratio.low, ratio.high);
    cell.comparisons
        .get(group.headline())
        .filter(|ratio| ratio.pairs > 1)
        .map(spread)
        .unwrap_or_default()
}
