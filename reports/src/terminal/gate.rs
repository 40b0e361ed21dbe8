//! Terminal output of a gate: the verdict first, then a table of its checks for each cell, then notes.

use super::Style;
use super::table::Table;
use super::text::{Text, Tone};
use crate::describe;
use crate::gate::{Check, CheckVerdict, GateReport, GateVerdict};
use crate::metrics::short_name;

/// The gate as text.
pub fn gate(report: &GateReport, style: Style) -> String {
    let mut text = Text::new(style);
    let tone = match report.verdict {
        GateVerdict::Pass => Tone::Good,
        GateVerdict::Regression | GateVerdict::Wrong => Tone::Bad,
        GateVerdict::Inconclusive | GateVerdict::Unfit => Tone::Warning,
    };
    let heading = describe::gate_heading(report.verdict);
    text.paragraph(tone, &format!("{heading}  {}", report.reason));
    if let Some(advisory) = &report.advisory {
        text.paragraph(Tone::Warning, &format!("advice only: {advisory}"));
    }
    text.blank();
    for (arm, source) in [("base", &report.base), ("head", &report.head)] {
        let identity = source.identity.as_ref();
        let identity = identity.map_or(String::new(), |identity| format!(" ({identity})"));
        text.paragraph(Tone::Faint, &format!("{arm}  {}{identity}", source.what));
    }
    text.blank();
    for cell in by_cell(&report.checks) {
        table(&mut text, &cell);
    }
    for problem in &report.problems {
        if *problem != report.reason {
            text.paragraph(Tone::Bad, problem);
        }
    }
    text.paragraph(Tone::Faint, &describe::gate_rule(report));
    text.name_left_out();
    text.blank();
    text.warnings(&report.warnings);
    text.finish()
}

/// The checks by cell, each cell at the position of its worst check.
fn by_cell(checks: &[Check]) -> Vec<Vec<&Check>> {
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

fn table(text: &mut Text, checks: &[&Check]) {
    let first = checks[0];
    let heading = format!("{} / {}  {}", first.scenario, first.runtime, first.load);
    text.paragraph(Tone::Strong, &heading);
    let rows = checks.iter().map(|check| {
        let tone = match check.verdict {
            CheckVerdict::Regression => Tone::Bad,
            CheckVerdict::Inconclusive => Tone::Warning,
            CheckVerdict::Pass => Tone::Plain,
        };
        (short_name(&check.metric), tone)
    });
    let mut table = Table::new("metric", rows);
    for column in describe::CHECK_COLUMNS {
        let texts = checks.iter().map(|check| (column.text)(check));
        table.column(column.heading, column.rank, texts);
    }
    table.print(text);
    for check in checks {
        if let (Some(reason), false) = (&check.reason, check.verdict == CheckVerdict::Pass) {
            let name = short_name(&check.metric);
            text.paragraph_in(Tone::Warning, &format!("{name}: {reason}"));
        }
    }
    text.blank();
}
