//! Terminal output of a comparison of two records: a table of the compared metrics of each cell, then all other
//! differences.

use super::Style;
use super::table::Table;
use super::text::{Text, Tone};
use crate::compare::{ComparedCell, ComparedMetric, RecordComparison};
use crate::metrics::named;
use crate::rule::Verdict;
use crate::{describe, units};

/// Maximum number of differences shown; the rest are only counted.
const MOST_DIFFERENCES: usize = 12;

/// The comparison as text.
pub fn comparison(comparison: &RecordComparison, style: Style) -> String {
    let mut text = Text::new(style);
    for (side, record) in [("base", &comparison.base), ("head", &comparison.head)] {
        let time = describe::time(&record.started_utc);
        text.paragraph(Tone::Faint, &format!("{side}  {} · {time}", record.id));
    }
    text.blank();
    for cell in &comparison.cells {
        table(&mut text, cell);
    }
    for refused in &comparison.refused {
        text.paragraph(
            Tone::Warning,
            &format!(
                "{} / {} ({}): not compared: {}",
                refused.scenario, refused.runtime, refused.load, refused.reason
            ),
        );
    }
    text.blank();
    text.paragraph(
        Tone::Faint,
        &format!(
            "ratio: head / base, with its exact {} interval; a tie lies within {} either way.",
            units::percent(1.0 - comparison.rule.alpha),
            units::percent(comparison.rule.margin)
        ),
    );
    text.blank();
    differences(&mut text, comparison);
    for caution in &comparison.cautions {
        text.paragraph(Tone::Warning, &format!("note: {caution}"));
    }
    text.finish()
}

fn table(text: &mut Text, cell: &ComparedCell) {
    text.paragraph(
        Tone::Strong,
        &format!("{} / {}  {}", cell.scenario, cell.runtime, cell.load),
    );
    let is_compared =
        |name: &str| named(name).is_some_and(|metric| metric.compared_under(cell.load).is_some());
    let shown: Vec<(&String, &ComparedMetric)> = cell
        .metrics
        .iter()
        .filter(|(name, _)| is_compared(name))
        .collect();
    let rows = shown.iter().map(|(name, metric)| {
        let tone = match metric.verdict {
            Some(Verdict::Slower) => Tone::Bad,
            Some(Verdict::Faster) => Tone::Good,
            _ => Tone::Plain,
        };
        ((*name).clone(), tone)
    });
    let mut table = Table::new("metric", rows);
    let metrics = || shown.iter().map(|(_, metric)| *metric);
    let value = |metric: &ComparedMetric, value| units::with_unit(value, &metric.unit);
    table.column(
        "base",
        3,
        metrics().map(|metric| value(metric, metric.base)),
    );
    table.column(
        "head",
        2,
        metrics().map(|metric| value(metric, metric.head)),
    );
    let ratios = metrics().map(|metric| {
        let ratio = metric.ratio;
        ratio.map_or_else(String::new, |ratio| units::ratio(ratio.median))
    });
    table.column("ratio", 1, ratios);
    let intervals = metrics().map(|metric| {
        metric.ratio.map_or_else(String::new, |ratio| {
            let (low, high) = (units::ratio(ratio.low), units::ratio(ratio.high));
            format!("{low} to {high}")
        })
    });
    table.column("interval", 5, intervals);
    let rounds = metrics().map(|metric| format!("{}, {}", metric.base_rounds, metric.head_rounds));
    table.column("rounds", 4, rounds);
    let verdicts = metrics().map(|metric| {
        let word = metric.verdict.map(describe::verdict_word);
        word.unwrap_or("none").to_owned()
    });
    table.column("verdict", 0, verdicts);
    table.print(text);
}

fn differences(text: &mut Text, comparison: &RecordComparison) {
    let differences = &comparison.differences;
    if differences.is_empty() {
        return;
    }
    text.paragraph(Tone::Strong, "Other differences");
    for difference in differences.iter().take(MOST_DIFFERENCES) {
        text.paragraph_in(
            Tone::Plain,
            &format!(
                "{}: {} / {}",
                difference.what, difference.base, difference.head
            ),
        );
    }
    let more = differences.len().saturating_sub(MOST_DIFFERENCES);
    if more > 0 {
        let sentence = format!("and {more} more, in the JSON document");
        text.paragraph_in(Tone::Faint, &sentence);
    }
    text.blank();
}
