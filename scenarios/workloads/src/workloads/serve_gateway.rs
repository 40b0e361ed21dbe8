//! `serve-gateway`: the worker is a server that makes three concurrent requests to others for every `GET
//! /fetch-multiple`.
//!
//! One of the three may fail, and does for `?failing`: the response contains the number that succeeded. Each slot keeps
//! its own connections to the upstreams. `serving.rs` has the connections, the client that loads it and the meaning of
//! an operation's time; `fan_out.rs` has the requests.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};

use super::answer::Answer;
use super::fan_out::{FanOut, references};
use super::http_connection::TARGET;
use super::params::{params, require_path, require_some_paths};
use super::reference::Reference;
use super::serving::{self, Acceptor, CLIENT, Handler, Serving, Slot};
use crate::protocol::http_server::Response;

#[derive(Debug)]
pub struct ServeGateway {
    params: Params,
    serving: Serving,
}

params! {
    fetches;
    /// Paths requested upstream, at once, for every request; 100 at most.
    upstreams: Vec<String> = ["/text/alpha", "/text/beta", "/text/gamma"].map(str::to_owned).to_vec(),
    /// Path that replaces the last one for a request with `?failing`.
    failing: String = "/status/503".to_owned(),
    /// Address to listen on for your own clients, such as `127.0.0.1:8080`; empty for the fixed client and any free port.
    listen: String = serving::Params::default().listen,
    /// Timeout of waiting for a request, and of writing a response, in ms; it closes the connection.
    patience_ms: std::num::NonZeroU32 = serving::Params::default().patience_ms,
}

/// Reference answers of the upstreams, and the listening side.
pub struct Shared<R: Runtime> {
    references: Vec<Reference>,
    acceptor: Arc<Acceptor<R>>,
}

/// Requests the upstreams.
pub struct Gateway<R: Runtime> {
    references: Vec<Reference>,
    sound: FanOut<R>,
    failing: FanOut<R>,
}

impl<R: Runtime> Handler<R> for Gateway<R> {
    async fn answer(
        &mut self,
        env: &RoundEnv<R>,
        target: &str,
        answer: &mut Response,
    ) -> Result<(), Failure> {
        let upstreams = match target {
            "/fetch-multiple" => &mut self.sound,
            "/fetch-multiple?failing" => &mut self.failing,
            _ => {
                answer.text(404, "expected /fetch-multiple or /fetch-multiple?failing");
                return Ok(());
            }
        };
        let successes = AtomicUsize::new(0);
        let check = |place: usize, answer: &Answer| {
            self.references[place].check(answer)?;
            successes.fetch_add(1, Ordering::Relaxed);
            Ok(())
        };
        let outcome = upstreams.exchange_checked(env, check).await;
        tolerate(outcome)?;
        let (successful, total) = (successes.into_inner(), self.references.len());
        write!(
            answer.json(200),
            r#"{{"total":{total},"successful":{successful}}}"#
        )
        .expect("memory takes all");
        Ok(())
    }
}

/// A gateway has to tolerate a failing upstream, but not a wrong answer or a panic of a part.
fn tolerate(outcome: Result<(), Failure>) -> Result<(), Failure> {
    match outcome {
        Err(failure) if [Failure::WRONG_CONTENT, Failure::PANIC].contains(&failure.kind) => {
            Err(failure)
        }
        _ => Ok(()),
    }
}

impl Workload for ServeGateway {
    const ABOUT: About = About {
        name: "serve-gateway",
        class: "servers",
        operation: "one GET /fetch-multiple answered with concurrent upstream requests, one of which may fail",
        targets: &[CLIENT, TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Shared<R>;
    type Session<R: Runtime> = Slot<R, Gateway<R>>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_some_paths("upstreams", &params.upstreams)?;
        require_path("failing", &params.failing)?;
        let serving = Serving::new(&serving::Params {
            listen: params.listen.clone(),
            patience_ms: params.patience_ms,
        })?;
        Ok(Self { params, serving })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Shared<R>, Failure> {
        Ok(Shared {
            references: references(env, &self.params.upstreams, &self.params.expectation()).await?,
            acceptor: self.serving.prepare(env).await?,
        })
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Shared<R>>,
        _: u32,
    ) -> Result<Slot<R, Gateway<R>>, Failure> {
        let Params {
            upstreams, failing, ..
        } = &self.params;
        let mut one_failing = upstreams.clone();
        if let Some(last) = one_failing.last_mut() {
            last.clone_from(failing);
        }
        let gateway = Gateway {
            references: env.shared.references.clone(),
            sound: FanOut::open(env, upstreams).await?,
            failing: FanOut::open(env, &one_failing).await?,
        };
        Slot::open(env, Arc::clone(&env.shared.acceptor), gateway).await
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Shared<R>>,
        slot: &mut Slot<R, Gateway<R>>,
        op: u64,
    ) -> Result<(), Failure> {
        slot.operate(env, op).await
    }

    async fn close<R: Runtime>(&self, env: &Env<R, Shared<R>>, slot: &mut Slot<R, Gateway<R>>) {
        slot.close(env).await;
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R, Shared<R>>,
        _: &Totals,
    ) -> Result<Vec<String>, Failure> {
        self.serving.finish(env, &env.shared.acceptor).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_may_fail_but_not_answer_wrongly() {
        let tolerated = |kind| tolerate(Err(Failure::new(kind, ""))).is_ok();
        assert!(tolerate(Ok(())).is_ok());
        assert!(tolerated(Failure::STATUS) && tolerated(Failure::REFUSED));
        assert!(!tolerated(Failure::WRONG_CONTENT) && !tolerated(Failure::PANIC));
    }
}
