//! The text of the live view: what is measured now, and what the runtimes beside it have shown so far.
//!
//! Pure: `progress` keeps the state and draws. Numbers are medians over finished rounds, without those of a block that
//! is redone; the report, not this view, says what they are worth.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use photofinish_record::{Cell, Outcome, Round};
use photofinish_reports::{describe, units};

use super::seconds;
use crate::cleaning;

/// The narrowest and lowest terminal that the view fits into.
pub const LEAST_COLUMNS: usize = 60;
pub const LEAST_ROWS: usize = 16;

/// Rows of runtimes; more would not fit a low terminal.
const MOST_ROWS: usize = LEAST_ROWS - 6;

const BAR: usize = 20;

#[derive(Default)]
pub struct View {
    cells: BTreeMap<usize, Cell>,
    /// The block, as in `block 3 of 8`.
    pub block: String,
    pub done: u32,
    /// `None` for a search, whose end nobody knows.
    pub rounds: Option<u32>,
    /// The estimated time left at a moment.
    pub left: Option<(Duration, Instant)>,
    current: Option<usize>,
    finished: BTreeMap<usize, Vec<Finished>>,
    redone: usize,
    reason: String,
    /// What a search is trying, a line for each runtime.
    pub tries: Vec<String>,
}

/// A finished round.
struct Finished {
    block: usize,
    rate: f64,
    p50_ns: Option<f64>,
    p99_ns: Option<f64>,
}

impl View {
    /// The view of a run of these cells; `rounds` is `None` for a search.
    pub fn of(cells: &[Cell], rounds: Option<u32>) -> Self {
        Self {
            cells: cells.iter().cloned().enumerate().collect(),
            rounds,
            ..Self::default()
        }
    }

    pub fn begin(&mut self, index: usize, cell: &Cell) {
        self.current = Some(index);
        self.cells.entry(index).or_insert_with(|| cell.clone());
    }

    pub fn end(&mut self, round: &Round) {
        let Outcome::Ok(measured) = &round.outcome else {
            return;
        };
        let worker = &measured.worker;
        let times = worker.open.as_ref().map(|open| &open.response);
        let times = times.unwrap_or(&worker.service);
        let at = |quantile| times.quantile_ns(quantile).map(|ns| ns as f64);
        self.finished.entry(round.cell).or_default().push(Finished {
            block: round.block,
            rate: worker.throughput_ops_s,
            p50_ns: at(0.5),
            p99_ns: at(0.99),
        });
    }

    /// Forgets the rounds of a block that is redone.
    pub fn redo(&mut self, block: usize, reason: &str) {
        self.redone += 1;
        self.reason = cleaning::one_line(reason);
        for rounds in self.finished.values_mut() {
            rounds.retain(|round| round.block != block);
        }
    }

    /// The view, in lines no longer than `width`.
    pub fn text(&self, width: usize) -> String {
        let mut lines = vec![self.progress()];
        if let Some(cell) = self.current.and_then(|index| self.cells.get(&index)) {
            lines.push(format!("now: {cell}"));
        }
        if self.redone > 0 {
            let blocks = describe::were(self.redone, "block");
            lines.push(format!("{blocks} redone, the last because {}", self.reason));
        }
        lines.push(String::new());
        if self.tries.is_empty() {
            lines.extend(self.table());
        } else {
            let tries = self.tries.iter().take(MOST_ROWS);
            lines.extend(tries.map(|text| format!("  {text}")));
        }
        let lines = lines.iter().map(|line| {
            let line = cleaning::one_line(line);
            match line.char_indices().nth(width) {
                Some((end, _)) => line[..end].to_owned(),
                None => line,
            }
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    fn progress(&self) -> String {
        let left = self.left.map_or(String::new(), |(left, since)| {
            let left = left.saturating_sub(since.elapsed());
            format!(", about {} left", seconds(left))
        });
        match self.rounds.filter(|rounds| *rounds > 0) {
            Some(rounds) => {
                let full = BAR * self.done.min(rounds) as usize / rounds as usize;
                format!(
                    "{} [{:-<BAR$}] {} of {rounds} rounds{left}",
                    self.block,
                    "#".repeat(full),
                    self.done
                )
            }
            None => format!("{}, {} rounds done{left}", self.block, self.done),
        }
    }

    /// The runtimes beside the current one: same scenario, same load.
    fn table(&self) -> Vec<String> {
        let Some(now) = self.current.and_then(|index| self.cells.get(&index)) else {
            return Vec::new();
        };
        let alike = |cell: &Cell| cell.scenario == now.scenario && cell.load == now.load;
        let cells = self.cells.iter();
        let group: Vec<_> = cells
            .filter(|(_, cell)| alike(cell) && cell.unsupported.is_none())
            .collect();
        let name = |cell: &Cell| match cell.arm {
            Some(arm) => format!("{} {}", arm.name(), cell.runtime),
            None => cell.runtime.clone(),
        };
        let names = group.iter().map(|(_, cell)| name(cell).chars().count());
        let widest = names.max().unwrap_or_default().clamp("so far".len(), 26);
        let row = |mark: &str, name: &str, cells: [String; 4]| {
            let [rate, p50, p99, rounds] = cells;
            format!("{mark} {name:widest$}  {rate:>8}  {p50:>8}  {p99:>8}  {rounds:>6}")
        };
        let headings = ["ops/s", "p50", "p99", "rounds"].map(str::to_owned);
        let mut rows = vec![row(" ", "so far", headings)];
        for (index, cell) in group.into_iter().take(MOST_ROWS) {
            let mark = if self.current == Some(*index) {
                ">"
            } else {
                " "
            };
            rows.push(row(mark, &name(cell), self.numbers(*index)));
        }
        rows
    }

    fn numbers(&self, cell: usize) -> [String; 4] {
        let finished = self.finished.get(&cell).map_or(&[][..], Vec::as_slice);
        let number = |of: &dyn Fn(&Finished) -> Option<f64>, print: fn(f64) -> String| {
            median(finished.iter().filter_map(of).collect()).map_or("-".to_owned(), print)
        };
        [
            number(&|round| Some(round.rate), units::count),
            number(&|round| round.p50_ns, units::duration),
            number(&|round| round.p99_ns, units::duration),
            finished.len().to_string(),
        ]
    }
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let (upper, lower) = (values.len() / 2, values.len().saturating_sub(1) / 2);
    Some((values.get(lower)? + values.get(upper)?) / 2.0)
}
