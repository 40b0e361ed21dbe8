//! The server's description of a statement: its columns and its parameters.
//!
//! Views into the caller's buffer, checked before the sink gets them. The OIDs are not interpreted.

use super::error::PgError;
use super::wire::{Cursor, Frame};

/// The columns of the rows that follow.
#[derive(Debug, Clone, Copy)]
pub struct RowDescription<'a> {
    count: u16,
    columns: Cursor<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column<'a> {
    /// Name in UTF-8, the client's encoding.
    pub name: &'a [u8],
    pub type_oid: u32,
    /// True if its cells are in binary.
    pub is_binary: bool,
}

impl<'a> RowDescription<'a> {
    pub(super) fn parse(frame: &Frame<'a>) -> Result<Self, PgError> {
        let mut cursor = Cursor(frame.body);
        let count = cursor.u16().ok_or(frame.malformed("no column count"))?;
        let description = RowDescription {
            count,
            columns: cursor,
        };
        for _ in 0..count {
            next_column(&mut cursor).ok_or(frame.malformed("column beyond its end"))?;
        }
        if !cursor.is_empty() {
            return Err(frame.malformed("bytes after its last column"));
        }
        Ok(description)
    }

    /// The columns in order.
    pub fn iter(&self) -> impl Iterator<Item = Column<'a>> + use<'a> {
        let mut cursor = self.columns;
        (0..self.count).map_while(move |_| next_column(&mut cursor))
    }
}

fn next_column<'a>(cursor: &mut Cursor<'a>) -> Option<Column<'a>> {
    let name = cursor.text()?;
    let _table_oid = cursor.u32()?;
    let _column_number = cursor.i16()?;
    let type_oid = cursor.u32()?;
    let _type_size = cursor.i16()?;
    let _type_modifier = cursor.i32()?;
    let is_binary = cursor.i16()? == 1;
    Some(Column {
        name,
        type_oid,
        is_binary,
    })
}

/// The types of a statement's parameters.
#[derive(Debug, Clone, Copy)]
pub struct ParameterOids<'a> {
    oids: Cursor<'a>,
}

impl<'a> ParameterOids<'a> {
    pub(super) fn parse(frame: &Frame<'a>) -> Result<Self, PgError> {
        let mut oids = Cursor(frame.body);
        let count = oids.u16().ok_or(frame.malformed("no parameter count"))?;
        if oids.0.len() != usize::from(count) * 4 {
            return Err(frame.malformed("count differs from its parameters"));
        }
        Ok(ParameterOids { oids })
    }

    /// The OIDs in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        let mut cursor = self.oids;
        std::iter::from_fn(move || cursor.u32())
    }
}
