//! `junit`: the run as a JUnit test report, for the test tabs of CI systems.
//!
//! A suite per scenario and a test case per cell: one that was measured passes, whatever its numbers; what the runtime
//! cannot do is skipped with the reason; wrong content or too many errors is a failure; what was not measured is an error.
//! A further case says whether the run came to its end, so that a run without a cell is no success. The numbers are in
//! `system-out`. Elements and attributes are those of the schema of Jenkins' xUnit plugin (`junit-10.xsd`).

use std::fmt::Write as _;

use jiff::Timestamp;
use photofinish_harness::record::Record;

use super::xml::{element, text};
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

/// How a test case ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Result {
    Passed,
    Skipped,
    /// What was tested is not as it should be.
    Failed,
    /// It could not be tested.
    Error,
}

/// A test case.
pub(super) struct Case {
    pub(super) name: String,
    pub(super) result: Result,
    /// A class of reasons in one word: `invalid`.
    pub(super) kind: &'static str,
    /// Why it did not pass, in one sentence.
    pub(super) reason: String,
    /// How long it took, in s.
    pub(super) time_s: f64,
    /// What there is to say beside it, in lines.
    pub(super) output: String,
}

/// Test cases of one subject.
pub(super) struct Suite {
    pub(super) name: String,
    pub(super) cases: Vec<Case>,
}

fn render(record: &Record) -> std::result::Result<Vec<File>, Error> {
    let summary = Summary::of(record);
    let mut suites = vec![completion(&summary)];
    for (index, cell) in summary.cells.iter().enumerate() {
        let case = case(record, index, cell);
        match suites[1..]
            .iter_mut()
            .find(|suite| suite.name == cell.scenario)
        {
            Some(suite) => suite.cases.push(case),
            None => suites.push(Suite {
                name: cell.scenario.clone(),
                cases: vec![case],
            }),
        }
    }
    Ok(vec![File {
        name: "junit.xml".to_owned(),
        bytes: document(&summary, &suites).into_bytes(),
    }])
}

/// Whether the run came to its end.
fn completion(summary: &Summary) -> Suite {
    let incomplete = describe::incomplete(&summary.completion);
    let case = Case {
        name: "came to its end".to_owned(),
        result: match incomplete {
            None => Result::Passed,
            Some(_) => Result::Error,
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
    let (result, kind) = match cell.status {
        Status::Ok => (Result::Passed, ""),
        Status::Unsupported => (Result::Skipped, "unsupported"),
        Status::Invalid => (Result::Failed, "invalid"),
        Status::Failed => (Result::Error, "failed"),
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
        result,
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

/// The suites as one document.
pub(super) fn document(summary: &Summary, suites: &[Suite]) -> String {
    let properties = properties(summary);
    let inside: String = suites
        .iter()
        .map(|suite| suite_element(summary, suite, &properties))
        .collect();
    let count = |result| {
        let counts = suites.iter().map(|suite| suite.count(result));
        counts.sum::<usize>().to_string()
    };
    let tests: usize = suites.iter().map(|suite| suite.cases.len()).sum();
    let attributes = [
        ("name", "photofinish"),
        ("tests", &*tests.to_string()),
        ("failures", &count(Result::Failed)),
        ("errors", &count(Result::Error)),
    ];
    let suites = element("testsuites", &attributes, &format!("\n{inside}"));
    format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{suites}")
}

fn properties(summary: &Summary) -> String {
    let properties = [
        ("id", &summary.id),
        ("photofinish", &summary.tool.version),
        ("plan_hash", &summary.plan_hash),
        ("machine", &describe::machine(&summary.machine)),
    ];
    let inside: String = properties
        .iter()
        .map(|(name, value)| element("property", &[("name", name), ("value", value)], ""))
        .collect();
    element("properties", &[], &format!("\n{inside}"))
}

fn suite_element(summary: &Summary, suite: &Suite, properties: &str) -> String {
    let time_s: f64 = suite.cases.iter().map(|case| case.time_s).sum();
    let cases: String = suite
        .cases
        .iter()
        .map(|case| case_element(suite, case))
        .collect();
    let start: Option<Timestamp> = summary.started_utc.parse().ok();
    let start = start.map(|start| start.strftime("%Y-%m-%dT%H:%M:%S").to_string());
    let (tests, time) = (suite.cases.len().to_string(), seconds(time_s));
    let [failures, errors, skipped] = [Result::Failed, Result::Error, Result::Skipped]
        .map(|result| suite.count(result).to_string());
    let mut attributes = vec![
        ("name", &*suite.name),
        ("tests", &*tests),
        ("failures", &*failures),
        ("errors", &*errors),
        ("skipped", &*skipped),
        ("time", &*time),
    ];
    attributes.extend(start.as_deref().map(|start| ("timestamp", start)));
    element("testsuite", &attributes, &format!("\n{properties}{cases}"))
}

fn case_element(suite: &Suite, case: &Case) -> String {
    let reason = [("message", &*case.reason), ("type", case.kind)];
    let why = match case.result {
        Result::Passed => String::new(),
        Result::Skipped => element("skipped", &reason, ""),
        Result::Failed => element("failure", &reason, &text(&case.reason)),
        Result::Error => element("error", &reason, &text(&case.reason)),
    };
    let output = match case.output.as_str() {
        "" => String::new(),
        output => element("system-out", &[], &text(output)),
    };
    let time = seconds(case.time_s);
    let attributes = [
        ("classname", &*suite.name),
        ("name", &*case.name),
        ("time", &*time),
    ];
    element("testcase", &attributes, &(why + &output))
}

fn seconds(time_s: f64) -> String {
    format!("{time_s:.3}")
}

impl Suite {
    fn count(&self, result: Result) -> usize {
        let cases = self.cases.iter();
        cases.filter(|case| case.result == result).count()
    }
}
