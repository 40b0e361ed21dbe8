//! `markdown`: the gate for reviewers of a change, in GitHub's Markdown, for a step summary.
//!
//! The verdict and its reason first, then one table of the checks, worst first, then notes. GitHub rejects a summary of
//! more than 1 MiB and shows none of it, so long texts are cut, lists end after twenty entries, and the table's last
//! rows, the least important ones, are dropped and counted until it fits. Every character of a name that has a meaning
//! in Markdown is escaped.

use photofinish_record::ArmSource;

use super::{Error, File, Format, Render};
use crate::describe;
use crate::gate::{Check, GateReport};
use crate::metrics::short_name;

pub(super) static FORMAT: Format = Format {
    name: "markdown",
    summary: "GitHub's Markdown for the summary of a step, below its limit of 1 MiB",
    render: Render::Gate(render),
};

/// GitHub's limit is 1 MiB; the step's other output needs room too.
const MOST_BYTES: usize = 1_000_000;
/// Maximum number of entries of a list.
const MOST_ENTRIES: usize = 20;
/// Maximum length of a text, in characters.
const MOST_CHARACTERS: usize = 500;

fn render(report: &GateReport) -> Result<File, Error> {
    let (before, after) = (before(report), after(report));
    let rows: Vec<String> = report.checks.iter().map(row).collect();
    let header = header();
    let kept = fitting(&rows, before.len() + after.len() + header.len());
    let mut text = before;
    if kept > 0 {
        text += &header;
        text.extend(rows[..kept].iter().map(String::as_str));
        text.push('\n');
    }
    if kept < rows.len() {
        let left_out = describe::plural(rows.len() - kept, "further check");
        text += &format!(
            "{left_out} left out here, the least important ones: the report has all of them.\n\n"
        );
    }
    text += &after;
    Ok(File::text("gate.md", text))
}

/// The number of rows that fit in addition to `taken` bytes.
fn fitting(rows: &[String], taken: usize) -> usize {
    // The sentence about dropped rows.
    let mut bytes = taken + 200;
    let fits = |row: &&String| {
        bytes += row.len();
        bytes <= MOST_BYTES
    };
    rows.iter().take_while(fits).count()
}

fn before(report: &GateReport) -> String {
    let heading = describe::gate_heading(report.verdict);
    let mut text = format!(
        "## Gate: {heading}\n\n**Why:** {}.\n\n",
        escaped(report.reason.trim_end_matches('.'))
    );
    if let Some(advisory) = &report.advisory {
        text += &format!(
            "**Advice only:** {}.\n\n",
            escaped(advisory.trim_end_matches('.'))
        );
    }
    text += &format!(
        "- base: {}\n- head: {}\n\n",
        source(&report.base),
        source(&report.head)
    );
    text
}

fn source(source: &ArmSource) -> String {
    let identity = source.identity.as_ref();
    let identity = identity.map(|identity| format!(" ({})", escaped(identity)));
    format!("{}{}", code(&source.what), identity.unwrap_or_default())
}

fn header() -> String {
    let headings = describe::CHECK_COLUMNS.map(|column| column.heading);
    format!(
        "| check | {} |\n|:--{}|:--|\n",
        headings.join(" | "),
        "|--:".repeat(headings.len() - 1)
    )
}

fn row(check: &Check) -> String {
    let texts = describe::CHECK_COLUMNS.map(|column| escaped(&(column.text)(check)));
    let name = escaped(&format!(
        "{} / {}",
        check.scenario,
        describe::check_subject(check)
    ));
    format!("| {name} | {} |\n", texts.join(" | "))
}

fn after(report: &GateReport) -> String {
    let undecided = report.checks.iter().filter_map(|check| {
        let reason = check.reason.as_ref()?;
        let metric = short_name(&check.metric);
        Some(format!(
            "{} / {} · {metric}: {reason}",
            check.scenario, check.runtime
        ))
    });
    let problems = report
        .problems
        .iter()
        .filter(|problem| **problem != report.reason);
    let mut text = list("Wrong measurements", problems.cloned());
    text += &list("About the checks", undecided);
    text += &list("Notes", report.warnings.iter().cloned());
    text + &format!(
        "{} {}.\n",
        escaped(&describe::gate_rule(report)),
        escaped(&describe::machine(&report.machine))
    )
}

fn list(title: &str, entries: impl Iterator<Item = String>) -> String {
    let entries: Vec<String> = entries.collect();
    if entries.is_empty() {
        return String::new();
    }
    let shown = entries.iter().take(MOST_ENTRIES);
    let mut text = format!("**{title}**\n\n");
    text.extend(shown.map(|entry| format!("- {}\n", escaped(entry))));
    match entries.len().saturating_sub(MOST_ENTRIES) {
        0 => {}
        more => text += &format!("- and {more} more\n"),
    }
    text.push('\n');
    text
}

/// Text in which nothing is markup, on one line.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in short(text).chars() {
        if character.is_ascii_punctuation() && !",;?/%'()".contains(character) {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// Verbatim text, between more backticks than it contains in a row.
fn code(text: &str) -> String {
    let text = short(text);
    let longest = text.split(|character| character != '`').map(str::len).max();
    let fence = "`".repeat(longest.unwrap_or(0) + 1);
    format!("{fence} {text} {fence}")
}

/// One line of at most [`MOST_CHARACTERS`], without control characters.
fn short(text: &str) -> String {
    let plain = |character: char| match character {
        character if character.is_control() => ' ',
        character => character,
    };
    let mut characters = text.chars().map(plain);
    let mut short: String = characters.by_ref().take(MOST_CHARACTERS).collect();
    if characters.next().is_some() {
        short.push('…');
    }
    short.split_whitespace().collect::<Vec<_>>().join(" ")
}
