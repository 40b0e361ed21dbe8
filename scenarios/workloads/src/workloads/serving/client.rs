//! The control connection to the fixed client.
//!
//! Commands are lines of JSON: open this many connections to this address, start the measurement, stop, report. The
//! client itself, which loads the worker and checks its responses, is a server of the `servers` crate; requests to be
//! served do not pass through here.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use photofinish_harness::observed::Observed;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{Failure, RoundEnv};
use photofinish_record::latency::Latencies;
use serde::Deserialize;
use serde_json::json;

use super::super::wire::{CONNECTING, Dialer, Route, Wire, invalid, within};
use super::CLIENT;
use crate::protocol::http::HttpTarget;

/// Buffer size, so that a common report arrives in one read.
const BUFFER_BYTES: usize = 4 * 1024;

/// The control connection to the fixed client.
pub(super) struct Client<R: Runtime> {
    /// `None` while it is in use, and after a failure.
    wire: Mutex<Option<Wire<R>>>,
}

/// The client's report on a round.
#[derive(Debug, Deserialize)]
pub(super) struct Report {
    wrong: Tally,
    broken: Tally,
    latency: Latencies,
    left_waiting: u32,
}

#[derive(Debug, Deserialize)]
struct Tally {
    count: u64,
    example: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Loading(NonZeroU32),
    Report(Box<Report>),
    Error(String),
}

impl<R: Runtime> Client<R> {
    /// Makes the client open a connection to `address` for each requested session, and send requests from then on.
    pub(super) async fn load(
        env: &RoundEnv<R>,
        address: SocketAddr,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let target = &env.targets[CLIENT];
        let parsed = HttpTarget::parse(&target.url).map_err(invalid)?;
        let dialer = Dialer::new(env, CLIENT, Route::of(env, CLIENT, &parsed.location)?);
        let mut wire = dialer.wire(BUFFER_BYTES);
        let what = "connecting to the client";
        within(&env.runtime, CONNECTING, what, wire.open(&dialer)).await?;
        let client = Self {
            wire: Mutex::new(Some(wire)),
        };
        let command = json!({"load": {"address": address, "connections": env.concurrency}});
        match client.request(env, &command.to_string(), patience).await? {
            Reply::Loading(connections) if connections.get() == env.concurrency => Ok(client),
            other => Err(unexpected(&other)),
        }
    }

    fn place(&self) -> MutexGuard<'_, Option<Wire<R>>> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_wire(&self) -> Result<Wire<R>, Failure> {
        let wire = self.place().take();
        wire.ok_or_else(|| {
            Failure::new(
                Failure::IO,
                "the control connection to the client is closed",
            )
        })
    }

    pub(super) async fn send(&self, command: &str) -> Result<(), Failure> {
        let mut wire = self.take_wire()?;
        send_over(&mut wire, command).await?;
        *self.place() = Some(wire);
        Ok(())
    }

    async fn request(
        &self,
        env: &RoundEnv<R>,
        command: &str,
        patience: Duration,
    ) -> Result<Reply, Failure> {
        let mut wire = self.take_wire()?;
        send_over(&mut wire, command).await?;
        let replied = env.runtime.timeout(patience, receive(&mut wire)).await;
        let reply = replied
            .map_err(|_| Failure::new(Failure::TIMEOUT, "no reply from the client in time"))??;
        *self.place() = Some(wire);
        Ok(reply)
    }

    pub(super) async fn report(
        &self,
        env: &RoundEnv<R>,
        patience: Duration,
    ) -> Result<Report, Failure> {
        match self.request(env, "\"report\"", patience).await? {
            Reply::Report(report) => Ok(*report),
            other => Err(unexpected(&other)),
        }
    }
}

async fn send_over<R: Runtime>(wire: &mut Wire<R>, command: &str) -> Result<(), Failure> {
    let mut transfer = wire.transfer();
    let mut line = format!("{command}\n").into_bytes();
    transfer.write(&mut line).await?;
    transfer.end();
    Ok(())
}

async fn receive<R: Runtime>(wire: &mut Wire<R>) -> Result<Reply, Failure> {
    let mut transfer = wire.transfer();
    while !transfer.received().unread().ends_with(b"\n") {
        if !transfer.read().await? {
            return Err(Failure::new(
                Failure::SHORT,
                "the client closed its control connection",
            ));
        }
    }
    let received = transfer.received();
    let reply = serde_json::from_slice(received.unread());
    received.clear();
    transfer.end();
    reply.map_err(|error| {
        let detail = format!("expected a reply of the client, got invalid JSON: {error}");
        Failure::new(Failure::IO, detail)
    })
}

fn unexpected(reply: &Reply) -> Failure {
    let message = match reply {
        Reply::Error(error) => format!("the client refused: {error}"),
        Reply::Loading(_) | Reply::Report(_) => "unexpected reply from the client".to_owned(),
    };
    Failure::new(Failure::IO, message)
}

impl Report {
    pub(super) fn observe(&self, observed: &Observed) {
        observed.times("client_latency", &self.latency);
        observed.number("connections_left_waiting", f64::from(self.left_waiting));
    }

    pub(super) fn violations(&self) -> Vec<String> {
        let message = |tally: &Tally, what: &str| {
            let Tally { count, example } = tally;
            (*count > 0).then(|| format!("the client saw {count} {what}, such as: {example}"))
        };
        let wrong = message(&self.wrong, "wrong answers");
        let broken = message(&self.broken, "connections break");
        wrong.into_iter().chain(broken).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_responses_and_broken_connections_are_violations_but_waiting_is_not() {
        let tally = |count| Tally {
            count,
            example: "an example".to_owned(),
        };
        let violations = |wrong, broken| {
            let report = Report {
                wrong: tally(wrong),
                broken: tally(broken),
                latency: Latencies::default(),
                left_waiting: 15,
            };
            report.violations()
        };
        assert!(violations(0, 0).is_empty());
        assert_eq!(
            violations(2, 1),
            [
                "the client saw 2 wrong answers, such as: an example",
                "the client saw 1 connections break, such as: an example",
            ]
        );
    }
}
