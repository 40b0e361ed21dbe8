//! Two records side by side, for people: a table of the metrics that matter for each cell, then what else differs.

use super::{Column, Page, Row, Style, Tone, clean, table_of};
use crate::compare::{ComparedCell, ComparedMetric, RecordComparison, better};
use crate::describe;
use crate::units;
use crate::verdict::Verdict;

/// Differences that are shown one by one; of more only the number.
const MOST_DIFFERENCES: usize = 12;

/// The comparison as text, no line wider than the terminal.
pub fn comparison(report: &RecordComparison, style: Style) -> String {
    let mut page = Page::new(style);
    for (side, record) in [("base", &report.base), ("head", &report.head)] {
        let time = describe::time(&record.started_utc);
        page.paragraph(Tone::Faint, &format!("{side}  {} · {time}", record.id));
    }
    page.blank();
    for cell in &report.cells {
        block(&mut page, cell);
    }
    for refused in &report.refused {
        let place = format!(
            "{} / {} ({})",
            refused.scenario, refused.runtime, refused.load
        );
        page.paragraph(
            Tone::Warning,
            &format!("{place}: not compared: {}", refused.reason),
        );
    }
    page.blank();
    page.paragraph(
        Tone::Faint,
        &format!(
            "ratio: head / base with its exact {} interval; a tie lies within {} either way.",
            units::percent(report.rule.confidence()),
            units::percent(report.rule.floor)
        ),
    );
    page.blank();
    differences(&mut page, report);
    for caution in &report.cautions {
        page.paragraph(Tone::Warning, &format!("note: {caution}"));
    }
    page.text
}

fn block(page: &mut Page, cell: &ComparedCell) {
    page.paragraph(
        Tone::Strong,
        &format!("{} / {}  {}", cell.scenario, cell.runtime, cell.load),
    );
    let shown: Vec<(&String, &ComparedMetric)> = cell
        .metrics
        .iter()
        .filter(|(name, _)| better(name, cell.load).is_some())
        .collect();
    let row = |(name, metric): &(&String, &ComparedMetric)| Row {
        name: clean(name),
        tone: match metric.verdict {
            Some(Verdict::Slower) => Tone::Bad,
            Some(Verdict::Faster) => Tone::Good,
            _ => Tone::Plain,
        },
    };
    let rows: Vec<Row> = shown.iter().map(row).collect();
    let column = |heading: &str, rank: u8, text: &dyn Fn(&ComparedMetric) -> String| Column {
        heading: heading.to_owned(),
        rank,
        cells: shown.iter().map(|(_, metric)| text(metric)).collect(),
    };
    let of = |metric: &ComparedMetric, value| units::with_unit(value, &metric.unit);
    let columns = vec![
        column("base", 3, &|metric| of(metric, metric.base)),
        column("head", 2, &|metric| of(metric, metric.head)),
        column("ratio", 1, &|metric| {
            let ratio = metric.ratio;
            ratio.map_or_else(String::new, |ratio| units::ratio(ratio.median))
        }),
        column("interval", 5, &|metric| {
            metric.ratio.map_or_else(String::new, |ratio| {
                format!(
                    "{} to {}",
                    units::ratio(ratio.low),
                    units::ratio(ratio.high)
                )
            })
        }),
        column("rounds", 4, &|metric| {
            format!("{}, {}", metric.base_rounds, metric.head_rounds)
        }),
        column("verdict", 0, &|metric| {
            let word = metric.verdict.map(describe::verdict_word);
            word.unwrap_or("none").to_owned()
        }),
    ];
    table_of(page, "metric", &rows, columns);
    page.blank();
}

fn differences(page: &mut Page, report: &RecordComparison) {
    if report.differences.is_empty() {
        return;
    }
    page.paragraph(Tone::Strong, "What else differs");
    for difference in report.differences.iter().take(MOST_DIFFERENCES) {
        page.paragraph_in(
            Tone::Plain,
            &format!(
                "{}: {} / {}",
                difference.what, difference.base, difference.head
            ),
        );
    }
    let more = report.differences.len().saturating_sub(MOST_DIFFERENCES);
    if more > 0 {
        page.paragraph_in(
            Tone::Faint,
            &format!("and {more} more, in the JSON document"),
        );
    }
    page.blank();
}
