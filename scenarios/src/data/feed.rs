//! Feeds: rows of a CSV or JSON-lines file, chosen by operation number.
//!
//! All sessions share one buffer of values with their ends. A row belongs to an operation, so no two sessions share one
//! by accident. `csv` and `lines` parse, `files` reads.

mod csv;
mod lines;

use std::sync::Arc;

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
    /// A `.csv` file whose first line names the columns, or a `.jsonl` file of JSON objects; relative to the scenario file.
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
    pub(super) fn warmup_rows(&self, warmup: Stop) -> u64 {
        match warmup {
            Stop::Ops(ops) => ops.get(),
            Stop::DurationNs(_) => (self.rows / 10).max(1),
        }
    }

    /// Checks that there are enough rows for a warm-up and this many operations, at least one.
    pub(crate) fn check_rows(&self, warmup: Stop, ops: u64) -> Result<(), String> {
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

/// The values of a file.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) columns: Vec<String>,
    blob: Arc<[u8]>,
    /// End of each value in the blob, row by row.
    ends: Box<[u32]>,
}

impl Table {
    pub(super) fn rows(&self) -> u64 {
        (self.ends.len() / self.columns.len()) as u64
    }

    /// A value; both indices are below their counts.
    #[inline]
    pub(super) fn value(&self, row: u64, column: usize) -> &[u8] {
        let index = row as usize * self.columns.len() + column;
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.blob[start as usize..self.ends[index] as usize]
    }

    /// Length of the longest value of a column, in bytes.
    pub(super) fn longest(&self, column: usize) -> usize {
        let lengths = (0..self.rows()).map(|row| self.value(row, column).len());
        lengths.max().unwrap_or(0)
    }
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

    /// Parses a whole file; an error names its line.
    pub(super) fn parse(self, text: &str) -> Result<Table, TableError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut table = TableBuilder::default();
        match self {
            Self::Csv => csv::parse(text.as_bytes(), &mut table)?,
            Self::JsonLines => lines::parse(text, &mut table)?,
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

/// A table while it is being read.
#[derive(Default)]
struct TableBuilder {
    columns: Vec<String>,
    blob: Vec<u8>,
    ends: Vec<u32>,
}

impl TableBuilder {
    /// Ends the value that was appended to the blob.
    fn end_value(&mut self, line: u64) -> Result<(), TableError> {
        let message = || "expected at most 4 GiB of values".to_owned();
        let end = u32::try_from(self.blob.len()).map_err(|_| TableError {
            line,
            message: message(),
        })?;
        self.ends.push(end);
        Ok(())
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
        self.columns = names;
        Ok(())
    }

    fn finish(self) -> Result<Table, TableError> {
        if self.columns.is_empty() || self.ends.is_empty() {
            return Err(TableError {
                line: 1,
                message: "expected at least one row, got none".to_owned(),
            });
        }
        Ok(Table {
            columns: self.columns,
            blob: self.blob.into(),
            ends: self.ends.into(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU64;

    use super::*;

    fn rows(format: FileFormat, text: &str) -> Vec<Vec<String>> {
        let table = format.parse(text).expect("sound");
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
    fn a_broken_file_is_refused_with_its_line() {
        let check = |format: FileFormat, text: &str, line: u64, message: &str| {
            let error = format.parse(text).expect_err("broken");
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
        check(Csv, "a\n1\r2", 2, "a line feed behind");
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

    #[test]
    fn a_feed_read_once_keeps_rows_for_the_warm_up_and_never_gives_one_twice() {
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
