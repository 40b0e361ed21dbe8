//! `junit`: a run or a gate as a JUnit test report, for the test tabs of CI systems.
//!
//! A run has a suite per scenario and a test case per cell: a measured cell passes, whatever its numbers; an
//! unsupported cell is skipped with the reason; wrong content or too many errors is a failure; a cell that was not
//! measured is an error. A further case holds the completion, so that a run without cells is not a success. The numbers
//! are in `system-out`. Each threshold in each cell is a case too: a missed one is a failure, one that cannot be judged
//! an error.
//!
//! A gate has a test case per check: a regression is a failure, an undecided check is skipped with the reason. The case
//! `decided` of the suite `gate` is an error if the gate is undecided, and a failure if the measurement is wrong, so
//! that something is red exactly if the verdict is not `pass`; the checks of such a gate are skipped. Next:
//! `test_report` for the document.

use std::fmt::Write as _;

use super::test_report::{Case, Ending, Suite, TestReport};
use super::{Error, File, Format, Render};
use crate::gate::{Check, CheckVerdict, GateReport, GateVerdict};
use crate::metrics::METRICS;
use crate::report::Report;
use crate::rounds::Rounds;
use crate::summary::{CellSummary, Status, Summary};
use crate::thresholds::{ThresholdCheck, ThresholdVerdict};
use crate::{describe, units};

pub(super) static RUN: Format = Format {
    name: "junit",
    summary: "JUnit XML: one test case per cell, for the test reports of CI systems",
    render: Render::Run(render),
};

pub(super) static GATE: Format = Format {
    name: "junit",
    summary: "JUnit XML: one test case per check, for the test reports of CI systems",
    render: Render::Gate(render_gate),
};

fn render(report: &Report<'_>) -> Result<Vec<File>, Error> {
    let summary = &report.summary;
    let mut suites = Vec::new();
    for (index, cell) in summary.cells.iter().enumerate() {
        let case = case(&report.rounds, index, cell);
        Suite::add(&mut suites, &cell.scenario, case);
    }
    for check in &summary.thresholds {
        Suite::add(&mut suites, &check.scenario, threshold_case(check));
    }
    suites.insert(0, completion(summary));
    let document = TestReport {
        started_utc: &summary.started_utc,
        properties: vec![
            ("id", summary.id.clone()),
            ("photofinish", summary.tool.version.clone()),
            ("plan_hash", summary.plan_hash.clone()),
            ("machine", describe::machine(&summary.machine)),
        ],
        suites,
    };
    Ok(vec![File::text("junit.xml", document.document())])
}

/// The run as a whole.
fn completion(summary: &Summary) -> Suite {
    let (ending, reason) = match describe::incomplete(&summary.completion) {
        None => (Ending::Passed, String::new()),
        Some(reason) => (Ending::Error, reason),
    };
    let case = Case {
        name: "complete".to_owned(),
        ending,
        kind: "incomplete",
        reason,
        time_s: 0.0,
        output: summary.warnings.join("\n"),
    };
    Suite {
        name: "run".to_owned(),
        cases: vec![case],
    }
}

fn case(rounds: &Rounds<'_>, index: usize, cell: &CellSummary) -> Case {
    let (ending, kind) = match cell.status {
        Status::Ok => (Ending::Passed, ""),
        Status::Unsupported => (Ending::Skipped, "unsupported"),
        Status::Invalid => (Ending::Failed, "invalid"),
        Status::Failed => (Ending::Error, "failed"),
    };
    let measured = rounds.measured(index);
    let elapsed = measured.map(|round| round.worker.elapsed_ns);
    let elapsed_ns = elapsed.fold(0, u64::saturating_add);
    let point = describe::point_slug(cell.load, cell.arm, None);
    Case {
        name: format!("{} {point}", cell.runtime),
        ending,
        kind,
        reason: cell.reason.clone().unwrap_or_default(),
        time_s: elapsed_ns as f64 / 1e9,
        output: numbers(cell),
    }
}

/// A threshold in a cell: one that cannot be judged is untested, and thus an error.
fn threshold_case(check: &ThresholdCheck) -> Case {
    let found = format!("it {}", describe::threshold_finding(check));
    let (ending, kind) = match check.verdict {
        ThresholdVerdict::Met => (Ending::Passed, ""),
        ThresholdVerdict::Missed => (Ending::Failed, "missed"),
        ThresholdVerdict::CannotTell => (Ending::Error, "cannot-tell"),
    };
    Case {
        name: format!(
            "{} {}",
            describe::threshold_subject(check),
            describe::threshold_requirement(check)
        ),
        ending,
        kind,
        reason: found.clone(),
        time_s: 0.0,
        output: found,
    }
}

/// The metrics by which runtimes are compared, one per line.
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

fn render_gate(report: &GateReport) -> Result<File, Error> {
    let mut suites = Vec::new();
    for check in &report.checks {
        Suite::add(&mut suites, &check.scenario, check_case(report, check));
    }
    let decided = Suite {
        name: "gate".to_owned(),
        cases: vec![gate_case(report)],
    };
    suites.insert(0, decided);
    let document = TestReport {
        started_utc: &report.started_utc,
        properties: vec![
            ("id", report.id.clone()),
            ("verdict", report.verdict.name().to_owned()),
            ("base", report.base.what.clone()),
            ("head", report.head.what.clone()),
            ("machine", describe::machine(&report.machine)),
        ],
        suites,
    };
    Ok(File::text("gate.xml", document.document()))
}

/// The gate as a whole.
fn gate_case(report: &GateReport) -> Case {
    let ending = match report.verdict {
        GateVerdict::Pass | GateVerdict::Regression => Ending::Passed,
        GateVerdict::Inconclusive | GateVerdict::Unfit => Ending::Error,
        GateVerdict::Wrong => Ending::Failed,
    };
    let advisory = report.advisory.iter();
    let lines = std::iter::once(report.reason.clone())
        .chain(advisory.map(|why| format!("advice only: {why}")))
        .chain(report.problems.iter().cloned())
        .chain(report.warnings.iter().cloned());
    Case {
        name: "decided".to_owned(),
        ending,
        kind: report.verdict.name(),
        reason: report.reason.clone(),
        time_s: 0.0,
        output: describe::list(lines, "\n"),
    }
}

fn check_case(report: &GateReport, check: &Check) -> Case {
    let subject = describe::check_subject(check);
    let found = describe::gate_finding(check);
    let reason = check.reason.clone().unwrap_or_else(|| found.clone());
    let (ending, kind, reason) = match check.verdict {
        _ if !report.checks_are_valid() => (
            Ending::Skipped,
            report.verdict.name(),
            report.reason.clone(),
        ),
        CheckVerdict::Pass => (Ending::Passed, "", String::new()),
        CheckVerdict::Regression => (Ending::Failed, "regression", format!("it {found}")),
        CheckVerdict::Inconclusive => (Ending::Skipped, "inconclusive", reason),
    };
    Case {
        name: format!("{subject} {}", describe::requirement(check)),
        ending,
        kind,
        reason,
        time_s: 0.0,
        output: check.reason.clone().unwrap_or(format!("it {found}")),
    }
}
