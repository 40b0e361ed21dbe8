//! `annotations`: workflow commands of GitHub Actions, which show what broke on the lines where its limit is written.
//!
//! `::error file=…,line=…,title=…::message`, at most ten, the worst first: more are not shown by GitHub. What is broken is an
//! error, what is undecided a warning, and so is all of it where the verdict is advice only. A limit from the command line
//! has no file. A gate that came to nothing for another reason says that reason alone. Nothing at all where all checks hold.
//!
//! `%` and line breaks are escaped everywhere, `:` and `,` in properties too, as the documentation of workflow commands and
//! the actions toolkit have it; otherwise a name could end a command and begin another one.

use super::{Error, File, GateFormat, are_checks_sound, finding, subject};
use crate::gate::{Check, CheckVerdict, GateReport, GateVerdict};

pub(super) static FORMAT: GateFormat = GateFormat {
    name: "annotations",
    extension: "txt",
    summary: "workflow commands for GitHub Actions: at most ten annotations, the worst first",
    render,
};

/// What GitHub shows of one step.
const MOST: usize = 10;

fn render(report: &GateReport) -> Result<File, Error> {
    let shown = checks(report);
    let mut text = String::new();
    if let Some(whole) = whole(report, shown.len()) {
        text += &whole;
    }
    let room = MOST - text.lines().count();
    let left_out = shown.len().saturating_sub(room);
    for (index, check) in shown.iter().take(room).enumerate() {
        let more = match left_out {
            left_out if left_out > 0 && index + 1 == room => {
                format!(" ({left_out} more in the report)")
            }
            _ => String::new(),
        };
        text += &annotation(report, check, &more);
    }
    Ok(File {
        name: "annotations.txt".to_owned(),
        bytes: text.into_bytes(),
    })
}

/// The checks to tell of, the worst first.
fn checks(report: &GateReport) -> Vec<&Check> {
    let told = |check: &&Check| are_checks_sound(report) && check.verdict != CheckVerdict::Pass;
    let mut checks: Vec<&Check> = report.checks.iter().filter(told).collect();
    checks.sort_by_key(|check| check.verdict);
    checks
}

/// What no check says: the arms did other work, the machine was busy, the gate is empty.
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

fn annotation(report: &GateReport, check: &Check, more: &str) -> String {
    let level = match check.verdict {
        CheckVerdict::Regression if report.advisory.is_none() => "error",
        _ => "warning",
    };
    let mut properties = Vec::new();
    if let Some(place) = &check.place {
        let file = place.file.strip_prefix("./").unwrap_or(&place.file);
        properties.push(("file", file.to_owned()));
        properties.push(("line", place.line.to_string()));
    }
    let title = format!("{}: {}", check.verdict.name(), check.scenario);
    properties.push(("title", title));
    let message = match (&check.reason, check.verdict) {
        (Some(reason), CheckVerdict::Inconclusive) => format!("{}: {reason}", subject(check)),
        _ => format!("{} {}", subject(check), finding(check)),
    };
    command(level, &properties, &(message + more))
}

fn command(level: &str, properties: &[(&str, String)], message: &str) -> String {
    let properties: Vec<String> = properties
        .iter()
        .map(|(key, value)| format!("{key}={}", escaped_property(value)))
        .collect();
    format!("::{level} {}::{}\n", properties.join(","), escaped(message))
}

fn escaped(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn escaped_property(text: &str) -> String {
    escaped(text).replace(':', "%3A").replace(',', "%2C")
}
