//! CSV by RFC 4180: commas, double quotes, CRLF or LF; the first line names the columns.

use super::{TableBuilder, TableError};

/// Reads all of `bytes`, which is UTF-8 without a byte-order mark.
pub(super) fn parse(bytes: &[u8], table: &mut TableBuilder) -> Result<(), TableError> {
    let mut reader = Reader {
        bytes,
        position: 0,
        line: 1,
    };
    let mut names = Vec::new();
    reader.row(|value| {
        names.push(String::from_utf8_lossy(value).into_owned());
        Ok(())
    })?;
    if let [name] = &names[..]
        && name.contains([';', '\t'])
    {
        let message = format!("expected commas between the columns, got `{name}`");
        return Err(TableError { line: 1, message });
    }
    table.name_columns(names, 1)?;
    while reader.has_row() {
        let (line, before) = (reader.line, table.ends.len());
        reader.row(|value| {
            table.blob.extend_from_slice(value);
            table.end_value(line)
        })?;
        let (count, expected) = (table.ends.len() - before, table.columns.len());
        if count != expected {
            let message = format!("expected {expected} values, one for each column, got {count}");
            return Err(TableError { line, message });
        }
    }
    Ok(())
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
    line: u64,
}

impl Reader<'_> {
    /// True if another row follows; blank lines at the end do not count.
    fn has_row(&self) -> bool {
        let blank = |byte: &u8| matches!(byte, b'\r' | b'\n');
        !self.bytes[self.position..].iter().all(blank)
    }

    /// Reads one row, value by value.
    fn row(
        &mut self,
        mut value: impl FnMut(&[u8]) -> Result<(), TableError>,
    ) -> Result<(), TableError> {
        let mut unescaped = Vec::new();
        loop {
            if self.peek() == Some(b'"') {
                self.quoted(&mut unescaped)?;
                value(&unescaped)?;
            } else {
                value(self.plain()?)?;
            }
            match self.peek() {
                Some(b',') => self.position += 1,
                Some(b'\r') => {
                    self.position += 2;
                    break;
                }
                _ => {
                    self.position = (self.position + 1).min(self.bytes.len());
                    break;
                }
            }
        }
        self.line += 1;
        Ok(())
    }

    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.position).copied()
    }

    /// True at a comma, the end of a line and the end of the file.
    fn at_value_end(&self) -> bool {
        matches!(
            &self.bytes[self.position..],
            [] | [b',' | b'\n', ..] | [b'\r', b'\n', ..]
        )
    }

    /// A value without quotes.
    fn plain(&mut self) -> Result<&[u8], TableError> {
        let start = self.position;
        while !self.at_value_end() {
            match self.bytes[self.position] {
                b'"' => {
                    return self.fail("expected quotes around the whole value, got one within it");
                }
                b'\r' => return self.fail("expected a line feed behind a carriage return"),
                _ => self.position += 1,
            }
        }
        Ok(&self.bytes[start..self.position])
    }

    /// A value in quotes; two quotes within it are one.
    fn quoted(&mut self, value: &mut Vec<u8>) -> Result<(), TableError> {
        let opening = self.line;
        value.clear();
        self.position += 1;
        loop {
            match self.peek() {
                Some(b'"') if self.bytes.get(self.position + 1) == Some(&b'"') => {
                    value.push(b'"');
                    self.position += 2;
                }
                Some(b'"') => break,
                Some(byte) => {
                    self.line += u64::from(byte == b'\n');
                    value.push(byte);
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
