//! The sum of shards: equal to the whole, whatever their order and grouping, and refused if they do not belong together.

use std::num::NonZeroU32;

use serde_json::json;

use super::*;
use crate::draw::{draw, draw_below, shuffle};
use crate::latency::Latencies;

const ROUNDS: usize = 4;

/// Times of a shard's operations in one round, in ns.
fn times(seed: u64, shard: u32, round: usize) -> Vec<u64> {
    let own = seed ^ (u64::from(shard) << 20) ^ ((round as u64) << 40);
    let count = 1 + draw_below(own, 0, 300);
    let time = |index| draw(own, index) >> (30 + draw_below(own, index + 1_000, 20));
    (1..=count).map(time).collect()
}

fn measurement(seed: u64, shard: u32, round: usize) -> Measurement {
    let times = times(seed, shard, round);
    let own = |what: u64, below: u64| {
        draw_below(seed ^ what, u64::from(shard) * 100 + round as u64, below)
    };
    let latencies = |times: &[u64]| times.iter().copied().collect::<Latencies>();
    let (failed, ops) = (own(1, 4), times.len() as u64);
    let elapsed_ns = 1_000_000_000 + own(2, 50_000_000);
    let traffic = Traffic {
        requests: ops + failed,
        bytes_in: Some(ops * 100),
        bytes_out: (shard != 2).then_some(ops * 50),
        connections: 3,
        ..Traffic::default()
    };
    let interval = |index: usize| Interval {
        failed: 0,
        buckets: vec![(40 + index % 5, 1 + own(3, 9)), (60, 1)],
    };
    let scheduled = ops + failed;
    Measurement {
        sessions: 2,
        worker_threads: 1,
        runtime_facts: BTreeMap::from([
            ("driver".to_owned(), "epoll".to_owned()),
            ("stack".to_owned(), (shard / 2).to_string()),
        ]),
        ops,
        warmup_ops: 10 + u64::from(shard),
        elapsed_ns,
        session_ns: 2 * elapsed_ns,
        throughput_ops_s: ops as f64 / (elapsed_ns as f64 / 1e9),
        service: latencies(&times),
        intervals: Some(Intervals {
            length_ns: 125_000_000 << (shard % 2),
            intervals: (0..8 >> (shard % 2)).map(interval).collect(),
        }),
        open: Some(OpenLoad {
            scheduled,
            schedule_ns: 1_000_000_000,
            started_in_time: scheduled - own(4, 2),
            rate_held: true,
            late: own(5, 3),
            unfinished: 0,
            unsent: 0,
            response: latencies(&times),
            lag: latencies(&times[..1]),
            overdue: Latencies::default(),
            pacing_error: latencies(&times[..1]),
            pacer_cpu_ns: Some(5),
            pacer_alone: shard != 1,
        }),
        overhead: Some(LoopOverhead {
            ops: 100,
            throughput_ops_s: 1e7,
            service_p50_ns: 20 + own(6, 20),
            service_p99_ns: 90,
        }),
        gauges: BTreeMap::from([
            ("size".to_owned(), 3.0),
            ("own".to_owned(), f64::from(shard)),
        ]),
        errors: (failed > 0)
            .then(|| {
                let failures = Failures {
                    count: failed,
                    example: format!("operation {}: refused", own(7, 1_000)),
                    service: latencies(&vec![5_000; failed as usize]),
                };
                ("refused".to_owned(), failures)
            })
            .into_iter()
            .collect(),
        common_start: Some(CommonStart {
            unix_us: 1_700_000_000_000_000,
            after_ns: own(8, 10_000_000),
        }),
        traffic: BTreeMap::from([("http".to_owned(), traffic)]),
        cost: Cost {
            cpu_user_ns: Some(own(9, 1_000_000)),
            cpu_system_ns: Some(own(10, 1_000_000)),
            syscalls_per_op: Some(3.0 + own(11, 5) as f64),
            peak_rss_bytes: Some(1 << 20),
            ..Cost::default()
        },
        violations: (shard == 1)
            .then(|| "a promise was broken".to_owned())
            .into_iter()
            .collect(),
        ..Measurement::default()
    }
}

/// The record of one of `count` shards.
fn record(seed: u64, shard: u32, count: u32) -> Record {
    let round = |round: usize| {
        json!({
            "cell": 0, "block": round, "offset_ns": 1_000 + u64::from(shard), "conditions": {
                "elapsed_ns": 1, "steal_ns": 7, "foreign_cpu_ns": null, "throttled_ns": null, "listen_overflows": null,
                "disturbance": (draw_below(seed, u64::from(shard) + 50, 2) == 0).then_some("the machine was busy"),
            },
            "outcome": {
                "status": "ok", "worker": measurement(seed, shard, round), "servers": {}, "mismatches": [],
            },
        })
    };
    let stop = json!({ "ops": 1 });
    serde_json::from_value(json!({
        "schema": crate::RECORD_SCHEMA, "id": format!("run-{shard}"),
        "tool": { "name": "", "version": "", "profile": "" }, "started_utc": format!("2026-11-20T18:30:0{}Z", shard % 10),
        "elapsed_ns": 5 + shard, "completion": { "status": "complete" }, "command_line": [], "seed": seed, "plan_hash": "",
        "machine": crate::machine::Machine::default(), "dependencies": {},
        "warnings": ["a debug build"], "rounds": (0..ROUNDS).map(round).collect::<Vec<_>>(),
        "shards": {
            "count": count, "identity": "abc", "members": [{
                "index": shard, "run": format!("run-{shard}"), "host": format!("w{shard}"), "boot_id": null,
                "cpu_model": null, "worker_cpus": 1,
            }],
        },
        "plan": {
            "scenarios": [{
                "name": "null", "title": "", "class": "overhead", "workload": "null", "operation": "", "params": {},
                "unit_ns": 1, "servers": {}, "warmup": stop, "stop": stop, "error_budget": 0.0,
            }],
            "cells": [{
                "scenario": "null", "runtime": "tokio", "unsupported": null,
                "load": { "model": "open", "arrivals": "constant", "rate_hz": 10.0, "concurrency": 2 * count },
            }],
            "blocks": vec![[0]; ROUNDS],
            "placement": { "kind": "same", "server_cpus": [0], "worker_cpus": [0] },
        },
    }))
    .expect("a record")
}

fn shards(seed: u64, count: u32) -> Vec<Record> {
    (0..count).map(|shard| record(seed, shard, count)).collect()
}

fn merged(records: Vec<Record>) -> Record {
    let mut merger = Merger::default();
    for record in records {
        merger.add(record).expect("a shard of the run");
    }
    merger.finish().expect("at least one")
}

fn measured(record: &Record) -> Vec<&Measured> {
    let rounds = record.rounds.iter();
    rounds
        .map(|round| match &round.outcome {
            Outcome::Ok(measured) => &**measured,
            other => panic!("not measured: {other:?}"),
        })
        .collect()
}

#[test]
fn any_order_and_any_grouping_gives_the_same_record() {
    for (seed, count) in [(1, 2), (2, 3), (3, 5), (4, 7)] {
        let expected = merged(shards(seed, count));
        for trial in 0..5 {
            let mut records = shards(seed, count);
            shuffle(&mut records, seed, trial * 10);
            let rest =
                records.split_off(1 + draw_below(seed, trial, u64::from(count) - 1) as usize);
            assert_eq!(
                merged(vec![merged(records.clone()), merged(rest.clone())]),
                expected
            );
            records.extend(rest);
            assert_eq!(merged(records), expected);
        }
    }
}

#[test]
fn a_run_of_one_shard_is_its_own_record() {
    let alone = record(9, 0, 1);
    assert_eq!(merged(vec![alone.clone()]), alone);
}

#[test]
fn the_sum_of_the_shards_is_the_whole() {
    let (seed, count) = (5, 4);
    let sum = merged(shards(seed, count));
    for (round, whole) in measured(&sum).into_iter().enumerate() {
        let worker = &whole.worker;
        let parts: Vec<Measurement> = (0..count)
            .map(|shard| measurement(seed, shard, round))
            .collect();
        let total = |of: fn(&Measurement) -> u64| parts.iter().map(of).sum::<u64>();
        let all: Latencies = (0..count)
            .flat_map(|shard| times(seed, shard, round))
            .collect();
        assert_eq!(worker.service, all);
        assert_eq!(worker.service.quantile_ns(0.99), all.quantile_ns(0.99));
        assert_eq!(worker.open.as_ref().expect("open").response, all);
        assert_eq!((worker.ops, worker.sessions), (all.count(), 2 * count));
        assert_eq!(worker.failed_ops(), total(Measurement::failed_ops));
        assert_eq!(
            worker.traffic["http"].requests,
            total(|one| one.traffic["http"].requests)
        );
        assert_eq!(
            worker.traffic["http"].bytes_out, None,
            "shard 2 does not tell"
        );
        let start = |one: &Measurement| one.common_start.expect("common").after_ns;
        let first = parts.iter().map(start).min().expect("four");
        let last = parts.iter().map(|one| start(one) + one.elapsed_ns).max();
        assert_eq!(worker.elapsed_ns, last.expect("four") - first);
        let rate = worker.ops as f64 / (worker.elapsed_ns as f64 / 1e9);
        assert!((worker.throughput_ops_s / rate - 1.0).abs() < 1e-12);
        let intervals = worker.intervals.as_ref().expect("of every shard");
        assert_eq!(
            (intervals.length_ns, intervals.intervals.len()),
            (250_000_000, 4)
        );
        let (driver, stack) = (
            &worker.runtime_facts["driver"],
            &worker.runtime_facts["stack"],
        );
        assert_eq!((driver.as_str(), stack.as_str()), ("epoll", MIXED));
        assert_eq!(worker.gauges, BTreeMap::from([("size".to_owned(), 3.0)]));
        assert_eq!(worker.violations, ["shard 1: a promise was broken"]);
        assert!(!worker.open.as_ref().expect("open").pacer_alone);
        let indices: Vec<u32> = whole.shards.iter().map(|shard| shard.index).collect();
        assert_eq!(indices, [0, 1, 2, 3]);
        assert_eq!(whole.shards[2].p99_ns, parts[2].service.quantile_ns(0.99));
    }
    assert_eq!(sum.warnings, ["shards 0-3: a debug build"]);
    assert!(sum.shards.expect("merged").missing().is_empty());
}

#[test]
fn what_is_missing_is_known() {
    let mut records = shards(1, 4);
    records.remove(2);
    records.remove(0);
    let sum = merged(records);
    assert_eq!(sum.id, "run-1");
    assert_eq!(sum.shards.expect("merged").missing(), [0, 2]);
}

#[test]
fn records_that_do_not_belong_together_are_refused() {
    let refused = |change: fn(&mut Record), expected: &str| {
        let mut merger = Merger::default();
        merger.add(record(1, 0, 3)).expect("a shard");
        let mut other = record(1, 1, 3);
        change(&mut other);
        let error = merger.add(other).expect_err(expected);
        assert_eq!(error.to_string(), expected);
    };
    refused(
        |other| other.shards = None,
        "it is a record of one machine, not of a shard",
    );
    refused(
        |other| other.seed = 2,
        "it is of another run, with another seed",
    );
    refused(
        |other| other.plan.blocks.truncate(1),
        "it is of another run, with another plan or program",
    );
    refused(
        |other| other.shards.as_mut().expect("shards").identity.clear(),
        "it is of another run, with another plan or program",
    );
    refused(
        |other| other.shards.as_mut().expect("shards").count = NonZeroU32::new(4).expect("four"),
        "it is of another run, with another number of shards",
    );
    refused(
        |other| other.shards.as_mut().expect("shards").members[0].index = 0,
        "shard 0 is in two records: of the runs run-0 and run-1",
    );
    assert_eq!(Merger::default().finish(), Err(MergeError::Nothing));
}

#[test]
fn a_round_that_failed_for_one_shard_failed() {
    let mut records = shards(3, 3);
    records[2].rounds[1].outcome = Outcome::Failed {
        reason: "connection refused".to_owned(),
    };
    records[1].completion = Completion::Interrupted;
    let sum = merged(records);
    let failed = Outcome::Failed {
        reason: "shard 2: connection refused".to_owned(),
    };
    assert_eq!(sum.rounds[1].outcome, failed);
    assert!(matches!(&sum.rounds[0].outcome, Outcome::Ok(measured) if measured.shards.len() == 3));
    assert_eq!(sum.completion, Completion::Interrupted);
}

#[test]
fn a_rate_was_held_only_if_every_shard_held_it() {
    let held = |records| {
        let sum = merged(records);
        let open = measured(&sum)[0].worker.open.clone();
        open.expect("open").rate_held
    };
    let mut records = shards(6, 3);
    for record in &mut records {
        let open = first_open(record);
        open.started_in_time = open.scheduled;
    }
    assert!(held(records.clone()));
    first_open(&mut records[1]).rate_held = false;
    assert!(!held(records));
}

fn first_open(record: &mut Record) -> &mut OpenLoad {
    match &mut record.rounds[0].outcome {
        Outcome::Ok(measured) => measured.worker.open.as_mut().expect("open"),
        other => panic!("not measured: {other:?}"),
    }
}

#[test]
fn a_record_of_impossible_shards_is_not_read() {
    let read = |change: fn(&mut ShardSet)| {
        let mut record = record(1, 1, 3);
        change(record.shards.as_mut().expect("a shard's"));
        let json = serde_json::to_vec(&record).expect("serializes");
        Record::read(&json)
            .map(drop)
            .map_err(|error| error.to_string())
    };
    let order = Err("its members are not some of its 3 shards in order".to_owned());
    assert_eq!(read(|_| ()), Ok(()));
    assert_eq!(read(|set| set.members.clear()), order);
    assert_eq!(read(|set| set.members[0].index = 3), order);
    assert_eq!(read(|set| set.members.push(set.members[0].clone())), order);
    assert_eq!(
        read(|set| set.count = NonZeroU32::new(10_001).expect("many")),
        Err("it has 10001 shards, and at most 10000 are read".to_owned())
    );
}
