//! Rows as views into the caller's buffer, passed to a sink.
//!
//! Collecting rows would put an allocator into the measured path; a sink copies the values it keeps. Lengths are checked
//! once, so reading a row cannot fail. Everything that runs per cell is marked for inlining, because sinks are in other
//! crates: 8 instead of 50 ns for a row of two.

use super::description::{ParameterOids, RowDescription};
use super::error::PgError;
use super::wire::{Cursor, Frame};

/// Receiver of a query cycle's results, such as a closure `FnMut(Row<'_>)`.
pub trait RowSink {
    fn row(&mut self, row: Row<'_>);

    /// Called with the description of the following rows, or of a statement's result.
    fn columns(&mut self, _description: RowDescription<'_>) {}

    /// Called with the description of a statement's parameters.
    fn parameters(&mut self, _oids: ParameterOids<'_>) {}

    /// Called with the command tag of each completed statement, such as `INSERT 0 1`.
    fn command(&mut self, _tag: &[u8]) {}
}

impl<F: FnMut(Row<'_>)> RowSink for F {
    fn row(&mut self, row: Row<'_>) {
        self(row);
    }
}

/// A sink that ignores rows; they are still counted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Discard;

impl RowSink for Discard {
    fn row(&mut self, _row: Row<'_>) {}
}

/// One row: its cells are bytes in the requested format, or NULL.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    count: u16,
    cells: Cursor<'a>,
}

impl<'a> Row<'a> {
    /// Checks the lengths in a DataRow.
    #[inline]
    pub(super) fn parse(frame: &Frame<'a>) -> Result<Self, PgError> {
        let mut cursor = Cursor(frame.body);
        let count = cursor.u16().ok_or(frame.malformed("no column count"))?;
        let row = Row {
            count,
            cells: cursor,
        };
        for _ in 0..count {
            let cell = next_cell(&mut cursor);
            cell.ok_or(frame.malformed("column beyond its end"))?;
        }
        if !cursor.is_empty() {
            return Err(frame.malformed("bytes after its last column"));
        }
        Ok(row)
    }

    /// Number of columns.
    #[inline]
    pub fn len(&self) -> usize {
        usize::from(self.count)
    }

    /// True if it has no columns (`SELECT FROM t`).
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The cell at `index`, from 0: `None` after the last column, `Some(None)` for NULL. Takes a step per column;
    /// [`iter`](Self::iter) reads a whole row faster.
    #[inline]
    pub fn get(&self, index: usize) -> Option<Option<&'a [u8]>> {
        self.iter().nth(index)
    }

    /// The cells in order.
    #[inline]
    pub fn iter(&self) -> Cells<'a> {
        Cells {
            left: self.count,
            cells: self.cells,
        }
    }
}

impl<'a> IntoIterator for Row<'a> {
    type Item = Option<&'a [u8]>;
    type IntoIter = Cells<'a>;

    fn into_iter(self) -> Cells<'a> {
        self.iter()
    }
}

/// Iterator over the cells of a [`Row`].
#[derive(Debug, Clone)]
pub struct Cells<'a> {
    left: u16,
    cells: Cursor<'a>,
}

impl<'a> Iterator for Cells<'a> {
    type Item = Option<&'a [u8]>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        next_cell(&mut self.cells)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(self.left), Some(usize::from(self.left)))
    }
}

impl ExactSizeIterator for Cells<'_> {}

/// `None` at the end, `Some(None)` for NULL.
#[inline]
fn next_cell<'a>(cursor: &mut Cursor<'a>) -> Option<Option<&'a [u8]>> {
    match usize::try_from(cursor.i32()?) {
        Ok(cell_bytes) => cursor.take(cell_bytes).map(Some),
        Err(_negative) => Some(None),
    }
}
