//! The outcome of one phase: its recording, its length, its throughput, and how well its schedule was kept.
//!
//! Plain values, so that sessions, supervisor and ledger need not know each other. Next: `ledger`, which turns the
//! outcome of the measured phase into the numbers of a round.

use std::time::{Duration, Instant};

use super::recordings::Activity;
use crate::arrivals::Leftover;
use crate::os;
use crate::recording::Recording;
use photofinish_record::latency::Latencies;

/// A pacer's accuracy.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    /// Delay of each release, in ns.
    pub(super) error: Latencies,
    /// Arrivals started before the schedule ended.
    pub(super) started_in_time: u64,
}

/// A schedule, and how well it was kept.
#[derive(Clone)]
pub(super) struct Paced {
    pub(super) start: Instant,
    pub(super) length: Duration,
    pub(super) scheduled: u64,
    pub(super) pace: Pace,
    pub(super) leftover: Leftover,
    pub(super) alone: bool,
    pub(super) cost: os::Usage,
}

/// A completed phase of a round.
#[derive(Clone)]
pub(super) struct Phase {
    pub(super) recording: Recording,
    /// Start of its first operation, or of its schedule; `None` if nothing ran.
    pub(super) start: Option<Instant>,
    pub(super) elapsed: Duration,
    /// Total time that sessions spent working.
    pub(super) session_time: Duration,
    pub(super) throughput_ops_s: f64,
    /// Sessions without a success; 0 for an open phase, in which a session may have little to do.
    pub(super) fruitless: usize,
    pub(super) threads: Option<u64>,
    /// Present for an open phase only.
    pub(super) paced: Option<Paced>,
}

impl Phase {
    /// CPU time of the pacer, which is not the runtime's.
    pub(super) fn pacer_cost(&self) -> os::Usage {
        let paced = self.paced.as_ref();
        paced.map(|paced| paced.cost).unwrap_or_default()
    }
}

/// Starts, ends and throughput of the sessions of a phase.
pub(super) struct Ends {
    first_start: Option<Instant>,
    last_end: Option<Instant>,
    session_time: Duration,
    throughput_ops_s: f64,
    fruitless: usize,
    threads: Option<u64>,
}

impl Ends {
    pub(super) fn of(activities: &[Activity], threads: Option<u64>) -> Self {
        let starts = activities
            .iter()
            .filter_map(|activity| activity.first_start);
        let first_start = starts.min();
        Self {
            first_start,
            last_end: activities
                .iter()
                .filter_map(|activity| activity.last_end)
                .max(),
            session_time: activities.iter().map(Activity::duration).sum(),
            throughput_ops_s: first_start.map_or(0.0, |start| {
                activities
                    .iter()
                    .map(|activity| activity.rate_hz(start))
                    .sum()
            }),
            fruitless: activities
                .iter()
                .filter(|activity| activity.is_fruitless())
                .count(),
            threads,
        }
    }

    pub(super) fn phase(self, recording: Recording) -> Phase {
        Phase {
            recording,
            start: self.first_start,
            elapsed: Activity {
                first_start: self.first_start,
                last_end: self.last_end,
                ..Activity::default()
            }
            .duration(),
            session_time: self.session_time,
            throughput_ops_s: self.throughput_ops_s,
            fruitless: self.fruitless,
            threads: self.threads,
            paced: None,
        }
    }
}

/// An open phase; it lasts as long as its schedule, or longer if operations end after it.
pub(super) fn open_phase(ends: Ends, recording: Recording, paced: Paced) -> Phase {
    let to_last_end = ends.last_end.map_or(Duration::ZERO, |end| {
        end.saturating_duration_since(paced.start)
    });
    let elapsed = to_last_end.max(paced.length);
    Phase {
        start: Some(paced.start),
        elapsed,
        throughput_ops_s: recording.succeeded() as f64 / elapsed.as_secs_f64(),
        recording,
        session_time: ends.session_time,
        fruitless: 0,
        threads: ends.threads,
        paced: Some(paced),
    }
}

/// An open phase whose sessions were abandoned at `now`.
pub(super) fn given_up_phase(recording: Recording, paced: Paced, now: Instant) -> Phase {
    let nothing_known = Ends {
        first_start: None,
        last_end: Some(now),
        session_time: Duration::ZERO,
        throughput_ops_s: 0.0,
        fruitless: 0,
        threads: None,
    };
    open_phase(nothing_known, recording, paced)
}
