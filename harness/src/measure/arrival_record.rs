//! A record in the FIFO of arrivals: its size, and the clock of its times, on both sides (`arrival_pipe`, `arrival_reader`).

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use photofinish_record::nanoseconds;

/// Size of a record, in bytes: a number and a time.
pub(super) const RECORD: usize = 16;

/// The reading of CLOCK_MONOTONIC at `instant`, in ns.
pub(super) fn monotonic_ns(instant: Instant) -> u64 {
    let (now, reading) = (
        Instant::now(),
        clock_gettime(ClockId::CLOCK_MONOTONIC).map_or(Duration::ZERO, Duration::from),
    );
    nanoseconds(reading + instant.saturating_duration_since(now))
}

/// The instant at which CLOCK_MONOTONIC reads `ns`.
pub(super) fn instant_at(ns: u64) -> Instant {
    let (now, reading_ns) = (Instant::now(), monotonic_ns(Instant::now()));
    match ns.checked_sub(reading_ns) {
        Some(left_ns) => now + Duration::from_nanos(left_ns),
        None => now
            .checked_sub(Duration::from_nanos(reading_ns - ns))
            .unwrap_or(now),
    }
}
