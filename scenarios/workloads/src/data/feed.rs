//! Feeds: rows of a CSV or JSON-lines file, chosen by operation number.
//!
//! All sessions share one buffer: the file's own, in which parsed values overwrite the text already read. A row belongs to
//! an operation, so no two sessions share one by accident. `csv` and `lines` parse, `files` reads.

mod csv;
mod lines;

use std::io::BufRead as _;
use std::ops::Range;

use photofinish_harness::measure::FIRST_WARMUP_OP;
use photofinish_record::draw::draw;
use photofinish_record::load::Stop;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::draw::OpDraws;
use super::permutation::Permutation;

/// Rows of a file, one for each operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FeedSpec {
    /// A `.csv` file whose first line names the columns, or a `.jsonl` or `.ndjson` file of JSON objects; relative to the
    /// scenario file.
    pub file: String,
    /// By default `circular`.
    #[serde(default)]
    pub order: FeedOrder,
    /// Names of the columns. Read from the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<String>,
    /// Number of rows. Read from the file.
    #[serde(default)]
    pub rows: u64,
    /// SHA-256 of the file, in hexadecimal. Computed from the file; compared with it if given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
}

/// Orders of a feed's rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FeedOrder {
    /// From the first to the last, then again from the first.
    #[default]
    Circular,
    /// Every row once in random order, then all again in another order.
    Shuffle,
    /// Any row, drawn for each operation.
    Random,
    /// Every row once; the phase ends when there are no more. The warm-up takes rows from the file's end.
    Once,
}

impl FeedSpec {
    /// Rows at the file's end that only the warm-up takes: as many as it has operations, or a tenth if it ends by time.
    pub fn warmup_rows(&self, warmup: Stop) -> u64 {
        match warmup {
            Stop::Ops(ops) => ops.get(),
            Stop::DurationNs(_) => (self.rows / 10).max(1),
        }
    }

    /// Checks that there are enough rows for a warm-up and this many operations, at least one.
    pub fn check_rows(&self, warmup: Stop, ops: u64) -> Result<(), String> {
        let (rows, warmup_rows) = (self.rows, self.warmup_rows(warmup));
        if self.order != FeedOrder::Once || rows >= warmup_rows.saturating_add(ops) {
            return Ok(());
        }
        Err(format!(
            "expected at least {} rows for the order `once` (warm-up {warmup_rows}, measurement {ops}), got {rows}",
            warmup_rows.saturating_add(ops)
        ))
    }
}

/// The rule that assigns a row to each operation.
#[derive(Clone, Copy, Debug)]
pub(super) struct RowChoice {
    pub(super) order: FeedOrder,
    /// At least 1.
    pub(super) rows: u64,
    pub(super) warmup_rows: u64,
    pub(super) name_seed: u64,
}

impl RowChoice {
    /// The row of operation `op`; `None` if a feed that is read once has no more.
    #[inline]
    pub(super) fn row(&self, op: u64) -> Option<u64> {
        let rows = self.rows;
        match self.order {
            FeedOrder::Circular => Some(op % rows),
            FeedOrder::Shuffle => {
                let key = draw(self.name_seed, op / rows);
                Some(Permutation::new(rows).apply(key, op % rows))
            }
            FeedOrder::Random => Some(OpDraws::new(self.name_seed, op).below(0, rows)),
            FeedOrder::Once => match op.checked_sub(FIRST_WARMUP_OP) {
                Some(warmup_op) if warmup_op < self.warmup_rows => rows.checked_sub(warmup_op + 1),
                Some(_) => None,
                None => (op < rows.saturating_sub(self.warmup_rows)).then_some(op),
            },
        }
    }
}

/// The values of a file, in the file's own buffer, each followed by [`END`].
#[derive(Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    buffer: Vec<u8>,
    rows: u64,
    marks: Marks,
    /// Length of the longest value of each column, in bytes.
    longest: Box<[usize]>,
}

/// End of a value: a byte that never occurs in UTF-8.
const END: u8 = 0xFF;

/// Offsets of every row in a buffer, or of every second, fourth, … row, so that they stay small compared with the buffer.
#[derive(Debug)]
struct Marks {
    starts: Vec<u32>,
    /// Binary logarithm of the distance between two marked rows.
    shift: u32,
    most: usize,
}

/// At most one mark for this many bytes of the file.
const BYTES_PER_MARK: usize = 32;

impl Marks {
    fn new(file_bytes: usize) -> Self {
        let most = (file_bytes / BYTES_PER_MARK).max(64);
        Self {
            starts: Vec::with_capacity(most),
            shift: 0,
            most,
        }
    }

    fn add(&mut self, row: u64, start: usize) {
        if row & ((1 << self.shift) - 1) != 0 {
            return;
        }
        if self.starts.len() == self.most {
            let mut kept = (0..self.most).map(|index| index.is_multiple_of(2));
            self.starts.retain(|_| kept.next().unwrap_or_default());
            self.shift += 1;
            return self.add(row, start);
        }
        // A file has at most 1 GiB.
        self.starts.push(start as u32);
    }
}

impl Table {
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// A value; both indices are below their counts.
    #[inline]
    pub(super) fn value(&self, row: u64, column: usize) -> &[u8] {
        let Marks { starts, shift, .. } = &self.marks;
        let start = starts[(row >> shift) as usize];
        let rows = row as usize & ((1 << shift) - 1);
        let mut rest = &self.buffer[start as usize..];
        for _ in 0..rows * self.columns.len() + column {
            skip_value(&mut rest);
        }
        let value = rest;
        &value[..skip_value(&mut rest)]
    }

    /// Length of the longest value of a column, in bytes.
    pub(super) fn longest(&self, column: usize) -> usize {
        self.longest[column]
    }
}

/// Skips a value and its end; returns its length.
fn skip_value(rest: &mut &[u8]) -> usize {
    rest.skip_until(END).expect("reading from memory") - 1
}

/// Formats of files, by the end of the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FileFormat {
    Csv,
    JsonLines,
}

impl FileFormat {
    pub(super) fn of(file: &str) -> Option<Self> {
        let (_, ending) = file.rsplit_once('.')?;
        match ending.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::JsonLines),
            _ => None,
        }
    }

    /// Parses a whole UTF-8 file in its own buffer; an error names its line.
    pub(super) fn parse(self, file: Vec<u8>) -> Result<Table, TableError> {
        let start = if file.starts_with("\u{feff}".as_bytes()) {
            3
        } else {
            0
        };
        let mut table = TableBuilder::new(file);
        match self {
            Self::Csv => csv::parse(start, &mut table)?,
            Self::JsonLines => lines::parse(start, &mut table)?,
        }
        table.finish()
    }
}

/// An error in a file, at a line that counts from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub(super) struct TableError {
    pub(super) line: u64,
    pub(super) message: String,
}

/// A table being read. Values overwrite the part of the file already read. That always fits: a line is at least as long as
/// its values with their ends, except for a last line without a line feed, for which the header line makes room.
struct TableBuilder {
    columns: Vec<String>,
    buffer: Vec<u8>,
    /// End of the values in the buffer.
    written: usize,
    /// Start of the current value.
    value_start: usize,
    values: usize,
    marks: Marks,
    longest: Vec<usize>,
}

impl TableBuilder {
    fn new(file: Vec<u8>) -> Self {
        Self {
            columns: Vec::new(),
            marks: Marks::new(file.len()),
            buffer: file,
            written: 0,
            value_start: 0,
            values: 0,
            longest: Vec::new(),
        }
    }

    /// Appends a byte to the current value.
    fn push(&mut self, byte: u8) {
        self.buffer[self.written] = byte;
        self.written += 1;
    }

    /// Appends a range of the file to the current value.
    fn copy(&mut self, part: Range<usize>) {
        let count = part.len();
        self.buffer.copy_within(part, self.written);
        self.written += count;
    }

    /// Appends bytes, no more than have been read since the last value.
    fn append(&mut self, bytes: &[u8]) {
        self.buffer[self.written..][..bytes.len()].copy_from_slice(bytes);
        self.written += bytes.len();
    }

    /// Ends the current value.
    fn end_value(&mut self) {
        let column = self.values % self.columns.len();
        if column == 0 {
            let row = self.values / self.columns.len();
            self.marks.add(row as u64, self.value_start);
        }
        let longest = &mut self.longest[column];
        *longest = (*longest).max(self.written - self.value_start);
        self.push(END);
        self.value_start = self.written;
        self.values += 1;
    }

    /// Names the columns: at least one, none empty, no duplicates.
    fn name_columns(&mut self, names: Vec<String>, line: u64) -> Result<(), TableError> {
        let fail = |message| Err(TableError { line, message });
        for (index, name) in names.iter().enumerate() {
            if name.trim().is_empty() {
                return fail(format!(
                    "expected a name for column {}, got none",
                    index + 1
                ));
            }
            if names[..index].contains(name) {
                return fail(format!("expected each column once, got `{name}` twice"));
            }
        }
        self.longest = vec![0; names.len()];
        self.columns = names;
        Ok(())
    }

    fn finish(mut self) -> Result<Table, TableError> {
        if self.values == 0 {
            return Err(TableError {
                line: 1,
                message: "expected at least one row, got none".to_owned(),
            });
        }
        self.buffer.truncate(self.written);
        self.buffer.shrink_to_fit();
        self.marks.starts.shrink_to_fit();
        Ok(Table {
            rows: (self.values / self.columns.len()) as u64,
            columns: self.columns,
            buffer: self.buffer,
            marks: self.marks,
            longest: self.longest.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn rows(format: FileFormat, text: &str) -> Vec<Vec<String>> {
        let table = format.parse(text.into()).expect("sound");
        let row = |row| {
            let values = (0..table.columns.len()).map(|column| table.value(row, column));
            values
                .map(|value| String::from_utf8_lossy(value).into_owned())
                .collect()
        };
        [table.columns.clone()]
            .into_iter()
            .chain((0..table.rows()).map(row))
            .collect()
    }

    #[test]
    fn csv_follows_rfc_4180() {
        let expected = [
            ["name", "note"],
            ["Ann", "a, b"],
            ["B\"ob", ""],
            ["C", "two\nlines"],
        ];
        for end in ["\n", "\r\n"] {
            for last in ["", end, &format!("{end}{end}")] {
                let lines = [
                    "\u{feff}name,note",
                    "Ann,\"a, b\"",
                    "\"B\"\"ob\",",
                    "C,\"two\nlines\"",
                ];
                assert_eq!(
                    rows(FileFormat::Csv, &(lines.join(end) + last)),
                    expected,
                    "{end:?} {last:?}"
                );
            }
        }
        assert_eq!(rows(FileFormat::Csv, "id\n\n2"), [["id"], [""], ["2"]]);
    }

    #[test]
    fn json_lines_are_read_by_key() {
        let text =
            "{\"id\": 1.50, \"name\": \"A\\u00e4\\n\"}\n\n{\"name\": null, \"id\": [1, {}]}\r\n";
        let expected = [["id", "name"], ["1.50", "Aä\n"], ["[1, {}]", ""]];
        assert_eq!(rows(FileFormat::JsonLines, text), expected);
    }

    #[test]
    fn a_malformed_file_is_refused_with_its_line() {
        let check = |format: FileFormat, text: &str, line: u64, message: &str| {
            let error = format.parse(text.into()).expect_err("broken");
            assert_eq!(error.line, line, "{text:?}: {error}");
            assert!(error.message.contains(message), "{text:?}: {error}");
        };
        use FileFormat::{Csv, JsonLines};
        check(Csv, "", 1, "got none");
        check(Csv, "a,b\n", 1, "at least one row");
        check(
            Csv,
            "\u{feff}a;b\n1;2",
            1,
            "commas between the columns, got `a;b`",
        );
        check(Csv, "a\tb\n1\t2", 1, "commas between the columns");
        check(Csv, "a,b,a\n1,2,3", 1, "got `a` twice");
        check(Csv, "a,,c\n1,2,3", 1, "a name for column 2");
        check(
            Csv,
            "a,b\n1,2\n3\n4,5",
            3,
            "expected 2 values, one for each column, got 1",
        );
        check(Csv, "a,b\n\"1\n\",2\n3,4,5", 4, "got 3");
        check(Csv, "a\n1\"2", 2, "quotes around the whole value");
        check(Csv, "a\n\"1\"2", 2, "behind the closing quote");
        check(Csv, "a\n1\n\"2\n3", 3, "got the file's end");
        check(Csv, "a\n1\r2", 2, "a line feed after");
        check(JsonLines, "", 1, "at least one row");
        check(JsonLines, "{\"a\": 1}\n[2]", 2, "got another value");
        check(
            JsonLines,
            "{\"a\": 1}\n{\"a\": }",
            2,
            "expected a JSON object",
        );
        check(JsonLines, "{\"a\": 1, \"a\": 2}", 1, "got `a` twice");
        check(
            JsonLines,
            "{\"a\": 1}\n{\"b\": 2}",
            2,
            "the keys of the first line (`a`), got `b`",
        );
        check(
            JsonLines,
            "{\"a\": 1}\n{\"a\": 2, \"b\": 2}",
            2,
            "got `a` or `b`",
        );
    }

    /// Goal: every row is found although only some are marked. Method: rows of two columns, far shorter than a mark.
    #[test]
    fn short_rows_are_found_between_marks_and_the_table_is_no_larger_than_the_file() {
        for rows in [1_u64, 63, 64, 65, 1000, 20_000] {
            let value = |row: u64| format!("{}", row % 7);
            let lines: String = (0..rows)
                .map(|row| format!("{},\"\"\n", value(row)))
                .collect();
            let file = format!("a,b\n{lines}").into_bytes();
            let bytes = file.len();
            let table = FileFormat::Csv.parse(file).expect("sound");
            assert_eq!(table.rows(), rows);
            for row in 0..rows {
                assert_eq!(
                    table.value(row, 0),
                    value(row).as_bytes(),
                    "{row} of {rows}"
                );
                assert_eq!(table.value(row, 1), b"");
            }
            assert_eq!((table.longest(0), table.longest(1)), (1, 0));
            assert!(table.buffer.len() <= bytes);
            assert!(table.marks.starts.len() <= (bytes / BYTES_PER_MARK).max(64));
            assert!(table.marks.shift < 4);
        }
    }

    #[test]
    fn a_once_feed_reserves_rows_for_the_warm_up_and_repeats_none() {
        let spec = FeedSpec {
            order: FeedOrder::Once,
            rows: 25,
            ..FeedSpec::default()
        };
        let ops = |count| Stop::Ops(NonZeroU64::new(count).expect("some"));
        for (warmup, reserved) in [
            (ops(7), 7),
            (Stop::after(std::time::Duration::from_secs(1)), 2),
        ] {
            let choice = RowChoice {
                order: spec.order,
                rows: spec.rows,
                warmup_rows: spec.warmup_rows(warmup),
                name_seed: 1,
            };
            let phase = |first: u64| {
                (first..first + 30)
                    .filter_map(|op| choice.row(op))
                    .collect::<Vec<_>>()
            };
            let (warm, measured) = (phase(FIRST_WARMUP_OP), phase(0));
            assert_eq!((warm.len(), measured.len()), (reserved, 25 - reserved));
            let mut all = [warm, measured].concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..25));
        }
        assert_eq!(spec.check_rows(ops(5), 20), Ok(()));
        let error = spec.check_rows(ops(5), 21).expect_err("too short");
        assert!(
            error.contains("at least 26 rows") && error.ends_with("got 25"),
            "{error}"
        );
    }
}
