//! Tables: a column of names, then columns of numbers, dropped least important first if there is no room.

use unicode_width::UnicodeWidthStr as _;

use super::INDENT;
use super::text::{Text, Tone, clean, cut};

/// A runtime's name is cut to this width before a column is dropped.
const SHORTEST_NAME: usize = 20;

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
    /// Order in which columns are dropped: 0 is dropped last.
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

    /// Drops the least important columns until the others fit into `width`. Returns their headings, in the order of the
    /// columns.
    fn fit(&mut self, width: usize) -> Vec<String> {
        let all: Vec<_> = self.columns.iter().map(|it| it.heading.clone()).collect();
        while self.width(NARROW_GAP) > width && self.columns.len() > 1 {
            let least = (0..self.columns.len())
                .max_by_key(|index| self.columns[*index].rank)
                .unwrap_or(0);
            self.columns.remove(least);
        }
        let mut left = self.columns.iter().map(|it| &it.heading).peekable();
        let is_dropped = |heading: &String| left.next_if(|next| *next == heading).is_none();
        all.into_iter().filter(is_dropped).collect()
    }
}
