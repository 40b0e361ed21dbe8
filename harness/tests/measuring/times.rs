//! Times: never shorter than what was slept, in order, and in agreement with each other.

use std::time::Duration;

use photofinish_harness::runtime::Descriptor;
use photofinish_record::load::Stop;

use crate::scripted::{RoundSpec, Script, measure, ops};
use crate::suite::{Check, listed};

pub(crate) const CHECKS: &[Check] = listed![
    service_times_are_no_shorter_than_what_was_slept,
    littles_law_holds_for_a_closed_loop_of_sleeps,
    sessions_that_never_wait_add_up_to_the_throughput_of_the_whole,
];

fn service_times_are_no_shorter_than_what_was_slept(runtime: &'static Descriptor) {
    const SLEEP_US: u64 = 2_000;
    let measurement = measure(
        runtime,
        RoundSpec {
            script: Script::SleepUs(SLEEP_US),
            concurrency: 4,
            warmup_ops: 1,
            stop: ops(40),
        },
    );
    let quantile_ns = |quantile| {
        measurement
            .service
            .quantile_ns(quantile)
            .expect("40 values")
    };
    // A histogram keeps three digits.
    let shortest_ns = SLEEP_US * 1_000 * 999 / 1_000;
    assert!(
        quantile_ns(0.0) >= shortest_ns,
        "slept {} ns",
        quantile_ns(0.0)
    );
    assert!(quantile_ns(0.0) <= quantile_ns(0.5));
    assert!(quantile_ns(0.5) <= quantile_ns(1.0));
    let longest = Duration::from_nanos(quantile_ns(1.0));
    assert!(longest <= Duration::from_nanos(measurement.elapsed_ns));
}

/// Mean service × throughput = operations in flight, which is all sessions where each has a thread or a task; fewer on a
/// machine so busy that sessions wait for a CPU between operations.
fn littles_law_holds_for_a_closed_loop_of_sleeps(runtime: &'static Descriptor) {
    let measurement = measure(
        runtime,
        RoundSpec {
            script: Script::SleepUs(5_000),
            concurrency: 8,
            warmup_ops: 8,
            stop: Stop::after(Duration::from_millis(300)),
        },
    );
    let mean_s = measurement.service.mean_ns().expect("values") / 1e9;
    let in_flight = mean_s * measurement.throughput_ops_s;
    let sessions = f64::from(measurement.sessions);
    let share = in_flight / sessions;
    assert!(
        (0.5..1.02).contains(&share),
        "{in_flight} of {sessions} in flight"
    );
}

/// Summing the sessions' own rates would count time in which only one of them was at work once for each.
fn sessions_that_never_wait_add_up_to_the_throughput_of_the_whole(runtime: &'static Descriptor) {
    let measurement = measure(
        runtime,
        RoundSpec {
            script: Script::Succeed,
            concurrency: 16,
            warmup_ops: 16,
            stop: Stop::after(Duration::from_millis(400)),
        },
    );
    let whole = measurement.ops as f64 / (measurement.elapsed_ns as f64 / 1e9);
    let ratio = measurement.throughput_ops_s / whole;
    assert!(
        (0.5..2.0).contains(&ratio),
        "{ratio} times {whole} operations per second"
    );
}
