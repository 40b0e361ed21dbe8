//! A server's counts of its own work, against which a worker's numbers are checked.
//!
//! Counters are relaxed atomics: they are read after the load has ended, when all counts have long settled, so the hot
//! path need not pay for ordering. Nothing is measured here; the only times are the process's CPU time. A count that a
//! server cannot keep is absent (null), never zero. Read `serve.rs` next for the line that prints them.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::{Deserialize, Serialize};

use crate::os;

/// The names of the counts that a server itself keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Count {
    /// Complete requests served.
    Requests,
    /// Bytes read from accepted sockets.
    BytesIn,
    /// Bytes written to accepted sockets.
    BytesOut,
    /// Connections accepted.
    Connections,
    /// Connections open now.
    OpenConnections,
    /// Maximum number of requests processed at once.
    PeakInFlight,
    /// SQL statements executed.
    Statements,
    /// Requests for which nothing was scripted.
    Unmatched,
    /// Requests refused because a limit was reached.
    Refused,
    /// Faults injected on purpose.
    Faults,
    /// Requests whose client left before they were answered; they are not among the requests.
    Abandoned,
}

/// The counters of one server process, shared by its threads.
#[derive(Debug, Default)]
pub struct Counts {
    /// See [`Count::Requests`].
    pub requests: AtomicU64,
    /// See [`Count::BytesIn`].
    pub bytes_in: AtomicU64,
    /// See [`Count::BytesOut`].
    pub bytes_out: AtomicU64,
    /// See [`Count::Connections`].
    pub connections: AtomicU64,
    /// See [`Count::OpenConnections`].
    pub open_connections: AtomicU64,
    /// Requests currently being processed; the source of [`Count::PeakInFlight`].
    pub in_flight: AtomicU64,
    /// See [`Count::PeakInFlight`].
    pub peak_in_flight: AtomicU64,
    /// See [`Count::Statements`].
    pub statements: AtomicU64,
    /// See [`Count::Unmatched`].
    pub unmatched: AtomicU64,
    /// See [`Count::Refused`].
    pub refused: AtomicU64,
    /// See [`Count::Faults`].
    pub faults: AtomicU64,
    /// See [`Count::Abandoned`].
    pub abandoned: AtomicU64,
}

impl Counts {
    /// Marks a request as being processed until the guard is dropped.
    pub fn enter(&self) -> InFlight<'_> {
        let now = self.in_flight.fetch_add(1, Relaxed) + 1;
        // A plain load first: the peak only changes a few times in a run, while a read-modify-write would cost every
        // request.
        if now > self.peak_in_flight.load(Relaxed) {
            self.peak_in_flight.fetch_max(now, Relaxed);
        }
        InFlight(self)
    }

    /// The current values; those not in `counted` are absent.
    pub fn snapshot(&self, counted: &[Count]) -> CountsSnapshot {
        let kept = |count, value: &AtomicU64| counted.contains(&count).then(|| value.load(Relaxed));
        let cpu = os::cpu_time();
        CountsSnapshot {
            requests: kept(Count::Requests, &self.requests),
            bytes_in: kept(Count::BytesIn, &self.bytes_in),
            bytes_out: kept(Count::BytesOut, &self.bytes_out),
            connections: kept(Count::Connections, &self.connections),
            open_connections: kept(Count::OpenConnections, &self.open_connections),
            peak_in_flight: kept(Count::PeakInFlight, &self.peak_in_flight),
            statements: kept(Count::Statements, &self.statements),
            unmatched: kept(Count::Unmatched, &self.unmatched),
            refused: kept(Count::Refused, &self.refused),
            faults: kept(Count::Faults, &self.faults),
            abandoned: kept(Count::Abandoned, &self.abandoned),
            cpu_user_ns: cpu.map(|cpu| cpu.user_ns),
            cpu_system_ns: cpu.map(|cpu| cpu.system_ns),
        }
    }
}

/// A request being processed; dropping it marks the end.
#[derive(Debug)]
pub struct InFlight<'a>(&'a Counts);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}

/// A server's counts at one moment; null if this server does not keep a count.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CountsSnapshot {
    /// See [`Count::Requests`].
    pub requests: Option<u64>,
    /// See [`Count::BytesIn`].
    pub bytes_in: Option<u64>,
    /// See [`Count::BytesOut`].
    pub bytes_out: Option<u64>,
    /// See [`Count::Connections`].
    pub connections: Option<u64>,
    /// See [`Count::OpenConnections`].
    pub open_connections: Option<u64>,
    /// See [`Count::PeakInFlight`].
    pub peak_in_flight: Option<u64>,
    /// See [`Count::Statements`].
    pub statements: Option<u64>,
    /// See [`Count::Unmatched`].
    pub unmatched: Option<u64>,
    /// See [`Count::Refused`].
    pub refused: Option<u64>,
    /// See [`Count::Faults`].
    pub faults: Option<u64>,
    /// See [`Count::Abandoned`].
    pub abandoned: Option<u64>,
    /// CPU time the process has spent in user mode, nanoseconds.
    pub cpu_user_ns: Option<u64>,
    /// CPU time the process has spent in the kernel, nanoseconds.
    pub cpu_system_ns: Option<u64>,
}
