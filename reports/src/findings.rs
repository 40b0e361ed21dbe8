//! Findings: two or three sentences that follow from the verdicts of a run.
//!
//! The matrix has the verdicts; here they are only put into words. Nothing is called faster without a verdict, and a
//! runtime that is named as the best of several comes with those that it cannot be told from.

use photofinish_record::load::Load;

use crate::matrix::{Best, Matrix, Row};
use crate::metrics::THROUGHPUT;
use crate::report::Report;
use crate::rule::Verdict;
use crate::statistics::Estimate;
use crate::summary::{Comparison, Summary};
use crate::{describe, units};

/// Runtimes named in a sentence; more are counted.
const MOST_NAMES: usize = 4;

/// The findings, the most important first; none if nothing is compared.
pub fn findings(report: &Report<'_>) -> Vec<String> {
    let Report {
        matrix, summary, ..
    } = report;
    if !matrix.compares() || !report.searches.is_empty() {
        return Vec::new();
    }
    let mut sentences: Vec<String> = notable(matrix, summary)
        .into_iter()
        .filter_map(|row| sentence(matrix, row, summary))
        .collect();
    let alone = matrix.rows.len() == 1 && !sentences.is_empty();
    sentences.extend(counts(matrix, summary).filter(|_| !alone));
    sentences
}

/// The row with the largest decided difference, then the largest in the opposite direction, or else in another
/// scenario or stack.
fn notable<'a>(matrix: &'a Matrix, summary: &Summary) -> Vec<&'a Row> {
    // Above 0 the runtime is faster than the reference.
    let effect = |comparison: &Comparison| match comparison.verdict {
        Some(Verdict::Faster) => comparison.ratio.value.ln().abs(),
        Some(Verdict::Slower) => -comparison.ratio.value.ln().abs(),
        _ => 0.0,
    };
    let rows = matrix.rows.iter().filter_map(|row| {
        let effects = row
            .comparisons(summary)
            .into_iter()
            .map(|(_, comparison)| effect(comparison));
        let largest = effects.max_by(|a, b| a.abs().total_cmp(&b.abs()))?;
        (largest.abs() > 0.0).then_some((row, largest))
    });
    let mut rows: Vec<(&Row, f64)> = rows.collect();
    rows.sort_by(|(_, a), (_, b)| b.abs().total_cmp(&a.abs()));
    let Some(&(first, largest)) = rows.first() else {
        return Vec::new();
    };
    let others = || rows.iter().skip(1);
    let opposite = others().find(|(_, effect)| effect.signum() != largest.signum());
    let second = opposite.or_else(|| {
        others().find(|(row, _)| row.scenario != first.scenario || row.stack != first.stack)
    });
    let second = second.map(|(row, _)| *row);
    [Some(first), second].into_iter().flatten().collect()
}

/// The finding of one row; `None` if none of its verdicts is decided.
fn sentence(matrix: &Matrix, row: &Row, summary: &Summary) -> Option<String> {
    let reference = row.reference.as_deref()?;
    let comparisons = row.comparisons(summary);
    let of = |verdict: Verdict| {
        let decided = comparisons.iter();
        decided.filter(move |(_, comparison)| comparison.verdict == Some(verdict))
    };
    let subject = subject(matrix, row);
    let best = row.best.as_ref()?;
    let against = comparisons
        .iter()
        .find(|(cell, _)| cell.runtime == best.runtime);
    if let Some((cell, comparison)) = against
        && comparison.verdict == Some(Verdict::Faster)
    {
        let ratio = difference(row, &cell.runtime, &comparison.ratio, reference);
        return Some(format!("{subject}: {ratio}{}.", rivals(best, reference)));
    }
    let faster: Vec<&str> = of(Verdict::Faster)
        .map(|(cell, _)| &*cell.runtime)
        .collect();
    let slower: Vec<&str> = of(Verdict::Slower)
        .map(|(cell, _)| &*cell.runtime)
        .collect();
    let open: Vec<&str> = of(Verdict::Inconclusive)
        .map(|(cell, _)| &*cell.runtime)
        .collect();
    let ratios = of(Verdict::Slower).map(|(_, comparison)| comparison.ratio);
    let range = ratios.reduce(|all, ratio| Estimate {
        low: all.low.min(ratio.low),
        high: all.high.max(ratio.high),
        ..all
    });
    let first = match faster.as_slice() {
        [] => format!("no runtime is certainly faster than {reference}"),
        names => format!("{} {} faster than {reference}", named(names), be(names)),
    };
    let second = range.map_or(String::new(), |range| {
        format!(
            "; {} {} slower ({} its {})",
            named(&slower),
            be(&slower),
            times(&range),
            row.by
        )
    });
    let third = match open.as_slice() {
        [] => String::new(),
        names => format!("; {} cannot be told apart from it", named(names)),
    };
    let is_decided = !faster.is_empty() || !slower.is_empty();
    is_decided.then(|| format!("{subject}: {first}{second}{third}."))
}

/// `http-get with 16 sessions`, `http-get at 2.00k/s`; in full where two rows of a scenario would be called the same.
fn subject(matrix: &Matrix, row: &Row) -> String {
    let same = |other: &&Row| other.scenario == row.scenario && other.point() == row.point();
    let scenario = &row.scenario;
    match row.load {
        _ if matrix.rows.iter().filter(same).count() > 1 => {
            format!(
                "{scenario} ({})",
                describe::point(row.load, row.arm, row.stack.as_deref())
            )
        }
        Load::Closed { .. } => format!("{scenario} with {}", row.point()),
        Load::Open { .. } => format!("{scenario} at {}", row.point()),
    }
}

/// `tokio serves 2.11 to 2.50 times what sync does`.
fn difference(row: &Row, runtime: &str, ratio: &Estimate, reference: &str) -> String {
    let times = times(ratio);
    match row.metric {
        THROUGHPUT => format!("{runtime} has {times} the rate of {reference}"),
        _ => format!("{runtime} has {times} the {} of {reference}", row.by),
    }
}

/// `2.11 to 2.50 times`.
fn times(ratio: &Estimate) -> String {
    let [low, high] = [ratio.low, ratio.high].map(units::ratio);
    let [low, high] = [&low, &high].map(|text| text.trim_end_matches('×'));
    if low == high {
        format!("{low} times")
    } else {
        format!("{low} to {high} times")
    }
}

/// Runtimes that tie with the best one or are undecided, without the reference, named before.
fn rivals(best: &Best, reference: &str) -> String {
    let of = |tied: bool| {
        let rivals = best.rivals.iter();
        let rivals = rivals.filter(|(name, _)| name != reference);
        let rivals = rivals.filter(|(_, verdict)| (*verdict == Some(Verdict::Tie)) == tied);
        rivals.map(|(name, _)| name.as_str()).collect::<Vec<_>>()
    };
    let (tied, open) = (of(true), of(false));
    let tie = match tied.as_slice() {
        [] => String::new(),
        names => format!("; it ties with {}", named(names)),
    };
    match open.as_slice() {
        [] => tie,
        names => format!("{tie}; its lead over {} is not certain", named(names)),
    }
}

/// `a`, `a and b`, `a, b and c`, `5 others`.
fn named(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [others @ .., last] if names.len() <= MOST_NAMES => {
            format!("{} and {last}", others.join(", "))
        }
        _ => format!("{} others", names.len()),
    }
}

fn be(names: &[&str]) -> &'static str {
    if names.len() == 1 { "is" } else { "are" }
}

/// Verdict counts, or the reason that there are none.
fn counts(matrix: &Matrix, summary: &Summary) -> Option<String> {
    let rows = matrix.rows.iter();
    let all: Vec<&Comparison> = rows
        .flat_map(|row| row.comparisons(summary))
        .map(|(_, comparison)| comparison)
        .collect();
    if all.is_empty() {
        return None;
    }
    let count = |verdict: Option<Verdict>| {
        let same = all.iter().filter(|it| it.verdict == verdict);
        same.count()
    };
    let of = describe::plural(all.len(), "comparison");
    if count(None) == all.len() {
        let reason = all.iter().find_map(|it| it.reason.as_deref());
        let reason = reason.unwrap_or("the record does not say why");
        return Some(format!("No verdict in {of}: {reason}."));
    }
    let undecided = count(Some(Verdict::Inconclusive));
    let decided = count(Some(Verdict::Faster)) + count(Some(Verdict::Slower));
    let ties = count(Some(Verdict::Tie));
    if decided + ties == 0 {
        let be = if undecided == 1 { "is" } else { "are" };
        return Some(format!(
            "No difference is certain: {undecided} of {of} {be} inconclusive; take more rounds (`--rounds`)."
        ));
    }
    Some(format!(
        "{of} with the reference: {}.",
        describe::verdict_counts(all.iter().map(|it| it.verdict))
    ))
}
