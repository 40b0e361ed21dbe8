//! `annotations`: workflow commands of GitHub Actions, which mark the lines of the limits that broke.
//!
//! `::error file=…,line=…,title=…::message`, at most ten, worst first, since GitHub shows no more. A broken check is an
//! error, an undecided one a warning, and all are warnings if the verdict is advice only. A limit from the command line
//! has no file. A gate that is undecided for another reason gives only that reason, and a gate that passes prints
//! nothing. Of a run, the thresholds that are not met are annotated likewise.
//!
//! `%` and line breaks are escaped everywhere, `:` and `,` in properties too, as documented for workflow commands;
//! otherwise a name could end a command and start another one.

use photofinish_record::SourceLocation;

use super::{Error, File, Format, Render};
use crate::describe;
use crate::gate::{Check, CheckVerdict, GateReport, GateVerdict};
use crate::report::Report;
use crate::thresholds::{ThresholdCheck, ThresholdVerdict};

pub(super) static RUN: Format = Format {
    name: "annotations",
    summary: "workflow commands for GitHub Actions: thresholds that are not met, the worst first",
    render: Render::Run(|report| Ok(vec![render_run(report)])),
};

pub(super) static GATE: Format = Format {
    name: "annotations",
    summary: "workflow commands for GitHub Actions: at most ten annotations, the worst first",
    render: Render::Gate(render),
};

/// Maximum number of annotations that GitHub shows for one step.
const MOST: usize = 10;

fn render(report: &GateReport) -> Result<File, Error> {
    let shown = checks(report);
    let whole = whole(report, shown.len()).unwrap_or_default();
    let of_checks = shown.iter().map(|check| annotation(report, check));
    Ok(File::text(
        "annotations.txt",
        at_most(whole, of_checks.collect()),
    ))
}

fn render_run(report: &Report<'_>) -> File {
    let mut shown: Vec<&ThresholdCheck> = report
        .summary
        .thresholds
        .iter()
        .filter(|check| check.verdict != ThresholdVerdict::Met)
        .collect();
    shown.sort_by_key(|check| check.verdict);
    let annotations = shown.iter().map(|check| Annotation {
        level: match check.verdict {
            ThresholdVerdict::Missed => "error",
            _ => "warning",
        },
        place: check.place.as_ref(),
        title: format!("{}: {}", check.verdict.name(), check.scenario),
        message: format!(
            "{} {}",
            describe::threshold_subject(check),
            describe::threshold_finding(check)
        ),
    });
    let text = at_most(String::new(), annotations.collect());
    File::text("annotations.txt", text)
}

/// A message about a line of a file.
struct Annotation<'a> {
    level: &'static str,
    /// `None` if it came from the command line.
    place: Option<&'a SourceLocation>,
    title: String,
    message: String,
}

/// Adds as many annotations to those in `text` as GitHub shows; the last one says how many are left out.
fn at_most(mut text: String, annotations: Vec<Annotation<'_>>) -> String {
    let room = MOST - text.lines().count();
    let left_out = annotations.len().saturating_sub(room);
    for (index, annotation) in annotations.iter().take(room).enumerate() {
        let more = if left_out > 0 && index + 1 == room {
            format!(" ({left_out} more in the report)")
        } else {
            String::new()
        };
        text += &line(annotation, &more);
    }
    text
}

fn line(annotation: &Annotation<'_>, more: &str) -> String {
    let mut properties = Vec::new();
    if let Some(place) = annotation.place {
        let file = place.file.strip_prefix("./").unwrap_or(&place.file);
        properties.push(("file", file.to_owned()));
        properties.push(("line", place.line.to_string()));
    }
    properties.push(("title", annotation.title.clone()));
    let message = format!("{}{more}", annotation.message);
    command(annotation.level, &properties, &message)
}

/// The checks to annotate, the worst first.
fn checks(report: &GateReport) -> Vec<&Check> {
    let is_shown =
        |check: &&Check| report.checks_are_valid() && check.verdict != CheckVerdict::Pass;
    let mut checks: Vec<&Check> = report.checks.iter().filter(is_shown).collect();
    checks.sort_by_key(|check| check.verdict);
    checks
}

/// A reason that is not in any check: the arms did different work, the machine was busy, the gate is empty.
fn whole(report: &GateReport, checks: usize) -> Option<String> {
    let level = match report.verdict {
        GateVerdict::Wrong => "error",
        GateVerdict::Unfit => "warning",
        GateVerdict::Inconclusive if checks == 0 => "warning",
        _ => return None,
    };
    let title = format!("Gate: {}", report.verdict.name());
    Some(command(level, &[("title", title)], &report.reason))
}

fn annotation<'a>(report: &GateReport, check: &'a Check) -> Annotation<'a> {
    let subject = describe::check_subject(check);
    Annotation {
        level: match check.verdict {
            CheckVerdict::Regression if report.advisory.is_none() => "error",
            _ => "warning",
        },
        place: check.place.as_ref(),
        title: format!("{}: {}", check.verdict.name(), check.scenario),
        message: match (&check.reason, check.verdict) {
            (Some(reason), CheckVerdict::Inconclusive) => format!("{subject}: {reason}"),
            _ => format!("{subject} {}", describe::gate_finding(check)),
        },
    }
}

fn command(level: &str, properties: &[(&str, String)], message: &str) -> String {
    let properties = properties
        .iter()
        .map(|(key, value)| format!("{key}={}", escaped_property(value)));
    let properties = describe::list(properties, ",");
    format!("::{level} {properties}::{}\n", escaped(message))
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn escaped_property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}
