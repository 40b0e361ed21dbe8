//! Observations made by a workload or a probe, in addition to the measuring loop's: named histograms and numbers.
//!
//! A sleep's overshoot, the lag of a probe, the memory of an idle task: results that the time around an operation
//! cannot express. They are cleared between warm-up and measurement like everything else.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use photofinish_record::latency::{Latencies, LatencyRecorder};

/// Observations of one phase; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    times: BTreeMap<&'static str, LatencyRecorder>,
    numbers: BTreeMap<&'static str, Mean>,
    /// Determined before the warm-up; never cleared.
    contents: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Observed {
    /// Records a time in ns, in the histogram called `name`: `timer_overshoot`.
    pub fn time_ns(&self, name: &'static str, time_ns: u64) {
        let mut inner = self.lock();
        inner.times.entry(name).or_default().record_ns(time_ns);
    }

    /// Adds times that were measured elsewhere to the histogram called `name`.
    pub fn times(&self, name: &'static str, times: &Latencies) {
        self.lock().times.entry(name).or_default().add(times);
    }

    /// Records a number whose mean is kept; the unit ends its name: `idle_task_bytes`.
    pub fn number(&self, name: &'static str, value: f64) {
        let mut inner = self.lock();
        let mean = inner.numbers.entry(name).or_default();
        mean.sum += value;
        mean.count += 1;
    }

    /// Records the answer to a request that every operation repeats, so that two builds of a server that answer
    /// differently can be told apart from two that differ only in speed.
    pub fn content(&self, question: impl Into<String>, answer: impl Into<String>) {
        self.lock().contents.insert(question.into(), answer.into());
    }

    /// Clears what belongs to a phase: times and numbers.
    pub(crate) fn clear(&self) {
        let mut inner = self.lock();
        inner.times.clear();
        inner.numbers.clear();
    }

    /// All answers, by question.
    pub(crate) fn contents(&self) -> BTreeMap<String, String> {
        self.lock().contents.clone()
    }

    pub(crate) fn all_times(&self) -> BTreeMap<String, Latencies> {
        self.lock()
            .times
            .iter()
            .map(|(name, times)| ((*name).to_owned(), times.latencies()))
            .collect()
    }

    pub(crate) fn gauges(&self) -> BTreeMap<String, f64> {
        let owned = |(name, mean): (&&'static str, &Mean)| {
            ((*name).to_owned(), mean.sum / mean.count as f64)
        };
        self.lock().numbers.iter().map(owned).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_what_was_observed_until_it_is_forgotten() {
        let observed = Observed::default();
        let clone = observed.clone();
        clone.time_ns("overshoot", 10);
        clone.number("task_bytes", 1.0);
        clone.number("task_bytes", 3.0);
        clone.times("overshoot", &observed.all_times()["overshoot"]);
        assert_eq!(observed.all_times()["overshoot"].count(), 2);
        assert_eq!(observed.gauges()["task_bytes"], 2.0);
        observed.clear();
        assert!(clone.all_times().is_empty() && clone.gauges().is_empty());
    }
}
