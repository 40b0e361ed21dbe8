//! A record in the FIFO of arrivals: its form, and the clock of its times, on both sides (`arrival_pipe`, `arrival_reader`).

use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use photofinish_record::nanoseconds;

/// Size of a record, in bytes: a number and a time.
pub(super) const RECORD: usize = 16;

/// A record of a number and a time.
pub(super) fn encoded(number: u64, time_ns: u64) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    let (words, _) = record.as_chunks_mut::<8>();
    (words[0], words[1]) = (number.to_le_bytes(), time_ns.to_le_bytes());
    record
}

/// Number and time of a record.
pub(super) fn decoded(record: &[u8; RECORD]) -> (u64, u64) {
    let (words, _) = record.as_chunks::<8>();
    (u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]))
}

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
    let now = Instant::now();
    let reading_ns = monotonic_ns(now);
    match ns.checked_sub(reading_ns) {
        Some(left_ns) => now + Duration::from_nanos(left_ns),
        None => now
            .checked_sub(Duration::from_nanos(reading_ns - ns))
            .unwrap_or(now),
    }
}
