//! `json`: the summary, one document.
//!
//! The same that `run --format json` prints; its schema is `summary::schema`. The record itself is the other JSON.

use photofinish_record::Record;

use super::{Error, File, Format};
use crate::summary::Summary;

pub(super) static FORMAT: Format = Format {
    name: "json",
    extension: "json",
    summary: "the summary: every cell's metrics with their intervals, one JSON document",
    render,
};

fn render(record: &Record) -> Result<Vec<File>, Error> {
    let mut bytes = serde_json::to_vec_pretty(&Summary::of(record))?;
    bytes.push(b'\n');
    Ok(vec![File {
        name: "summary.json".to_owned(),
        bytes,
    }])
}
