//! Memory: none for an operation, and no more for many sessions than for some.

use std::alloc::System;
use std::time::{Duration, Instant};

use photofinish_harness::runtime::Descriptor;
use photofinish_record::load::Stop;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

use crate::scripted::{RoundSpec, Script, measure, ops};
use crate::suite::{Check, listed};

/// Counts what all threads allocate.
#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

pub(crate) const CHECKS: &[Check] = listed![
    more_operations_allocate_no_more,
    more_parts_allocate_no_more,
    recordings_take_no_more_memory_for_a_thousand_sessions_than_for_a_hundred,
    next_to_nothing_is_kept_of_a_round_that_is_over,
];

fn allocations(runtime: &Descriptor, spec: RoundSpec) -> stats_alloc::Stats {
    let region = Region::new(ALLOCATOR);
    measure(runtime, spec);
    region.change()
}

/// Two rounds that differ only in their length. Executors may allocate for their queues now and then, one in thousands of
/// operations; a single allocation per operation would be a hundred thousand here.
fn more_operations_allocate_no_more(runtime: &'static Descriptor) {
    check_allocations(runtime, Script::Succeed);
}

/// Each operation records two parts with their statuses.
fn more_parts_allocate_no_more(runtime: &'static Descriptor) {
    check_allocations(runtime, Script::Buy);
}

fn check_allocations(runtime: &'static Descriptor, script: Script) {
    let count = |number| {
        let stats = allocations(
            runtime,
            RoundSpec {
                script,
                concurrency: 4,
                warmup_ops: 1000,
                stop: ops(number),
            },
        );
        stats.allocations + stats.reallocations
    };
    count(1_000); // What is global, and allocated once.
    let (short, long) = (count(10_000), count(110_000));
    assert!(
        long < short + 200,
        "{short} for 10,000 operations, {long} for 110,000"
    );
}

/// A recording takes 292 KiB: a thousand of them, for each phase, would be half a gigabyte.
fn recordings_take_no_more_memory_for_a_thousand_sessions_than_for_a_hundred(
    runtime: &'static Descriptor,
) {
    let bytes = |concurrency| {
        let stats = allocations(
            runtime,
            RoundSpec {
                script: Script::Succeed,
                concurrency,
                warmup_ops: 1000,
                stop: ops(2000),
            },
        );
        stats.bytes_allocated
    };
    let (hundred, thousand) = (bytes(100), bytes(1000));
    assert!(
        thousand < hundred + (20 << 20),
        "{hundred} bytes for 100, {thousand} for 1000"
    );
}

fn next_to_nothing_is_kept_of_a_round_that_is_over(runtime: &'static Descriptor) {
    let spec = |duration| RoundSpec {
        script: Script::FailTwoOfThree,
        concurrency: 4,
        warmup_ops: 1000,
        stop: Stop::after(duration),
    };
    measure(runtime, spec(Duration::from_millis(1))); // What is global, and allocated once.
    let region = Region::new(ALLOCATOR);
    measure(runtime, spec(Duration::from_millis(300)));
    let kept_bytes = || {
        let change = region.change();
        change
            .bytes_allocated
            .saturating_sub(change.bytes_deallocated)
    };
    // The threads of some runtimes end, and free what is theirs, after the runtime is gone.
    let start = Instant::now();
    while kept_bytes() > MOST_KEPT_BYTES && start.elapsed() < Duration::from_secs(30) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let kept_bytes = kept_bytes();
    assert!(
        kept_bytes <= MOST_KEPT_BYTES,
        "{kept_bytes} bytes are kept after a round"
    );
}

/// Less than two histograms.
const MOST_KEPT_BYTES: usize = 256 << 10;
