//! Tables: a column of names, then as many columns of numbers as there is room for, most important first.

use unicode_width::UnicodeWidthStr as _;

use super::INDENT;
use super::text::{Text, Tone, clean, cut};

/// A runtime's name is cut to this width before a column is dropped.
const SHORTEST_NAME: usize = 20;

/// The rank of extra columns.
const EXTRA_RANK: u8 = u8::MAX;

/// The narrowest terminal with extra columns; on others, the usual ones get wider gaps instead.
const NARROWEST_FOR_EXTRAS: usize = 100;

/// Spaces between columns, if there is room and if there is little.
const WIDE_GAP: usize = 2;
const NARROW_GAP: usize = 1;

/// A table under construction.
pub(super) struct Table {
    heading: String,
    rows: Vec<(String, Tone)>,
    columns: Vec<Column>,
    /// True if names are cut instead of dropping columns.
    pub(super) keeps_columns: bool,
}

struct Column {
    heading: String,
    /// Order in which columns get room: 0 is first.
    rank: u8,
    cells: Vec<String>,
    /// The tones of the cells; empty for those of their rows.
    tones: Vec<Tone>,
}

impl Column {
    fn width(&self) -> usize {
        let cells = self.cells.iter().map(|cell| cell.width());
        cells.chain([self.heading.width()]).max().unwrap_or(0)
    }
}

impl Table {
    /// A table of named rows; the names are below `heading`.
    pub(super) fn new(heading: &str, rows: impl Iterator<Item = (String, Tone)>) -> Self {
        Self {
            heading: clean(heading),
            rows: rows.map(|(name, tone)| (clean(&name), tone)).collect(),
            columns: Vec::new(),
            keeps_columns: false,
        }
    }

    /// Adds a column with a cell for each row.
    pub(super) fn column(&mut self, heading: &str, rank: u8, cells: impl Iterator<Item = String>) {
        self.columns.push(Column {
            heading: clean(heading),
            rank,
            cells: cells.map(|cell| clean(&cell)).collect(),
            tones: Vec::new(),
        });
    }

    /// Adds a column that is shown only if all others have room, and not missed otherwise.
    pub(super) fn extra(&mut self, heading: &str, cells: impl Iterator<Item = String>) {
        self.column(heading, EXTRA_RANK, cells);
    }

    /// Gives the cells of the last column tones of their own.
    pub(super) fn paint(&mut self, tones: impl Iterator<Item = Tone>) {
        if let Some(last) = self.columns.last_mut() {
            last.tones = tones.collect();
        }
    }

    pub(super) fn print(mut self, text: &mut Text) {
        let names = self.rows.iter().map(|(name, _)| name.width());
        let longest = names.chain([self.heading.width()]).max().unwrap_or(0);
        if !self.keeps_columns {
            let is_wanted =
                |column: &Column| column.rank != EXTRA_RANK || text.width >= NARROWEST_FOR_EXTRAS;
            self.columns.retain(is_wanted);
            let left_out = self.fit(text.width - INDENT - longest.min(SHORTEST_NAME));
            for heading in left_out {
                if !text.left_out.contains(&heading) {
                    text.left_out.push(heading);
                }
            }
        }
        let roomy = INDENT + longest + self.width(WIDE_GAP) <= text.width;
        let gap = if roomy { WIDE_GAP } else { NARROW_GAP };
        let room = text.width.saturating_sub(INDENT + self.width(gap));
        let name_width = longest.min(room);
        let line = |name: &str, cell: &dyn Fn(&Column) -> (String, Tone), text: &Text| {
            let cells = self.columns.iter().map(|column| {
                let (cell, tone) = cell(column);
                let padding = (column.width() + gap).saturating_sub(cell.width());
                " ".repeat(padding) + &text.painted(tone, &cell)
            });
            let name = cut(name, name_width);
            let padding = " ".repeat(name_width.saturating_sub(name.width()));
            let cells: String = cells.collect();
            format!("{:INDENT$}{name}{padding}{cells}", "")
        };
        let heading = |column: &Column| (column.heading.clone(), Tone::Plain);
        let headings = line(&self.heading, &heading, text);
        text.line(Tone::Faint, &headings);
        for (index, (name, tone)) in self.rows.iter().enumerate() {
            let cell = |column: &Column| {
                let own = column.tones.get(index).filter(|_| *tone == Tone::Plain);
                let tone = own.copied().unwrap_or(Tone::Plain);
                (column.cells[index].clone(), tone)
            };
            let row = line(name, &cell, text);
            text.line(*tone, &row);
        }
        text.blank();
    }

    fn width(&self, gap: usize) -> usize {
        let widths = self.columns.iter().map(|column| column.width() + gap);
        widths.sum()
    }

    /// Keeps the columns that fit into `width` and in any case the first in rank: each column gets room unless more important
    /// ones leave too little. Returns the headings of the others, in the order of the columns.
    fn fit(&mut self, width: usize) -> Vec<String> {
        let mut by_rank: Vec<usize> = (0..self.columns.len()).collect();
        by_rank.sort_by_key(|index| self.columns[*index].rank);
        let (mut left, mut kept) = (width, vec![false; by_rank.len()]);
        let mut is_complete = true;
        for (place, index) in by_rank.into_iter().enumerate() {
            let column = &self.columns[index];
            let (needed, is_extra) = (column.width() + NARROW_GAP, column.rank == EXTRA_RANK);
            let fits = needed <= left && (is_complete || !is_extra);
            kept[index] = fits || place == 0;
            is_complete &= kept[index];
            left = left.saturating_sub(if kept[index] { needed } else { 0 });
        }
        let (mut columns, mut left_out) = (Vec::new(), Vec::new());
        for (column, is_kept) in std::mem::take(&mut self.columns).into_iter().zip(kept) {
            if is_kept {
                columns.push(column);
            } else if column.rank != EXTRA_RANK {
                left_out.push(column.heading);
            }
        }
        self.columns = columns;
        left_out
    }
}
