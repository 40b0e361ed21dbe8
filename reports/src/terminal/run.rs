//! Terminal output of a run: one table per scenario and load, or one per search, then legends and warnings.
//!
//! The cells of a search are its steps, dozens of them, and have no tables here: record and page show them.

use unicode_width::UnicodeWidthStr as _;

use super::table::Table;
use super::text::{Text, Tone, clean};
use super::thresholds;
use super::{Detail, Style, matrix};
use crate::async_pays::{Answer, LEGEND, QUESTION};
use crate::describe;
use crate::findings::findings;
use crate::floor;
use crate::observed::observations;
use crate::report::Report;
use crate::search_table::{self, SearchTable};
use crate::shards;
use crate::stacks;
use crate::summary::{CellSummary, Group, Status};

/// A longer heading would take space from the numbers.
const LONGEST_VERSUS: usize = 10;

/// Ranks of the columns of a search.
const SEARCH_RANKS: [u8; 5] = [0, 1, 2, 4, 3];

/// The report as text.
pub fn render(report: &Report<'_>, style: Style) -> String {
    render_in(report, style, Detail::Usual)
}

/// The report as text in this detail.
pub fn render_in(report: &Report<'_>, style: Style, detail: Detail) -> String {
    let mut printer = Printer {
        report,
        detail,
        text: Text::new(style),
    };
    printer.report();
    printer.text.finish()
}

struct Printer<'a> {
    report: &'a Report<'a>,
    detail: Detail,
    text: Text,
}

impl Printer<'_> {
    fn report(&mut self) {
        let report = self.report;
        if let Some(sentence) = describe::incomplete(&report.summary.completion) {
            self.text.paragraph(Tone::Warning, &sentence);
            self.text.blank();
        }
        for search in &report.searches {
            self.search(search);
        }
        if self.detail == Detail::Result {
            self.result();
            return;
        }
        if report.searches.is_empty() {
            for group in &report.summary.groups() {
                self.group(group);
            }
        }
        self.stacks();
        self.shards();
        self.async_pays(&report.async_pays);
        thresholds::print(&mut self.text, &report.summary.thresholds);
        if report.summary.cells.is_empty() {
            let sentence = "Nothing was planned, so nothing was measured.";
            self.text.paragraph(Tone::Plain, sentence);
        }
        self.legend();
        self.text.blank();
        let is_search = !report.searches.is_empty();
        // One table is its own matrix.
        if !is_search && report.summary.groups().len() > 1 {
            matrix::print(&mut self.text, report);
        }
        self.text.warnings(&report.summary.warnings);
        self.finding();
    }

    /// The result alone: verdicts, thresholds, and the number of warnings.
    fn result(&mut self) {
        let report = self.report;
        if report.searches.is_empty() {
            matrix::print(&mut self.text, report);
        }
        thresholds::print(&mut self.text, &report.summary.thresholds);
        let warnings = report.summary.warnings.len();
        if warnings > 0 {
            let sentence = format!(
                "{}; `photofinish show` prints them.",
                describe::plural(warnings, "warning")
            );
            self.text.paragraph(Tone::Warning, &sentence);
        }
        self.finding();
    }

    /// The last sentence.
    fn finding(&mut self) {
        let report = self.report;
        if let Some(sentence) = findings(report).first() {
            self.text.blank();
            self.text.paragraph(Tone::Strong, sentence);
        }
    }

    /// The shards of a merged run.
    fn shards(&mut self) {
        let rows = shards::rows(&self.report.rounds);
        if rows.is_empty() {
            return;
        }
        self.text.paragraph(Tone::Strong, "Shards");
        self.text.blank();
        let [shard, headings @ ..] = shards::HEADINGS;
        let named = rows.iter().map(|[shard, ..]| (shard.clone(), Tone::Plain));
        let mut table = Table::new(shard, named);
        for (column, heading) in headings.into_iter().enumerate() {
            table.column(heading, 0, rows.iter().map(|row| row[column + 1].clone()));
        }
        table.print(&mut self.text);
        self.text.paragraph_in(Tone::Faint, describe::SHARDS);
        self.text.blank();
    }

    /// The best runtime of each language under the same load.
    fn stacks(&mut self) {
        let rows = stacks::rows(self.report);
        if rows.is_empty() {
            return;
        }
        self.text.paragraph(Tone::Strong, "Stack against stack");
        self.text.blank();
        let [load, headings @ ..] = stacks::HEADINGS;
        let named = rows.iter().map(|[load, ..]| (load.clone(), Tone::Plain));
        let mut table = Table::new(load, named);
        for (column, heading) in headings.into_iter().enumerate() {
            table.column(heading, 0, rows.iter().map(|row| row[column + 1].clone()));
        }
        table.print(&mut self.text);
        self.text.paragraph_in(Tone::Faint, describe::STACKS);
        self.text.blank();
    }

    /// The scenario, the servers behind it, and facts that hold for all rows.
    fn heading(&mut self, name: &str, before: &str, after: &str) {
        let scenario = self.report.rounds.scenario(name);
        let title = scenario.map_or("", |scenario| scenario.title.as_str());
        let servers = scenario.map(describe::servers).unwrap_or_default();
        self.text
            .paragraph(Tone::Strong, &format!("{name}  {title}"));
        self.text
            .paragraph(Tone::Faint, &format!("{before} · {servers} · {after}"));
        self.text.blank();
    }

    fn group(&mut self, group: &Group<'_>) {
        let scenario = self.report.rounds.scenario(group.scenario);
        let rounds = describe::rounds(group.rounds(), scenario);
        let point = describe::point(group.load, group.arm, group.stack);
        self.heading(group.scenario, &point, &rounds);
        let ranked = group.ranked();
        if !ranked.is_empty() {
            self.results(&ranked, group);
            self.parts(&ranked);
            self.observations(&ranked);
        }
        self.absent(&group.cells);
        for sentence in group.cells.iter().filter_map(|cell| describe::errors(cell)) {
            self.text.paragraph_in(Tone::Warning, &sentence);
        }
        for cell in &ranked {
            if let Some(sentence) = describe::fewer_sessions(cell) {
                self.text.paragraph_in(Tone::Faint, &sentence);
            }
            if let Some(sentence) = describe::arrivals(cell) {
                self.text.paragraph_in(Tone::Warning, &sentence);
            }
        }
        if let Some(sentence) = describe::handshakes(ranked.iter().copied()) {
            self.text.paragraph_in(Tone::Faint, &sentence);
        }
        if let Some(sentence) = describe::verdicts(group) {
            self.text.paragraph_in(Tone::Plain, &sentence);
        }
        for sentence in floor::sentences(&self.report.rounds, group) {
            self.text.paragraph_in(Tone::Plain, &sentence);
        }
        self.tool(&ranked);
    }

    fn results(&mut self, ranked: &[&CellSummary], group: &Group<'_>) {
        let cells = || ranked.iter().copied();
        let rows = cells().map(|cell| {
            let tone = match cell.rate_held {
                Some(false) => Tone::Warning,
                _ => Tone::Plain,
            };
            (self.name(&cell.runtime), tone)
        });
        let mut table = Table::new("runtime", rows);
        for column in describe::columns(group.load) {
            let texts = cells().map(|cell| describe::result(cell, column));
            table.column(column.heading, column.rank, texts);
        }
        for column in describe::extra_columns(group.load) {
            table.extra(column.heading, cells().map(|cell| column.text(cell)));
        }
        if let Some(reference) = group.reference() {
            let versus = format!("vs {}", clean(reference));
            let versus = if versus.width() <= LONGEST_VERSUS {
                &versus
            } else {
                "vs ref."
            };
            table.column(versus, 1, cells().map(|cell| describe::ratio(cell, group)));
            let intervals = cells().map(|cell| describe::ratio_interval(cell, group));
            table.column("interval", 1, intervals);
            if group.has_verdicts() {
                let verdict = |cell: &CellSummary| {
                    let comparison = cell.comparisons.get(group.headline())?;
                    comparison.verdict
                };
                let text = |verdict| {
                    let (glyph, word) = (describe::glyph(verdict), describe::verdict_word(verdict));
                    format!("{glyph} {word}")
                };
                let texts = cells().map(|cell| verdict(cell).map(text).unwrap_or_default());
                table.column("verdict", 1, texts);
                table.paint(cells().map(|cell| Tone::of(verdict(cell))));
            }
        }
        table.print(&mut self.text);
    }

    fn parts(&mut self, ranked: &[&CellSummary]) {
        let parts = describe::part_rows(ranked);
        if parts.is_empty() {
            return;
        }
        let rows = parts
            .iter()
            .map(|(part, _)| (part.name.clone(), Tone::Plain));
        let mut table = Table::new(describe::PARTS, rows);
        let runtimes = parts.iter().map(|(_, cell)| self.name(&cell.runtime));
        table.column("runtime", 0, runtimes);
        for column in describe::PART_COLUMNS {
            let texts = parts.iter().map(|(part, _)| column.text(part));
            table.column(column.heading, column.rank + 1, texts);
        }
        table.print(&mut self.text);
    }

    fn observations(&mut self, ranked: &[&CellSummary]) {
        for observed in observations(ranked) {
            let rows = ranked
                .iter()
                .map(|cell| (self.name(&cell.runtime), Tone::Plain));
            let mut table = Table::new(&observed.name, rows);
            table.keeps_columns = true;
            for column in &observed.columns {
                let values = ranked
                    .iter()
                    .map(|cell| describe::value(cell.metric(&column.metric)));
                table.column(&column.heading, 0, values);
            }
            table.print(&mut self.text);
        }
    }

    fn search(&mut self, search: &SearchTable<'_>) {
        let scenario = self.report.rounds.scenario(search.scenario);
        let rounds = scenario.map_or("rounds".to_owned(), |scenario| {
            format!("rounds of {}", describe::stop(scenario.stop))
        });
        self.heading(search.scenario, &search.title(), &rounds);
        if !search.rows.is_empty() {
            let rows = search.rows.iter().map(|row| {
                let tone = match row.result.unfinished {
                    Some(_) => Tone::Warning,
                    None => Tone::Plain,
                };
                (self.name(&row.result.runtime), tone)
            });
            let mut table = Table::new("runtime", rows);
            for (index, heading) in search.headings().into_iter().enumerate() {
                let texts = search.rows.iter().map(|row| row.cells()[index].clone());
                table.column(heading, SEARCH_RANKS[index], texts);
            }
            table.print(&mut self.text);
        }
        for sentence in search.unfinished() {
            self.text.paragraph_in(Tone::Bad, &sentence);
        }
        let steps = search.cells(&self.report.summary);
        self.absent(&steps);
        self.tool(&steps);
    }

    fn async_pays(&mut self, answer: &Answer) {
        if answer.rows.is_empty() {
            return;
        }
        self.text.paragraph(Tone::Strong, QUESTION);
        self.text.blank();
        for of_class in answer.rows.chunk_by(|a, b| a.class == b.class) {
            let rows = of_class
                .iter()
                .map(|row| (row.scenario.clone(), Tone::Plain));
            let mut table = Table::new(&of_class[0].class, rows);
            for (index, heading) in answer.headings().iter().enumerate() {
                let texts = of_class.iter().map(|row| row.cells()[index].clone());
                table.column(heading, index as u8, texts);
            }
            table.print(&mut self.text);
        }
        self.text.paragraph_in(Tone::Faint, LEGEND);
        self.text.blank();
    }

    /// The runtimes without numbers, with the reasons.
    fn absent(&mut self, cells: &[&CellSummary]) {
        for absent in describe::absent(cells.iter().copied()) {
            let tone = match absent.status {
                Status::Unsupported => Tone::Faint,
                _ => Tone::Bad,
            };
            let status = describe::status(absent.status);
            let sentence = format!("{}: {status}: {}", absent.runtimes, absent.reason);
            self.text.paragraph_in(tone, &sentence);
        }
    }

    /// The tool's own influence on the numbers of these cells, at the end of their block.
    fn tool(&mut self, cells: &[&CellSummary]) {
        if self.detail == Detail::Everything {
            for sentence in describe::tool(cells.iter().copied()) {
                self.text.paragraph_in(Tone::Faint, &sentence);
            }
        }
        self.text.blank();
    }

    /// The runtime's name, marked if the legend has a note on it.
    fn name(&self, runtime: &str) -> String {
        match self.report.note(runtime) {
            Some(_) => format!("{runtime}†"),
            None => runtime.to_owned(),
        }
    }

    fn legend(&mut self) {
        let summary = &self.report.summary;
        let cells = summary.cells.iter();
        let mut runtimes: Vec<&str> = cells
            .filter(|cell| cell.status == Status::Ok)
            .map(|cell| cell.runtime.as_str())
            .collect();
        if runtimes.is_empty() {
            return;
        }
        runtimes.sort_unstable();
        runtimes.dedup();
        let notes = runtimes.into_iter().filter_map(|runtime| {
            let note = self.report.note(runtime)?;
            Some(format!("† {runtime} ({note})"))
        });
        let search = summary.search.as_ref().map(search_table::legend);
        let sentences = describe::interval_legend(summary)
            .into_iter()
            .chain(describe::verdict_legend(summary))
            .chain(search)
            .chain(describe::mark_legends(summary).map(str::to_owned))
            .chain(notes)
            .chain(describe::load_legends(summary).map(str::to_owned));
        for sentence in sentences {
            self.text.paragraph(Tone::Faint, &sentence);
        }
        self.text.name_left_out();
    }
}
