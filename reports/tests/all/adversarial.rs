//! Adversarial records: every sentence and number must follow from the record, and none may contradict another.
//!
//! Goal: what readers were misled by, and what damaged or edited records broke. Method: records made to provoke it,
//! rendered in every form and read back; then a thousand seeded mutants of records, of which each must end in an error
//! or in whole renderings.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use photofinish_record::latency::Latencies;
use photofinish_record::load::{Arrivals, Load, RateHz};
use photofinish_record::{
    Arm, ArmKind, ArmSource, Gate, GateTerm, Outcome, Part, PlannedServer, Record, Requirement,
};
use photofinish_reports::compare::RecordComparison;
use photofinish_reports::describe;
use photofinish_reports::everything::{everything, renderings};
use photofinish_reports::formats::{self, File};
use photofinish_reports::gate::{CheckVerdict, GateReport, GateVerdict, terms};
use photofinish_reports::report::Report;
use photofinish_reports::resolution::Resolution;
use photofinish_reports::rule::Verdict;
use photofinish_reports::summary::Summary;
use photofinish_reports::terminal::{self, Style};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr as _;

use crate::fixtures::{self, Random, Sweep, each_measured, fail};

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
fn one_bad_round_leaves_an_interval_and_what_a_verdict_would_need() {
    let record = one_bad_round();
    let text = run(&record, 120);
    // Eight pairs at 99 % have the range of all pairs as their interval, and one of them is off by a hundred.
    assert!(
        text.contains("interval") && !text.contains("spread"),
        "{text}"
    );
    let threads = text
        .lines()
        .find(|line| line.starts_with("  threads "))
        .expect("a row");
    assert!(
        threads.contains("×–") && threads.contains("inconclusive"),
        "{threads}"
    );
    assert!(
        flat(&text).contains("a decision needs a factor of"),
        "{text}"
    );
    let page = crate::page(&record);
    assert!(page.contains("<small>needs "), "an undecided row says it");
    let decided = crate::page(&ordinary(10));
    assert!(!decided.contains("<small>needs ") && !decided.contains("could have been"));
}

#[test]
fn verdicts_are_words_beside_ratios_and_left_out_without_verdicts() {
    let words = |rounds| {
        let page = crate::page(&ordinary(rounds));
        page.matches("<small class=\"word\"").count()
    };
    assert_eq!(words(2), 0);
    assert!(words(10) > 0);
}

#[test]
fn rounds_without_due_operations_are_not_wrong() {
    let record = nothing_due();
    let text = flat(&run(&record, 100));
    assert!(
        text.contains("no operation was due in 10 of 10 rounds"),
        "{text}"
    );
    assert!(!text.contains("invalid"), "{text}");
    for cell in Summary::of(&record).cells {
        assert_eq!(cell.reason, None);
    }
}

#[test]
fn times_beyond_a_minute_are_marked_as_lower_bounds_everywhere() {
    let record = longer_than_a_minute();
    let summary = Summary::of(&record);
    let longest = summary.cells[3]
        .metric("service_p999_ns")
        .expect("measured");
    assert!(longest.lower_bound && longest.advisory.is_some());
    let text = run(&record, 120);
    assert!(text.contains("≥ 60s"), "{text}");
    assert!(!text.contains("~60"), "{text}");
    assert!(crate::page(&record).contains("≥ 60s"));
    let text = flat(&text);
    let little = "mean service × throughput is 0.968 where 1.000 sessions were in flight";
    assert!(text.contains(little), "{text}");
    assert_eq!(text.matches("sessions were in flight").count(), 1, "{text}");
}

#[test]
fn ten_operations_give_no_percentile() {
    let text = run(&few_operations(), 120);
    let sync = text
        .lines()
        .find(|line| line.starts_with("  sync "))
        .expect("a row");
    assert_eq!(
        sync.matches(" –").count(),
        2,
        "p99 and p99.9 of two: {sync}"
    );
    let tokio = text
        .lines()
        .find(|line| line.starts_with("  tokio "))
        .expect("a row");
    assert_eq!(tokio.matches(" –").count(), 1, "p99.9 of ten: {tokio}");
    assert!(tokio.contains('~'), "p99 of ten is a hint: {tokio}");
    assert!(text.contains("– too few operations"), "{text}");
}

#[test]
fn throughput_follows_littles_law_as_printed() {
    // Half of the sessions have quick operations and end after a second, the others take three: 864/s are printed.
    let mut record = ordinary(1);
    each_measured(&mut record, |cell, _, measured| {
        let worker = &mut measured.worker;
        if cell > 0 {
            worker.service = (0..871)
                .map(|op| if op < 863 { 9_260_000 } else { 3_000_000_000 })
                .collect();
            (worker.ops, worker.sessions) = (871, 16);
            worker.elapsed_ns = 3_000_757_245;
            worker.session_ns = 8 * 1_000_000_000 + 8 * 3_000_757_245;
            worker.throughput_ops_s = 864.0;
        }
    });
    let text = flat(&run(&record, 100));
    assert!(
        text.contains("(and 2 more cells): mean service × throughput is")
            && text.contains("where 16.0 sessions"),
        "{text}"
    );
    assert!(!flat(&run(&ordinary(10), 100)).contains("mean service"));
}

#[test]
fn charts_name_omitted_and_pooled_cells() {
    let record = few_operations();
    for chart in crate::charts(&record) {
        if chart.file_stem.ends_with(".latency") {
            assert!(chart.svg.contains("all rounds together"), "{}", chart.svg);
        }
        // A card names the best runtime of each row.
        for runtime in RUNTIMES.into_iter().filter(|_| !chart.is_card) {
            assert!(
                chart.svg.contains(runtime),
                "{runtime} in {}",
                chart.file_stem
            );
        }
    }
    let mut mixed = ordinary(8);
    each_measured(&mut mixed, |cell, _, measured| {
        if cell < 2 {
            measured.worker.service = [5_000_000, 6_000_000].into_iter().collect();
        }
    });
    let charts = crate::charts(&mixed);
    let latency = charts
        .iter()
        .find(|chart| chart.file_stem.ends_with(".latency"));
    let latency = &latency.expect("two runtimes have enough").svg;
    assert!(
        latency.contains("; not shown, for lack of numbers: sync, threads"),
        "{latency}"
    );
    assert!(latency.contains("(discontinued)"), "{latency}");
}

#[test]
fn a_search_chart_is_filled_where_its_table_says_met() {
    let record = fixtures::search();
    let charts = crate::charts(&record);
    let chart = charts
        .iter()
        .find(|chart| chart.file_stem.ends_with("load-latency"));
    let chart = &chart.expect("a curve").svg;
    assert!(chart.contains("hollow: objective not met"), "{chart}");
    for result in &record.search.as_ref().expect("a search").results {
        let met = result
            .highest_hz
            .map(photofinish_reports::units::per_second);
        let met = met.unwrap_or("no rate".to_owned());
        assert!(
            chart.contains(&format!("{} met {met}", result.runtime)),
            "{} {met}: {chart}",
            result.runtime
        );
    }
    let text = flat(&run(&record, 100));
    assert!(text.contains("at most 5% apart") && text.contains("No verdict compares the rates"));
}

#[test]
fn a_gate_words_a_throughput_slowdown_unambiguously() {
    let record = gate(10, 1.34);
    let gate = GateReport::of(&record).expect("a gate");
    let style = Style {
        width: 120,
        colour: false,
    };
    let text = terminal::gate(&gate, style);
    assert!(text.contains("0.427×") && text.contains("+134%"), "{text}");
    let found = gate.checks.iter().map(describe::gate_finding);
    let found: Vec<String> = found.collect();
    assert!(found[0].starts_with("is 2.34× the base ("), "{found:?}");
    assert!(
        found[1].starts_with("is 0.427× the base: +134% time per operation ("),
        "{found:?}"
    );
    assert!(!text.contains("worse by"), "{text}");
}

#[test]
fn a_disturbed_gate_says_how_many_blocks_were_redone() {
    let reason = |redone| {
        let gate = GateReport::of(&disturbed_gate(redone)).expect("a gate");
        gate.reason
    };
    assert!(
        reason(5).contains("10 of 10 blocks were disturbed (5 redone, in vain)"),
        "{}",
        reason(5)
    );
    assert!(
        reason(0).contains("10 of 10 blocks were disturbed (none redone)"),
        "{}",
        reason(0)
    );
    assert!(!flat(&run(&disturbed_gate(0), 100)).contains("redone"));
}

/// Goal: a limit on a part is judged by the part. Method: one of two parts takes twice as long, the whole operation does not.
#[test]
fn a_gate_limits_the_times_of_a_part() {
    let mut record = gate(16, 0.0);
    each_measured(&mut record, |cell, _, measured| {
        let part = |name: &str, time_ns: u64| Part {
            name: name.to_owned(),
            succeeded: 20_000,
            service: (0..20_000).map(|_| time_ns).collect(),
            ..Part::default()
        };
        let times = [1_000_000, 1_000_000 * (1 + cell as u64)];
        measured.worker.elapsed_ns = 1_000_000_000;
        measured.worker.parts = vec![part("log in", times[0]), part("a.b", times[1])];
    });
    let gate = record.plan.gate.as_mut().expect("a gate");
    let like = gate.terms[0].clone();
    let names = [
        "log in.service_p50",
        "a.b.service_p50",
        "a.b.service_p99.5",
        "log in.throughput",
    ];
    let terms = names.map(|name| {
        let term = terms::parse(&format!("request.{name}"), "10%").expect("a term");
        GateTerm {
            metric: term.metric,
            ..like.clone()
        }
    });
    gate.terms = terms.to_vec();
    let gate = GateReport::of(&record).expect("a gate");
    let checks = gate
        .checks
        .iter()
        .map(|check| (check.metric.as_str(), check.verdict));
    let [pass, regression] = [CheckVerdict::Pass, CheckVerdict::Regression];
    let expected = [
        ("request.a.b.service_p50_ns", regression),
        ("request.a.b.service_p99.5_ns", regression),
        ("request.log in.service_p50_ns", pass),
        ("request.log in.throughput_ops_s", pass),
    ];
    assert_eq!(BTreeMap::from_iter(checks), BTreeMap::from(expected));
    let style = Style {
        width: 120,
        colour: false,
    };
    let text = terminal::gate(&gate, style);
    assert!(text.contains("request.a.b.service_p99.5"), "{text}");
    assert!(terms::parse("request.log in.response_p99", "10%").is_err());
}

/// Goal: a limit on a part's errors counts that part alone, and the scenario's budget is checked first. Method: 2 % of the runs
/// of one part fail, and either every operation succeeds (a retry helped) or 2 % fail.
#[test]
fn a_gate_limits_the_errors_of_a_part_within_the_budget() {
    let gated = |budget: f64, operations_fail: bool| {
        let mut record = gate(16, 0.0);
        record.plan.scenarios[0].error_budget = budget;
        each_measured(&mut record, |_, _, measured| {
            let part = |name: &str, failed: u64| Part {
                name: name.to_owned(),
                succeeded: 100 - failed,
                failed,
                ..Part::default()
            };
            measured.worker.parts = vec![part("log in", 2), part("buy", 0)];
            if operations_fail {
                let failed = measured.worker.ops / 49;
                fail(&mut measured.worker, "status", failed);
            }
        });
        let gate = record.plan.gate.as_mut().expect("a gate");
        let like = gate.terms[0].clone();
        let limits = [
            ("log in", "< 2%"),
            ("log in", "2%"),
            ("buy", "0"),
            ("gone", "0"),
        ];
        let terms = limits.map(|(part, text)| {
            let term = terms::parse(&format!("request.\"{part}\".errors"), text).expect("a term");
            GateTerm {
                metric: term.metric,
                requirement: term.requirement,
                ..like.clone()
            }
        });
        gate.terms = terms.to_vec();
        GateReport::of(&record).expect("a gate")
    };
    let [regression, inconclusive, pass] = [
        CheckVerdict::Regression,
        CheckVerdict::Inconclusive,
        CheckVerdict::Pass,
    ];
    for (budget, operations_fail, expected) in [
        (0.0, false, GateVerdict::Regression),
        (0.05, true, GateVerdict::Regression),
        (0.0, true, GateVerdict::Wrong),
    ] {
        let gate = gated(budget, operations_fail);
        assert_eq!(gate.verdict, expected, "{}", gate.reason);
        let checks = gate.checks.iter();
        let checks = checks.map(|check| (&*check.metric, check.verdict, check.reason.as_deref()));
        let expected = [
            (
                "request.log in.errors",
                regression,
                Some("32 of 1600 runs of `log in` failed"),
            ),
            (
                "request.gone.errors",
                inconclusive,
                Some("the head completed 0 runs of `gone`"),
            ),
            (
                "request.log in.errors",
                pass,
                Some("32 of 1600 runs of `log in` failed"),
            ),
            (
                "request.buy.errors",
                pass,
                Some("0 of 1600 runs of `buy` failed"),
            ),
        ];
        assert_eq!(checks.collect::<Vec<_>>(), expected);
    }
    let text = terminal::gate(
        &gated(0.05, true),
        Style {
            width: 120,
            colour: false,
        },
    );
    assert!(text.contains("request.log in.errors"), "{text}");
    assert!(text.contains("2%"), "{text}");
}

#[test]
fn a_comparison_reports_failures_and_its_confidence() {
    let compared = |base: &Record, head: &Record| {
        let style = Style {
            width: 120,
            colour: false,
        };
        flat(&terminal::comparison(
            &RecordComparison::of(base, head),
            style,
        ))
    };
    let text = compared(&ordinary(3), &ordinary(3));
    assert!(
        text.contains("confidence is 90% over 3 and 3 rounds"),
        "{text}"
    );
    assert!(!text.contains("exact 99%"), "{text}");
    let text = compared(&ordinary(1), &ordinary(1));
    assert!(
        text.contains("a single round of each has no interval"),
        "{text}"
    );
    assert!(!text.contains("×–"), "{text}");
    let text = compared(&ordinary(8), &all_failed());
    assert!(
        text.contains(
            "failed: 0 of 160k operations of the base, 4.00k of 4.00k operations of the head"
        ),
        "{text}"
    );
}

#[test]
fn bounds_are_exported_only_with_the_confidence_that_readers_expect() {
    let exported = |rounds: usize, format: &str| {
        let record = ordinary(rounds);
        let files = formats::export(format, &Report::of(&record)).expect("a fixture");
        String::from_utf8(files[0].bytes.clone()).expect("UTF-8")
    };
    for (format, bound) in [
        ("bmf", "lower_value"),
        ("openmetrics", "estimate=\"low\""),
        ("github-action-benchmark", "\"range\""),
    ] {
        assert!(!exported(1, format).contains(bound), "{format}");
        assert!(!exported(5, format).contains(bound), "{format}");
        assert!(exported(6, format).contains(bound), "{format}");
    }
    assert!(exported(1, "hgrm").contains("milliseconds"));
}

#[test]
fn csv_has_the_status_of_the_cell_and_no_formula() {
    let mut record = ordinary(2);
    record.plan.cells[1].runtime = "=1+1".to_owned();
    each_measured(&mut record, |cell, block, measured| {
        if cell == 2 && block == 0 {
            fail(&mut measured.worker, "timeout", 900);
        }
    });
    let files = formats::export("csv", &Report::of(&record)).expect("a fixture");
    let csv = String::from_utf8(files[0].bytes.clone()).expect("UTF-8");
    let of_cell = |runtime: &str| csv.lines().filter(|line| line.contains(runtime)).count();
    assert_eq!(of_cell(",'=1+1,"), 2, "{csv}");
    let invalid = csv.lines().filter(|line| line.contains("async-std"));
    assert!(
        invalid.clone().all(|line| line.contains(",invalid,")),
        "{csv}"
    );
    assert_eq!(invalid.count(), 2);
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
fn fewer_than_two_cells_have_no_resolution() {
    for cells in [0, 1] {
        let mut record = ordinary(2);
        record.plan.cells.truncate(cells);
        assert_eq!(Resolution::of(&record.plan, &record.rounds), None);
    }
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

/// What `change` makes of a record's JSON when it is read.
fn read(record: &Record, change: impl FnOnce(&mut Value)) -> Result<Record, String> {
    let mut value = serde_json::to_value(record).expect("a record");
    change(&mut value);
    let bytes = serde_json::to_vec(&value).expect("JSON");
    Record::read(&bytes).map_err(|error| error.to_string())
}

#[test]
fn records_are_validated_when_read() {
    let record = gate(10, 0.0);
    read(&record, |_| {}).expect("unchanged");
    let throughput = "/rounds/0/outcome/worker/throughput_ops_s";
    for (pointer, value, expected) in [
        ("/rounds/0/block", json!(u64::MAX), "beyond any measurement"),
        (
            "/rounds/0/block",
            json!(1_000_000_000),
            "a round is of block 1000000000, and there are 10",
        ),
        (
            "/rounds/0/cell",
            json!(2),
            "a round is of cell 2, and there are 2",
        ),
        (
            "/plan/blocks/0/0",
            json!(9),
            "a block has cell 9, and there are 2",
        ),
        (
            "/plan/cells/0/scenario",
            json!("x"),
            "the scenario `x`, which is not in the plan",
        ),
        (
            throughput,
            json!(5e-324),
            "5e-324 is beyond any measurement",
        ),
        (
            throughput,
            json!(-1e300),
            "-1e300 is beyond any measurement",
        ),
        (
            "/rounds/0/outcome/worker/ops",
            json!(1_u64 << 60),
            "beyond any measurement",
        ),
        (
            "/schema",
            json!("photofinish-record/0"),
            "its schema is `photofinish-record/0`",
        ),
    ] {
        let change = |document: &mut Value| {
            *document.pointer_mut(pointer).expect(pointer) = value.clone();
        };
        let error = read(&record, change).expect_err(pointer);
        assert!(error.contains(expected), "{pointer}: {error}");
        assert!(!error.contains('\n'), "one sentence: {error}");
    }
    read(&record, |document| document["seed"] = json!(u64::MAX)).expect("any seed");
    for fixture in fixtures::all() {
        let mut record = fixture.1.clone();
        record.plan.blocks.resize(40, Vec::new());
        read(&record, |_| {}).expect(fixture.0);
    }
}

#[test]
fn every_histogram_has_a_finite_curve() {
    // One value, 2^63 − 1 times: HdrHistogram V2, its one count in nine bytes of ZigZag LEB128.
    let mut counts = vec![0x1c, 0x84, 0x93, 0x13];
    let payload: &[u8] = &[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f];
    counts.extend(u32::try_from(payload.len()).expect("nine").to_be_bytes());
    counts.extend([0, 0, 0, 0, 0, 0, 0, 3]);
    counts.extend(1_u64.to_be_bytes());
    counts.extend(60_000_000_000_u64.to_be_bytes());
    counts.extend(1.0_f64.to_be_bytes());
    counts.extend(payload);
    let text = base64(&counts);
    let record = read(&ordinary(2), |document| {
        for round in document["rounds"].as_array_mut().expect("rounds") {
            round["outcome"]["worker"]["service"] = json!(text);
        }
    });
    let record = record.expect("a valid histogram");
    assert!(renderings(&record, false).len() > 20);
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0_usize, |bits, index| {
            bits << 8 | usize::from(*chunk.get(index).unwrap_or(&0))
        });
        for digit in 0..4 {
            let letter = ALPHABET[bits >> (18 - 6 * digit) & 63];
            text.push(if digit <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}

/// Every place in a document, as a pointer.
fn pointers(value: &Value, prefix: &str, all: &mut Vec<String>) {
    all.push(prefix.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{prefix}/{index}"), all);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                let name = name.replace('~', "~0").replace('/', "~1");
                pointers(member, &format!("{prefix}/{name}"), all);
            }
        }
        _ => {}
    }
}

/// Another value in the place of this one.
fn mutated(value: &Value, random: &mut Random) -> Value {
    let pick = |count: usize, random: &mut Random| (random.uniform() * count as f64) as usize;
    let numbers = [
        json!(0),
        json!(1),
        json!(-1),
        json!(7),
        json!(1_u64 << 53),
        json!(u64::MAX),
        json!(5e-324),
        json!(1e-99),
        json!(0.5),
        json!(1e99),
        json!(1e308),
    ];
    let strings = [
        "",
        "\u{1b}[2J",
        "=1+1",
        "<b>",
        "`",
        "closed",
        "2026",
        "x/../y",
        "HISTF",
    ];
    match value {
        Value::Number(_) => numbers[pick(numbers.len(), random)].clone(),
        Value::String(_) => match pick(strings.len() + 1, random) {
            index if index < strings.len() => json!(strings[index]),
            _ => json!("é\u{202e}".repeat(2_500)),
        },
        Value::Bool(flag) => json!(!flag),
        Value::Null => numbers[pick(numbers.len(), random)].clone(),
        Value::Array(items) => {
            let mut items = items.clone();
            match pick(3, random) {
                0 => items.clear(),
                1 => items.reverse(),
                _ => items.extend_from_within(..),
            }
            Value::Array(items)
        }
        Value::Object(members) => {
            let mut members = members.clone();
            let names: Vec<String> = members.keys().cloned().collect();
            if !names.is_empty() {
                members.remove(&names[pick(names.len(), random)]);
            }
            Value::Object(members)
        }
    }
}

#[test]
fn a_thousand_mutated_records_are_refused_or_rendered_completely() {
    let small = |runtimes: &[&str]| {
        let sweep = Sweep {
            concurrency: &[4],
            rounds: 2,
            operation_ns: 420_000.0,
            ops: 30,
        };
        fixtures::of(sweep, runtimes)
    };
    let mut gate = gate(2, 0.5);
    gate.plan.looks = vec![2];
    let mut open = nothing_due();
    open.plan.blocks.truncate(2);
    open.rounds.retain(|round| round.block < 2);
    let documents = [
        small(&["sync", "tokio"]),
        gate,
        open,
        fixtures::search_cut_short(),
    ];
    let documents = documents.map(|mut record| {
        record.dependencies.clear();
        record.plan.blocks.resize(3, Vec::new());
        serde_json::to_value(record).expect("a record")
    });
    let places = documents.each_ref().map(|document| {
        let mut all = Vec::new();
        pointers(document, "", &mut all);
        all
    });
    let (mut random, mut loaded) = (Random(20_261_127), 0);
    let start = Instant::now();
    for mutant in 0..1_000 {
        let which = mutant % documents.len();
        let mut document = documents[which].clone();
        let mut changes = Vec::new();
        for _ in 0..1 + mutant / 400 {
            let place = &places[which][(random.uniform() * places[which].len() as f64) as usize];
            if let Some(value) = document.pointer_mut(place) {
                *value = mutated(value, &mut random);
                changes.push(place.clone());
            }
        }
        let bytes = serde_json::to_vec(&document).expect("JSON");
        let before = Instant::now();
        if let Ok(files) = everything(&bytes, false) {
            loaded += 1;
            let size: usize = files.iter().map(|file| file.bytes.len()).sum();
            assert!(size < 50_000_000, "{changes:?}: {size} bytes");
        }
        assert!(before.elapsed() < Duration::from_secs(60), "{changes:?}");
    }
    assert!(loaded >= 200, "only {loaded} mutants could be read");
    assert!(start.elapsed() < Duration::from_secs(1_200));
}
