//! Accepts the connections of a round, one slot at a time.
//!
//! A listener serves one caller, so a slot leases it, and returns it even if the wait is abandoned. `slot.rs` serves a
//! connection, `client.rs` talks to the fixed client.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use photofinish_harness::runtime::{Listener as _, Runtime, Semaphore as _};
use photofinish_harness::traffic::TrafficCounter;
use photofinish_harness::workload::{Failure, RoundEnv};

use super::super::wire::Link;
use super::CLIENT;
use super::client::Client;

/// Accepts connections for all slots of a round.
pub struct Acceptor<R: Runtime> {
    /// `None` while a slot waits for the next connection.
    listener: Mutex<Option<R::Listener>>,
    /// One permit: its holder may wait for the next connection.
    turn: R::Semaphore,
    pub(super) accepted: AtomicU32,
    pub(super) traffic: TrafficCounter,
    pub(super) patience: Duration,
    pub(super) client: Option<Client<R>>,
    /// True once the client was told to stop.
    pub(super) ending: AtomicBool,
    /// Failures after the last operation.
    broken: Mutex<Vec<String>>,
}

impl<R: Runtime> Acceptor<R> {
    pub(super) fn new(
        env: &RoundEnv<R>,
        listener: R::Listener,
        client: Option<Client<R>>,
        patience: Duration,
    ) -> Self {
        Self {
            listener: Mutex::new(Some(listener)),
            turn: env.runtime.semaphore(NonZeroU32::MIN),
            accepted: AtomicU32::new(0),
            // Other clients do not report counts, so there is nothing to compare with.
            traffic: match client {
                Some(_) => env.traffic[CLIENT].clone(),
                None => TrafficCounter::default(),
            },
            patience,
            client,
            ending: AtomicBool::new(false),
            broken: Mutex::default(),
        }
    }

    pub(super) fn listener(&self) -> MutexGuard<'_, Option<R::Listener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn broken(&self) -> MutexGuard<'_, Vec<String>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the client clear its observations of the warm-up: once per round, by the session with the first measured
    /// operation.
    pub(super) async fn begin_measurement(&self) -> Result<(), Failure> {
        match &self.client {
            Some(client) => client.send("\"measure\"").await,
            None => Ok(()),
        }
    }

    pub(super) async fn accept(&self) -> Result<Link<R>, Failure> {
        let _turn = self.turn.acquire().await;
        let mut lease = ListenerLease {
            acceptor: self,
            listener: self.listener().take(),
        };
        let listener = lease.listener.as_mut();
        let listener =
            listener.ok_or_else(|| Failure::new(Failure::IO, "the listener is closed"))?;
        let stream = listener.accept().await?;
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.traffic.connected();
        Ok(Link::Plain(stream))
    }
}

/// The listener while a slot waits for it; returned even if the wait is abandoned.
struct ListenerLease<'a, R: Runtime> {
    acceptor: &'a Acceptor<R>,
    listener: Option<R::Listener>,
}

impl<R: Runtime> Drop for ListenerLease<'_, R> {
    fn drop(&mut self) {
        *self.acceptor.listener() = self.listener.take();
    }
}
