//! `junit`: the run as a JUnit test report, for the test tabs of CI systems.
//!
//! A suite per scenario and a test case per cell: one that was measured passes, whatever its numbers; what the runtime
//! cannot do is skipped with the reason; wrong content or too many errors is a failure; what was not measured is an error.
//! A further case says whether the run came to its end, so that a run without a cell is no success. The numbers are in
//! `system-out`. Next: `test_report` for the document.

use std::fmt::Write as _;

use photofinish_record::Record;

use super::test_report::{Case, Ending, Suite, TestReport};
use super::{Error, File, Format};
use crate::describe;
use crate::metrics::METRICS;
use crate::rounds::measured;
use crate::summary::{CellSummary, Status, Summary};
use crate::units;

pub(super) static FORMAT: Format = Format {
    name: "junit",
    extension: "xml",
    summary: "JUnit XML: one test case per cell, for the test reports of CI systems",
    render,
};

fn render(record: &Record) -> Result<Vec<File>, Error> {
    let summary = Summary::of(record);
    let mut suites = Vec::new();
    for (index, cell) in summary.cells.iter().enumerate() {
        Suite::add(&mut suites, &cell.scenario, case(record, index, cell));
    }
    suites.insert(0, completion(&summary));
    let report = TestReport {
        started_utc: &summary.started_utc,
        properties: vec![
            ("id", summary.id.clone()),
            ("photofinish", summary.tool.version.clone()),
            ("plan_hash", summary.plan_hash.clone()),
            ("machine", describe::machine(&summary.machine)),
        ],
        suites,
    };
    Ok(vec![File {
        name: "junit.xml".to_owned(),
        bytes: report.document().into_bytes(),
    }])
}

/// Whether the run came to its end.
fn completion(summary: &Summary) -> Suite {
    let incomplete = describe::incomplete(&summary.completion);
    let case = Case {
        name: "came to its end".to_owned(),
        ending: match incomplete {
            None => Ending::Passed,
            Some(_) => Ending::Error,
        },
        kind: "incomplete",
        reason: incomplete.unwrap_or_default(),
        time_s: 0.0,
        output: summary.warnings.join("\n"),
    };
    Suite {
        name: "run".to_owned(),
        cases: vec![case],
    }
}

fn case(record: &Record, index: usize, cell: &CellSummary) -> Case {
    let (ending, kind) = match cell.status {
        Status::Ok => (Ending::Passed, ""),
        Status::Unsupported => (Ending::Skipped, "unsupported"),
        Status::Invalid => (Ending::Failed, "invalid"),
        Status::Failed => (Ending::Error, "failed"),
    };
    let elapsed_ns: u64 = measured(record, index)
        .map(|(_, round)| round.worker.elapsed_ns)
        .sum();
    Case {
        name: format!(
            "{} {}",
            cell.runtime,
            describe::point_slug(cell.load, cell.arm)
        ),
        ending,
        kind,
        reason: cell.reason.clone().unwrap_or_default(),
        time_s: elapsed_ns as f64 / 1e9,
        output: numbers(cell),
    }
}

/// What runtimes are compared by, a line each.
fn numbers(cell: &CellSummary) -> String {
    let mut lines = String::new();
    for metric in METRICS {
        let found = cell.metric(&metric.name);
        if let (Some(_), Some(found)) = (metric.compared_under(cell.load), found) {
            let shown = |value| units::with_unit(value, &found.unit);
            let hint = found.advisory.as_ref().map(|why| format!(" ({why})"));
            let _ = writeln!(
                lines,
                "{}: {} [{}, {}]{}",
                metric.name,
                shown(found.median),
                shown(found.low),
                shown(found.high),
                hint.unwrap_or_default()
            );
        }
    }
    lines
}
