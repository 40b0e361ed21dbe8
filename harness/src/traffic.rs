//! Counts what a workload sends and receives, for comparison with the server's own counts.
//!
//! One counter per target and process, made of relaxed atomics: it is updated once per exchange, by any session.
//! Workloads share it through [`crate::workload::Env`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use photofinish_record::Traffic;

/// A shared counter of exchanges, bytes and connections.
#[derive(Clone, Debug, Default)]
pub struct TrafficCounter {
    totals: Arc<Totals>,
}

#[derive(Debug, Default)]
struct Totals {
    requests: AtomicU64,
    bytes_out: AtomicU64,
    bytes_in: AtomicU64,
    reads: AtomicU64,
    connections: AtomicU64,
    abandoned: AtomicU64,
    abandoned_connections: AtomicU64,
    reconnects: AtomicU64,
    transactions: AtomicU64,
    full_handshakes: AtomicU64,
    resumed_handshakes: AtomicU64,
}

#[inline]
fn add(total: &AtomicU64, count: u64) {
    total.fetch_add(count, Ordering::Relaxed);
}

impl TrafficCounter {
    pub fn connected(&self) {
        add(&self.totals.connections, 1);
    }

    /// Counts bytes written to a socket.
    #[inline]
    pub fn wrote(&self, bytes: usize) {
        add(&self.totals.bytes_out, bytes as u64);
    }

    /// Counts bytes read from a socket.
    #[inline]
    pub fn read(&self, bytes: usize) {
        add(&self.totals.bytes_in, bytes as u64);
        add(&self.totals.reads, 1);
    }

    /// Counts a completely answered request.
    #[inline]
    pub fn answered(&self) {
        add(&self.totals.requests, 1);
    }

    /// Counts an exchange that was started but whose end will not be seen: abandoned, or broken.
    pub fn abandoned(&self) {
        add(&self.totals.abandoned, 1);
    }

    /// Counts a connection that was abandoned while it was being opened.
    pub fn abandoned_connection(&self) {
        add(&self.totals.abandoned_connections, 1);
    }

    /// Counts a keep-alive connection that the server had closed and that is reopened.
    pub fn reconnected(&self) {
        add(&self.totals.reconnects, 1);
    }

    /// Counts a completed database transaction.
    #[inline]
    pub fn ended_transaction(&self) {
        add(&self.totals.transactions, 1);
    }

    /// Counts a completed TLS handshake.
    pub fn secured(&self, is_resumed: bool) {
        let Totals {
            full_handshakes,
            resumed_handshakes,
            ..
        } = &*self.totals;
        add(
            if is_resumed {
                resumed_handshakes
            } else {
                full_handshakes
            },
            1,
        );
    }

    pub fn snapshot(&self) -> Traffic {
        let load = |total: &AtomicU64| total.load(Ordering::Relaxed);
        Traffic {
            requests: load(&self.totals.requests),
            bytes_out: Some(load(&self.totals.bytes_out)),
            bytes_in: Some(load(&self.totals.bytes_in)),
            reads: load(&self.totals.reads),
            connections: load(&self.totals.connections),
            abandoned: load(&self.totals.abandoned),
            abandoned_connections: load(&self.totals.abandoned_connections),
            reconnects: load(&self.totals.reconnects),
            transactions: load(&self.totals.transactions),
            full_handshakes: load(&self.totals.full_handshakes),
            resumed_handshakes: load(&self.totals.resumed_handshakes),
        }
    }
}
