//! The result of a run on one screen: runtimes by scenario and load, each with its verdict, and one sentence.

use super::table::Table;
use super::text::{Text, Tone, cut};
use crate::report::Report;
use crate::rule::Verdict;
use crate::summary::{CellSummary, Comparison, Group, Status};
use crate::{describe, units};
use photofinish_record::load::Load;
use unicode_width::UnicodeWidthStr as _;

/// A longer heading would take the room of another column.
const LONGEST_HEADING: usize = 18;

/// A glyph and a long ratio: `▲ 0.00031×`.
const NARROWEST_COLUMN: usize = 10;

const LEGEND: &str = "▲ faster than the reference (1×), ▼ slower, = tie, ? cannot be told; ratios of throughput, under an \
                      open load of response time.";

/// The matrix; nothing if there is nothing to compare.
pub(super) fn print(text: &mut Text, report: &Report<'_>) {
    let groups = report.summary.groups();
    let compared = groups.iter().filter(|group| group.baseline().is_some());
    let compared: Vec<&Group<'_>> = compared.collect();
    if compared.is_empty() {
        return;
    }
    let mut runtimes: Vec<&str> = Vec::new();
    for cell in &report.summary.cells {
        if !runtimes.contains(&cell.runtime.as_str()) {
            runtimes.push(&cell.runtime);
        }
    }
    text.paragraph(Tone::Strong, "Verdicts");
    text.blank();
    let names = runtimes.iter().map(|runtime| runtime.width()).max();
    let room = text.width.saturating_sub(names.unwrap_or_default() + 2);
    for of_screen in screens(&compared, room) {
        let rows = runtimes
            .iter()
            .map(|name| ((*name).to_owned(), Tone::Plain));
        let mut table = Table::new("runtime", rows);
        table.keeps_columns = true;
        for group in of_screen {
            let cell = |name: &str| group.cells.iter().find(|cell| cell.runtime == name);
            let cells = || runtimes.iter().map(|name| cell(name).copied());
            let texts = cells().map(|cell| cell.map_or(String::new(), |cell| verdict(cell, group)));
            table.column(&heading(group), 0, texts);
            let verdict = |cell: &CellSummary| comparison(cell, group)?.verdict;
            table.paint(cells().map(|cell| Tone::of(cell.and_then(verdict))));
        }
        table.print(text);
    }
    text.paragraph_in(Tone::Faint, LEGEND);
    text.blank();
}

/// The groups in tables that fit into `room` columns beside the names.
fn screens<'a, 'g>(groups: &'a [&'g Group<'g>], room: usize) -> Vec<Vec<&'a Group<'g>>> {
    let mut screens: Vec<Vec<&'a Group<'g>>> = Vec::new();
    let mut used = room + 1;
    for &group in groups {
        let width = heading(group).width().max(NARROWEST_COLUMN) + 2;
        used += width;
        match screens.last_mut().filter(|_| used <= room) {
            Some(screen) => screen.push(group),
            None => {
                screens.push(vec![group]);
                used = width;
            }
        }
    }
    screens
}

/// `http-get 16`, `http-get 2.00k/s`.
fn heading(group: &Group<'_>) -> String {
    let load = match group.load {
        Load::Closed { concurrency } => concurrency.to_string(),
        Load::Open { rate_hz, .. } => units::per_second(rate_hz.into()),
    };
    let room = LONGEST_HEADING.saturating_sub(load.width() + 1);
    format!("{} {load}", cut(group.scenario, room))
}

fn comparison<'a>(cell: &'a CellSummary, group: &Group<'_>) -> Option<&'a Comparison> {
    cell.comparisons.get(group.headline())
}

/// `▲ 6.76×`; a cell without numbers says so.
fn verdict(cell: &CellSummary, group: &Group<'_>) -> String {
    let verdict = comparison(cell, group).and_then(|comparison| comparison.verdict);
    match (cell.status, verdict) {
        (Status::Ok, Some(verdict)) => {
            let (glyph, ratio) = (describe::glyph(verdict), describe::ratio(cell, group));
            format!("{glyph} {ratio}")
        }
        (Status::Ok, None) => describe::ratio(cell, group),
        (status, _) => describe::status(status).to_owned(),
    }
}

/// The largest decided difference in one sentence, or the reason that there is none; `None` if nothing was compared.
pub(super) fn finding(report: &Report<'_>) -> Option<String> {
    let groups = report.summary.groups();
    let all = groups.iter().flat_map(|group| {
        let comparisons = group.comparisons();
        comparisons.map(move |(cell, comparison)| (group, cell, comparison))
    });
    let all: Vec<_> = all.collect();
    let decided = all.iter().filter(|(_, _, comparison)| {
        matches!(comparison.verdict, Some(Verdict::Faster | Verdict::Slower))
    });
    let effect = |comparison: &Comparison| comparison.ratio.value.ln().abs();
    let largest = decided.max_by(|(_, _, a), (_, _, b)| effect(a).total_cmp(&effect(b)));
    if let Some((group, cell, comparison)) = largest {
        return Some(difference(group, cell, comparison));
    }
    let comparisons: Vec<_> = all.iter().map(|(_, _, comparison)| *comparison).collect();
    let undecided = |it: &&&Comparison| it.verdict == Some(Verdict::Inconclusive);
    let without = |it: &&&Comparison| it.verdict.is_none();
    let count = comparisons.len();
    Some(match comparisons.iter().filter(undecided).count() {
        _ if comparisons.is_empty() => return None,
        0 if comparisons.iter().any(|it| without(&it)) => {
            let reason = comparisons.iter().find_map(|it| it.reason.as_deref());
            format!(
                "No verdict: {}.",
                reason.unwrap_or("the record does not say why")
            )
        }
        0 => "No runtime differs from its reference by more than the margin.".to_owned(),
        undecided => format!(
            "No difference can be told: {undecided} of {} are undecided; more rounds narrow them (--rounds).",
            describe::plural(count, "comparison")
        ),
    })
}

fn difference(group: &Group<'_>, cell: &CellSummary, comparison: &Comparison) -> String {
    let (low, high) = (comparison.ratio.low, comparison.ratio.high);
    let [low, high] = [low, high].map(units::ratio);
    let (low, high) = (low.trim_end_matches('×'), high.trim_end_matches('×'));
    let (runtime, against) = (&cell.runtime, &comparison.against);
    let what = match group.load {
        Load::Closed { .. } => format!("serves {low} to {high} times what {against} does"),
        Load::Open { .. } => format!(
            "has a {} of {low} to {high} times that of {against}",
            describe::headline(group)
        ),
    };
    let decided = group
        .comparisons()
        .filter(|(_, it)| it.verdict == comparison.verdict);
    let others = match (decided.count() - 1, comparison.verdict) {
        (0, _) | (_, None) => String::new(),
        (1, Some(verdict)) => {
            let word = describe::verdict_word(verdict);
            format!("; 1 other runtime is {word} too")
        }
        (others, Some(verdict)) => {
            let word = describe::verdict_word(verdict);
            format!("; {others} other runtimes are {word} too")
        }
    };
    let point = describe::point(group.load, group.arm);
    format!("{} ({point}): {runtime} {what}{others}.", group.scenario)
}
