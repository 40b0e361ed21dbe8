//! Recordings: the measuring loop's histograms and counts.
//!
//! Successes go into one histogram; failures are counted by kind, each kind in a separate histogram, never mixed into
//! the latency of successes. Wrong content is both a failure and a violation of identity. Nothing is kept per
//! operation, except in rounds that test the tool itself: memory stays flat however many there are.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::intervals::{IntervalRecorder, Ruler};
use crate::parts::{PartRecording, Parts};
use crate::workload::Failure;
use photofinish_record::intervals::Intervals;
use photofinish_record::latency::{Latencies, LatencyRecorder};
use photofinish_record::protocol::Audit;
use photofinish_record::{Failures, OpenLoad, Part};

/// Warm-up operations are numbered from here, so that those of the measurement start from 0 under every runtime and get
/// the same draws, however many operations the warm-up performed.
pub const FIRST_WARMUP_OP: u64 = 1 << 48;

/// Maximum number of violations kept as text; the rest are only counted, under [`Failure::WRONG_CONTENT`].
const MOST_VIOLATIONS: usize = 5;

/// The operations of one phase, of one session or of many.
#[derive(Clone, Debug, Default)]
pub struct Recording {
    service: LatencyRecorder,
    intervals: IntervalRecorder,
    /// Present only under open load.
    arrivals: Option<ArrivalTimes>,
    /// Service times of the first successes, kept only when the tool itself is tested.
    samples: Option<Vec<u64>>,
    failures: BTreeMap<&'static str, FailureRecorder>,
    violations: Vec<String>,
    /// Filled when the recordings of a phase are merged.
    parts: Vec<PartRecording>,
}

/// The times that an open load adds to service times.
#[derive(Clone, Debug, Default)]
pub struct ArrivalTimes {
    /// From due to end, of successes.
    pub response: LatencyRecorder,
    /// From due to start, of all.
    pub lag: LatencyRecorder,
    /// Number of operations started late.
    pub late: u64,
}

/// Failed operations of one kind.
#[derive(Clone, Debug, Default)]
struct FailureRecorder {
    count: u64,
    /// Description of the first one.
    example: String,
    service: LatencyRecorder,
}

impl ArrivalTimes {
    fn merge(&mut self, other: &Self) {
        self.response.merge(&other.response);
        self.lag.merge(&other.lag);
        self.late += other.late;
    }

    fn clear(&mut self) {
        self.response.clear();
        self.lag.clear();
        self.late = 0;
    }
}

/// The times of one operation under open load, in ns.
#[derive(Clone, Copy, Debug)]
pub struct ArrivalNs {
    /// From due to start.
    pub lag_ns: u64,
    /// From start to end.
    pub service_ns: u64,
}

impl Recording {
    /// An empty recording for an open load.
    pub fn of_arrivals() -> Self {
        Self {
            arrivals: Some(ArrivalTimes::default()),
            ..Self::default()
        }
    }

    /// Also keeps the first service times individually, in memory allocated now.
    pub fn audited(self) -> Self {
        Self {
            samples: Some(Vec::with_capacity(Audit::MOST_SAMPLES)),
            ..self
        }
    }

    /// Records operation `op` of an open load. Allocates nothing for a success.
    #[inline]
    pub fn record_arrival(&mut self, op: u64, times: ArrivalNs, result: Result<(), Failure>) {
        let ArrivalNs { lag_ns, service_ns } = times;
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.lag.record_ns(lag_ns);
            arrivals.late += u64::from(lag_ns > OpenLoad::LATE_NS);
            if result.is_ok() {
                arrivals
                    .response
                    .record_ns(lag_ns.saturating_add(service_ns));
            }
        }
        self.record(op, service_ns, result);
    }

    /// Records operation `op`, which took `service_ns`. Allocates nothing for a success.
    #[inline]
    pub fn record(&mut self, op: u64, service_ns: u64, result: Result<(), Failure>) {
        match result {
            Ok(()) => {
                self.service.record_ns(service_ns);
                if let Some(samples) = &mut self.samples
                    && samples.len() < Audit::MOST_SAMPLES
                {
                    samples.push(service_ns);
                }
            }
            Err(failure) => self.record_failure(op, service_ns, failure),
        }
    }

    /// Records the same operation in the interval of its end, with the time that its latency is: response under open
    /// load, service under closed load.
    #[inline]
    pub(crate) fn record_interval(&mut self, end: Instant, time_ns: u64, succeeded: bool) {
        self.intervals.record(end, time_ns, succeeded);
    }

    /// Begins the intervals of a phase.
    pub(crate) fn begin_intervals(&mut self, ruler: Ruler) {
        self.intervals.begin(ruler);
    }

    pub(crate) fn intervals(&self) -> Option<Intervals> {
        self.intervals.intervals()
    }

    #[cold]
    fn record_failure(&mut self, op: u64, service_ns: u64, failure: Failure) {
        if failure.kind == Failure::WRONG_CONTENT && self.violations.len() < MOST_VIOLATIONS {
            self.violations
                .push(format!("{}: {}", named(op), failure.detail));
        }
        let failures = self
            .failures
            .entry(failure.kind)
            .or_insert_with(|| FailureRecorder {
                example: format!("{}: {}", named(op), failure.detail),
                ..FailureRecorder::default()
            });
        failures.count += 1;
        failures.service.record_ns(service_ns);
    }

    /// Records operations that were still running when their phase was ended, each with the time it had taken so far.
    pub fn record_unfinished(&mut self, waits_ns: impl Iterator<Item = u64>, example: &str) {
        let failures = self.failures.entry(Failure::UNFINISHED).or_default();
        example.clone_into(&mut failures.example);
        for wait_ns in waits_ns {
            failures.count += 1;
            failures.service.record_ns(wait_ns);
        }
    }

    /// Adds another recording of the same phase.
    pub fn merge(&mut self, other: &Self) {
        self.service.merge(&other.service);
        self.intervals.merge(&other.intervals);
        if let Some(theirs) = &other.arrivals {
            self.arrivals.get_or_insert_default().merge(theirs);
        }
        if let Some(theirs) = &other.samples {
            self.samples.get_or_insert_default().extend(theirs);
        }
        for (kind, theirs) in &other.failures {
            match self.failures.get_mut(kind) {
                Some(ours) => {
                    ours.count += theirs.count;
                    ours.service.merge(&theirs.service);
                }
                None => {
                    self.failures.insert(kind, theirs.clone());
                }
            }
        }
        let room = MOST_VIOLATIONS.saturating_sub(self.violations.len());
        self.violations
            .extend(other.violations.iter().take(room).cloned());
    }

    /// Takes over the parts of the same phase, and empties them for the next.
    pub(crate) fn take_parts(&mut self, parts: &Parts) {
        self.parts = parts.drain();
    }

    /// The figures of the parts.
    pub(crate) fn parts(&self, parts: &Parts) -> Vec<Part> {
        parts.figures(&self.parts)
    }

    /// Clears it for the next phase, keeping its memory.
    pub fn clear(&mut self) {
        self.service.clear();
        self.intervals.clear();
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.clear();
        }
        if let Some(samples) = &mut self.samples {
            samples.clear();
        }
        self.failures.clear();
        self.violations.clear();
    }

    pub fn succeeded(&self) -> u64 {
        self.service.count()
    }

    pub fn failed(&self) -> u64 {
        self.failures.values().map(|failures| failures.count).sum()
    }

    /// Descriptions of the first violations of identity.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    pub fn failures(&self) -> BTreeMap<String, Failures> {
        self.failures
            .iter()
            .map(|(kind, failures)| {
                let failures = Failures {
                    count: failures.count,
                    example: failures.example.clone(),
                    service: failures.service.latencies(),
                };
                ((*kind).to_owned(), failures)
            })
            .collect()
    }

    pub fn failure_counts(&self) -> BTreeMap<String, u64> {
        self.failures
            .iter()
            .map(|(kind, failures)| ((*kind).to_owned(), failures.count))
            .collect()
    }

    pub fn take_arrivals(&mut self) -> Option<ArrivalTimes> {
        self.arrivals.take()
    }

    /// Individual service times, if they were kept.
    pub fn take_samples(&mut self) -> Option<Vec<u64>> {
        self.samples.take()
    }

    pub fn into_service(self) -> Latencies {
        self.service.latencies()
    }
}

/// The name of an operation in messages.
fn named(op: u64) -> String {
    match op.checked_sub(FIRST_WARMUP_OP) {
        Some(op) => format!("operation {op} of the warm-up"),
        None => format!("operation {op}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing(kind: &'static str) -> Result<(), Failure> {
        Err(Failure::new(kind, "seen"))
    }

    #[test]
    fn failures_stay_out_of_the_latency_of_successes() {
        let mut recording = Recording::default();
        recording.record(0, 1_000, Ok(()));
        recording.record(1, 9_000_000, failing(Failure::RESET));
        recording.record(2, 9_000_000, failing(Failure::RESET));
        assert_eq!(recording.succeeded(), 1);
        assert_eq!(recording.failed(), 2);
        let failures = recording.failures();
        assert_eq!(failures[Failure::RESET].count, 2);
        assert_eq!(failures[Failure::RESET].example, "operation 1: seen");
        assert_eq!(recording.into_service().quantile_ns(1.0), Some(1_000));
    }

    #[test]
    fn wrong_content_is_a_violation_with_its_operation_number() {
        let mut recording = Recording::default();
        recording.record(7, 10, failing(Failure::WRONG_CONTENT));
        recording.record(8, 10, failing(Failure::TIMEOUT));
        recording.record(FIRST_WARMUP_OP + 3, 10, failing(Failure::WRONG_CONTENT));
        let expected = ["operation 7: seen", "operation 3 of the warm-up: seen"];
        assert_eq!(recording.violations(), expected);
    }

    #[test]
    fn response_is_lag_and_service_and_a_failure_has_none() {
        let mut recording = Recording::of_arrivals();
        let times = |lag_ns| ArrivalNs {
            lag_ns,
            service_ns: 500,
        };
        recording.record_arrival(0, times(100), Ok(()));
        recording.record_arrival(1, times(2_000_000), failing(Failure::TIMEOUT));
        let mut merged = Recording::default();
        merged.merge(&recording);
        let arrivals = merged.take_arrivals().expect("an open load");
        assert_eq!((arrivals.response.count(), arrivals.lag.count()), (1, 2));
        let response = arrivals.response.latencies();
        assert_eq!(response.quantile_ns(1.0), Some(600));
        assert_eq!(arrivals.late, 1);
    }

    #[test]
    fn a_cleared_phase_leaves_nothing_for_the_next() {
        let mut recording = Recording::default();
        recording.record(0, 10, Ok(()));
        recording.record(1, 10, failing(Failure::WRONG_CONTENT));
        recording.clear();
        recording.record(2, 20, Ok(()));
        assert_eq!((recording.succeeded(), recording.failed()), (1, 0));
        assert!(recording.violations().is_empty());
        assert_eq!(recording.into_service().quantile_ns(1.0), Some(20));
    }

    #[test]
    fn merging_adds_every_count() {
        let mut one = Recording::default();
        one.record(0, 10, Ok(()));
        one.record(1, 10, failing(Failure::IO));
        let mut other = Recording::default();
        other.record(2, 20, Ok(()));
        other.record(3, 10, failing(Failure::IO));
        other.record(4, 10, failing(Failure::SHORT));
        one.merge(&other);
        assert_eq!((one.succeeded(), one.failed()), (2, 3));
    }
}
