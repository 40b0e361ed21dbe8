//! A gate for people: the verdict first, then a table of its checks for each cell, then what to know beside it.

use super::{Column, Page, Row, Style, Tone, clean, table_of, warnings};
use crate::describe;
use crate::gate::terms::short_name;
use crate::gate::{Check, CheckVerdict, GateReport, GateVerdict};
use crate::units;

/// The gate as text, no line wider than the terminal.
pub fn gate(report: &GateReport, style: Style) -> String {
    let mut page = Page::new(style);
    let heading = describe::gate_heading(report.verdict);
    page.paragraph(
        tone(report.verdict),
        &format!("{heading}  {}", report.reason),
    );
    if let Some(advisory) = &report.advisory {
        page.paragraph(Tone::Warning, &format!("advice only: {advisory}"));
    }
    page.blank();
    for (arm, source) in [("base", &report.base), ("head", &report.head)] {
        let identity = source.identity.as_ref();
        let identity = identity.map_or(String::new(), |identity| format!(" ({identity})"));
        page.paragraph(Tone::Faint, &format!("{arm}  {}{identity}", source.what));
    }
    page.blank();
    for cell in cells(&report.checks) {
        table(&mut page, &cell);
    }
    for problem in report
        .problems
        .iter()
        .filter(|problem| **problem != report.reason)
    {
        page.paragraph(Tone::Bad, problem);
    }
    page.paragraph(Tone::Faint, &said_once(report));
    page.blank();
    warnings(&mut page, &report.warnings);
    page.text
}

fn tone(verdict: GateVerdict) -> Tone {
    match verdict {
        GateVerdict::Pass => Tone::Good,
        GateVerdict::Regression | GateVerdict::Wrong => Tone::Bad,
        GateVerdict::Inconclusive | GateVerdict::Unfit => Tone::Warning,
    }
}

/// The checks by cell, each cell where its worst check stands.
fn cells(checks: &[Check]) -> Vec<Vec<&Check>> {
    let mut cells: Vec<Vec<&Check>> = Vec::new();
    for check in checks {
        let same = |cell: &&mut Vec<&Check>| {
            let first = cell[0];
            first.scenario == check.scenario
                && first.runtime == check.runtime
                && first.load == check.load
        };
        match cells.iter_mut().find(same) {
            Some(cell) => cell.push(check),
            None => cells.push(vec![check]),
        }
    }
    cells
}

fn table(page: &mut Page, checks: &[&Check]) {
    let first = checks[0];
    page.paragraph(
        Tone::Strong,
        &format!("{} / {}  {}", first.scenario, first.runtime, first.load),
    );
    let row = |check: &&Check| Row {
        name: clean(&short_name(&check.metric)),
        tone: match check.verdict {
            CheckVerdict::Regression => Tone::Bad,
            CheckVerdict::Inconclusive => Tone::Warning,
            CheckVerdict::Pass => Tone::Plain,
        },
    };
    let rows: Vec<Row> = checks.iter().map(row).collect();
    table_of(page, "metric", &rows, columns(checks));
    page.blank();
    for check in checks
        .iter()
        .filter(|check| check.verdict != CheckVerdict::Pass)
    {
        if let Some(reason) = &check.reason {
            let name = short_name(&check.metric);
            page.paragraph_in(Tone::Warning, &format!("{name}: {reason}"));
        }
    }
    page.blank();
}

fn columns(checks: &[&Check]) -> Vec<Column> {
    let value = |check: &Check, value: Option<f64>| {
        value.map_or_else(String::new, |value| describe::gate_value(check, value))
    };
    let column = |heading: &str, rank: u8, cell: &dyn Fn(&Check) -> String| Column {
        heading: heading.to_owned(),
        rank,
        cells: checks.iter().map(|check| clean(&cell(check))).collect(),
    };
    vec![
        column("base", 3, &|check| value(check, check.base)),
        column("head", 2, &|check| value(check, check.head)),
        column("worse by", 1, &|check| {
            let slowdown = check.slowdown;
            slowdown.map_or_else(String::new, |slowdown| {
                describe::signed_percent(slowdown.estimate)
            })
        }),
        column("bounds", 5, &describe::gate_bounds),
        column("must be", 4, &describe::requirement),
        column("verdict", 0, &|check| check.verdict.name().to_owned()),
    ]
}

/// How it was measured, and what the numbers mean.
fn said_once(report: &GateReport) -> String {
    let measured = match report.paired {
        true => describe::plural(report.blocks, "pair"),
        false => describe::plural(report.blocks, "block"),
    };
    let side_by_side = match report.paired {
        true => "base and head side by side in random order",
        false => "the head now, the base from its record",
    };
    format!(
        "{measured}, {side_by_side}; look {} of {}. A check fails when the lower bound is beyond {}, and passes when the \
         upper bound is below what must be.",
        report.look.number,
        report.look.planned,
        units::percent(report.floor)
    )
}
