//! `markdown`: a gate, or a run with its thresholds, for reviewers of a change: GitHub's Markdown, for a step summary.
//!
//! The verdict and its reason first, then one table of the checks, worst first, then notes. GitHub rejects a summary of
//! more than 1 MiB and shows none of it, so long texts are cut, lists end after twenty entries, and the table's last
//! rows, the least important ones, are dropped and counted until it fits. Every character of a name that has a meaning
//! in Markdown is escaped.

use photofinish_record::ArmSource;

use super::{Error, File, Format, Render};
use crate::describe::{self, THRESHOLD_COLUMNS};
use crate::gate::{Check, GateReport};
use crate::metrics::short_name;
use crate::report::Report;
use crate::thresholds::ThresholdCheck;

pub(super) static RUN: Format = Format {
    name: "markdown",
    summary: "GitHub's Markdown for the summary of a step: thresholds and results",
    render: Render::Run(|report| Ok(vec![render_run(report)])),
};

pub(super) static GATE: Format = Format {
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

/// A run: its thresholds first, then the results of each load, then notes.
fn render_run(report: &Report<'_>) -> File {
    let summary = &report.summary;
    let outcome = describe::thresholds_not_met(&summary.thresholds);
    let outcome = outcome.unwrap_or_else(|| match summary.thresholds.len() {
        0 => "no thresholds".to_owned(),
        all => format!("all {} met", describe::plural(all, "threshold")),
    });
    let mut text = format!("## Run: {}\n\n", escaped(&outcome));
    if let Some(sentence) = describe::incomplete(&summary.completion) {
        text += &format!("**{}**\n\n", escaped(&sentence));
    }
    let notes = list("Notes", summary.warnings.iter().cloned())
        + &format!("{}.\n", escaped(&describe::machine(&summary.machine)));
    let thresholds: Vec<Vec<String>> = summary.thresholds.iter().map(threshold_row).collect();
    let headings = THRESHOLD_COLUMNS.map(|column| column.heading);
    let mut tables = vec![(String::new(), "threshold", headings.to_vec(), thresholds)];
    tables.extend(summary.groups().iter().map(|group| {
        let point = describe::point(group.load, group.arm, group.stack);
        let columns = describe::columns(group.load);
        let headings = columns.iter().map(|column| column.heading).collect();
        let rows = group.ranked().into_iter().map(|cell| {
            let results = columns.iter().map(|column| describe::result(cell, column));
            [cell.runtime.clone()].into_iter().chain(results).collect()
        });
        let title = format!("**{}** {}\n\n", escaped(group.scenario), escaped(&point));
        (title, "runtime", headings, rows.collect())
    }));
    let mut left_out = 0;
    for (title, first, headings, rows) in tables.into_iter().filter(|table| !table.3.is_empty()) {
        let rows: Vec<String> = rows.iter().map(|row| line_of(row)).collect();
        let header = title + &header_of(first, &headings);
        let kept = fitting(&rows, text.len() + header.len() + notes.len());
        left_out += rows.len() - kept;
        if kept > 0 {
            text += &header;
            text.extend(rows[..kept].iter().map(String::as_str));
            text.push('\n');
        }
    }
    if left_out > 0 {
        let rows = describe::plural(left_out, "further row");
        text += &format!("{rows} left out here: the report has all of them.\n\n");
    }
    File::text("run.md", text + &notes)
}

fn threshold_row(check: &ThresholdCheck) -> Vec<String> {
    let name = format!(
        "{} / {}",
        check.scenario,
        describe::threshold_subject(check)
    );
    let texts = THRESHOLD_COLUMNS.map(|column| (column.text)(check));
    [name].into_iter().chain(texts).collect()
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
    header_of(
        "check",
        &describe::CHECK_COLUMNS.map(|column| column.heading),
    )
}

/// The head of a table whose first and last columns are words.
fn header_of(first: &str, headings: &[&str]) -> String {
    format!(
        "| {first} | {} |\n|:--{}|:--|\n",
        headings.join(" | "),
        "|--:".repeat(headings.len().saturating_sub(1))
    )
}

fn line_of(texts: &[String]) -> String {
    let texts = texts.iter().map(|text| escaped(text));
    format!("| {} |\n", describe::list(texts, " | "))
}

fn row(check: &Check) -> String {
    let name = format!("{} / {}", check.scenario, describe::check_subject(check));
    let texts = describe::CHECK_COLUMNS.map(|column| (column.text)(check));
    line_of(&[name].into_iter().chain(texts).collect::<Vec<_>>())
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
