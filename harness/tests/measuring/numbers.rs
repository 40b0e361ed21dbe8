//! Numbers of operations: each runs once, warm-up and measurement apart, by as many sessions as asked for.

use std::time::Duration;

use photofinish_harness::runtime::Descriptor;
use photofinish_record::intervals::Interval;
use photofinish_record::load::Stop;

use crate::scripted::{RoundSpec, Script, measure, noted, ops, sessions};
use crate::suite::{Check, listed};

pub(crate) const CHECKS: &[Check] = listed![
    every_operation_number_comes_exactly_once,
    a_phase_by_time_gives_each_session_an_operation,
    a_thousand_sessions_are_measured,
];

fn every_operation_number_comes_exactly_once(runtime: &'static Descriptor) {
    for (measured, warmup, concurrency) in [
        (1, 1, 1),
        (1, 1, 5),
        (100, 3, 1),
        (100, 30, 7),
        (64, 64, 64),
        (1000, 100, 70),
    ] {
        let measurement = measure(
            runtime,
            RoundSpec {
                script: Script::Note,
                concurrency,
                warmup_ops: warmup,
                stop: ops(measured),
            },
        );
        let expected = (Vec::from_iter(0..warmup), Vec::from_iter(0..measured));
        assert_eq!(noted(), expected, "{concurrency} sessions");
        assert_eq!(
            (measurement.ops, measurement.warmup_ops),
            (measured, warmup)
        );
        assert_eq!(measurement.service.count(), measured);
        let over_time = measurement.intervals.expect("a phase has intervals");
        let of_interval = over_time.intervals.iter().map(Interval::succeeded);
        assert_eq!(of_interval.sum::<u64>(), measured);
    }
}

fn a_phase_by_time_gives_each_session_an_operation(runtime: &'static Descriptor) {
    let spec = |duration| RoundSpec {
        script: Script::Note,
        concurrency: 9,
        warmup_ops: 1,
        stop: Stop::after(duration),
    };
    let sessions = sessions(runtime, 9);
    let measurement = measure(runtime, spec(Duration::ZERO));
    assert_eq!(measurement.sessions, sessions);
    assert_eq!(measurement.ops, u64::from(sessions));
    assert_eq!(noted().1, Vec::from_iter(0..u64::from(sessions)));

    let duration = Duration::from_millis(30);
    let measurement = measure(runtime, spec(duration));
    let elapsed = Duration::from_nanos(measurement.elapsed_ns);
    assert!(measurement.ops >= u64::from(sessions));
    // From the first operation's start, which is a little later than the phase's.
    assert!(elapsed > duration / 2, "ended after {elapsed:?}");
}

fn a_thousand_sessions_are_measured(runtime: &'static Descriptor) {
    let measurement = measure(
        runtime,
        RoundSpec {
            script: Script::Note,
            concurrency: 1000,
            warmup_ops: 1000,
            stop: ops(3500),
        },
    );
    assert_eq!(measurement.sessions, sessions(runtime, 1000));
    assert_eq!(noted().1, Vec::from_iter(0..3500));
}
