//! The worker as a server, for `serve-http` and `serve-gateway`.
//!
//! A session is a slot for one connection, and takes the next one when that is closed: a connection is served by a
//! task, a thread or a queue entry, as the runtime defines sessions, and `sync` serves one at a time. An operation
//! awaits the next request, answers it, and ends when the response is written. The fixed client sends a request as soon
//! as it has a response, so the operation's time is the whole turn of a connection: request, response, the client
//! between them, and the time until the runtime notices. The client reports its own view as `client_latency`.
//!
//! With an address to listen on, the fixed client is not used, and any client is served; a request that is invalid,
//! incomplete or missing is a failed operation. `serving/slot.rs` serves a connection.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::runtime::{Listener as _, Runtime};
use photofinish_harness::workload::{Failure, ParamError, RoundEnv};

use self::client::Client;
use super::params::{count, params, require};
use crate::protocol::http_server::Response;

mod slot;

mod acceptor;
mod client;

pub(super) use acceptor::Acceptor;
pub(super) use slot::Slot;

/// Name of the target that loads a serving worker.
pub const CLIENT: &str = "client";

params! {
    /// Address to listen on for your own clients, such as `127.0.0.1:8080`; empty for the fixed client and any free port.
    listen: String = String::new(),
    /// Timeout of waiting for a request, and of writing a response, in ms; it closes the connection.
    patience_ms: NonZeroU32 = count(10_000),
}

/// Makes the responses of a connection.
pub trait Handler<R: Runtime>: Send + 'static {
    /// Answers a GET of `target`.
    fn answer(
        &mut self,
        env: &RoundEnv<R>,
        target: &str,
        answer: &mut Response,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The serving side of one round.
#[derive(Debug)]
pub(super) struct Serving {
    listen: Option<SocketAddr>,
    patience: Duration,
}

impl Serving {
    pub(super) fn new(params: &Params) -> Result<Self, ParamError> {
        let listen = params.listen.parse().ok();
        require(
            params.listen.is_empty() || listen.is_some(),
            "listen",
            || {
                format!(
                    "`{}` is not an address to listen on; use one such as 127.0.0.1:8080",
                    params.listen
                )
            },
        )?;
        Ok(Self {
            listen,
            patience: Duration::from_millis(params.patience_ms.get().into()),
        })
    }

    /// Listens, and has the fixed client connect unless an address to listen on was given.
    pub(super) async fn prepare<R: Runtime>(
        &self,
        env: &RoundEnv<R>,
    ) -> Result<Arc<Acceptor<R>>, Failure> {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = self.listen.unwrap_or(any_port);
        let listener = env.runtime.listen(address).await.map_err(|error| {
            Failure::new(Failure::IO, format!("cannot listen on {address}: {error}"))
        })?;
        let address = listener.local_address()?;
        let client = match self.listen {
            Some(_) => None,
            None => Some(Client::load(env, address, self.patience).await?),
        };
        Ok(Arc::new(Acceptor::new(
            env,
            listener,
            client,
            self.patience,
        )))
    }

    /// Collects the client's report; returns violations.
    pub(super) async fn finish<R: Runtime>(
        &self,
        env: &RoundEnv<R>,
        acceptor: &Acceptor<R>,
    ) -> Result<Vec<String>, Failure> {
        // A client that still waits to be accepted, after a broken connection, must not wait forever.
        drop(acceptor.listener().take());
        let mut broken = std::mem::take(&mut *acceptor.broken());
        if let Some(client) = &acceptor.client {
            let report = client.report(env, self.patience).await?;
            report.observe(&env.observed);
            broken.extend(report.violations());
        }
        Ok(broken)
    }
}
