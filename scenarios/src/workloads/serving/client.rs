//! The fixed client, as the worker that serves meets it: the connection over which it is told what to do.
//!
//! It is told, a line of JSON at a time, where to connect and how often, when the measurement begins, when to stop, and
//! asked in the end what it saw. The client itself, which loads a worker and checks its answers, is a server of the
//! `servers` crate; no request to be served passes through here.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use photofinish_harness::buffer::Buffer;
use photofinish_harness::runtime::{Runtime, Stream as _};
use photofinish_harness::traffic::TrafficCounter;
use photofinish_harness::workload::{Failure, RoundEnv};
use photofinish_record::latency::Latencies;
use serde::Deserialize;
use serde_json::json;

use super::CLIENT;
use crate::protocol::http::HttpTarget;

/// Room for a common report to arrive in one read.
const BUFFER_BYTES: usize = 4 * 1024;

/// The fixed client, at the other end of the connection over which it is told what to do.
pub(super) struct Client<R: Runtime> {
    /// `None` while it is in use, and after a failure.
    stream: Mutex<Option<R::Stream>>,
    traffic: TrafficCounter,
}

/// What the client tells in the end.
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
    /// Has it open a connection to `address` for each session that was asked for, and ask from then on.
    pub(super) async fn load(
        env: &RoundEnv<R>,
        address: SocketAddr,
        patience: Duration,
    ) -> Result<Self, Failure> {
        let traffic = env.traffic[CLIENT].clone();
        let stream = env.runtime.connect(client_address(env)?).await?;
        traffic.connected();
        let client = Self {
            stream: Mutex::new(Some(stream)),
            traffic,
        };
        let command = json!({"load": {"address": address, "connections": env.concurrency}});
        match client.ask(env, &command.to_string(), patience).await? {
            Reply::Loading(connections) if connections.get() == env.concurrency => Ok(client),
            other => Err(unexpected(&other)),
        }
    }

    fn stream(&self) -> MutexGuard<'_, Option<R::Stream>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_stream(&self) -> Result<R::Stream, Failure> {
        let stream = self.stream().take();
        stream.ok_or_else(|| Failure::new(Failure::IO, "the client cannot be reached any more"))
    }

    pub(super) async fn say(&self, command: &str) -> Result<(), Failure> {
        let mut stream = self.take_stream()?;
        self.say_over(&mut stream, command).await?;
        *self.stream() = Some(stream);
        Ok(())
    }

    async fn say_over(&self, stream: &mut R::Stream, command: &str) -> Result<(), Failure> {
        let mut line = format!("{command}\n").into_bytes();
        stream.write_all(&mut line).await?;
        self.traffic.wrote(line.len());
        Ok(())
    }

    async fn ask(
        &self,
        env: &RoundEnv<R>,
        command: &str,
        patience: Duration,
    ) -> Result<Reply, Failure> {
        let mut stream = self.take_stream()?;
        self.say_over(&mut stream, command).await?;
        let replied = env.runtime.timeout(patience, self.hear(&mut stream)).await;
        let reply =
            replied.map_err(|_| Failure::new(Failure::TIMEOUT, "the client is silent"))??;
        *self.stream() = Some(stream);
        Ok(reply)
    }

    async fn hear(&self, stream: &mut R::Stream) -> Result<Reply, Failure> {
        let mut received = Buffer::with_capacity(BUFFER_BYTES);
        while !received.unread().ends_with(b"\n") {
            let count = stream.read(&mut received).await?;
            self.traffic.read(count);
            if count == 0 {
                return Err(Failure::new(Failure::SHORT, "the client left"));
            }
        }
        let told = |error| Failure::new(Failure::IO, format!("the client told nonsense: {error}"));
        serde_json::from_slice(received.unread()).map_err(told)
    }

    pub(super) async fn report(
        &self,
        env: &RoundEnv<R>,
        patience: Duration,
    ) -> Result<Report, Failure> {
        match self.ask(env, "\"report\"", patience).await? {
            Reply::Report(report) => Ok(*report),
            other => Err(unexpected(&other)),
        }
    }
}

fn client_address<R>(env: &RoundEnv<R>) -> Result<SocketAddr, Failure> {
    let cannot = |detail: String| Failure::new(Failure::IO, detail);
    let target = HttpTarget::parse(&env.targets[CLIENT].url);
    let target = target.map_err(|error| cannot(error.to_string()))?;
    let mut addresses = (target.host.as_str(), target.port).to_socket_addrs()?;
    let address = addresses.next();
    address.ok_or_else(|| cannot(format!("`{}` has no address", target.host)))
}

fn unexpected(reply: &Reply) -> Failure {
    let told = match reply {
        Reply::Error(error) => format!("the client refused: {error}"),
        Reply::Loading(_) | Reply::Report(_) => "the client answered something else".to_owned(),
    };
    Failure::new(Failure::IO, told)
}

impl Report {
    pub(super) fn tell<R>(&self, env: &RoundEnv<R>) {
        env.observed.times("client_latency", &self.latency);
        env.observed
            .number("connections_left_waiting", f64::from(self.left_waiting));
    }

    pub(super) fn violations(&self) -> Vec<String> {
        let told = |tally: &Tally, what: &str| {
            let Tally { count, example } = tally;
            (*count > 0).then(|| format!("the client saw {count} {what}, such as: {example}"))
        };
        let wrong = told(&self.wrong, "wrong answers");
        let broken = told(&self.broken, "connections break");
        wrong.into_iter().chain(broken).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_answers_and_broken_connections_are_violations_and_waiting_is_none() {
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
