//! The formats: each renders every fixture, and other programs read what comes out.

use photofinish_record::load::Load;
use photofinish_record::{Outcome, Record, Round};
use photofinish_reports::formats::{self, File};
use photofinish_reports::report::Report;
use photofinish_reports::summary::Summary;
use serde_json::Value;

use crate::json_schema::JsonSchema;
use crate::{fixtures, foreign};

fn render(format: &str, record: &Record) -> Vec<File> {
    formats::export(format, &Report::of(record)).expect("a fixture renders")
}

fn text(format: &str, record: &Record) -> String {
    let files = render(format, record);
    assert_eq!(files.len(), 1, "{format} is one file");
    String::from_utf8(files[0].bytes.clone()).expect("UTF-8")
}

#[test]
fn every_format_renders_every_record_into_plain_unique_file_names() {
    for (name, record) in fixtures::all() {
        let report = Report::of(record);
        for format in formats::of_runs() {
            let files = formats::export(format.name, &report)
                .unwrap_or_else(|error| panic!("{} of {name}: {error}", format.name));
            let mut names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
            names.sort_unstable();
            names.dedup();
            assert_eq!(names.len(), files.len(), "{} of {name}", format.name);
            for file in &files {
                let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
                assert!(
                    file.name.chars().all(plain),
                    "{} of {name}: {}",
                    format.name,
                    file.name
                );
                assert!(file.name.contains('.'), "{}", file.name);
            }
        }
    }
}

#[test]
fn the_summary_follows_its_schema() {
    let schema = include_str!("../../../docs/schemas/summary.schema.json");
    let schema = serde_json::from_str(schema).expect("JSON");
    let schema = JsonSchema::new(schema);
    for (name, record) in fixtures::all() {
        let document: Value = serde_json::from_str(&text("json", record)).expect("JSON");
        schema.check(&document, name);
    }
}

#[test]
fn the_summary_survives_json() {
    for (name, record) in fixtures::all() {
        let read: Summary = serde_json::from_str(&text("json", record)).expect("own output");
        assert!(read == Summary::of(record), "{name}");
    }
}

#[test]
fn csv_has_a_line_for_every_round_and_every_cell_without_one() {
    for (name, record) in fixtures::all() {
        let csv = text("csv", record);
        let without = (0..record.plan.cells.len())
            .filter(|cell| record.rounds.iter().all(|round| round.cell != *cell));
        // A line break inside quotes would be counted too; no fixture has one in what CSV shows.
        assert_eq!(
            csv.lines().count(),
            1 + record.rounds.len() + without.count(),
            "{name}"
        );
    }
}

#[test]
fn csv_quotes_what_would_break_a_line() {
    let hostile = fixtures::hostile();
    let csv = text("csv", &hostile);
    assert!(
        csv.contains("\"../<script>alert(1)</script>,\"\"x\"\"\",<b>sync</b>,closed,2,,,,0,ok,,2,"),
        "{csv}"
    );
}

#[test]
fn csv_tells_open_loads_from_closed_ones_and_has_every_metric_of_both() {
    let csv = text("csv", &fixtures::open_loads());
    let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().expect("a header");
    let field = |line: &[&str], name: &str| {
        let column = header.iter().position(|column| *column == name);
        line[column.expect("a column")].to_owned()
    };
    let sync: Vec<Vec<&str>> = lines.filter(|line| line[1] == "sync").collect();
    let (slow, fast) = (&sync[0], &sync[10]);
    let place =
        |line| ["model", "concurrency", "rate_hz", "arrivals"].map(|name| field(line, name));
    assert_eq!(place(slow), ["open", "64", "1000", "constant"]);
    assert_eq!(place(fast), ["open", "64", "6000", "poisson"]);
    assert_eq!(field(slow, "unsent"), "0");
    assert_ne!(field(fast, "unsent"), "0");
    for name in [
        "response_p99_ns",
        "lag_p99_ns",
        "probe_lag_p99_ns",
        "idle_task_bytes",
    ] {
        assert!(field(fast, name).parse::<f64>().is_ok(), "{name}");
    }
    let closed = text("csv", &fixtures::single());
    let line = closed.lines().nth(1).expect("a round");
    assert!(line.contains(",closed,1,,,,0,ok,"), "{line}");
}

#[test]
fn every_kind_of_time_of_an_open_load_is_exported() {
    let record = fixtures::open_loads();
    let names: Vec<String> = render("hgrm", &record)
        .into_iter()
        .map(|file| file.name)
        .collect();
    for ending in ["", ".response", ".lag"] {
        let name = format!("http-get.p6000.c64.sync{ending}.hgrm");
        assert!(names.contains(&name), "{name} is not among {names:?}");
        let tag = format!("Tag=http-get/sync/p6000.c64{ending},");
        assert_eq!(text("hlog", &record).matches(&tag).count(), 10, "{tag}");
    }
}

#[test]
fn a_log_has_a_line_for_every_measured_round_and_kind_of_time() {
    for (name, record) in fixtures::all() {
        let log = text("hlog", record);
        let lines: Vec<&str> = log
            .lines()
            .filter(|line| line.starts_with("Tag="))
            .collect();
        let kinds = |round: &Round| match record.plan.cells[round.cell].load {
            Load::Closed { .. } => 1,
            Load::Open { .. } => 3,
        };
        let measured = |round: &&Round| matches!(round.outcome, Outcome::Ok(_));
        let expected: usize = record.rounds.iter().filter(measured).map(kinds).sum();
        assert_eq!(lines.len(), expected, "{name}");
        assert!(
            lines
                .iter()
                .all(|line| line.split(',').count() == 5 && !line.contains(' ')),
            "{name}"
        );
    }
}

#[test]
fn a_log_without_a_start_time_is_an_error_that_names_it() {
    let record = Record {
        started_utc: "yesterday".to_owned(),
        ..fixtures::single()
    };
    let error = formats::export("hlog", &Report::of(&record)).expect_err("no time");
    assert!(error.to_string().contains("\"yesterday\""), "{error}");
}

/// Goal: another implementation reads the log and finds the same counts and percentiles, in the log and in the
/// distributions. Method: Python's `hdrhistogram` reads the log; its answers are compared number by number.
#[test]
fn another_implementation_of_hdrhistogram_finds_the_same_counts_and_percentiles() {
    let Some(python) = foreign::python("hdrh", "the package hdrhistogram") else {
        return;
    };
    let record = short_tour();
    let read = foreign::read(&python, READ_LOG, &render("hlog", &record));
    assert_eq!(read["start"], 1_795_199_263.25);
    let intervals = read["intervals"].as_array().expect("intervals");
    assert_eq!(intervals.len(), record.rounds.len());
    for (interval, round) in intervals.iter().zip(&record.rounds) {
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("all rounds of this fixture are measured")
        };
        let service = &measured.worker.service;
        let runtime = &record.plan.cells[round.cell].runtime;
        let scenario = &record.plan.cells[round.cell].scenario;
        assert_eq!(interval["tag"], format!("{scenario}/{runtime}/c64"));
        assert_eq!(interval["count"], service.count());
        for (quantile, found) in [0.5, 0.9, 0.99, 0.999, 1.0]
            .into_iter()
            .zip(interval["values"].as_array().expect("values"))
        {
            assert_eq!(
                found.as_u64(),
                service.quantile_ns(quantile),
                "{runtime} at {quantile}"
            );
        }
    }
    distributions_agree(&render("hgrm", &record), &read["counts"]);
}

/// Two rounds per cell are enough, since Python is slow. Their counts make every percentile fall on a whole sample:
/// implementations differ in how they round where it does not.
fn short_tour() -> Record {
    let mut record = fixtures::tour();
    record.rounds.retain(|round| round.block < 2);
    record
}

/// Our `.hgrm` files against the counts up to each value as Python has them for the same cells. The lines of the two
/// programs differ, since Python spaces its percentiles otherwise.
fn distributions_agree(files: &[File], counts: &Value) {
    assert_eq!(files.len(), counts.as_object().expect("by tag").len());
    for file in files {
        let parts: Vec<&str> = file.name.split('.').collect();
        let [scenario, load, runtime, "hgrm"] = parts[..] else {
            panic!("{}", file.name)
        };
        let counts = &counts[format!("{scenario}/{runtime}/{load}")];
        let lines = distribution(std::str::from_utf8(&file.bytes).expect("UTF-8"));
        assert!(lines.len() > 20, "{}", file.name);
        for [value_ms, quantile, count] in lines {
            let up_to = counts[format!("{:.0}", value_ms * 1e6)].as_f64();
            assert_eq!(up_to, Some(count), "{} at {value_ms} ms", file.name);
            let all = counts["all"].as_f64().expect("a count");
            assert!(
                count / all >= quantile - 1e-9,
                "{count} of {all} is below {quantile}"
            );
        }
    }
}

/// Value, percentile and count of each line.
fn distribution(text: &str) -> Vec<[f64; 3]> {
    let lines = text.lines().skip(2).filter(|line| !line.starts_with('#'));
    let number = |field: &str| field.parse().expect("a number");
    let fields = lines.map(|line| line.split_whitespace().map(number).take(3).collect());
    fields
        .map(|fields: Vec<f64>| fields.try_into().expect("three numbers"))
        .collect()
}

const READ_LOG: &str = r#"
import json, sys
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
make = lambda: HdrHistogram(1, 60_000_000_000, 3)
reader = HistogramLogReader(sys.argv[1], make())
intervals, cells = [], {}
while histogram := reader.get_next_interval_histogram():
    values = [histogram.get_value_at_percentile(p) for p in (50, 90, 99, 99.9, 100)]
    intervals.append({"tag": histogram.get_tag(), "count": histogram.get_total_count(), "values": values})
    cells.setdefault(histogram.get_tag(), make()).add(histogram)
counts = {}
for tag, cell in cells.items():
    counts[tag], total = {}, 0
    for item in cell.get_recorded_iterator():
        total += item.count_at_value_iterated_to
        counts[tag][str(cell.get_highest_equivalent_value(item.value_iterated_to))] = total
    counts[tag]["all"] = total
print(json.dumps({"start": reader.get_start_time_sec(), "intervals": intervals, "counts": counts}))
"#;
