//! Counts and checks of the parts of an operation: each item once, a limited number at once, no wait cut short.
//!
//! Counting is shared by all parts of one operation and costs an atomic each; the check comes once, after they are
//! joined. Pure functions, so that tests can feed them the counts of a broken workload.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use photofinish_harness::workload::Failure;
#[cfg(test)]
use photofinish_harness::workload::Totals;
#[cfg(test)]
use photofinish_record::Traffic;

/// Counts how often each of a number of items was seen.
#[derive(Debug)]
pub(super) struct Ledger {
    seen: Vec<AtomicU32>,
}

impl Ledger {
    /// For items numbered from 0 to `items` - 1, none seen yet.
    pub(super) fn new(items: u32) -> Self {
        Self {
            seen: (0..items).map(|_| AtomicU32::new(0)).collect(),
        }
    }

    /// Counts item number `item` once more.
    pub(super) fn note(&self, item: u32) {
        self.seen[item as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// The sum over all items.
    pub(super) fn noted(&self) -> u32 {
        let counts = self.seen.iter();
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    }

    /// Checks that each item was seen once; `thing` is the word for an item.
    pub(super) fn each_once(&self, thing: &str) -> Result<(), Failure> {
        for (item, count) in self.seen.iter().enumerate() {
            let count = count.load(Ordering::Relaxed);
            if count != 1 {
                return Err(Failure::wrong_content(format!(
                    "expected {thing} {item} once, got it {count} times"
                )));
            }
        }
        Ok(())
    }
}

/// A gauge with its maximum.
#[derive(Debug, Default)]
pub(super) struct Peak {
    now: AtomicI64,
    most: AtomicI64,
}

impl Peak {
    /// Adds one.
    pub(super) fn up(&self) {
        let now = self.now.fetch_add(1, Ordering::AcqRel) + 1;
        self.most.fetch_max(now, Ordering::AcqRel);
    }

    /// Subtracts one.
    pub(super) fn down(&self) {
        self.now.fetch_sub(1, Ordering::AcqRel);
    }

    /// Adds one until the guard is dropped.
    pub(super) fn enter(self: &Arc<Self>) -> PeakGuard {
        self.up();
        PeakGuard(Arc::clone(self))
    }

    /// The value now.
    pub(super) fn now(&self) -> i64 {
        self.now.load(Ordering::Acquire)
    }

    /// The maximum so far.
    pub(super) fn most(&self) -> i64 {
        self.most.load(Ordering::Acquire)
    }

    /// Checks that there were never more than `limit`; `things` are the counted items, such as `jobs`.
    pub(super) fn at_most(&self, limit: u32, things: &str) -> Result<(), Failure> {
        let most = self.most();
        ensure(most <= i64::from(limit), || {
            format!("expected at most {limit} {things} at once, got {most}")
        })
    }
}

/// A unit of a [`Peak`].
#[derive(Debug)]
pub(super) struct PeakGuard(Arc<Peak>);

impl Drop for PeakGuard {
    fn drop(&mut self) {
        self.0.down();
    }
}

/// The lateness of a wait until `due`, which must not end before: late is a result, early is wrong.
pub(super) fn lateness(due: Instant, woke: Instant) -> Result<Duration, Failure> {
    woke.checked_duration_since(due).ok_or_else(|| {
        let early = due - woke;
        Failure::wrong_content(format!("a wait ended {early:?} before it was due"))
    })
}

/// Checks that `what` took at least `least`; longer is a result, shorter is wrong.
pub(super) fn no_shorter(least: Duration, took: Duration, what: &str) -> Result<(), Failure> {
    ensure(took >= least, || {
        format!("expected {what} to take at least {least:?}, took {took:?}")
    })
}

/// Wrong content unless `holds`.
pub(super) fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), Failure> {
    if holds {
        Ok(())
    } else {
        Err(Failure::wrong_content(message()))
    }
}

/// The detail of a failure, or nothing.
#[cfg(test)]
pub(super) fn detail<T>(verdict: Result<T, Failure>) -> String {
    verdict.map_or_else(Failure::into_detail, |_| String::new())
}

/// The totals of a round with this traffic to `target`.
#[cfg(test)]
pub(super) fn totals(succeeded: u64, failed: u64, target: &str, traffic: Traffic) -> Totals {
    Totals {
        sessions: 2,
        succeeded,
        failed,
        traffic: [(target.to_owned(), traffic)].into(),
    }
}

/// Checks that there are exactly `expected` `things`.
pub(super) fn exactly<N: Eq + std::fmt::Display>(
    expected: N,
    seen: N,
    things: &str,
) -> Result<(), Failure> {
    ensure(seen == expected, || {
        format!("expected {expected} {things}, got {seen}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_and_duplicated_items_are_named() {
        let check = |noted: &[u32], expected: Result<(), &str>| {
            let ledger = Ledger::new(3);
            noted.iter().for_each(|item| ledger.note(*item));
            assert_eq!(ledger.noted() as usize, noted.len());
            let found = ledger.each_once("job").map_err(Failure::into_detail);
            assert_eq!(found, expected.map_err(str::to_owned), "{noted:?}");
        };
        check(&[2, 0, 1], Ok(()));
        check(&[2, 0], Err("expected job 1 once, got it 0 times"));
        check(&[0, 1, 2, 1], Err("expected job 1 once, got it 2 times"));
    }

    #[test]
    fn the_maximum_outlasts_the_item_that_reached_it() {
        let peak = Arc::new(Peak::default());
        let three = [peak.enter(), peak.enter(), peak.enter()];
        assert!(peak.at_most(3, "jobs").is_ok());
        drop(peak.enter());
        drop(three);
        assert_eq!((peak.now(), peak.most()), (0, 4));
        let failure = peak.at_most(3, "jobs").unwrap_err();
        assert_eq!(failure.kind, Failure::WRONG_CONTENT);
        assert_eq!(failure.detail, "expected at most 3 jobs at once, got 4");
    }

    #[test]
    fn a_wait_may_end_late_and_never_early() {
        let due = Instant::now() + Duration::from_secs(1);
        assert_eq!(lateness(due, due), Ok(Duration::ZERO));
        let late = Duration::from_secs(9);
        assert_eq!(lateness(due, due + late), Ok(late));
        let failure = lateness(due, due - Duration::from_millis(3)).unwrap_err();
        assert!(failure.detail.contains("3ms before"), "{failure}");
    }

    #[test]
    fn a_task_takes_at_least_its_wait() {
        let least = Duration::from_millis(20);
        assert!(no_shorter(least, least, "a task").is_ok());
        assert!(no_shorter(least, least * 2, "a task").is_ok());
        let failure = no_shorter(least, least / 4, "a task").unwrap_err();
        assert_eq!(
            failure.detail,
            "expected a task to take at least 20ms, took 5ms"
        );
    }

    #[test]
    fn a_wrong_count_is_reported_with_the_expected_one() {
        assert!(exactly(7, 7, "batches").is_ok());
        let failure = exactly(7, 6, "batches").unwrap_err();
        assert_eq!(failure.detail, "expected 7 batches, got 6");
    }
}
