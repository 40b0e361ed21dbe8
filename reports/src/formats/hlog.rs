//! `hlog`: an HdrHistogram interval log, one line per measured round and kind of time.
//!
//! Version 1.3 with tags, which other HdrHistogram implementations read and its tools split by. A line's timestamp is
//! the round's start relative to the run's; its length is that of the measured phase; its maximum is in ms; the
//! histogram itself is in ns. Failed operations are not included. Under open load there are also lines tagged
//! `….response` and `….lag`.

use photofinish_record::{Cell, Measurement, Record, UtcTime};

use super::{Error, File, Format, Render, TIMES};
use crate::describe;
use crate::metrics::Times;
use crate::report::Report;
use crate::rounds::measured;

pub(super) static FORMAT: Format = Format {
    name: "hlog",
    summary: "HdrHistogram interval log (V2, tagged), one line per round and kind of time",
    render: Render::Run(render),
};

fn render(report: &Report<'_>) -> Result<Vec<File>, Error> {
    let record = report.record;
    let start = start(record)?;
    let seconds = start.unix_s();
    let mut text = format!(
        "#[photofinish {}: service times in ns, .response and .lag of open loads; Tag=scenario/runtime/load]\n\
         #[Histogram log format version 1.3]\n\
         #[StartTime: {seconds:.3} (seconds since epoch), {start}]\n\
         #[BaseTime: {seconds:.3} (seconds since epoch)]\n\
         \"StartTimestamp\",\"Interval_Length\",\"Interval_Max\",\"Interval_Compressed_Histogram\"\n",
        tag_part(&record.tool.version),
    );
    for round in report.rounds.counted() {
        if let (Some(measured), Some(cell)) = (measured(round), record.plan.cells.get(round.cell)) {
            text += &lines(cell, round.offset_ns, &measured.worker);
        }
    }
    Ok(vec![File::text("rounds.hlog", text)])
}

fn start(record: &Record) -> Result<UtcTime, Error> {
    let parsed: Result<UtcTime, _> = record.started_utc.parse();
    parsed.map_err(|source| Error::StartTime {
        started_utc: record.started_utc.clone(),
        source,
    })
}

/// One line for each kind of time that the round has.
fn lines(cell: &Cell, offset_ns: u64, round: &Measurement) -> String {
    let start = offset_ns as f64 / 1e9;
    let length = round.elapsed_ns as f64 / 1e9;
    let line = |(ending, kind): (&str, Times)| {
        let times = kind.of(round)?;
        let highest = times.quantile_ns(1.0).unwrap_or(0) as f64 / 1e6;
        Some(format!(
            "Tag={}{ending},{start:.3},{length:.3},{highest:.3},{}\n",
            tag(cell),
            times.to_base64()
        ))
    };
    TIMES.into_iter().filter_map(line).collect()
}

fn tag(cell: &Cell) -> String {
    format!(
        "{}/{}/{}",
        tag_part(&cell.scenario),
        tag_part(&cell.runtime),
        describe::point_slug(cell.load, cell.arm, None)
    )
}

/// Replaces commas and spaces, which end a tag.
fn tag_part(text: &str) -> String {
    let plain = |character: char| character.is_alphanumeric() || "-._".contains(character);
    text.replace(|character| !plain(character), "_")
}
