//! Parts of operations: counted by status and by kind of failure in the measured phase alone, under either load.

use std::num::NonZeroU32;

use photofinish_harness::runtime::Descriptor;
use photofinish_harness::workload::Failure;
use photofinish_record::load::{Arrivals, Load, RateHz};
use photofinish_record::protocol::{WorkerPlan, WorkerResult};
use photofinish_record::{Measurement, Part};

use crate::scripted::{RoundSpec, Script, measure, ops, plan, round, round_of};
use crate::suite::{Check, listed};

pub(crate) const CHECKS: &[Check] = listed![
    parts_of_a_closed_load_are_counted_and_add_up,
    parts_of_an_open_load_are_counted_and_add_up,
    a_part_takes_no_longer_than_the_operations_around_it,
    too_many_parts_are_refused_before_anything_runs,
];

/// More sessions than shards.
const SESSIONS: u32 = 20;

fn shop(script: Script) -> RoundSpec {
    RoundSpec {
        script,
        concurrency: SESSIONS,
        warmup_ops: 120,
        stop: ops(400),
    }
}

/// Of 400 operations all look, 200 buy, and 100 of those fail; the warm-up is not counted.
fn check(measurement: &Measurement) {
    assert_eq!((measurement.ops, measurement.failed_ops()), (300, 100));
    let counts = |part: &Part| {
        let text = |map: &std::collections::BTreeMap<String, u64>| format!("{map:?}");
        let Part {
            name,
            succeeded,
            failed,
            statuses,
            failures,
            ..
        } = part;
        (
            name.clone(),
            *succeeded,
            *failed,
            text(statuses),
            text(failures),
        )
    };
    let expected = |name: &str, succeeded, failed, statuses: &str, failures: &str| {
        (
            name.to_owned(),
            succeeded,
            failed,
            statuses.to_owned(),
            failures.to_owned(),
        )
    };
    let counted: Vec<_> = measurement.parts.iter().map(counts).collect();
    assert_eq!(
        counted,
        [
            expected("look", 400, 0, r#"{"200": 400}"#, "{}"),
            expected(
                "buy",
                100,
                100,
                r#"{"201": 100, "503": 100}"#,
                r#"{"status": 100}"#
            ),
            expected("return", 0, 0, "{}", "{}"),
        ]
    );
    assert_eq!(measurement.check(), Ok(()));
    let failed = &measurement.errors[Failure::STATUS];
    assert_eq!(failed.count, measurement.parts[1].failed);
}

fn parts_of_a_closed_load_are_counted_and_add_up(runtime: &'static Descriptor) {
    check(&measure(runtime, shop(Script::Shop)));
    assert!(measure(runtime, shop(Script::Succeed)).parts.is_empty());
}

fn parts_of_an_open_load_are_counted_and_add_up(runtime: &'static Descriptor) {
    let plan = WorkerPlan {
        load: Load::Open {
            arrivals: Arrivals::Constant,
            rate_hz: RateHz::new(4_000.0).expect("a rate"),
            concurrency: NonZeroU32::new(SESSIONS).expect("some"),
        },
        ..plan(runtime, shop(Script::Shop))
    };
    match round_of(&plan) {
        WorkerResult::Ok { measurement, .. } => check(&measurement),
        other => panic!("not measured: {other:?}"),
    }
}

/// Their clock reads lie within those of the operation, and both histograms round up, one of them by up to 1 %.
fn a_part_takes_no_longer_than_the_operations_around_it(runtime: &'static Descriptor) {
    let measurement = measure(runtime, shop(Script::Shop));
    let slowest = |part: &Part| part.service.quantile_ns(1.0).expect("successes") as f64;
    let errors = measurement.errors.values();
    let all = errors.filter_map(|failures| failures.service.quantile_ns(1.0));
    let whole = all.chain(measurement.service.quantile_ns(1.0)).max();
    let whole = whole.expect("operations") as f64;
    for part in &measurement.parts[..2] {
        assert!(slowest(part) <= 1.01 * whole + 1.0, "{part:?}: {whole} ns");
    }
}

fn too_many_parts_are_refused_before_anything_runs(runtime: &'static Descriptor) {
    match round(runtime, shop(Script::ListManyParts)) {
        WorkerResult::Failed { reason, .. } => {
            assert!(reason.contains("expected at most 64 parts"), "{reason}");
        }
        other => panic!("not refused: {other:?}"),
    }
}
