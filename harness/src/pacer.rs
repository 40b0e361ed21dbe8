//! The pacer: releases arrivals when they are due, on its own thread and by its own clock.
//!
//! Runtimes' timers tick in milliseconds and fire in bursts; if arrivals waited for one, the load generator's delay
//! would look like the system's. The pacer sleeps until shortly before the due time and, if it has a CPU to itself,
//! spins through the rest. However late it is, every arrival keeps its due time, and the pacer's error is recorded.

use std::time::{Duration, Instant};

use crate::arrivals::ArrivalQueue;
use photofinish_record::latency::{Latencies, LatencyRecorder};
use photofinish_record::nanoseconds;
use photofinish_record::schedule::Schedule;

/// Spinning time before the due time for a pacer with a CPU to itself: more than almost any sleep overshoots (about 110
/// µs at the 99th percentile on virtual machines).
const SPIN: Duration = Duration::from_micros(200);

/// Sleeps are no longer than this, so that the pacer of an abandoned round ends too.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// A pacer's accuracy.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// Delay of each release, in ns.
    pub(crate) error: Latencies,
    /// Arrivals started before the schedule ended.
    pub(crate) started_in_time: u64,
}

/// Releases every arrival of `schedule` into `queue` when it is due, and returns at its `end`, or as soon as `given_up`
/// returns true.
pub(crate) fn pace(
    schedule: &Schedule,
    queue: &ArrivalQueue,
    end: Instant,
    alone: bool,
    given_up: &dyn Fn() -> bool,
) -> Pace {
    let mut error = LatencyRecorder::default();
    let mut due_times = schedule
        .due_times()
        .map(|due| queue.start() + due)
        .peekable();
    while let Some(&due) = due_times.peek() {
        if !wait_until(due, alone, given_up) {
            break;
        }
        let now = Instant::now();
        let mut count = 0;
        // Releases all arrivals due by now at once: a pacer that was late must not be late again for each of them.
        while let Some(due) = due_times.next_if(|due| *due <= now) {
            error.record_ns(nanoseconds(now - due));
            count += 1;
        }
        queue.release(count);
        if given_up() {
            break;
        }
    }
    wait_until(end, alone, given_up);
    Pace {
        error: error.latencies(),
        started_in_time: queue.taken(),
    }
}

/// Waits until `due`. Returns false if the round was given up first.
fn wait_until(due: Instant, alone: bool, given_up: &dyn Fn() -> bool) -> bool {
    let spin = if alone { SPIN } else { Duration::ZERO };
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return true;
        }
        if left <= spin {
            std::hint::spin_loop();
        } else {
            std::thread::sleep((left - spin).min(LONGEST_SLEEP));
            if given_up() {
                return false;
            }
        }
    }
}
