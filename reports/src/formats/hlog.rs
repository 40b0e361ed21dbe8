//! `hlog`: an HdrHistogram interval log, one line per measured round.
//!
//! Version 1.3 with tags, as the HdrHistogram implementations of other languages read and its tools split. A line's
//! timestamp is the round's start after the run's; its length that of the measured phase; its maximum in ms; the
//! histogram itself in ns. Failed operations are not in it.

use jiff::Timestamp;
use photofinish_harness::record::{Cell, Measured, Outcome, Record};

use super::{Error, File, Format};
use crate::{describe, rounds};

pub(super) static FORMAT: Format = Format {
    name: "hlog",
    extension: "hlog",
    summary: "HdrHistogram interval log (V2, tagged), one line per round",
    render,
};

fn render(record: &Record) -> Result<Vec<File>, Error> {
    let start = start(record)?;
    let seconds = start.as_millisecond() as f64 / 1e3;
    let mut text = format!(
        "#[photofinish {}: service times in ns; Tag=scenario/runtime/load]\n\
         #[Histogram log format version 1.3]\n\
         #[StartTime: {seconds:.3} (seconds since epoch), {start}]\n\
         #[BaseTime: {seconds:.3} (seconds since epoch)]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
        tag_part(&record.tool.version),
    );
    for round in rounds::counted(record) {
        if let (Outcome::Ok(measured), Some(cell)) =
            (&round.outcome, record.plan.cells.get(round.cell))
        {
            text += &line(cell, round.offset_ns, measured);
        }
    }
    Ok(vec![File {
        name: "rounds.hlog".to_owned(),
        bytes: text.into_bytes(),
    }])
}

fn start(record: &Record) -> Result<Timestamp, Error> {
    let parsed: Result<Timestamp, _> = record.started_utc.parse();
    parsed.map_err(|source| Error::StartTime {
        started_utc: record.started_utc.clone(),
        source,
    })
}

fn line(cell: &Cell, offset_ns: u64, measured: &Measured) -> String {
    let service = &measured.worker.service;
    format!(
        "Tag={},{:.3},{:.3},{:.3},{}\n",
        tag(cell),
        offset_ns as f64 / 1e9,
        measured.worker.elapsed_ns as f64 / 1e9,
        service.quantile_ns(1.0).unwrap_or(0) as f64 / 1e6,
        service.to_base64()
    )
}

fn tag(cell: &Cell) -> String {
    format!(
        "{}/{}/{}",
        tag_part(&cell.scenario),
        tag_part(&cell.runtime),
        describe::load_slug(cell.load)
    )
}

/// A tag ends at a comma, and readers split lines at spaces.
fn tag_part(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            plain if plain.is_alphanumeric() || "-._".contains(plain) => plain,
            _ => '_',
        })
        .collect()
}
