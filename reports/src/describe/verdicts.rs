//! Runtimes compared: the ratios to the reference, and the verdicts.
//!
//! All use the headline metric of a group. Runtimes with the same verdict are named together. `rule` decides verdicts,
//! and `legends` explains them.

use super::{list, range};
use crate::metrics::{Overhead, RESPONSE_P50, RESPONSE_P99, THROUGHPUT};
use crate::rule::{Caveat, Verdict};
use crate::summary::{CellSummary, Comparison, Group};
use crate::units;

/// The headline metric in words.
pub fn headline(group: &Group<'_>) -> &'static str {
    match group.headline() {
        THROUGHPUT => "throughput",
        RESPONSE_P99 => "response p99",
        RESPONSE_P50 => "response p50",
        other => other,
    }
}

/// The verdicts on all runtimes, and the ratios needed by undecided ones; `None` if there was nothing to
/// compare.
pub fn verdicts(group: &Group<'_>) -> Option<String> {
    let reference = group.reference()?;
    let alike = grouped(group);
    // Floors are not compared.
    if alike.is_empty() {
        return None;
    }
    if let ([((None, reason), _)], false) = (alike.as_slice(), group.has_verdicts()) {
        let reason = reason.unwrap_or("the record does not say why");
        return Some(format!("No verdict against {reference}: {reason}."));
    }
    let phrases = alike.iter().map(|((verdict, reason), runtimes)| {
        let names = runtimes.join(", ");
        let reason = reason.map_or_else(String::new, |reason| format!(" ({reason})"));
        let word = match verdict {
            Some(Verdict::Tie) => "a tie",
            Some(verdict) => verdict_word(*verdict),
            None => "without a verdict",
        };
        format!("{names} {word}{reason}")
    });
    let (by, verdicts) = (headline(group), list(phrases, "; "));
    let callable = callable(group);
    Some(format!(
        "By {by} against {reference}: {verdicts}.{}",
        callable.unwrap_or_default()
    ))
}

/// Caption of the comparison across languages.
pub const STACKS: &str = "The best runtime of each language by its median. No verdict across languages: most of the difference \
    is interpreter and client library, not execution model; compare CPU time per operation.";

/// A metric's name in words, and the comparison of each runtime by it.
type Distances<'a> = (&'a str, Vec<(&'a str, Comparison)>);

/// Every runtime's distance from the floor by each metric: `Relative to the floor epoll, throughput: tokio 0.961×
/// (0.942×–0.983×); CPU time per operation: tokio 1.04×.` `None` if there is nothing to compare.
pub fn distances(floor: &str, by: &[Distances<'_>]) -> Option<String> {
    let mut compared = by.iter().filter(|(_, runtimes)| !runtimes.is_empty());
    let (metric, runtimes) = compared.next()?;
    let first = format!(
        "Relative to the floor {floor}, {metric}: {}",
        distances_by(runtimes)
    );
    let sentence = compared.fold(first, |sentence, (metric, runtimes)| {
        format!("{sentence}; {metric}: {}", distances_by(runtimes))
    });
    Some(sentence + ".")
}

fn distances_by(runtimes: &[(&str, Comparison)]) -> String {
    let each = runtimes.iter().map(|(runtime, comparison)| {
        let ratio = &comparison.ratio;
        let interval = (comparison.pairs > 1)
            .then(|| units::interval(ratio.low, ratio.high, units::ratio))
            .map_or_else(String::new, |interval| format!(" ({interval})"));
        format!("{runtime} {}{interval}", units::ratio(ratio.value))
    });
    list(each, ", ")
}

/// A verdict with its reason.
type Reasoned<'a> = (Option<Verdict>, Option<&'a str>);

/// Runtimes by their verdicts, the best first.
fn grouped<'a>(group: &Group<'a>) -> Vec<(Reasoned<'a>, Vec<&'a str>)> {
    let mut alike: Vec<(Reasoned<'a>, Vec<&'a str>)> = Vec::new();
    for (cell, comparison) in group.comparisons().filter(|(cell, _)| !cell.is_floor) {
        let reasoned = (comparison.verdict, comparison.reason.as_deref());
        match alike.iter_mut().find(|(known, _)| *known == reasoned) {
            Some((_, runtimes)) => runtimes.push(&cell.runtime),
            None => alike.push((reasoned, vec![&cell.runtime])),
        }
    }
    alike.sort_by_key(|((verdict, _), _)| match verdict {
        Some(Verdict::Faster) => 0,
        Some(Verdict::Tie) => 1,
        Some(Verdict::Slower) => 2,
        Some(Verdict::Inconclusive) => 3,
        None => 4,
    });
    alike
}

/// Range of ratios that the undecided comparisons need.
fn callable(group: &Group<'_>) -> Option<String> {
    let comparisons = group.comparisons().map(|(_, comparison)| comparison);
    let factors: Vec<f64> = comparisons.filter_map(needed_factor).collect();
    let range = range(factors.iter().copied(), units::ratio)?;
    Some(format!(
        " Intervals this wide can only decide ratios of {range}; more rounds narrow them."
    ))
}

/// Smallest ratio that would have been decided with this interval; `None` if decided.
fn needed_factor(comparison: &Comparison) -> Option<f64> {
    let undecided = comparison.verdict == Some(Verdict::Inconclusive);
    let share = comparison.smallest_callable.filter(|_| undecided)?;
    Some(1.0 + share)
}

/// The ratio needed by an undecided comparison: `needs 2.20×`, `needs 0.450×`.
pub fn needed(comparison: &Comparison) -> Option<String> {
    let factor = needed_factor(comparison)?;
    let ratio = match comparison.ratio.value {
        value if value >= 1.0 => factor,
        _ => factor.recip(),
    };
    Some(format!("needs {}", units::ratio(ratio)))
}

/// The reason that there is no verdict, or the basis of the verdict.
pub fn caveat(caveat: Caveat) -> String {
    match caveat {
        Caveat::TooFewPairs { needed, pairs } => {
            let verb = if pairs == 1 { "is" } else { "are" };
            format!("{needed} rounds of each are needed, but there {verb} only {pairs}")
        }
        Caveat::LowerBound => {
            "a value is only a lower bound: some operations did not finish, or took longer than 60 s"
                .to_owned()
        }
        Caveat::WithinOverhead(overhead) => {
            let part = match overhead {
                Overhead::Rate => "per operation",
                Overhead::Time | Overhead::Unknown => "of service time",
            };
            format!("the difference is within the measuring loop's own overhead {part}")
        }
    }
}

pub fn verdict_word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Faster => "faster",
        Verdict::Slower => "slower",
        Verdict::Tie => "tie",
        Verdict::Inconclusive => "inconclusive",
    }
}

/// Verdicts counted by kind: `2 faster, 1 slower, 48 inconclusive, 3 without a verdict`.
pub fn verdict_counts(verdicts: impl Iterator<Item = Option<Verdict>> + Clone) -> String {
    let kinds = [
        Some(Verdict::Faster),
        Some(Verdict::Slower),
        Some(Verdict::Tie),
        Some(Verdict::Inconclusive),
        None,
    ];
    let counts = kinds.into_iter().filter_map(|kind| {
        let count = verdicts.clone().filter(|verdict| *verdict == kind).count();
        let word = kind.map_or("without a verdict", verdict_word);
        (count > 0).then(|| format!("{count} {word}"))
    });
    list(counts, ", ")
}

/// Verdict counts over all metrics of two records; faster and slower are given even if 0.
pub fn change_counts(verdicts: impl Iterator<Item = Option<Verdict>> + Clone) -> String {
    let count = |kind| verdicts.clone().filter(|verdict| *verdict == kind).count();
    let [faster, slower] = [Verdict::Faster, Verdict::Slower].map(|verdict| count(Some(verdict)));
    let rest = verdicts
        .clone()
        .filter(|verdict| !matches!(verdict, Some(Verdict::Faster | Verdict::Slower)));
    let first = format!("{faster} faster, {slower} slower");
    match verdict_counts(rest) {
        none if none.is_empty() => first,
        rest => format!("{first}, {rest}"),
    }
}

/// The legend of a comparison's pictures.
pub fn change_legend(margin: f64) -> String {
    format!(
        "head / base, with its interval; faster means a higher rate, or less time or cost. Within the grey band, the margin of {}, a \
         difference does not matter. All intervals share a logarithmic axis.",
        units::percent(margin)
    )
}

/// The glyph of a verdict, the same everywhere.
pub fn glyph(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Faster => "▲",
        Verdict::Slower => "▼",
        Verdict::Tie => "=",
        Verdict::Inconclusive => "?",
    }
}

/// The verdict of a comparison for a table; blank if there is none.
pub fn verdict(comparison: &Comparison) -> &'static str {
    comparison.verdict.map_or("", verdict_word)
}

/// The verdict on a cell by the headline metric; blank for the reference itself, and if there is none.
pub fn verdict_of(cell: &CellSummary, group: &Group<'_>) -> String {
    let comparison = cell.comparisons.get(group.headline());
    comparison.map_or("", verdict).to_owned()
}

/// The ratio to the reference by the headline metric; `1×` for the reference itself.
pub fn ratio(cell: &CellSummary, group: &Group<'_>) -> String {
    match cell.comparisons.get(group.headline()) {
        Some(comparison) => units::ratio(comparison.ratio.value),
        None if group.reference() == Some(&cell.runtime) => "1×".to_owned(),
        None => "n/a".to_owned(),
    }
}

/// The interval of that ratio; blank for a single round.
pub fn ratio_interval(cell: &CellSummary, group: &Group<'_>) -> String {
    let comparison = cell.comparisons.get(group.headline());
    let several = comparison.filter(|comparison| comparison.pairs > 1);
    several.map_or(String::new(), |comparison| {
        units::interval(comparison.ratio.low, comparison.ratio.high, units::ratio)
    })
}
