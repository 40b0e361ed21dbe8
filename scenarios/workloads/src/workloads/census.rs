//! Counts of open connections, taken at the socket.
//!
//! Even if a pool loses track of its connections, these numbers stay correct. A mutex, locked once to open and once to
//! close, keeps them consistent. Workloads check the numbers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Counts open connections; clones share the counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Census {
    counts: Arc<Mutex<Counts>>,
}

/// The numbers of a [`Census`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Opened so far.
    pub(super) opened: u64,
    /// Closed so far.
    pub(super) closed: u64,
    /// Maximum number open at once.
    pub(super) most: u64,
    /// Minimum number open since [`Census::watch_fewest`]; 0 before.
    pub(super) fewest: u64,
}

impl Counts {
    /// Open now.
    pub(super) fn open(&self) -> u64 {
        self.opened - self.closed
    }
}

impl Census {
    /// Counts a connection as open until the guard is dropped.
    pub(super) fn enter(&self) -> CensusGuard {
        let mut counts = self.lock();
        counts.opened += 1;
        counts.most = counts.most.max(counts.open());
        CensusGuard(self.clone())
    }

    /// Starts to record the minimum, once the initial connections are open.
    pub(super) fn watch_fewest(&self) {
        let mut counts = self.lock();
        counts.fewest = counts.open();
    }

    /// The counts so far.
    pub(super) fn counts(&self) -> Counts {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that a [`Census`] counts.
#[derive(Debug)]
pub(super) struct CensusGuard(Census);

impl Drop for CensusGuard {
    fn drop(&mut self) {
        let mut counts = self.0.lock();
        counts.closed += 1;
        counts.fewest = counts.fewest.min(counts.open());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_maximum_the_minimum_and_unclosed_connections_are_counted() {
        let census = Census::default();
        let mut present: Vec<_> = (0..3).map(|_| census.enter()).collect();
        census.watch_fewest();
        present.push(census.enter());
        present.truncate(2);
        present.push(census.enter());
        let counts = Counts {
            opened: 5,
            closed: 2,
            most: 4,
            fewest: 2,
        };
        assert_eq!(census.counts(), counts);
        std::mem::forget(present);
        assert_eq!(census.counts().open(), 3);
    }
}
