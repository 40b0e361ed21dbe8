//! Sleeping: never shorter than asked.

use std::time::{Duration, Instant};

use photofinish_harness::runtime::Runtime;

use crate::peer::LONG;
use crate::suite::{Check, checks};

pub(crate) const CHECKS: &[Check] = checks![
    sleeping_ends_no_earlier_than_due,
    a_due_time_in_the_past_returns_at_once,
];

fn sleeping_ends_no_earlier_than_due<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        for delay_us in [0, 1, 90, 300, 999, 1_000, 1_001, 2_500, 7_000, 20_000] {
            let due = Instant::now() + Duration::from_micros(delay_us);
            runtime.sleep_until(due).await;
            let end = Instant::now();
            assert!(end >= due, "{delay_us} µs ended {:?} early", due - end);
        }
    });
}

fn a_due_time_in_the_past_returns_at_once<R: Runtime>(runtime: R) {
    let start = Instant::now();
    let long_ago = start.checked_sub(LONG).expect("the machine is up longer");
    runtime.block_on(async {
        runtime.sleep_until(start).await;
        runtime.sleep_until(long_ago).await;
    });
    assert!(start.elapsed() < LONG, "it took {:?}", start.elapsed());
}
