//! `junit`: the gate as a JUnit test report, for the test tabs of CI systems.
//!
//! A suite per scenario and a test case per check. A regression is a failure; what is undecided is skipped with the reason,
//! since it was neither found good nor bad. The case `can be told` of the suite `gate` is an error where the gate came to no
//! decision, and a failure where what was measured is wrong, so that the report has something red exactly where the
//! verdict is not `pass`. Of a machine that was unfit, or of wrong work, no check is believed and all are skipped. Next:
//! `test_report`.

use super::super::test_report::{Case, Ending, Suite, TestReport};
use super::{Error, File, GateFormat, are_checks_sound, finding, subject};
use crate::describe;
use crate::gate::{Check, CheckVerdict, GateReport, GateVerdict};

pub(super) static FORMAT: GateFormat = GateFormat {
    name: "junit",
    extension: "xml",
    summary: "JUnit XML: one test case per check, for the test reports of CI systems",
    render,
};

fn render(report: &GateReport) -> Result<File, Error> {
    let mut suites = vec![Suite {
        name: "gate".to_owned(),
        cases: vec![whole(report)],
    }];
    let mut own = Vec::new();
    for check in &report.checks {
        Suite::add(&mut own, &check.scenario, case(report, check));
    }
    suites.append(&mut own);
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
    Ok(File {
        name: "gate.xml".to_owned(),
        bytes: document.document().into_bytes(),
    })
}

/// The gate as a whole.
fn whole(report: &GateReport) -> Case {
    let ending = match report.verdict {
        GateVerdict::Pass | GateVerdict::Regression => Ending::Passed,
        GateVerdict::Inconclusive | GateVerdict::Unfit => Ending::Error,
        GateVerdict::Wrong => Ending::Failed,
    };
    let advisory = report
        .advisory
        .iter()
        .map(|why| format!("advice only: {why}"));
    let lines = std::iter::once(report.reason.clone())
        .chain(advisory)
        .chain(report.problems.iter().cloned())
        .chain(report.warnings.iter().cloned());
    Case {
        name: "can be told".to_owned(),
        ending,
        kind: report.verdict.name(),
        reason: report.reason.clone(),
        time_s: 0.0,
        output: lines.collect::<Vec<_>>().join("\n"),
    }
}

fn case(report: &GateReport, check: &Check) -> Case {
    let found = finding(check);
    let reason = check.reason.clone().unwrap_or_else(|| found.clone());
    let (ending, kind, reason) = match check.verdict {
        _ if !are_checks_sound(report) => (
            Ending::Skipped,
            report.verdict.name(),
            report.reason.clone(),
        ),
        CheckVerdict::Pass => (Ending::Passed, "", String::new()),
        CheckVerdict::Regression => (Ending::Failed, "regression", format!("it {found}")),
        CheckVerdict::Inconclusive => (Ending::Skipped, "inconclusive", reason),
    };
    Case {
        name: format!("{} {}", subject(check), describe::requirement(check)),
        ending,
        kind,
        reason,
        time_s: 0.0,
        output: format!("it {found}"),
    }
}
