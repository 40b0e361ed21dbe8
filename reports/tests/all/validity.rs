//! Activity around the rounds: a warning where it casts doubt, and no number where it would mislead.

use std::time::Duration;

use photofinish_record::load::Stop;
use photofinish_record::{Failures, Measured, Outcome, PlacementKind, Record};
use photofinish_reports::compare::RecordComparison;
use photofinish_reports::summary::{Status, Summary};
use serde_json::json;

use crate::fixtures::{self, Sweep, each_measured, fail};

/// Two runtimes, four rounds each, on disjoint CPUs.
fn record() -> Record {
    let sweep = Sweep {
        concurrency: &[8],
        rounds: 4,
        operation_ns: 1e6,
        ops: 4_000,
    };
    let mut record = fixtures::of(sweep, &["threads", "tokio"]);
    record.plan.placement.kind = PlacementKind::Split;
    record.plan.placement.server_cpus = vec![0];
    record.plan.placement.worker_cpus = vec![1];
    record
}

fn warning(record: &Record, part: &str) -> Option<String> {
    let warnings = Summary::of(record).warnings;
    warnings.into_iter().find(|warning| warning.contains(part))
}

fn of_cell(record: &mut Record, cell: usize) -> impl Iterator<Item = &mut Measured> {
    record
        .rounds
        .iter_mut()
        .filter(move |round| round.cell == cell)
        .filter_map(|round| match &mut round.outcome {
            Outcome::Ok(measured) => Some(&mut **measured),
            _ => None,
        })
}

/// Sets how busy both sides were in the measured phase, of which the warm-up was a fifth more.
fn busy(measured: &mut Measured, server: f64, worker: f64) {
    let round = &mut measured.worker;
    round.warmup_ops = round.ops / 5;
    let elapsed_ns = round.elapsed_ns as f64;
    round.cost.cpu_user_ns = Some((worker * elapsed_ns) as u64);
    round.cost.cpu_system_ns = Some(0);
    let counts = measured.servers.get_mut("http").expect("a server");
    counts.cpu_user_ns = Some((0.5 * 1.2 * server * elapsed_ns) as u64);
    counts.cpu_system_ns = counts.cpu_user_ns;
}

#[test]
fn sessions_without_success_are_turned_away_by_a_server_if_there_is_one() {
    let reason = |has_server: bool| {
        let mut record = record();
        of_cell(&mut record, 1).for_each(|measured| {
            let round = &mut measured.worker;
            fail(round, Failures::IO, round.ops);
            round.sessions = 8;
            round.sessions_without_success = 3;
            if !has_server {
                round.traffic.clear();
            }
        });
        Summary::of(&record).cells[1]
            .reason
            .clone()
            .expect("invalid")
    };
    let turned_away = "does the server refuse more than 5 connections?";
    assert!(reason(true).contains(turned_away), "{}", reason(true));
    let without = reason(false);
    assert!(!without.contains("server"), "{without}");
    assert!(
        without.contains("io (operation 12: io after 5 ms)"),
        "{without}"
    );
}

#[test]
fn a_run_compared_with_itself_is_named() {
    let base = record();
    let mut head = base.clone();
    let is_named = |head: &Record| {
        let cautions = RecordComparison::of(&base, head).cautions;
        cautions
            .iter()
            .any(|caution| caution.contains("the same run,"))
    };
    assert!(is_named(&head));
    head.id = "another".to_owned();
    assert!(!is_named(&head));
}

#[test]
fn a_saturated_server_is_the_bottleneck_unless_the_worker_is_saturated_too() {
    let warned = |server: f64, worker: f64| {
        let mut record = record();
        of_cell(&mut record, 1).for_each(|measured| busy(measured, server, worker));
        warning(&record, "the server was the bottleneck")
    };
    let message = warned(0.97, 0.60).expect("a warning");
    assert!(message.contains("tokio"), "{message}");
    assert!(
        message.contains("97% busy and the worker's 60%"),
        "{message}"
    );
    assert_eq!(warned(0.90, 0.60), None);
    assert_eq!(warned(0.98, 0.97), None);
}

#[test]
fn runtimes_under_the_same_load_share_a_warning_and_other_loads_have_their_own() {
    let sweep = Sweep {
        concurrency: &[8, 64],
        rounds: 4,
        operation_ns: 1e6,
        ops: 4_000,
    };
    let mut record = fixtures::of(sweep, &["threads", "tokio", "smol"]);
    for round in &mut record.rounds {
        let cell = &record.plan.cells[round.cell];
        let dropped = u64::from(cell.runtime != "smol");
        round.conditions.listen_overflows = Some(dropped);
    }
    let warnings = Summary::of(&record).warnings;
    let overflows: Vec<_> = warnings
        .iter()
        .filter(|warning| warning.contains("full accept queues"))
        .collect();
    let [few, many] = overflows[..] else {
        panic!("expected one warning for each load, got {overflows:#?}")
    };
    for (warning, load) in [(few, "8 in flight"), (many, "64 in flight")] {
        assert!(
            warning.contains(&format!("threads (closed, {load})")),
            "{warning}"
        );
        assert!(warning.ends_with("; likewise tokio"), "{warning}");
    }
}

#[test]
fn failures_share_a_warning_only_if_their_reasons_are_equal() {
    let warning_count = |reasons: [&str; 2]| {
        let mut record = record();
        for (cell, reason) in reasons.into_iter().enumerate() {
            let mut rounds = record.rounds.iter_mut();
            let first = rounds.find(|round| round.cell == cell).expect("a round");
            first.outcome = Outcome::Failed {
                reason: reason.to_owned(),
            };
        }
        let warnings = Summary::of(&record).warnings;
        let failed = |warning: &&String| warning.contains("rounds failed");
        warnings.iter().filter(failed).count()
    };
    assert_eq!(warning_count(["it rained", "it rained"]), 1);
    assert_eq!(warning_count(["it rained", "it snowed"]), 2);
}

#[test]
fn a_bottleneck_needs_most_rounds_and_separate_cpus() {
    let mut record = record();
    of_cell(&mut record, 1)
        .take(2)
        .for_each(|measured| busy(measured, 0.99, 0.5));
    assert_eq!(warning(&record, "the server was the bottleneck"), None);
    of_cell(&mut record, 1).for_each(|measured| busy(measured, 0.99, 0.5));
    assert!(warning(&record, "the server was the bottleneck").is_some());
    record.plan.placement.kind = PlacementKind::Shared;
    assert_eq!(warning(&record, "the server was the bottleneck"), None);
}

#[test]
fn rounds_that_stayed_disturbed_are_reported_and_those_that_were_redone_are_not() {
    let mut record = record();
    let disturbed = |record: &mut Record, index: usize| {
        record.rounds[index].conditions.disturbance = Some("a cat".to_owned());
    };
    disturbed(&mut record, 0);
    let message = warning(&record, "disturbed").expect("a warning");
    assert!(
        message.starts_with("1 of 8 rounds were disturbed"),
        "{message}"
    );
    assert!(message.contains("a cat during"), "{message}");

    let block = record.rounds[0].block;
    let whole = record.rounds.iter().filter(|round| round.block == block);
    let mut again: Vec<_> = whole.cloned().collect();
    for round in &mut again {
        round.attempt = 1;
        round.conditions.disturbance = None;
    }
    record.rounds.extend(again);
    assert_eq!(warning(&record, "disturbed"), None);
    let message = warning(&record, "redone").expect("a warning");
    assert!(
        message.starts_with("1 block was redone") && message.ends_with("a cat"),
        "{message}"
    );

    let last = record.rounds.len() - 1;
    disturbed(&mut record, last);
    let message = warning(&record, "disturbed").expect("a warning");
    assert!(
        message.starts_with("1 of 8 rounds were disturbed"),
        "{message}"
    );
}

#[test]
fn dropped_connections_are_reported_for_their_cell() {
    let mut record = record();
    for round in record.rounds.iter_mut().filter(|round| round.cell == 0) {
        round.conditions.listen_overflows = Some(3);
    }
    let message = warning(&record, "full accept queues").expect("a warning");
    assert!(message.contains("threads"), "{message}");
    assert!(message.contains("dropped 12 connections"), "{message}");
}

#[test]
fn reopened_connections_are_reported_for_their_cell() {
    let mut record = record();
    assert_eq!(warning(&record, "keep-alive connections"), None);
    for round in of_cell(&mut record, 1) {
        let traffic = round.worker.traffic.values_mut().next();
        traffic.expect("one target").reconnects = 2;
    }
    let message = warning(&record, "keep-alive connections").expect("a warning");
    assert!(
        message.contains("closed 8 keep-alive connections"),
        "{message}"
    );
}

#[test]
fn port_exhaustion_voids_a_cell_whatever_its_error_budget() {
    let mut record = record();
    record.plan.scenarios[0].error_budget = 1.0;
    let first = of_cell(&mut record, 1).next().expect("a round");
    fail(&mut first.worker, Failures::PORTS, 5);
    let summary = Summary::of(&record);
    assert_eq!(summary.cells[0].status, Status::Ok);
    assert_eq!(summary.cells[1].status, Status::Invalid);
    let reason = summary.cells[1].reason.as_deref().expect("a reason");
    assert!(
        reason.contains("5 operations found no local port"),
        "{reason}"
    );
    assert!(reason.contains("ip_local_port_range"), "{reason}");
}

#[test]
fn rounds_that_end_with_the_rows_of_a_feed_are_named() {
    let mut record = fixtures::steady(&["tokio"], 3);
    let scenario = &mut record.plan.scenarios[0];
    scenario.stop = Stop::after(Duration::from_secs(2));
    scenario.params = json!({ "feed": { "user": { "file": "users.csv", "order": "once" } } });
    each_measured(&mut record, |_, block, measured| {
        measured.worker.elapsed_ns = if block == 0 {
            2_000_000_000
        } else {
            500_000_000
        };
    });
    let out_of_rows = |record: &Record| warning(record, "ran out of rows");
    let warning = out_of_rows(&record).expect("a warning");
    assert!(
        warning.contains("the feed `user` ran out of rows in 2 of 3 rounds, after 500ms of 2"),
        "{warning}"
    );
    record.plan.scenarios[0].params["feed"]["user"]["order"] = json!("shuffle");
    assert_eq!(out_of_rows(&record), None);
}
