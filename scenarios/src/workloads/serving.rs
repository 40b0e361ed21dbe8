//! The worker as a server: what `serve-http` and `serve-gateway` share.
//!
//! A session is a slot for one connection, and takes the next one when that is closed: so a task, a thread or an entry
//! of a queue serves a connection, as the runtime understands sessions, and `sync` serves one at a time. An operation
//! awaits the next request, answers it, and ends when the answer is written. Under the fixed client, which sends a
//! request as soon as it has an answer, its time is thus the whole turn of a connection: the request, the answer, the
//! client between them, and all waiting for the runtime to notice. What the client alone sees is told by it
//! (`client_latency`).
//!
//! Where the user says on which address to listen, the client stays away, and whoever comes is served; who asks badly,
//! half or not at all is a failed operation. Here is the life of a round; how a connection is served is in
//! `serving/slot.rs`.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::runtime::{Listener as _, Runtime};
use photofinish_harness::workload::{Failure, ParamError, RoundEnv};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::client::Client;
use super::params::{count, require};
use crate::protocol::http_server::Response;

mod slot;

mod acceptor;
mod client;

pub(super) use acceptor::Acceptor;
pub(super) use slot::Slot;

/// Name of the target that loads a worker which serves.
pub(crate) const CLIENT: &str = "client";

/// Parameters of all workloads that serve.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Address to listen on for your own clients, such as `127.0.0.1:8080`; empty for the fixed client and any free port.
    pub listen: String,
    /// Timeout of waiting for a request, and of writing a response, in ms; it closes the connection.
    pub patience_ms: NonZeroU32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            listen: String::new(),
            patience_ms: count(10_000),
        }
    }
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

/// The serving side of one round, in the hands of a workload.
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
                    "`{}` is no address to listen on; write one such as 127.0.0.1:8080",
                    params.listen
                )
            },
        )?;
        Ok(Self {
            listen,
            patience: Duration::from_millis(params.patience_ms.get().into()),
        })
    }

    /// Listens, and has the fixed client connect, unless others are awaited.
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

    /// Asks the client what it saw; what must not be comes back as sentences.
    pub(super) async fn finish<R: Runtime>(
        &self,
        env: &RoundEnv<R>,
        acceptor: &Acceptor<R>,
    ) -> Result<Vec<String>, Failure> {
        // Whoever waits at the door by now, after a broken connection, is not to wait for ever.
        drop(acceptor.listener().take());
        let mut broken = std::mem::take(&mut *acceptor.broken());
        if let Some(client) = &acceptor.client {
            let report = client.report(env, self.patience).await?;
            report.tell(env);
            broken.extend(report.violations());
        }
        Ok(broken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_refused_with_one_that_is() {
        let listening = |listen: &str| {
            let params = Params {
                listen: listen.to_owned(),
                ..Params::default()
            };
            Serving::new(&params).map(|serving| serving.listen)
        };
        assert_eq!(listening("").expect("sound"), None);
        let there = listening("127.0.0.1:8080").expect("sound");
        assert_eq!(there, Some(SocketAddr::from(([127, 0, 0, 1], 8080))));
        let error = listening("localhost").expect_err("no address");
        assert!(error.message.contains("127.0.0.1:8080"), "{error}");
    }
}
