//! Adversarial records: every sentence and number must follow from the record, and none may contradict another.
//!
//! Goal: what readers were misled by, and what damaged or edited records broke. Method: records made to provoke it,
//! rendered in every form and read back (`cells`, `gates`); then a thousand seeded mutants of records, of which each must
//! end in an error or in whole renderings (`mutants`).

mod cells;
mod gates;
mod mutants;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use photofinish_record::latency::Latencies;
use photofinish_record::load::{Arrivals, Load, RateHz};
use photofinish_record::{
    Arm, ArmKind, ArmSource, Gate, GateTerm, Outcome, PlannedServer, Record, Requirement,
};
use photofinish_reports::everything::renderings;
use photofinish_reports::formats::{self, File};
use photofinish_reports::report::Report;
use photofinish_reports::rule::Verdict;
use photofinish_reports::summary::Summary;
use photofinish_reports::terminal::{self, Style};
use unicode_width::UnicodeWidthStr as _;

use crate::fixtures::{self, Sweep, each_measured, fail};

const RUNTIMES: [&str; 4] = ["sync", "threads", "async-std", "tokio"];

fn ordinary(rounds: usize) -> Record {
    let sweep = Sweep {
        concurrency: &[16],
        rounds,
        operation_ns: 420_000.0,
        ops: 20_000,
    };
    fixtures::of(sweep, &RUNTIMES)
}

/// Records that mislead, by name.
pub(crate) fn records() -> Vec<(&'static str, Record)> {
    let mut all = vec![
        ("one bad round of eight", one_bad_round()),
        ("two rounds", ordinary(2)),
        ("nothing due", nothing_due()),
        ("longer than a minute", longer_than_a_minute()),
        ("all failed", all_failed()),
        ("equal rounds", equal_rounds()),
        ("tiny and huge", tiny_and_huge()),
        ("few operations", few_operations()),
        ("long names", renamed(&"x".repeat(5_000))),
        ("long words", renamed(&"word ".repeat(1_000))),
        ("no names", renamed("")),
        (
            "escapes",
            renamed("\u{1b}[2J\u{1b}]0;pwned\u{7}\r\n`::error::`"),
        ),
        ("gate", gate(10, 0.0)),
        ("slower gate", gate(10, 1.34)),
        ("disturbed gate, 5 redone", disturbed_gate(5)),
        ("disturbed gate, none redone", disturbed_gate(0)),
        ("search", fixtures::search()),
        ("thresholds", fixtures::thresholds()),
        ("parts", fixtures::with_parts(5)),
    ];
    for (_, record) in &mut all {
        record.plan.blocks.resize(40, Vec::new());
    }
    all
}

fn one_bad_round() -> Record {
    let mut record = ordinary(8);
    each_measured(&mut record, |cell, block, measured| {
        if cell > 0 && block == 3 {
            measured.worker.throughput_ops_s /= 100.0;
        }
    });
    record
}

/// An open load so slow that no arrival falls into its rounds.
fn nothing_due() -> Record {
    let mut record = fixtures::open_loads();
    let rate_hz = RateHz::new(0.1).expect("a positive literal");
    for cell in &mut record.plan.cells {
        let concurrency = cell.load.concurrency();
        let arrivals = Arrivals::Poisson;
        cell.load = Load::Open {
            arrivals,
            rate_hz,
            concurrency,
        };
    }
    record.plan.cells.truncate(4);
    record.plan.blocks = vec![vec![0, 1, 2, 3]; 10];
    record.rounds.retain(|round| round.cell < 4);
    each_measured(&mut record, |_, _, measured| {
        let worker = &mut measured.worker;
        worker.ops = 0;
        worker.throughput_ops_s = 0.0;
        worker.service = Latencies::default();
        worker.observed = BTreeMap::new();
        let open = worker.open.as_mut().expect("an open load");
        (open.scheduled, open.started_in_time, open.late) = (0, 0, 0);
        (open.unfinished, open.unsent, open.rate_held) = (0, 0, true);
        for times in [
            &mut open.response,
            &mut open.lag,
            &mut open.overdue,
            &mut open.pacing_error,
        ] {
            *times = Latencies::default();
        }
    });
    record
}

fn longer_than_a_minute() -> Record {
    let mut record = ordinary(3);
    each_measured(&mut record, |_, _, measured| {
        let worker = &mut measured.worker;
        worker.service = (0..1_000)
            .map(|op| if op < 2 { 62_000_000_000 } else { 1_000_000 })
            .collect();
        worker.ops = 1_000;
        // One session: 0.998 s of quick operations, then twice 62 s.
        worker.sessions = 1;
        worker.elapsed_ns = 124_998_000_000;
        worker.session_ns = worker.elapsed_ns;
        worker.throughput_ops_s = 1_000.0 / 124.998;
    });
    record
}

fn all_failed() -> Record {
    let mut record = ordinary(8);
    record.plan.scenarios[0].error_budget = 1.0;
    each_measured(&mut record, |cell, _, measured| {
        let worker = &mut measured.worker;
        if cell == 1 {
            (worker.ops, worker.throughput_ops_s) = (0, 0.0);
            worker.service = Latencies::default();
            worker.errors = BTreeMap::new();
            fail(worker, "status", 500);
            worker.throughput_ops_s = 0.0;
        }
    });
    record
}

fn equal_rounds() -> Record {
    let mut record = ordinary(8);
    let mut of_cell = BTreeMap::new();
    each_measured(&mut record, |cell, _, measured| {
        let first = of_cell.entry(cell).or_insert_with(|| measured.clone());
        *measured = first.clone();
    });
    record
}

fn tiny_and_huge() -> Record {
    let mut record = ordinary(8);
    each_measured(&mut record, |cell, _, measured| {
        let worker = &mut measured.worker;
        worker.throughput_ops_s = [1e-99, 1e99, 0.0, 1e-9][cell];
        worker.elapsed_ns = [0, 1 << 53, 1, 1][cell];
        worker.cost.cpu_user_ns = Some([0, 1 << 53, 0, 1][cell]);
        worker.cost.peak_rss_bytes = Some([0, 1 << 53, 0, 1][cell]);
        worker.gauges = BTreeMap::from([("gauge".to_owned(), [-1e99, 1e99, 0.0, 1e-99][cell])]);
    });
    record
}

/// Ten operations a round, and two of the first runtime.
fn few_operations() -> Record {
    let mut record = ordinary(8);
    each_measured(&mut record, |cell, _, measured| {
        let worker = &mut measured.worker;
        worker.ops = if cell == 0 { 2 } else { 10 };
        worker.service = (0..worker.ops).map(|op| (op + 1) * 2_000_000).collect();
    });
    record
}

/// A record in which every name and sentence is this one.
fn renamed(name: &str) -> Record {
    let mut record = ordinary(2);
    let scenario = &mut record.plan.scenarios[0];
    for text in [
        &mut scenario.name,
        &mut scenario.title,
        &mut scenario.class,
        &mut scenario.workload,
        &mut scenario.operation,
    ] {
        *text = name.to_owned();
    }
    let server = PlannedServer::External {
        url: name.to_owned(),
        software: Some(name.to_owned()),
        address: None,
        tls: None,
        cpus: None,
    };
    scenario.servers = BTreeMap::from([(name.to_owned(), server)]);
    for (index, cell) in record.plan.cells.iter_mut().enumerate() {
        cell.scenario = name.to_owned();
        cell.runtime = format!("{name}{index}");
    }
    record.plan.cells[3].unsupported = Some(name.to_owned());
    record.plan.reference = Some(name.to_owned());
    record.plan.suite = Some(name.to_owned());
    record.plan.runtimes = BTreeMap::new();
    record.warnings = vec![name.to_owned()];
    record.command_line = vec![name.to_owned()];
    (record.id, record.started_utc) = (name.to_owned(), name.to_owned());
    for round in &mut record.rounds {
        round.conditions.disturbance = Some(name.to_owned());
        if round.cell == 2 {
            round.outcome = Outcome::Failed {
                reason: name.to_owned(),
            };
        }
    }
    each_measured(&mut record, |cell, _, measured| {
        measured.worker.gauges = BTreeMap::from([(name.to_owned(), 1.0)]);
        measured.worker.observed =
            BTreeMap::from([(name.to_owned(), [1, 2].into_iter().collect())]);
        if cell == 1 {
            measured.mismatches.push(name.to_owned());
        }
        fail(&mut measured.worker, name, 2);
    });
    record
}

/// Both arms of a gate, the head slower by this share.
pub(crate) fn gate(rounds: usize, slowdown: f64) -> Record {
    let sweep = Sweep {
        concurrency: &[1],
        rounds,
        operation_ns: 100_000.0,
        ops: 20_000,
    };
    let mut record = fixtures::of(sweep, &["tokio", "tokio"]);
    record.plan.cells[0].arm = Some(Arm::Base);
    record.plan.cells[1].arm = Some(Arm::Head);
    let source = |what: &str| ArmSource {
        kind: ArmKind::Server,
        what: what.to_owned(),
        identity: None,
        sha256: None,
    };
    let term = |metric: &str| GateTerm {
        scenario: "http-get".to_owned(),
        metric: metric.to_owned(),
        requirement: Requirement::Slowdown { limit: 0.1 },
        text: format!("{metric} = 10%"),
        place: None,
    };
    record.plan.gate = Some(Gate {
        base: source("./old"),
        head: source("./new"),
        tolerance: 0.02,
        terms: ["throughput_ops_s", "service_p50_ns"].map(term).to_vec(),
        content_may_differ: false,
    });
    record.plan.looks = vec![10, 16, 24, 40];
    each_measured(&mut record, |cell, block, measured| {
        let noise = 1.0 + 0.01 * (block % 3) as f64;
        let slower = if cell == 1 { 1.0 + slowdown } else { 1.0 };
        measured.worker.throughput_ops_s = 5_540.0 * noise / slower;
        let time_ns = (180_000.0 * slower / noise) as u64;
        measured.worker.service = (0..20_000).map(|_| time_ns).collect();
    });
    record
}

/// A gate whose every block is disturbed, the first ones redone.
fn disturbed_gate(redone: usize) -> Record {
    let mut record = gate(10, 0.0);
    for round in &mut record.rounds {
        round.conditions.disturbance = Some("other processes used 40% of the CPUs".to_owned());
    }
    let mut again: Vec<_> = record.rounds.clone();
    again.retain(|round| round.block < redone);
    for round in &mut again {
        round.attempt = 1;
    }
    record.rounds.extend(again);
    record
}

fn texts(files: &[File]) -> impl Iterator<Item = (&str, &str)> {
    let text = |file: &File| !file.name.ends_with(".png");
    let files = files.iter().filter(move |file| text(file));
    files.map(|file| {
        let text = std::str::from_utf8(&file.bytes).expect("UTF-8");
        (file.name.as_str(), text)
    })
}

fn run(record: &Record, width: usize) -> String {
    let style = Style {
        width,
        colour: false,
    };
    terminal::render(&Report::of(record), style)
}

/// A text without its line breaks and indents.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn no_rendering_of_an_adversarial_record_has_what_misleads_or_breaks_a_terminal() {
    for (name, record) in &records() {
        let bitmaps = ["tiny and huge", "long names"].contains(name);
        for (file, text) in texts(&renderings(record, bitmaps)) {
            let place = format!("{file} of {name}");
            // Scripts and data blocks are at the end.
            let shown = text.split("<script").next().unwrap_or_default();
            for wrong in ["NaN", " inf ", " inf\n", ">inf", "-inf", "inf×"] {
                assert!(!shown.contains(wrong), "{wrong} in {place}");
            }
            // The one format whose readers want it has one number after it.
            let is_theirs = file.ends_with("-is-better.json");
            assert!(is_theirs || !text.contains('±'), "± in {place}");
            assert!(text.len() < 4_000_000, "{place}: {} bytes", text.len());
            let Some(width) = file
                .strip_suffix(".txt")
                .and_then(|stem| stem.rsplit('.').next())
            else {
                continue;
            };
            let Ok(width) = width.parse::<usize>() else {
                continue;
            };
            for line in text.lines() {
                assert!(
                    line.width() <= width,
                    "{place}: {} wide: {line}",
                    line.width()
                );
                assert!(!line.contains(char::is_control), "{place}: {line:?}");
            }
        }
    }
}

#[test]
fn the_smallest_callable_difference_never_contradicts_a_verdict() {
    let mut decided = 0;
    for (name, record) in records().iter().chain(fixtures::all()) {
        let summary = Summary::of(record);
        let cells = summary.cells.iter();
        for comparison in cells.flat_map(|cell| cell.comparisons.values()) {
            let Some(share) = comparison.smallest_callable else {
                assert_eq!(comparison.verdict, None, "{name}");
                continue;
            };
            let ratio = comparison.ratio.value;
            let difference = ratio.max(ratio.recip()) - 1.0;
            match comparison.verdict {
                Some(Verdict::Faster | Verdict::Slower) => {
                    decided += 1;
                    assert!(share <= difference * 1.000_001, "{name}: {comparison:?}");
                }
                _ => assert!(share >= difference * 0.999_999, "{name}: {comparison:?}"),
            }
        }
    }
    assert!(decided > 20, "{decided}");
}

#[test]
fn a_run_against_a_target_does_not_claim_to_have_pinned_it() {
    let mut record = ordinary(2);
    record.plan.placement.server_cpus.clear();
    let target = |cpus| PlannedServer::External {
        url: "http://127.0.0.1:80/".to_owned(),
        software: None,
        address: None,
        tls: None,
        cpus,
    };
    for (cpus, place) in [
        (
            Some(vec![0, 1]),
            "worker on CPU 1; the server is not moved (CPUs 0-1)",
        ),
        (None, "worker on CPU 1; the server is not moved"),
    ] {
        let servers = BTreeMap::from([("http".to_owned(), target(cpus))]);
        record.plan.scenarios[0].servers = servers;
        assert!(
            crate::page(&record).contains(&format!("placement {place}<")),
            "{place}"
        );
        let files = formats::export("benchstat", &Report::of(&record)).expect("a fixture");
        let text = String::from_utf8_lossy(&files[0].bytes).into_owned();
        assert!(text.contains(&format!("placement: {place}\n")), "{text}");
    }
}

#[test]
fn the_page_of_a_suite_has_its_title_and_its_commands_are_code() {
    let mut record = ordinary(2);
    record.plan.suite = Some("tour".to_owned());
    record.plan.title = Some("A short tour".to_owned());
    record.warnings = vec!["end it: `top` shows it".to_owned(), "a ` alone".to_owned()];
    let page = crate::page(&record);
    assert!(page.contains("<h1>A short tour</h1>") && page.contains("<title>A short tour, 20"));
    assert!(page.contains("end it: <code>top</code> shows it"));
    assert!(page.contains("a ` alone"));
}

#[test]
fn a_title_of_megabytes_is_truncated_quickly() {
    let mut record = ordinary(2);
    record.plan.scenarios[0].title = "A".repeat(3_000_000);
    record.warnings = vec!["b c".repeat(1_000_000)];
    let start = Instant::now();
    let text = run(&record, 80);
    assert!(start.elapsed() < Duration::from_secs(20));
    assert!(text.len() < 20_000 && text.contains('…'), "{}", text.len());
}
