//! Recordings of the named parts of operations: requests of a flow, statements of a transaction.
//!
//! A workload lists its parts once; each session gets a [`PartRecorder`], which counts a part by its index, by the status
//! of its answer and by the kind of its failure, and keeps the times of successes with two significant digits. Its clock
//! is in `measure/part_clock.rs`, with all others; a part that is the whole of an operation has the operation's time and
//! result. Sessions share at most [`Part::MOST_STRIPES`] stripes, so that a session nearly always has the lock to itself.
//! Nothing is allocated after the first status and failure of each kind.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use photofinish_record::latency::LatencyRecorder;
use photofinish_record::{Part, PartError};

/// The parts of a workload's operations under measurement; clones share them.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    names: Arc<[String]>,
    /// Empty if there are no parts.
    stripes: Arc<[Arc<Stripe>]>,
    /// By the number of the session.
    places: Arc<Mutex<BTreeMap<u64, SessionParts>>>,
}

/// The recordings of some sessions, by index of the part.
type Stripe = Mutex<Vec<PartRecording>>;

/// The part that is the whole of a session's current operation. Upper half: its index plus 1; lower half: its status, or 0.
/// All zero if there is none. In a cache line of its own, since every operation writes it.
#[derive(Debug, Default)]
#[repr(align(64))]
struct WholePart(AtomicU32);

/// The handle with which one session records parts; clones, in tasks of the session, record to the same place.
#[derive(Clone, Debug)]
pub struct PartRecorder {
    /// `None` if the workload has no parts, so that its code need not ask.
    place: Option<SessionParts>,
}

/// Where one session records its parts.
type SessionParts = (Arc<Stripe>, Arc<WholePart>);

/// The end of a part.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartOutcome {
    /// Kind of the failure; `None` of a success.
    pub failure: Option<&'static str>,
    /// Status of the answer, if there was an answer that has one.
    pub status: Option<u16>,
}

/// One part's counts and times in one phase.
#[derive(Clone, Debug)]
pub(crate) struct PartRecording {
    service: LatencyRecorder,
    failures: Counts<&'static str>,
    statuses: Counts<u16>,
}

/// Number of occurrences of a few values. A list, because a map would allocate for each again after it was cleared.
#[derive(Clone, Debug)]
struct Counts<K>(Vec<(K, u64)>);

impl Parts {
    /// The parts with these names, recorded in this many stripes, but at most [`Part::MOST_STRIPES`].
    pub fn new(names: Vec<String>, stripes: NonZeroU32) -> Result<Self, PartError> {
        Part::check_names(names.iter().map(String::as_str))?;
        if names.is_empty() {
            return Ok(Self::default());
        }
        let stripes = stripes.get().min(Part::MOST_STRIPES);
        let stripe = |_| Arc::new(Mutex::new(vec![PartRecording::default(); names.len()]));
        Ok(Self {
            stripes: (0..stripes).map(stripe).collect(),
            names: names.into(),
            places: Arc::default(),
        })
    }

    /// The handle of session `number`, which is its number among the sessions of all shards.
    pub fn recorder(&self, number: impl Into<u64>) -> PartRecorder {
        let mut places = locked(&self.places);
        // Not by the number: those of one shard may have a common factor with the number of stripes.
        let stripe = places.len().checked_rem(self.stripes.len());
        let place = stripe.map(|stripe| {
            let place = || (Arc::clone(&self.stripes[stripe]), Arc::default());
            places.entry(number.into()).or_insert_with(place).clone()
        });
        PartRecorder { place }
    }

    /// Merges all stripes and empties them for the next phase.
    pub(crate) fn drain(&self) -> Vec<PartRecording> {
        let mut all = vec![PartRecording::default(); self.names.len()];
        for stripe in self.stripes.iter() {
            for (sum, part) in all.iter_mut().zip(locked(stripe).iter_mut()) {
                sum.merge(part);
                part.clear();
            }
        }
        all
    }

    /// The figures of a phase that was drained.
    pub(crate) fn figures(&self, drained: &[PartRecording]) -> Vec<Part> {
        let parts = self.names.iter().zip(drained);
        parts.map(|(name, part)| part.figures(name)).collect()
    }
}

impl PartRecorder {
    /// Records that part number `part` took `service_ns`; panics if the workload lists fewer.
    #[inline]
    pub(crate) fn record(&self, part: usize, service_ns: u64, outcome: PartOutcome) {
        if let Some((stripe, _)) = &self.place {
            locked(stripe)[part].record(service_ns, outcome);
        }
    }

    /// Counts the current operation as part `part` too, with the operation's time and result. At most once in an operation,
    /// and not for a part that is recorded with a clock of its own. An operation cancelled before counts as no part.
    #[inline]
    pub fn mark_whole(&self, part: usize, status: Option<u16>) {
        if let Some((_, whole)) = &self.place {
            let part = (part as u32 + 1) << u16::BITS;
            let mark = part | u32::from(status.unwrap_or(0));
            whole.0.store(mark, Ordering::Relaxed);
        }
    }

    /// Records the part that is the whole of the operation which has just ended, if one was marked; `failure` is the kind of
    /// the operation's failure.
    #[inline]
    pub(crate) fn record_whole(&self, service_ns: u64, failure: Option<&'static str>) {
        let Some((stripe, whole)) = &self.place else {
            return;
        };
        let mark = whole.0.load(Ordering::Relaxed);
        if mark == 0 {
            return;
        }
        whole.0.store(0, Ordering::Relaxed);
        let status = mark as u16;
        let outcome = PartOutcome {
            failure,
            status: (status != 0).then_some(status),
        };
        locked(stripe)[(mark >> u16::BITS) as usize - 1].record(service_ns, outcome);
    }

    /// True if the workload has parts.
    pub(crate) fn is_recording(&self) -> bool {
        self.place.is_some()
    }
}

impl Default for PartRecording {
    fn default() -> Self {
        Self {
            service: LatencyRecorder::of_part(),
            failures: Counts::default(),
            statuses: Counts::default(),
        }
    }
}

impl PartRecording {
    #[inline]
    fn record(&mut self, service_ns: u64, outcome: PartOutcome) {
        match outcome.failure {
            None => self.service.record_ns(service_ns),
            Some(kind) => self.failures.add(kind, 1),
        }
        if let Some(status) = outcome.status {
            self.statuses.add(status, 1);
        }
    }

    fn merge(&mut self, other: &Self) {
        self.service.merge(&other.service);
        self.failures.merge(&other.failures);
        self.statuses.merge(&other.statuses);
    }

    fn clear(&mut self) {
        self.service.clear();
        self.failures.0.clear();
        self.statuses.0.clear();
    }

    fn figures(&self, name: &str) -> Part {
        Part {
            name: name.to_owned(),
            succeeded: self.service.count(),
            failed: self.failures.0.iter().map(|(_, count)| count).sum(),
            statuses: self.statuses.by_text(|status| format!("{status:03}")),
            failures: self.failures.by_text(|kind| (*kind).to_owned()),
            service: self.service.latencies(),
        }
    }
}

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<K: Copy + Eq> Counts<K> {
    #[inline]
    fn add(&mut self, key: K, count: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == key) {
            Some((_, sum)) => *sum += count,
            None => self.0.push((key, count)),
        }
    }

    fn merge(&mut self, other: &Self) {
        other
            .0
            .iter()
            .for_each(|(key, count)| self.add(*key, *count));
    }

    fn by_text(&self, text: impl Fn(&K) -> String) -> BTreeMap<String, u64> {
        self.0
            .iter()
            .map(|(key, count)| (text(key), *count))
            .collect()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSIONS: NonZeroU32 = NonZeroU32::new(40).unwrap();

    fn parts() -> Parts {
        let names = ["list", "buy"].map(str::to_owned).to_vec();
        Parts::new(names, SESSIONS).expect("sound names")
    }

    fn ended(failure: Option<&'static str>, status: u16) -> PartOutcome {
        PartOutcome {
            failure,
            status: Some(status),
        }
    }

    #[test]
    fn figures_of_all_sessions_add_up_and_draining_clears_them() {
        let parts = parts();
        for session in 0..SESSIONS.get() {
            let recorder = parts.recorder(session);
            recorder.record(0, 1_000, ended(None, 200));
            recorder.record(1, 9_000, ended(Some("status"), 500));
            recorder.clone().record(1, 2_000, ended(None, 201));
            recorder.record(
                1,
                3_000,
                PartOutcome {
                    failure: Some("timeout"),
                    status: None,
                },
            );
        }
        let figures = parts.figures(&parts.drain());
        assert_eq!(Part::check(&figures), Ok(()));
        let counts = |of: &[(&str, u64)]| -> BTreeMap<String, u64> {
            of.iter()
                .map(|(key, count)| ((*key).to_owned(), *count))
                .collect()
        };
        let [list, buy] = &figures[..] else {
            panic!("{figures:?}")
        };
        assert_eq!(
            (list.name.as_str(), list.succeeded, list.failed),
            ("list", 40, 0)
        );
        assert_eq!(
            (buy.name.as_str(), buy.succeeded, buy.failed),
            ("buy", 40, 80)
        );
        assert_eq!(buy.statuses, counts(&[("201", 40), ("500", 40)]));
        assert_eq!(buy.failures, counts(&[("status", 40), ("timeout", 40)]));
        // Two digits of the value, and no failure among the times.
        let slowest = buy.service.quantile_ns(1.0).expect("successes");
        assert!((2_000..=2_020).contains(&slowest), "{slowest}");
        let nothing = parts.figures(&parts.drain());
        assert!(
            nothing
                .iter()
                .all(|part| part.count() == 0 && part.statuses.is_empty())
        );
    }

    #[test]
    fn a_workload_without_parts_has_no_stripes_and_records_nothing() {
        let none = Parts::new(Vec::new(), SESSIONS).expect("no names");
        none.recorder(3_u32).record(7, 1, PartOutcome::default());
        assert!(none.drain().is_empty() && none.stripes.is_empty());
    }

    #[test]
    fn a_part_that_is_the_operation_has_its_time_and_result_once() {
        let parts = parts();
        // Numbers of other shards lie between those of this process.
        let number = 3 + 7 * SESSIONS.get();
        let recorder = parts.recorder(number);
        recorder.clone().mark_whole(1, Some(200));
        parts.recorder(3_u32).record_whole(4_000, None);
        parts.recorder(number).record_whole(5_000, None);
        recorder.record_whole(6_000, None);
        recorder.mark_whole(1, None);
        recorder.record_whole(7_000, Some("timeout"));
        let figures = parts.figures(&parts.drain());
        let [list, buy] = &figures[..] else {
            panic!("{figures:?}")
        };
        assert_eq!((list.count(), buy.succeeded, buy.failed), (0, 1, 1));
        assert_eq!(buy.statuses, [("200".to_owned(), 1)].into());
        assert_eq!(buy.failures, [("timeout".to_owned(), 1)].into());
        assert_eq!(buy.service.count(), 1);
    }

    #[test]
    fn sessions_beyond_the_stripes_share_them() {
        let parts = parts();
        assert_eq!(parts.stripes.len(), Part::MOST_STRIPES as usize);
        // Numbers as the fourth of sixteen shards has them.
        let recorders = (0..=Part::MOST_STRIPES).map(|own| parts.recorder(3 + 16 * own));
        let recorders: Vec<_> = recorders.collect();
        for recorder in [&recorders[0], &recorders[16]] {
            recorder.record(0, 5, PartOutcome::default());
        }
        assert_eq!(locked(&parts.stripes[0])[0].service.count(), 2);
    }
}
