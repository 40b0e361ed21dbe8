//! Terminal output of a run's thresholds: a table per scenario, and the reasons why some cannot be judged.

use super::table::Table;
use super::text::{Text, Tone};
use crate::describe::{self, THRESHOLD_COLUMNS};
use crate::thresholds::{ThresholdCheck, ThresholdVerdict};

pub(super) fn print(text: &mut Text, checks: &[ThresholdCheck]) {
    for of_scenario in checks.chunk_by(|a, b| a.scenario == b.scenario) {
        text.paragraph(
            Tone::Strong,
            &format!("{}  thresholds", of_scenario[0].scenario),
        );
        text.blank();
        for of_load in by_load(of_scenario) {
            table(text, &of_load);
        }
    }
}

/// The checks by load, in the order of their first appearance.
fn by_load(checks: &[ThresholdCheck]) -> Vec<Vec<&ThresholdCheck>> {
    let mut loads: Vec<Vec<&ThresholdCheck>> = Vec::new();
    for check in checks {
        match loads.iter_mut().find(|load| load[0].load == check.load) {
            Some(load) => load.push(check),
            None => loads.push(vec![check]),
        }
    }
    loads
}

fn table(text: &mut Text, checks: &[&ThresholdCheck]) {
    text.paragraph(Tone::Faint, &checks[0].load.to_string());
    let rows = checks.iter().map(|check| {
        let tone = match check.verdict {
            ThresholdVerdict::Missed => Tone::Bad,
            ThresholdVerdict::CannotTell => Tone::Warning,
            ThresholdVerdict::Met => Tone::Plain,
        };
        (name(check), tone)
    });
    let mut table = Table::new("threshold", rows);
    for column in THRESHOLD_COLUMNS {
        let texts = checks.iter().map(|check| (column.text)(check));
        table.column(column.heading, column.rank, texts);
    }
    table.print(text);
    for check in checks {
        if let Some(reason) = &check.reason {
            text.paragraph_in(Tone::Warning, &format!("{}: {reason}", name(check)));
        }
    }
    text.blank();
}

fn name(check: &ThresholdCheck) -> String {
    format!("{} {}", check.runtime, describe::threshold_metric(check))
}
