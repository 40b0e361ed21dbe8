//! The summary: which cells have numbers, what they are compared with, and what is said against them.

use photofinish_record::{Outcome, Record};
use photofinish_reports::metrics::THROUGHPUT;
use photofinish_reports::report::Report;
use photofinish_reports::rule::Verdict;
use photofinish_reports::search_table::met_by_all;
use photofinish_reports::summary::{Comparison, Status, Summary};
use photofinish_reports::terminal::{self, Style};
use photofinish_reports::{formats, page};

use crate::fixtures::{self, Sweep, cell, each_measured};

/// Two runtimes, five blocks.
fn pair() -> Record {
    let sweep = Sweep {
        concurrency: &[8],
        rounds: 5,
        operation_ns: 1e6,
        ops: 4_000,
    };
    fixtures::of(sweep, &["threads", "tokio"])
}

fn throughput<'a>(summary: &'a Summary, runtime: &str) -> &'a Comparison {
    &cell(summary, runtime).comparisons[THROUGHPUT]
}

#[test]
fn handshakes_are_summed_over_rounds_and_shown_in_every_output() {
    let mut record = pair();
    let none = Summary::of(&record);
    assert!(none.cells.iter().all(|cell| cell.handshakes.is_none()));
    each_measured(&mut record, |cell, _, measured| {
        let traffic = measured.worker.traffic.get_mut("http").expect("traffic");
        traffic.full_handshakes = 3;
        traffic.resumed_handshakes = [0, 2_000][cell];
    });
    let summary = Summary::of(&record);
    let counts = |runtime| {
        let counts = cell(&summary, runtime).handshakes.expect("counts");
        (counts.full, counts.resumed)
    };
    assert_eq!(
        (counts("threads"), counts("tokio")),
        ((15, 0), (15, 10_000))
    );
    let report = Report::of(&record);
    let style = Style {
        width: 200,
        colour: false,
    };
    let opening = "TLS handshakes, warm-up included: ";
    for output in [terminal::render(&report, style), page::page(&report)] {
        let rest = output.split(opening).nth(1).expect("a sentence");
        let sentence = rest.split(['<', '\n']).next().unwrap_or_default();
        assert!(
            sentence.contains("threads 15 full and 0 resumed"),
            "{sentence}"
        );
        assert!(sentence.contains("tokio 15 full"), "{sentence}");
    }
    let csv = formats::export("csv", &report).expect("a fixture renders");
    let csv = String::from_utf8_lossy(&csv[0].bytes);
    let mut lines = csv.lines();
    let header: Vec<_> = lines.next().expect("a header").split(',').collect();
    let column = |name| header.iter().position(|it| *it == name).expect("a column");
    let [full, resumed] = ["full_handshakes", "resumed_handshakes"].map(column);
    assert!(lines.all(|line| {
        let fields: Vec<_> = line.split(',').collect();
        fields[full] == "3" && ["0", "2000"].contains(&fields[resumed])
    }));
}

#[test]
fn a_ratio_pairs_rounds_of_one_block_so_that_drift_cancels() {
    let mut record = pair();
    // The machine halves its speed from block to block; the second runtime stays three times as fast as the first.
    each_measured(&mut record, |cell, block, measured| {
        measured.worker.throughput_ops_s = 1e5 * [1.0, 3.0][cell] / f64::from(1 << block);
    });
    let summary = Summary::of(&record);
    let ratio = throughput(&summary, "tokio");
    assert_eq!((ratio.against.as_str(), ratio.pairs), ("threads", 5));
    assert!(
        (ratio.ratio.low - 3.0).abs() < 1e-9 && (ratio.ratio.high - 3.0).abs() < 1e-9,
        "{ratio:?}"
    );
    assert!((ratio.ratio.confidence - 0.9375).abs() < 1e-12, "{ratio:?}");
    assert!(cell(&summary, "threads").comparisons.is_empty());
}

#[test]
fn ratios_are_against_the_first_runtime_that_has_numbers() {
    let summary = Summary::of(&fixtures::failures());
    assert_eq!(cell(&summary, "sync").status, Status::Unsupported);
    assert_eq!(throughput(&summary, "async-std").against, "threads");
}

#[test]
fn a_cells_status_follows_from_its_rounds() {
    let summary = Summary::of(&fixtures::failures());
    let statuses: Vec<Status> = summary.cells.iter().map(|cell| cell.status).collect();
    use Status::{Failed, Invalid, Ok, Unsupported};
    assert_eq!(
        statuses,
        [Unsupported, Ok, Failed, Invalid, Invalid, Ok, Invalid]
    );
    let threads = cell(&summary, "threads");
    assert_eq!((threads.rounds, threads.rounds_failed), (4, 1));
    assert!(
        summary
            .cells
            .iter()
            .all(|cell| cell.reason.is_some() == (cell.status != Ok))
    );
}

#[test]
fn wrong_content_leaves_counts_and_no_measurement() {
    let summary = Summary::of(&fixtures::failures());
    let names: Vec<&str> = cell(&summary, "tokio")
        .metrics
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(names, ["errors", "ops"]);
    assert!(
        cell(&summary, "async-std")
            .metrics
            .contains_key("service_p99_ns")
    );
}

#[test]
fn errors_within_the_budget_are_reported_and_forgiven() {
    let summary = Summary::of(&fixtures::failures());
    let errors = &cell(&summary, "async-std").errors_by_kind;
    assert_eq!((errors["timeout"].count, errors["reset"].count), (15, 5));
    assert_eq!(cell(&summary, "async-std").metrics["errors"].median, 4.0);
}

#[test]
fn a_percentile_with_fewer_than_a_hundred_samples_beyond_it_is_advisory() {
    for (ops, p99_sound, p999_sound) in [
        (9_999, false, false),
        (10_000, true, false),
        (100_000, true, true),
    ] {
        let sweep = Sweep {
            concurrency: &[1],
            rounds: 1,
            operation_ns: 1e5,
            ops,
        };
        let summary = Summary::of(&fixtures::of(sweep, &["tokio"]));
        let sound = |name: &str| summary.cells[0].metrics[name].advisory.is_none();
        assert_eq!(
            (sound("service_p99_ns"), sound("service_p999_ns")),
            (p99_sound, p999_sound),
            "{ops}"
        );
        assert!(sound("service_p50_ns"));
    }
}

#[test]
fn littles_law_is_checked_where_it_must_hold() {
    let warned = |runtime: &str, ops: u64, factor: f64| {
        let sweep = Sweep {
            concurrency: &[8],
            rounds: 2,
            operation_ns: 1e6,
            ops,
        };
        let mut record = fixtures::of(sweep, &[runtime]);
        each_measured(&mut record, |_, _, measured| {
            let worker = &mut measured.worker;
            worker.session_ns = (worker.session_ns as f64 / factor) as u64;
        });
        Summary::of(&record)
            .warnings
            .iter()
            .any(|warning| warning.contains("mean service × throughput"))
    };
    assert!(!warned("tokio", 4_000, 1.0));
    assert!(!warned("tokio", 4_000, 1.015));
    assert!(warned("tokio", 4_000, 1.04));
    assert!(warned("tokio", 4_000, 0.5));
    // Operations of a pool wait outside their service time, and a few operations prove nothing.
    assert!(!warned("pool", 4_000, 0.5));
    assert!(!warned("tokio", 100, 0.5));
}

#[test]
fn operations_that_block_their_thread_are_reported_as_such() {
    let warnings = |runtime: &str, threads: u32| {
        let sweep = Sweep {
            concurrency: &[8],
            rounds: 2,
            operation_ns: 1e6,
            ops: 4_000,
        };
        let mut record = fixtures::of(sweep, &[runtime]);
        // One session at a time is inside an operation.
        each_measured(&mut record, |_, _, measured| {
            let worker = &mut measured.worker;
            worker.worker_threads = threads;
            worker.elapsed_ns *= 8;
            worker.session_ns = 8 * worker.elapsed_ns;
            worker.throughput_ops_s /= 8.0;
        });
        let summary = Summary::of(&record);
        let warnings = summary.warnings.into_iter();
        warnings
            .filter(|warning| warning.contains("operations block their thread"))
            .count()
    };
    assert_eq!(warnings("tokio", 1), 1);
    assert_eq!(warnings("threads", 8), 0);
}

#[test]
fn rounds_without_a_cell_are_left_out_with_a_warning() {
    let mut record = pair();
    record.rounds[0].cell = 99;
    let summary = Summary::of(&record);
    assert!(
        summary
            .warnings
            .iter()
            .any(|warning| warning.contains("1 round of no cell in the plan left out")),
        "{:?}",
        summary.warnings
    );
}

#[test]
fn only_the_last_attempt_of_a_redone_block_counts() {
    let mut record = pair();
    let mut again = record.clone().rounds;
    again.retain(|round| round.block == 2);
    for round in &mut record.rounds {
        if round.block == 2 {
            round.conditions.disturbance = Some("the hypervisor took 30% of the CPU".to_owned());
        }
        if let Outcome::Ok(measured) = &mut round.outcome {
            measured.worker.throughput_ops_s = if round.block == 2 { 1.0 } else { 1e5 };
        }
    }
    for round in &mut again {
        round.attempt = 1;
        if let Outcome::Ok(measured) = &mut round.outcome {
            measured.worker.throughput_ops_s = 1e5;
        }
    }
    record.rounds.extend(again);
    let summary = Summary::of(&record);
    for cell in &summary.cells {
        assert_eq!(cell.rounds, 5);
        assert_eq!(cell.metrics[THROUGHPUT].low, 1e5);
    }
    let message =
        "1 block was redone, and its last attempt counts: the hypervisor took 30% of the CPU";
    assert!(
        summary.warnings.iter().any(|warning| warning == message),
        "{:?}",
        summary.warnings
    );
}

#[test]
fn an_interrupted_redo_keeps_the_block_it_would_have_replaced() {
    // Of the third block's redo only the first round came to be.
    let mut record = pair();
    let redone = record.rounds.iter().find(|round| round.block == 2);
    let mut again = redone.expect("a third block").clone();
    again.attempt = 1;
    record.rounds.push(again);
    for cell in &Summary::of(&record).cells {
        assert_eq!(cell.rounds, 5, "{}", cell.runtime);
    }
}

#[test]
fn an_open_load_has_response_times_lag_and_schedule_counts() {
    let summary = Summary::of(&fixtures::open_loads());
    let median = |cell: usize, name: &str| summary.cells[cell].metrics[name].median;
    // Of 6,000 a second, sync keeps up with about two thousand.
    let (kept_up, behind) = (6, 4);
    assert_eq!(summary.cells[behind].runtime, "sync");
    for cell in [kept_up, behind] {
        assert_eq!(median(cell, "offered_ops_s"), 6_000.0);
        let (p50, p99, max) = (
            median(cell, "response_p50_ns"),
            median(cell, "response_p99_ns"),
            median(cell, "response_max_ns"),
        );
        assert!(p50 < p99 && p99 <= max, "{p50} {p99} {max}");
        assert_eq!(
            median(cell, "achieved_ops_s"),
            median(cell, "ops") / 2.0,
            "two seconds"
        );
    }
    assert_eq!(median(kept_up, "achieved_ops_s"), 6_000.0);
    assert_eq!(median(kept_up, "late") + median(kept_up, "unsent"), 0.0);
    assert!(median(behind, "unsent") > 5_000.0 && median(behind, "late") > 1_000.0);
    assert_eq!(median(behind, "unfinished"), 0.0);
    assert!(median(behind, "lag_p99_ns") > 100.0 * median(kept_up, "lag_p99_ns"));
    let bound = &summary.cells[behind].metrics["response_p99_ns"];
    assert!(bound.lower_bound && bound.advisory.is_some());
    assert!(!summary.cells[kept_up].metrics["response_p99_ns"].lower_bound);
}

#[test]
fn observed_values_become_metrics_by_name() {
    let summary = Summary::of(&fixtures::open_loads());
    let metric = |name: &str| &summary.cells[0].metrics[name];
    for name in ["probe_lag_p50_ns", "probe_lag_p99_ns", "probe_lag_max_ns"] {
        assert_eq!(metric(name).unit, "ns", "{name}");
    }
    // 400 probes are enough for a median and not for a p99; a maximum is what it is.
    assert!(metric("probe_lag_p50_ns").advisory.is_none());
    assert!(metric("probe_lag_p99_ns").advisory.is_some());
    assert!(metric("probe_lag_max_ns").advisory.is_none());
    assert_eq!(metric("idle_task_bytes").unit, "bytes");
    assert_eq!(metric("idle_task_bytes").median, 1_234.5);
}

#[test]
fn costs_are_per_operation_and_absent_if_unknown() {
    let mut record = pair();
    each_measured(&mut record, |cell, _, measured| {
        if cell == 1 {
            measured.worker.cost.instructions_per_op = Some(1_500.0);
        }
    });
    let summary = Summary::of(&record);
    let cost = |name: &str| cell(&summary, "tokio").metrics[name].median;
    assert_eq!(cost("instructions_per_op"), 1_500.0);
    assert_eq!(cost("syscalls_per_op"), 2.0);
    assert_eq!(cost("page_faults_per_op"), 900.0 / 4_000.0);
    let (user, system) = (cost("cpu_user_ns_per_op"), cost("cpu_system_ns_per_op"));
    assert!((user + system - cost("cpu_ns_per_op")).abs() < 1e-6);
    let (voluntary, involuntary) = (
        cost("voluntary_switches_per_op"),
        cost("involuntary_switches_per_op"),
    );
    assert!((voluntary + involuntary - cost("context_switches_per_op")).abs() < 1e-9);
    let threads = cell(&summary, "threads");
    assert!(!threads.metrics.contains_key("instructions_per_op"));
    assert!(!threads.metrics.contains_key("response_p50_ns"), "closed");
}

#[test]
fn a_verdict_needs_an_interval_beyond_the_floor_and_enough_blocks() {
    let verdict = |rounds: usize, factor: f64| {
        let mut record = fixtures::of(
            Sweep {
                rounds,
                concurrency: &[8],
                operation_ns: 1e6,
                ops: 40,
            },
            &["threads", "tokio"],
        );
        each_measured(&mut record, |cell, block, measured| {
            // A hundredth of noise, to one side and the other.
            let noise = 1.0 + 0.01 * (block % 3) as f64 - 0.01;
            measured.worker.throughput_ops_s = [1e5, 1e5 * factor * noise][cell];
        });
        let summary = Summary::of(&record);
        let comparison = throughput(&summary, "tokio").clone();
        assert_eq!(comparison.verdict.is_some(), comparison.reason.is_none());
        assert_eq!(
            comparison.verdict.is_some(),
            comparison.smallest_callable.is_some()
        );
        comparison.verdict
    };
    assert_eq!(verdict(10, 1.10), Some(Verdict::Faster));
    assert_eq!(verdict(10, 0.90), Some(Verdict::Slower));
    assert_eq!(verdict(10, 1.00), Some(Verdict::Tie));
    assert_eq!(verdict(10, 1.02), Some(Verdict::Inconclusive));
    assert_eq!(verdict(8, 1.10), Some(Verdict::Faster));
    assert_eq!(verdict(7, 1.10), None);
}

#[test]
fn arrivals_are_counted_over_rounds_and_a_search_travels_with_the_summary() {
    let summary = Summary::of(&fixtures::open_loads());
    let slow = summary.cells.iter().rfind(|cell| cell.runtime == "sync");
    let arrivals = slow.and_then(|cell| cell.arrivals).expect("an open load");
    assert_eq!(
        (arrivals.scheduled, arrivals.rounds_not_held),
        (120_000, 10)
    );
    assert_eq!(
        arrivals.unsent,
        arrivals.scheduled - arrivals.started_in_time
    );
    assert_eq!(slow.and_then(|cell| cell.rate_held), Some(false));
    let overhead = slow.and_then(|cell| cell.metric("overhead_ns_per_op"));
    assert!((overhead.expect("measured").median - 1e9 / 9e6).abs() < 1e-9);
    assert_eq!(summary.search, None);
    assert_eq!(Summary::of(&fixtures::tour()).cells[0].arrivals, None);
    let record = fixtures::search();
    assert_eq!(Summary::of(&record).search, record.search);
}

#[test]
fn the_rate_all_runtimes_meet_is_the_lowest_of_their_highest() {
    let mut record = fixtures::search();
    assert_eq!(met_by_all(&record), None);
    let results = &mut record.search.as_mut().expect("a search").results;
    results.retain(|result| result.highest_hz.is_some());
    assert_eq!(met_by_all(&record), Some(3_200.0));
    assert_eq!(met_by_all(&fixtures::tour()), None);
}
