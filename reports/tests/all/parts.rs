//! Figures per part: they add up to the whole in every output.

use std::collections::BTreeMap;

use photofinish_record::{Outcome, Part, Record};
use photofinish_reports::compare::RecordComparison;
use photofinish_reports::formats;
use photofinish_reports::report::Report;
use photofinish_reports::summary::{PartSummary, Status, Summary};
use photofinish_reports::terminal::{self, Style};

use crate::fixtures::{self, each_measured, with_parts};

fn export(format: &str, record: &Record) -> String {
    let files = formats::export(format, &Report::of(record)).expect("a fixture renders");
    String::from_utf8(files[0].bytes.clone()).expect("UTF-8")
}

fn terminal_text(record: &Record, width: usize) -> String {
    let style = Style {
        width,
        colour: false,
    };
    terminal::render(&Report::of(record), style)
}

/// The whole line of the terminal's table that begins with the part and the runtime.
fn row(text: &str, part: &str, runtime: &str) -> String {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut lines = text.lines().map(words);
    let found = lines.find(|line| line.starts_with(&format!("{part} {runtime} ")));
    found.unwrap_or_else(|| panic!("no row of {part} under {runtime} in {text}"))
}

#[test]
fn parts_of_a_mix_add_up_to_its_operations() {
    // Every operation is one request, so that counts, failures and shares of the parts are those of the whole.
    for seed in 0..50 {
        let record = with_parts(seed);
        let summary = Summary::of(&record);
        for (index, cell) in summary.cells.iter().enumerate() {
            assert_eq!(cell.status, Status::Ok, "{:?}", cell.reason);
            let rounds = record.rounds.iter().filter(|round| round.cell == index);
            let (mut ops, mut failed, mut timed) = (0, 0, 0);
            for round in rounds {
                if let Outcome::Ok(measured) = &round.outcome {
                    ops += measured.worker.ops;
                    failed += measured.worker.failed_ops();
                    let parts = measured.worker.parts.iter();
                    timed += parts.map(|part| part.service.count()).sum::<u64>();
                }
            }
            let sum = |of: fn(&PartSummary) -> u64| -> u64 { cell.parts.iter().map(of).sum() };
            assert_eq!(sum(|part| part.count), ops + failed, "seed {seed}");
            assert_eq!(sum(|part| part.failed), failed, "seed {seed}");
            assert_eq!(sum(|part| part.statuses.values().sum()), ops + failed);
            assert_eq!(sum(|part| part.errors_by_kind.values().sum()), failed);
            assert_eq!(timed, ops, "seed {seed}");
            let shares: f64 = cell.parts.iter().map(|part| part.share).sum();
            assert!((shares - 1.0).abs() < 1e-9, "seed {seed}: {shares}");
        }
    }
}

#[test]
fn every_line_of_csv_and_openmetrics_counts_what_the_record_counts() {
    let record = with_parts(3);
    let csv = export("csv-parts", &record);
    let mut lines = csv.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let column = |name| {
        header
            .iter()
            .position(|column| *column == name)
            .expect("a column")
    };
    let (ops, errors) = (column("ops"), column("errors"));
    let (mut succeeded, mut failed) = (0, 0);
    for line in lines {
        // Only the last two fields may be quoted.
        let fields: Vec<&str> = line.split(',').collect();
        succeeded += fields[ops].parse::<u64>().expect("a count");
        failed += fields[errors].parse::<u64>().expect("a count");
    }
    let (mut expected, mut expected_failed) = (0, 0);
    let mut copy = record.clone();
    each_measured(&mut copy, |_, _, measured| {
        expected += measured.worker.ops;
        expected_failed += measured.worker.failed_ops();
    });
    assert_eq!((succeeded, failed), (expected, expected_failed));

    let text = export("openmetrics", &record);
    let total = |name: &str| -> f64 {
        let samples = text
            .lines()
            .filter(|line| line.starts_with(&format!("{name}{{")));
        let values = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
        values.sum()
    };
    assert_eq!(
        total("photofinish_part_statuses"),
        (expected + expected_failed) as f64
    );
    assert_eq!(total("photofinish_part_failures"), expected_failed as f64);
    assert!(
        text.contains("photofinish_part_service_p50_seconds{"),
        "{text}"
    );
}

#[test]
fn the_table_has_a_row_per_request_and_runtime_with_exact_counts() {
    // One round of known numbers: 90 of 100 requests are reads, and 5 of the writes fail.
    let mut record = with_parts(1);
    each_measured(&mut record, |_, _, measured| {
        let [read, write, login] = &mut measured.worker.parts[..] else {
            panic!("three parts")
        };
        let counts = |counts: &[(&str, u64)]| -> BTreeMap<String, u64> {
            counts
                .iter()
                .map(|(key, count)| ((*key).to_owned(), *count))
                .collect()
        };
        (read.succeeded, read.failed) = (90, 0);
        read.service = std::iter::repeat_n(1_000_000, 90).collect();
        (read.statuses, read.failures) = (counts(&[("200", 90)]), BTreeMap::new());
        (write.succeeded, write.failed) = (5, 5);
        write.service = std::iter::repeat_n(2_000_000, 5).collect();
        (write.statuses, write.failures) =
            (counts(&[("201", 5), ("503", 5)]), counts(&[("status", 5)]));
        *login = Part {
            name: login.name.clone(),
            ..Default::default()
        };
        measured.worker.elapsed_ns = 1_000_000_000;
    });
    let text = terminal_text(&record, 160);
    let line = row(&text, "GET /items", "tokio");
    let expected = "GET /items tokio 90% 540 90 1.00ms";
    assert!(line.starts_with(expected), "{line}");
    assert!(line.ends_with("– 200: 540"), "{line}");
    let line = row(
        &text,
        "POST /orders with a rather long description",
        "tokio",
    );
    assert!(line.contains(" 10% 60 5 "), "{line}");
    assert!(line.ends_with("status: 30 201: 30, 503: 30"), "{line}");
    let line = row(&text, "login", "tokio-current-thread");
    assert!(line.ends_with("0% 0 0 n/a n/a n/a – –"), "{line}");
    let page = crate::page(&record).replace('\u{a0}', " ");
    for cell in ["status: 30", "201: 30, 503: 30", "200: 540", ">login<"] {
        assert!(page.contains(cell), "{cell}");
    }
}

#[test]
fn eighty_columns_keep_request_runtime_and_the_slow_times() {
    let text = terminal_text(&with_parts(1), 80);
    let heading = text
        .lines()
        .find(|line| line.trim_start().starts_with("request"));
    let heading: Vec<&str> = heading.expect("a table").split_whitespace().collect();
    for column in ["request", "runtime", "p50", "p99"] {
        assert!(heading.contains(&column), "{heading:?}");
    }
}

#[test]
fn operations_with_one_part_or_none_have_no_table_of_requests() {
    let mut record = with_parts(1);
    each_measured(&mut record, |_, _, measured| {
        measured.worker.parts.truncate(1)
    });
    for record in [&record, &fixtures::tour()] {
        assert!(!terminal_text(record, 80).contains("request "));
        assert!(!crate::page(record).contains("aria-label=\"Requests\""));
    }
    assert_eq!(Summary::of(&record).cells[0].parts.len(), 1);
    assert_eq!(export("csv-parts", &fixtures::tour()).lines().count(), 1);
}

#[test]
fn a_record_whose_parts_do_not_add_up_is_refused() {
    let read = |change: fn(&mut Part)| {
        let mut record = with_parts(1);
        each_measured(&mut record, |cell, block, measured| {
            if (cell, block) == (1, 2) {
                change(&mut measured.worker.parts[1]);
            }
        });
        let json = serde_json::to_vec(&record).expect("JSON");
        Record::read(&json)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    assert_eq!(read(|_| ()), Ok(()));
    let refused = |change, reason: &str| {
        let error = read(change).expect_err(reason);
        assert!(
            error.starts_with("a round of cell 1 is wrong: expected "),
            "{error}"
        );
        assert!(error.contains(reason), "{error}");
    };
    refused(|part| part.succeeded += 1, "service times of the part");
    refused(|part| part.failed += 1, "failures by kind");
    refused(|part| part.name = "login".to_owned(), "`login` twice");
    refused(|part| part.name.clear(), "a name of 1 to 100 characters");
    refused(
        |part| part.statuses = BTreeMap::from([("99".to_owned(), 1)]),
        "three digits",
    );
    refused(
        |part| part.statuses = BTreeMap::from([("999".to_owned(), 1 << 50)]),
        "or fewer statuses",
    );
}

/// Goal: a comparison of two records shows the parts of both. Method: in the head, one part takes much longer.
#[test]
fn a_comparison_has_the_parts_of_both_records() {
    let base = with_parts(3);
    let mut head = base.clone();
    let mut slow = String::new();
    each_measured(&mut head, |_, _, measured| {
        let part = &mut measured.worker.parts[0];
        slow.clone_from(&part.name);
        part.service = (0..part.succeeded).map(|_| 6_000_000).collect();
    });
    let comparison = RecordComparison::of(&base, &head);
    for cell in &comparison.cells {
        assert_eq!(cell.parts.len(), 3, "{cell:#?}");
        for (name, metrics) in &cell.parts {
            let ratio = metrics["service_p50_ns"]
                .ratio
                .expect("positive values")
                .value;
            let expected = if *name == slow { 3.0..5.0 } else { 0.99..1.01 };
            assert!(expected.contains(&ratio), "{name}: {ratio}");
            assert!(metrics.contains_key("service_p99_ns") && metrics.len() == 2);
        }
    }
    let style = Style {
        width: 120,
        colour: false,
    };
    let text = terminal::comparison(&comparison, style);
    assert!(text.contains(&format!("{slow}: service_p50_ns")), "{text}");
}
