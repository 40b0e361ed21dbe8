//! The table for people: one block per scenario and load, never wider than the terminal.
//!
//! Text comes out, plain or with ANSI colours as asked; whether there is a terminal is for the caller to know. Columns
//! are given up from the least important one where the width is short. What a record says is printed without its control
//! characters, so that a scenario's title cannot drive the terminal. Next: `summary` for the numbers, `describe`.

use photofinish_record::Record;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

mod async_pays;
mod compare;
mod gate;
mod observed;
mod search;

pub use compare::comparison;
pub use gate::gate;

use crate::found::{LEGEND, found};
use crate::summary::{CellSummary, Group, Status, Summary};
use crate::{describe, rounds, runtimes};

/// How to print.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Style {
    /// Columns there are; no line is wider. Below 40 it counts as 40.
    pub width: usize,
    /// Whether to use ANSI colours.
    pub colour: bool,
}

/// The narrowest that still holds a name and a number.
const NARROWEST: usize = 40;

/// Tables stand this far in.
const INDENT: usize = 2;

/// A runtime's name is cut rather than a column given up, down to this.
const SHORTEST_NAME: usize = 20;

/// The run as tables.
pub fn render(record: &Record, style: Style) -> String {
    let summary = Summary::of(record);
    let mut page = Page::new(style);
    if let Some(sentence) = describe::incomplete(&summary.completion) {
        page.paragraph(Tone::Warning, &sentence);
        page.blank();
    }
    let found = found(record, &summary);
    for found in &found {
        search::block(
            &mut page,
            &Sources {
                record,
                summary: &summary,
            },
            found,
        );
    }
    for group in summary.groups().iter().filter(|_| found.is_empty()) {
        block(&mut page, record, group);
    }
    async_pays::block(&mut page, &crate::async_pays::rows(record, &summary));
    if summary.cells.is_empty() {
        page.paragraph(Tone::Plain, "Nothing was planned, so nothing was measured.");
    }
    legend(&mut page, &summary);
    warnings(&mut page, &summary.warnings);
    page.text
}

/// What a block is made from.
struct Sources<'a> {
    record: &'a Record,
    summary: &'a Summary,
}

fn block(page: &mut Page, record: &Record, group: &Group<'_>) {
    let scenario = rounds::scenario(record, group.scenario);
    let rounds = describe::rounds(group.rounds(), scenario);
    heading(
        page,
        record,
        group.scenario,
        &[&describe::point(group.load, group.arm), &rounds],
    );
    let ranked = group.ranked();
    if !ranked.is_empty() {
        table(page, &rows(&ranked), columns(&ranked, group));
        page.blank();
        observed::tables(page, &ranked);
    }
    absent(page, &group.unranked());
    for cell in group
        .cells
        .iter()
        .filter(|cell| !cell.errors_by_kind.is_empty())
    {
        page.paragraph_in(Tone::Warning, &describe::errors(cell));
    }
    for cell in ranked {
        if let Some(sentence) = describe::fewer_sessions(cell) {
            page.paragraph_in(Tone::Faint, &sentence);
        }
        let arrivals = [describe::rate_not_held(cell), describe::arrivals(cell)];
        for sentence in arrivals.into_iter().flatten() {
            page.paragraph_in(Tone::Warning, &sentence);
        }
    }
    if let Some(sentence) = describe::verdicts(group) {
        page.paragraph_in(Tone::Plain, &sentence);
    }
    under(page, group.ranked().into_iter());
    page.blank();
}

/// Which scenario it is, what stood behind it, and what else is to be said of all its rows.
fn heading(page: &mut Page, record: &Record, name: &str, said: &[&str; 2]) {
    let scenario = rounds::scenario(record, name);
    let title = scenario.map_or("", |scenario| scenario.title.as_str());
    let servers = scenario.map(describe::servers).unwrap_or_default();
    let [before, after] = said;
    page.paragraph(Tone::Strong, &format!("{name}  {title}"));
    page.paragraph(Tone::Faint, &format!("{before} · {servers} · {after}"));
    page.blank();
}

/// The runtimes without numbers, and why they have none.
fn absent(page: &mut Page, cells: &[&CellSummary]) {
    for absent in describe::absent(cells) {
        let tone = if absent.status == Status::Unsupported {
            Tone::Faint
        } else {
            Tone::Bad
        };
        let status = describe::status(absent.status);
        page.paragraph_in(
            tone,
            &format!("{}: {status}: {}", absent.runtimes, absent.reason),
        );
    }
}

/// What the tool itself had to do with these numbers.
fn under<'a>(page: &mut Page, cells: impl Iterator<Item = &'a CellSummary> + Clone) {
    let said = [describe::pacing(cells.clone()), describe::floor(cells)];
    for sentence in said.into_iter().flatten() {
        page.paragraph_in(Tone::Faint, &sentence);
    }
}

/// A column: its heading, and how much it is worth when there is no room for all.
struct Column {
    heading: String,
    rank: u8,
    cells: Vec<String>,
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|cell| cell.width());
        cells.chain([self.heading.width()]).max().unwrap_or(0)
    }
}

/// A line of a table, before its columns.
struct Row {
    name: String,
    tone: Tone,
}

fn rows(ranked: &[&CellSummary]) -> Vec<Row> {
    let row = |cell: &&CellSummary| Row {
        name: short_name(&cell.runtime),
        tone: match cell.rate_held {
            Some(false) => Tone::Warning,
            _ => Tone::Plain,
        },
    };
    ranked.iter().map(row).collect()
}

fn table(page: &mut Page, rows: &[Row], columns: Vec<Column>) {
    table_of(page, "runtime", rows, columns);
}

/// A table whose rows' names stand under `heading`.
fn table_of(page: &mut Page, heading: &str, rows: &[Row], columns: Vec<Column>) {
    let longest_name = rows
        .iter()
        .map(|row| row.name.width())
        .chain([heading.width()])
        .max()
        .unwrap_or(0);
    let columns = fitting(
        columns,
        page.width - INDENT - longest_name.min(SHORTEST_NAME),
    );
    let roomy = INDENT + longest_name + width_of(&columns, WIDE_GAP) <= page.width;
    let gap = if roomy { WIDE_GAP } else { NARROW_GAP };
    let name_width = longest_name.min(page.width - INDENT - width_of(&columns, gap));
    let line = |name: &str, cell: &dyn Fn(&Column) -> String| {
        let cells = columns
            .iter()
            .map(|column| pad_left(&cell(column), column.width() + gap));
        let name = pad_right(&cut(name, name_width), name_width);
        format!("{:INDENT$}{name}{}", "", cells.collect::<String>())
    };
    page.line(
        Tone::Faint,
        &line(heading, &|column| column.heading.clone()),
    );
    for (index, row) in rows.iter().enumerate() {
        page.line(
            row.tone,
            &line(&row.name, &|column| column.cells[index].clone()),
        );
    }
}

/// Spaces between columns where there is room.
const WIDE_GAP: usize = 2;

/// Spaces between columns where there is little.
const NARROW_GAP: usize = 1;

fn width_of(columns: &[Column], gap: usize) -> usize {
    columns.iter().map(|column| column.width() + gap).sum()
}

fn columns(ranked: &[&CellSummary], group: &Group<'_>) -> Vec<Column> {
    let column = |heading: &str, rank: u8, cell: &dyn Fn(&CellSummary) -> String| Column {
        heading: heading.to_owned(),
        rank,
        cells: ranked.iter().map(|ranked| clean(&cell(ranked))).collect(),
    };
    let mut columns: Vec<Column> = describe::columns(group.load)
        .iter()
        .map(|of| column(of.heading, of.rank, &|cell| describe::result(cell, of)))
        .collect();
    if let Some(baseline) = group.baseline() {
        let named = format!("vs {}", clean(baseline));
        let heading = if named.width() <= LONGEST_VERSUS {
            named.as_str()
        } else {
            "vs ref."
        };
        columns.push(column(heading, 1, &|cell| describe::ratio(cell, group)));
        columns.push(column("spread", 1, &|cell| {
            describe::ratio_spread(cell, group)
        }));
        if group.has_verdicts() {
            columns.push(column("verdict", 1, &|cell| {
                describe::verdict_of(cell, group)
            }));
        }
    }
    columns
}

/// A longer heading would take its room from the numbers.
const LONGEST_VERSUS: usize = 10;

/// The columns that fit into `width`, the least important ones given up first.
fn fitting(mut columns: Vec<Column>, width: usize) -> Vec<Column> {
    while width_of(&columns, NARROW_GAP) > width && columns.len() > 1 {
        let least = (0..columns.len())
            .max_by_key(|index| columns[*index].rank)
            .unwrap_or(0);
        columns.remove(least);
    }
    columns
}

/// The runtime's name, marked where the legend has a note on it.
fn short_name(runtime: &str) -> String {
    let mark = if runtimes::note(runtime).is_some() {
        "†"
    } else {
        ""
    };
    format!("{}{mark}", clean(runtime))
}

fn legend(page: &mut Page, summary: &Summary) {
    let cells = || {
        summary
            .cells
            .iter()
            .filter(|cell| cell.status == Status::Ok)
    };
    if cells().next().is_none() {
        return;
    }
    if let Some(sentence) = describe::spread_legend(summary) {
        page.paragraph(Tone::Faint, &sentence);
    }
    if let Some(sentence) = describe::verdict_legend(summary) {
        page.paragraph(Tone::Faint, &sentence);
    }
    if summary.search.is_some() {
        page.paragraph(Tone::Faint, LEGEND);
    }
    for sentence in describe::mark_legends(summary) {
        page.paragraph(Tone::Faint, sentence);
    }
    let mut noted: Vec<&str> = cells().map(|cell| cell.runtime.as_str()).collect();
    noted.sort_unstable();
    noted.dedup();
    for (runtime, note) in noted
        .into_iter()
        .filter_map(|runtime| Some((runtime, runtimes::note(runtime)?)))
    {
        page.paragraph(Tone::Faint, &format!("† {runtime} ({note})"));
    }
    for sentence in describe::load_legends(summary) {
        page.paragraph(Tone::Faint, sentence);
    }
}

fn warnings(page: &mut Page, warnings: &[String]) {
    if warnings.is_empty() {
        return;
    }
    page.blank();
    for warning in warnings {
        page.paragraph(Tone::Warning, &format!("warning: {warning}"));
    }
}

/// What a line is, for its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Faint,
    Warning,
    Bad,
    Good,
}

impl Tone {
    fn ansi(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Strong => Some("\x1b[1m"),
            Self::Faint => Some("\x1b[2m"),
            Self::Warning => Some("\x1b[33m"),
            Self::Bad => Some("\x1b[31m"),
            Self::Good => Some("\x1b[32m"),
        }
    }
}

/// Lines so far, and how to write more.
pub(crate) struct Page {
    pub(crate) text: String,
    width: usize,
    colour: bool,
}

impl Page {
    pub(crate) fn new(style: Style) -> Self {
        Self {
            text: String::new(),
            width: style.width.max(NARROWEST),
            colour: style.colour,
        }
    }

    /// One empty line, never two.
    pub(crate) fn blank(&mut self) {
        if !self.text.is_empty() && !self.text.ends_with("\n\n") {
            self.text.push('\n');
        }
    }

    /// One line that already fits.
    fn line(&mut self, tone: Tone, line: &str) {
        let line = line.trim_end();
        match tone.ansi().filter(|_| self.colour) {
            Some(ansi) => self.text.push_str(&format!("{ansi}{line}\x1b[0m\n")),
            None => self.text.push_str(&format!("{line}\n")),
        }
    }

    /// Wrapped text from the margin, further lines stand in.
    pub(crate) fn paragraph(&mut self, tone: Tone, text: &str) {
        self.wrapped(
            tone,
            text,
            Indents {
                first: 0,
                rest: INDENT,
            },
        );
    }

    /// Wrapped text below a table.
    pub(crate) fn paragraph_in(&mut self, tone: Tone, text: &str) {
        self.wrapped(
            tone,
            text,
            Indents {
                first: INDENT,
                rest: 2 * INDENT,
            },
        );
    }

    pub(crate) fn wrapped(&mut self, tone: Tone, text: &str, indents: Indents) {
        for line in wrap(&clean(text), self.width, indents) {
            self.line(tone, &line);
        }
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Indents {
    pub(crate) first: usize,
    pub(crate) rest: usize,
}

/// Breaks `text` at spaces, and within a word only where the word alone is too long.
fn wrap(text: &str, width: usize, indents: Indents) -> Vec<String> {
    let mut lines = vec![" ".repeat(indents.first)];
    let mut empty = true;
    for word in text.split_inclusive(' ') {
        for piece in pieces(word, width - indents.rest) {
            let line = lines.last_mut().expect("there is always a line");
            if empty || line.width() + piece.trim_end().width() <= width {
                line.push_str(piece);
            } else {
                lines.push(" ".repeat(indents.rest) + piece);
            }
            empty = false;
        }
    }
    lines
}

/// `word` in pieces no wider than `width`.
fn pieces(word: &str, width: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = word;
    while rest.trim_end().width() > width {
        let (piece, after) = rest.split_at(prefix_len(rest, width));
        pieces.push(piece);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// Bytes of the longest prefix no wider than `width`, of at least one character.
fn prefix_len(text: &str, width: usize) -> usize {
    let mut used = 0;
    for (index, character) in text.char_indices() {
        used += character.width().unwrap_or(0);
        if used > width && index > 0 {
            return index;
        }
    }
    text.len()
}

fn cut(text: &str, width: usize) -> String {
    if text.width() <= width {
        return text.to_owned();
    }
    format!("{}…", &text[..prefix_len(text, width.saturating_sub(1))])
}

fn pad_left(text: &str, width: usize) -> String {
    " ".repeat(width.saturating_sub(text.width())) + text
}

fn pad_right(text: &str, width: usize) -> String {
    text.to_owned() + &" ".repeat(width.saturating_sub(text.width()))
}

/// Without control characters: a title from a scenario file must not move the cursor.
fn clean(text: &str) -> String {
    text.chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .collect()
}
