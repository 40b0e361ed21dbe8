//! CSV by RFC 4180: commas, double quotes, CRLF or LF; the first line names the columns.

use std::ops::Range;

use super::{TableBuilder, TableError};

/// Parses the builder's buffer from `start` to its end.
pub(super) fn parse(start: usize, table: &mut TableBuilder) -> Result<(), TableError> {
    let mut reader = Reader {
        table,
        position: start,
        line: 1,
    };
    let mut names = Vec::new();
    reader.row(|table, value| {
        let name = match value {
            Value::Plain(part) => table.buffer[part].to_vec(),
            Value::Unquoted => table.buffer[..table.written].to_vec(),
        };
        table.written = 0;
        names.push(String::from_utf8_lossy(&name).into_owned());
    })?;
    if let [name] = &names[..]
        && name.contains([';', '\t'])
    {
        let message = format!("expected commas between the columns, got `{name}`");
        return Err(TableError { line: 1, message });
    }
    reader.table.name_columns(names, 1)?;
    while reader.has_row() {
        let (line, before) = (reader.line, reader.table.values);
        reader.row(|table, value| {
            if let Value::Plain(part) = value {
                table.copy(part);
            }
            table.end_value();
        })?;
        let table = &reader.table;
        let (count, expected) = (table.values - before, table.columns.len());
        if count != expected {
            let message = format!("expected {expected} values, one for each column, got {count}");
            return Err(TableError { line, message });
        }
    }
    Ok(())
}

/// A parsed value.
enum Value {
    /// Unquoted: this range of the file.
    Plain(Range<usize>),
    /// Quoted, and already appended to the table.
    Unquoted,
}

struct Reader<'a> {
    table: &'a mut TableBuilder,
    position: usize,
    line: u64,
}

impl Reader<'_> {
    /// True if another row follows; blank lines at the end do not count.
    fn has_row(&self) -> bool {
        let blank = |byte: &u8| matches!(byte, b'\r' | b'\n');
        !self.table.buffer[self.position..].iter().all(blank)
    }

    /// Reads one row, value by value.
    fn row(&mut self, mut value: impl FnMut(&mut TableBuilder, Value)) -> Result<(), TableError> {
        loop {
            let read = if self.peek() == Some(b'"') {
                self.quoted()?;
                Value::Unquoted
            } else {
                Value::Plain(self.plain()?)
            };
            value(self.table, read);
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b'\r') => {
                    self.position += 2;
                    break;
                }
                _ => {
                    self.position = (self.position + 1).min(self.table.buffer.len());
                    break;
                }
            }
        }
        self.line += 1;
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.table.buffer.get(self.position).copied()
    }

    /// True at a comma, the end of a line and the end of the file.
    fn at_value_end(&self) -> bool {
        matches!(
            &self.table.buffer[self.position..],
            [] | [b',' | b'\n', ..] | [b'\r', b'\n', ..]
        )
    }

    /// A value without quotes.
    fn plain(&mut self) -> Result<Range<usize>, TableError> {
        let start = self.position;
        while !self.at_value_end() {
            match self.table.buffer[self.position] {
                b'"' => {
                    return self.fail("expected quotes around the whole value, got one within it");
                }
                b'\r' => return self.fail("expected a line feed after a carriage return"),
                _ => self.position += 1,
            }
        }
        Ok(start..self.position)
    }

    /// Appends a quoted value to the table; doubled quotes become one.
    fn quoted(&mut self) -> Result<(), TableError> {
        let opening = self.line;
        self.position += 1;
        loop {
            match self.peek() {
                Some(b'"') if self.table.buffer.get(self.position + 1) == Some(&b'"') => {
                    self.table.push(b'"');
                    self.position += 2;
                }
                Some(b'"') => break,
                Some(byte) => {
                    self.line += u64::from(byte == b'\n');
                    self.table.push(byte);
                    self.position += 1;
                }
                None => {
                    self.line = opening;
                    return self.fail("expected a closing quote, got the file's end");
                }
            }
        }
        self.position += 1;
        if self.at_value_end() {
            return Ok(());
        }
        self.fail("expected a comma or the line's end behind the closing quote")
    }

    fn fail<T>(&self, message: &str) -> Result<T, TableError> {
        Err(TableError {
            line: self.line,
            message: message.to_owned(),
        })
    }
}
