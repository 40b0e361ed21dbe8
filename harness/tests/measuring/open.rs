//! Open loads: every arrival is accounted for, whatever the completions do, and counted from when it was due.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use photofinish_harness::measure::{ArrivalPipe, PROBE_LAG};
use photofinish_harness::runtime::Descriptor;
use photofinish_record::load::{Arrivals, Load, RateHz, Stage, Stop};
use photofinish_record::protocol::{WorkerPlan, WorkerResult};
use photofinish_record::{Measurement, OpenLoad};

use crate::scripted::{RoundSpec, Script, noted, ops, plan, round_of, sessions};
use crate::suite::{Check, listed};

pub(crate) const CHECKS: &[Check] = listed![
    every_arrival_comes_exactly_once_and_in_order,
    arrivals_through_a_fifo_are_those_of_the_own_pacer,
    arrivals_without_data_pass_in_the_warm_up_and_fail_in_the_measurement,
    what_waited_for_a_free_session_was_late_and_is_not_lost,
    what_cannot_be_worked_off_is_counted_as_unsent,
    an_operation_that_never_ends_is_counted_and_does_not_hold_the_round_up,
    a_warm_up_that_never_ends_fails_the_round_with_the_reason,
    stages_and_poisson_arrivals_are_the_same_under_every_runtime,
    failed_arrivals_have_a_lag_and_no_response,
    the_lag_probe_rides_along_where_two_parts_can_run,
];

fn open(runtime: &Descriptor, script: Script, hz: f64, stop: Stop) -> WorkerPlan {
    let spec = RoundSpec {
        script,
        concurrency: 4,
        warmup_ops: 8,
        stop,
    };
    WorkerPlan {
        load: Load::Open {
            arrivals: Arrivals::Constant,
            rate_hz: RateHz::new(hz).expect("a rate"),
            concurrency: NonZeroU32::new(4).expect("four"),
        },
        ..plan(runtime, spec)
    }
}

fn measure(plan: &WorkerPlan) -> (Measurement, OpenLoad) {
    match round_of(plan) {
        WorkerResult::Ok { measurement, .. } => {
            let open = measurement.open.clone().expect("an open load");
            (*measurement, open)
        }
        other => panic!("not measured: {other:?}"),
    }
}

fn arrivals_without_data_pass_in_the_warm_up_and_fail_in_the_measurement(
    runtime: &'static Descriptor,
) {
    let (measurement, open) = measure(&open(runtime, Script::RowsEndAt(5), 1_000.0, ops(12)));
    check_all_accounted_for(&measurement, &open);
    assert_eq!((measurement.ops, measurement.warmup_ops), (5, 5));
    assert_eq!(measurement.errors["rows-end"].count, 7);
    assert_eq!(noted().0, [0, 1, 2, 3, 4]);
}

/// Every arrival succeeded, failed, did not end or was not begun with.
fn check_all_accounted_for(measurement: &Measurement, open: &OpenLoad) {
    let failed: u64 = measurement
        .errors
        .values()
        .map(|failures| failures.count)
        .sum();
    let ended = measurement.ops + failed;
    let over_time = measurement.intervals.iter().flat_map(|all| &all.intervals);
    let sums = over_time.fold((0, 0), |(succeeded, failed), interval| {
        (succeeded + interval.succeeded(), failed + interval.failed)
    });
    assert_eq!(sums, (open.response.count(), failed));
    assert_eq!(
        ended + open.unfinished + open.unsent,
        open.scheduled,
        "{} unfinished, {} unsent",
        open.unfinished,
        open.unsent
    );
    assert_eq!(open.response.count(), measurement.ops);
    assert_eq!(open.lag.count(), ended);
    assert_eq!(open.overdue.count(), open.unfinished + open.unsent);
    assert_eq!(open.pacing_error.count(), open.scheduled);
}

fn every_arrival_comes_exactly_once_and_in_order(runtime: &'static Descriptor) {
    let (measurement, open) = measure(&open(runtime, Script::Note, 2_000.0, ops(300)));
    check_all_accounted_for(&measurement, &open);
    assert_eq!(noted(), (Vec::from_iter(0..8), Vec::from_iter(0..300)));
    assert_eq!((measurement.ops, open.scheduled), (300, 300));
    assert_eq!(open.schedule_ns, 150_000_000);
    assert_eq!((open.unfinished, open.unsent), (0, 0));
}

/// The same load, paced on this side of a FIFO: what a worker in another language gets.
fn arrivals_through_a_fifo_are_those_of_the_own_pacer(runtime: &'static Descriptor) {
    let directory = tempfile::tempdir().expect("a directory");
    let mut plan = open(runtime, Script::Note, 2_000.0, ops(300));
    plan.work_dir = directory.path().to_owned();
    let pipe = ArrivalPipe::make(&mut plan).expect("made");
    let pacer = pipe.expect("an open load").start().expect("a thread");
    let (mut measurement, _) = measure(&plan);
    let paced = pacer.end().expect("the FIFO was opened");
    paced.complete(&mut measurement).expect("equal counts");
    let open = measurement.open.clone().expect("an open load");
    check_all_accounted_for(&measurement, &open);
    assert_eq!(noted(), (Vec::from_iter(0..8), Vec::from_iter(0..300)));
    assert_eq!((measurement.ops, open.scheduled), (300, 300));
    assert_eq!(open.schedule_ns, 150_000_000);
    assert_eq!((open.unfinished, open.unsent), (0, 0));
    // Those of the pacer, which the round does not know.
    assert!(open.pacer_cpu_ns.is_some());
}

fn what_waited_for_a_free_session_was_late_and_is_not_lost(runtime: &'static Descriptor) {
    // 4 sessions of 10 ms serve at most 400 operations per second, so that 100 that come within 100 ms take 250 ms.
    let plan = open(runtime, Script::SleepUs(10_000), 1_000.0, ops(100));
    let (measurement, open) = measure(&plan);
    check_all_accounted_for(&measurement, &open);
    assert_eq!((measurement.ops, open.unsent), (100, 0));
    assert!(
        !open.rate_held && open.late >= 50,
        "{} unfinished, {} unsent",
        open.unfinished,
        open.unsent
    );
    let max_ns = |latencies: &photofinish_record::latency::Latencies| {
        latencies.quantile_ns(1.0).expect("a hundred values")
    };
    // The last one begins 240 ms after the first at the earliest, and was due after 99 ms.
    let least_ns = 140_000_000 * 999 / 1_000;
    assert!(max_ns(&open.lag) >= least_ns, "{}", max_ns(&open.lag));
    assert!(max_ns(&open.response) >= max_ns(&open.lag));
    assert!(measurement.service.quantile_ns(0.0) < open.response.quantile_ns(0.9));
}

fn what_cannot_be_worked_off_is_counted_as_unsent(runtime: &'static Descriptor) {
    // Four sessions serve some 13 operations per second; nothing is begun with two seconds after the last of 40 was due.
    let plan = open(runtime, Script::SleepUs(300_000), 1_000.0, ops(40));
    let (measurement, open) = measure(&plan);
    check_all_accounted_for(&measurement, &open);
    assert!(
        open.unsent > 0 && open.unfinished == 0,
        "{} unfinished, {} unsent",
        open.unfinished,
        open.unsent
    );
    let least_ns = 2_000_000_000 * 999 / 1_000;
    assert!(open.overdue.quantile_ns(0.0) >= Some(least_ns));
}

fn an_operation_that_never_ends_is_counted_and_does_not_hold_the_round_up(
    runtime: &'static Descriptor,
) {
    let script = Script::StickAt {
        measured: Some(5),
        warmup: None,
    };
    let (measurement, open) = measure(&open(runtime, script, 1_000.0, ops(50)));
    check_all_accounted_for(&measurement, &open);
    assert_eq!(
        open.unfinished, 1,
        "{} unfinished, {} unsent",
        open.unfinished, open.unsent
    );
    // Whoever has but one session has nobody left for the other arrivals.
    let unsent = if sessions(runtime, 4) == 1 { 44 } else { 0 };
    assert_eq!(open.unsent, unsent);
    assert_eq!(measurement.warmup_ops, 8);
}

fn a_warm_up_that_never_ends_fails_the_round_with_the_reason(runtime: &'static Descriptor) {
    let script = Script::StickAt {
        measured: None,
        warmup: Some(3),
    };
    match round_of(&open(runtime, script, 1_000.0, ops(50))) {
        WorkerResult::Failed { reason, .. } => {
            let message = format!("1 of {} sessions", sessions(runtime, 4));
            assert!(reason.starts_with(&message), "{reason}");
        }
        other => panic!("{other:?}"),
    }
}

fn stages_and_poisson_arrivals_are_the_same_under_every_runtime(runtime: &'static Descriptor) {
    let stage = |from, to| Stage {
        duration_ns: NonZeroU64::new(50_000_000).expect("50 ms"),
        from,
        to,
    };
    let mut plan = open(runtime, Script::Note, 2_000.0, ops(1));
    plan.stages = vec![stage(0.0, 1.0), stage(1.0, 1.0), stage(0.5, 0.5)];
    let (measurement, constant) = measure(&plan);
    check_all_accounted_for(&measurement, &constant);
    assert_eq!(
        (constant.scheduled, constant.schedule_ns),
        (200, 150_000_000)
    );
    plan.load = Load::Open {
        arrivals: Arrivals::Poisson,
        rate_hz: RateHz::new(2_000.0).expect("a rate"),
        concurrency: NonZeroU32::new(4).expect("four"),
    };
    let (measurement, poisson) = measure(&plan);
    check_all_accounted_for(&measurement, &poisson);
    // Drawn from seed 1, and from nothing else.
    assert_eq!(poisson.scheduled, POISSON_ARRIVALS);
}

/// Arrivals of the Poisson schedule above: 200 are expected.
const POISSON_ARRIVALS: u64 = 202;

fn failed_arrivals_have_a_lag_and_no_response(runtime: &'static Descriptor) {
    let plan = open(runtime, Script::FailTwoOfThree, 3_000.0, ops(300));
    let (measurement, open) = measure(&plan);
    check_all_accounted_for(&measurement, &open);
    assert_eq!(
        (measurement.ops, open.response.count(), open.lag.count()),
        (100, 100, 300)
    );
}

fn the_lag_probe_rides_along_where_two_parts_can_run(runtime: &'static Descriptor) {
    let mut plan = open(
        runtime,
        Script::Succeed,
        1_000.0,
        Stop::after(Duration::from_millis(100)),
    );
    plan.lag_probe = true;
    let (measurement, _) = measure(&plan);
    let samples = measurement
        .observed
        .get(PROBE_LAG)
        .map_or(0, |lag| lag.count());
    match sessions(runtime, 4) {
        1 => assert_eq!(samples, 0),
        _ => assert!((20..=200).contains(&samples), "{samples} samples"),
    }
}
