//! Terminal output of a comparison of two records: the verdicts counted, the changes by size, a table of the compared metrics
//! of each cell, then all other differences.

use std::cmp::Ordering;

use super::Style;
use super::table::Table;
use super::text::{Text, Tone};
use crate::compare::{Change, ComparedCell, ComparedMetric, Difference, RecordComparison};
use crate::metrics::named;
use crate::rule::Verdict;
use crate::{describe, units};

/// Maximum number of differences shown; the rest are only counted.
const MOST_DIFFERENCES: usize = 12;

/// Heading, rank and text of a column.
type Column = (&'static str, u8, fn(&ComparedMetric) -> String);

/// The columns of a table of metrics.
const COLUMNS: [Column; 6] = [
    ("base", 5, |metric| {
        units::with_unit(metric.base, &metric.unit)
    }),
    ("head", 4, |metric| {
        units::with_unit(metric.head, &metric.unit)
    }),
    ("ratio", 1, |metric| {
        let ratio = metric.ratio.map(|ratio| units::ratio(ratio.value));
        ratio.unwrap_or_default()
    }),
    ("interval", 3, |metric| interval(metric).unwrap_or_default()),
    ("rounds", 6, |metric| {
        format!("{}, {}", metric.base_rounds, metric.head_rounds)
    }),
    ("verdict", 0, |metric| {
        let word = |verdict| {
            let (glyph, word) = (describe::glyph(verdict), describe::verdict_word(verdict));
            format!("{glyph} {word}")
        };
        metric.verdict.map_or("none".to_owned(), word)
    }),
];

/// The comparison as text.
pub fn comparison(comparison: &RecordComparison, style: Style) -> String {
    let mut text = Text::new(style);
    for (side, record) in [("base", &comparison.base), ("head", &comparison.head)] {
        let time = describe::time(&record.started_utc);
        text.paragraph(Tone::Faint, &format!("{side}  {} · {time}", record.id));
    }
    text.blank();
    let changes = comparison.changes();
    let counts = describe::change_counts(changes.iter().map(|change| change.compared.verdict));
    text.paragraph(Tone::Strong, &counts);
    text.blank();
    certain_changes(&mut text, &changes);
    for cell in &comparison.cells {
        table(&mut text, cell);
    }
    for refused in &comparison.refused {
        let cell = format!(
            "{} / {} ({})",
            refused.scenario, refused.runtime, refused.load
        );
        let sentence = format!("{cell}: not compared: {}", refused.reason);
        text.paragraph(Tone::Warning, &sentence);
    }
    text.blank();
    text.paragraph(Tone::Faint, &legend(comparison));
    text.name_left_out();
    text.blank();
    differences(&mut text, comparison);
    for caution in &comparison.cautions {
        text.paragraph(Tone::Warning, &format!("note: {caution}"));
    }
    text.finish()
}

/// The certain changes of all cells in one table, the largest first.
fn certain_changes(text: &mut Text, changes: &[Change<'_>]) {
    let changes = changes.iter().filter(|change| change.is_certain());
    let changes: Vec<&Change<'_>> = changes.collect();
    if changes.is_empty() {
        return;
    }
    text.paragraph(Tone::Strong, "Changes, the largest first");
    let rows = changes.iter().map(|change| {
        let ComparedCell {
            scenario,
            runtime,
            load,
            ..
        } = change.cell;
        let name = format!("{}: {scenario} / {runtime}, {load}", change.name());
        (name, Tone::of(change.compared.verdict))
    });
    let mut table = Table::new("metric", rows);
    for (heading, rank, column) in COLUMNS {
        let texts = changes.iter().map(|change| column(change.compared));
        table.column(heading, rank, texts);
    }
    table.print(text);
    text.blank();
}

/// The meaning of the columns, with the confidence that the rounds allow.
fn legend(comparison: &RecordComparison) -> String {
    let metrics = comparison
        .cells
        .iter()
        .flat_map(|cell| cell.metrics.values());
    let mut attained: Vec<(usize, usize, f64)> = metrics
        .filter(|metric| interval(metric).is_some())
        .filter_map(|metric| {
            let confidence = metric.ratio?.confidence;
            Some((metric.base_rounds, metric.head_rounds, confidence))
        })
        .collect();
    attained.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    attained.dedup_by_key(|(base, head, _)| (*base, *head));
    let confidences = attained.iter().map(|(base, head, confidence)| {
        format!(
            "{} over {base} and {head} rounds",
            units::confidence(*confidence)
        )
    });
    let confidences = describe::list(confidences, ", ");
    let interval = match confidences.as_str() {
        "" => "a single round of each has no interval".to_owned(),
        confidences => format!("with its interval, whose confidence is {confidences}"),
    };
    format!(
        "ratio: head / base, {interval}; a tie lies within {} either way. A verdict needs a confidence of {}.",
        units::percent(comparison.rule.margin),
        units::confidence(1.0 - comparison.rule.alpha)
    )
}

/// The interval of a ratio; `None` with too few rounds.
fn interval(metric: &ComparedMetric) -> Option<String> {
    let ratio = metric.ratio.filter(|ratio| ratio.confidence > 0.0)?;
    Some(units::interval(ratio.low, ratio.high, units::ratio))
}

/// The failed operations of both sides; `None` if there are none.
fn failures(cell: &ComparedCell) -> Option<String> {
    let counts = [("base", cell.base_failures), ("head", cell.head_failures)];
    let any = counts.iter().any(|(_, count)| count.failed > 0);
    let sides = counts.map(|(side, count)| {
        let (failed, all) = (
            units::count(count.failed as f64),
            units::count(count.operations as f64),
        );
        format!("{failed} of {all} operations of the {side}")
    });
    any.then(|| {
        format!(
            "failed: {}; throughput and times are of the others",
            sides.join(", ")
        )
    })
}

fn table(text: &mut Text, cell: &ComparedCell) {
    let heading = format!("{} / {}  {}", cell.scenario, cell.runtime, cell.load);
    text.paragraph(Tone::Strong, &heading);
    let is_compared =
        |name: &str| named(name).is_some_and(|metric| metric.compared_under(cell.load).is_some());
    let whole = cell.metrics.iter();
    let whole = whole
        .filter(|(name, _)| is_compared(name))
        .map(|(name, metric)| (name.clone(), metric));
    let parts = cell.parts.iter().flat_map(|(part, metrics)| {
        let metrics = metrics.iter();
        metrics.map(move |(name, metric)| (format!("{part}: {name}"), metric))
    });
    let shown: Vec<(String, &ComparedMetric)> = whole.chain(parts).collect();
    let rows = shown.iter().map(|(name, metric)| {
        let tone = match metric.verdict {
            Some(Verdict::Faster | Verdict::Slower) => Tone::of(metric.verdict),
            _ => Tone::Plain,
        };
        (name.clone(), tone)
    });
    let mut table = Table::new("metric", rows);
    for (heading, rank, text) in COLUMNS {
        let texts = shown.iter().map(|(_, metric)| text(metric));
        table.column(heading, rank, texts);
    }
    table.print(text);
    if let Some(sentence) = failures(cell) {
        text.paragraph_in(Tone::Bad, &sentence);
        text.blank();
    }
}

fn differences(text: &mut Text, comparison: &RecordComparison) {
    let differences = &comparison.differences;
    if differences.is_empty() {
        return;
    }
    text.paragraph(Tone::Strong, "Other differences");
    for difference in differences.iter().take(MOST_DIFFERENCES) {
        let Difference { what, base, head } = difference;
        text.paragraph_in(Tone::Plain, &format!("{what}: {base} / {head}"));
    }
    let more = differences.len().saturating_sub(MOST_DIFFERENCES);
    if more > 0 {
        let sentence = format!("and {more} more, in the JSON document");
        text.paragraph_in(Tone::Faint, &sentence);
    }
    text.blank();
}
