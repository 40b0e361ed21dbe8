//! Legends below tables: kinds of time, marks before numbers, verdicts and intervals.
//!
//! A legend is shown only if the thing that it explains is shown; those are in `table` and `verdicts`.

use photofinish_record::load::Load;

use super::{is_meaningless, plural};
use crate::summary::{CellSummary, Group, Status, Summary};
use crate::units;

const CLOSED_LOAD: &str = "Closed load: each session waits for its previous operation, so these are service times; \
    queueing is hidden (coordinated omission).";

const OPEN_LOAD: &str = "Open load: response time runs from when an operation was due (p50, p99 and p99.9 are \
    response times), service time from its start; lag is the time between.";

/// The advisory of a lower bound.
pub const UNFINISHED: &str = "a lower bound: unfinished operations count with the time they had waited so far, \
    and times beyond 60 s count as 60 s";

const LOWER_BOUND: &str = "≥ a lower bound: unfinished operations count with the time they had waited so far, and \
    times beyond 60 s count as 60 s.";

const MEANINGLESS: &str = "– too few operations: this percentile would just be the longest time.";

/// The legend of `~` before a number.
pub const ADVISORY: &str =
    "~ too few operations in a round for this percentile: a hint, not a result.";

/// The kinds of time in the tables, for each kind of load.
pub fn load_legends(summary: &Summary) -> impl Iterator<Item = &'static str> + use<> {
    let any = |open| shown(summary).any(|cell| matches!(cell.load, Load::Open { .. }) == open);
    [(any(false), CLOSED_LOAD), (any(true), OPEN_LOAD)]
        .into_iter()
        .filter_map(|(shown, sentence)| shown.then_some(sentence))
}

/// The legends of the marks before numbers that are in use.
pub fn mark_legends(summary: &Summary) -> impl Iterator<Item = &'static str> + use<> {
    let metrics = || shown(summary).flat_map(|cell| cell.metrics.values());
    let meaningless = metrics().any(is_meaningless);
    let advisory = metrics().any(|metric| metric.too_few.is_some() && !is_meaningless(metric));
    // The table of a search uses the mark for rates, and has its own legend.
    let lower_bound = summary.search.is_none() && metrics().any(|metric| metric.lower_bound);
    [
        (advisory, ADVISORY),
        (meaningless, MEANINGLESS),
        (lower_bound, LOWER_BOUND),
    ]
    .into_iter()
    .filter_map(|(used, sentence)| used.then_some(sentence))
}

/// The cells whose numbers are shown: all that have numbers; for a search, those of its rates.
fn shown(summary: &Summary) -> impl Iterator<Item = &CellSummary> {
    let of_search = |cell: &CellSummary| summary.search.is_none() || cell.load.rate_hz().is_some();
    let cells = summary.cells.iter();
    cells.filter(move |cell| cell.status == Status::Ok && of_search(cell))
}

/// The meaning of the verdicts, with their rule; `None` if there are none.
pub fn verdict_legend(summary: &Summary) -> Option<String> {
    let has_verdicts = |cell: &CellSummary| {
        cell.comparisons
            .values()
            .any(|comparison| comparison.verdict.is_some())
    };
    let margin = units::percent(summary.rule.margin);
    let look = summary.look.map(|look| {
        format!(
            " This is look {} of {}, which share the error rate.",
            look.number, look.planned
        )
    });
    let any = summary.search.is_none() && summary.cells.iter().any(has_verdicts);
    any.then(|| {
        format!(
            "faster, slower: the whole interval is beyond {margin}; tie: all of it is within {margin}; \
             inconclusive: neither, so this run cannot decide.{}",
            look.unwrap_or_default()
        )
    })
}

/// A legend for intervals of ratios, with the confidence that the rounds allow; `None` if nothing was compared.
pub fn interval_legend(summary: &Summary) -> Option<String> {
    if compared_rounds(summary).is_empty() {
        return None;
    }
    Some(match interval_confidence(summary) {
        None => "A single round has no interval: repeat with more rounds.".to_owned(),
        Some(confidence) => format!("interval: that of the ratio, with confidence {confidence}."),
    })
}

/// The confidence of intervals of ratios: `95.1% over 10 rounds`; `None` if there is no interval.
pub fn interval_confidence(summary: &Summary) -> Option<String> {
    let counts = compared_rounds(summary);
    let several = counts.iter().filter(|(pairs, _)| *pairs > 1);
    let confidence = several.map(|(pairs, confidence)| {
        let percent = units::confidence(*confidence);
        format!("{percent} over {}", plural(*pairs, "round"))
    });
    let confidence: Vec<String> = confidence.collect();
    (!confidence.is_empty()).then(|| confidence.join(", "))
}

/// Each number of compared rounds, with the confidence that it allows; none for a search.
fn compared_rounds(summary: &Summary) -> Vec<(usize, f64)> {
    if summary.search.is_some() {
        return Vec::new();
    }
    let groups = summary.groups();
    let mut counts: Vec<(usize, f64)> = groups
        .iter()
        .flat_map(Group::comparisons)
        .map(|(_, comparison)| (comparison.pairs, comparison.ratio.confidence))
        .collect();
    counts.sort_by_key(|(pairs, _)| *pairs);
    counts.dedup_by_key(|(pairs, _)| *pairs);
    counts
}
