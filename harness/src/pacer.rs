//! The pacer: releases arrivals when they are due, on its own thread and by its own clock.
//!
//! Runtimes' timers tick in milliseconds and fire in bursts; if arrivals waited for one, the load generator's delay
//! would look like the system's. The pacer sleeps until shortly before the due time and, if it has a CPU to itself,
//! spins through the rest. However late it is, every arrival keeps its due time, and the pacer's error is recorded.

use std::time::{Duration, Instant};

use photofinish_record::latency::{Latencies, LatencyRecorder};
use photofinish_record::nanoseconds;

/// Spinning time before the due time for a pacer with a CPU to itself: more than almost any sleep overshoots (about 110
/// µs at the 99th percentile on virtual machines).
const SPIN: Duration = Duration::from_micros(200);

/// Sleeps are no longer than this, so that the pacer of an abandoned round ends too.
const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// The place to which a pacer releases arrivals.
pub(crate) trait Outlet {
    /// Releases the next `count` arrivals.
    fn release(&mut self, count: u64);

    /// Called between two sleeps. False once the round is given up.
    fn goes_on(&mut self) -> bool;
}

/// Releases arrivals when they are due, at the instants `due_times` in ascending order, and returns at the schedule's `end`,
/// or as soon as the round is given up. Returns the delay of each release, in ns.
pub(crate) fn pace(
    due_times: impl Iterator<Item = Instant>,
    end: Instant,
    alone: bool,
    outlet: &mut dyn Outlet,
) -> Latencies {
    let mut error = LatencyRecorder::default();
    let mut due_times = due_times.peekable();
    while let Some(&due) = due_times.peek() {
        if !wait_until(due, alone, outlet) {
            break;
        }
        let now = Instant::now();
        let mut count = 0;
        // Releases all arrivals due by now at once: a pacer that was late must not be late again for each of them.
        while let Some(due) = due_times.next_if(|due| *due <= now) {
            error.record_ns(nanoseconds(now - due));
            count += 1;
        }
        outlet.release(count);
        if !outlet.goes_on() {
            break;
        }
    }
    wait_until(end, alone, outlet);
    error.latencies()
}

/// Waits until `due`. Returns false if the round was given up first.
fn wait_until(due: Instant, alone: bool, outlet: &mut dyn Outlet) -> bool {
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
            if !outlet.goes_on() {
                return false;
            }
        }
    }
}
