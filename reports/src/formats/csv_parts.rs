//! `csv-parts`: one line per part of the operations, cell and round; the header alone if no operation has parts.
//!
//! The same conventions as `csv`. Statuses and failures are counts by name, `200: 41, 503: 2`; the failures of a line add
//! up to its errors.

use std::collections::BTreeMap;

use photofinish_record::{Arm, Cell, Measurement, Part};

use super::csv::{line, load_fields, number};
use super::{Error, File, Format, Render};
use crate::describe;
use crate::metrics;
use crate::report::Report;
use crate::rounds::measured;

pub(super) static FORMAT: Format = Format {
    name: "csv-parts",
    summary: "one line per part of an operation (request, statement), cell and round",
    render: Render::Run(render),
};

const PLACE: [&str; 9] = [
    "scenario",
    "runtime",
    "model",
    "concurrency",
    "rate_hz",
    "arrivals",
    "arm",
    "block",
    "part",
];

fn render(report: &Report<'_>) -> Result<Vec<File>, Error> {
    let metrics = metrics::of_part("").map(|metric| metric.name.to_string());
    let header = PLACE.map(str::to_owned).into_iter().chain(metrics);
    let mut text = line(header.chain(["statuses", "failures"].map(str::to_owned)));
    for (index, cell) in report.rounds.plan.cells.iter().enumerate() {
        for round in report.rounds.of_cell(index) {
            let Some(measured) = measured(round) else {
                continue;
            };
            for part in &measured.worker.parts {
                text += &line(fields(cell, round.block, &measured.worker, part));
            }
        }
    }
    Ok(vec![File::text("parts.csv", text)])
}

fn fields(
    cell: &Cell,
    block: usize,
    round: &Measurement,
    part: &Part,
) -> impl Iterator<Item = String> {
    let [model, concurrency, rate_hz, arrivals] = load_fields(cell.load);
    let place = [
        cell.scenario.clone(),
        cell.runtime.clone(),
        model,
        concurrency,
        rate_hz,
        arrivals,
        cell.arm.map_or("", Arm::name).to_owned(),
        block.to_string(),
        part.name.clone(),
    ];
    let numbers = metrics::of_part(&part.name).map(|metric| number(metric.read(round)));
    let counts = [counts(&part.statuses), counts(&part.failures)];
    place.into_iter().chain(numbers).chain(counts)
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    let counts = counts.iter();
    describe::list(counts.map(|(key, count)| format!("{key}: {count}")), ", ")
}
