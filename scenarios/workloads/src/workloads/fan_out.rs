//! Several concurrent GETs, for `http-fanout`, `http-delay`, `http-json`, `http-errors` and `serve-gateway`.
//!
//! Each part has its own connection, is spawned, and is joined in the order of the requests. All parts are joined even
//! if one failed, so that no connection is lost and nothing keeps running.

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{Failure, RoundEnv};

use super::answer::Answer;
use super::expectation::Expectation;
use super::http_connection::{Connection, Endpoint};
use super::parts::{self, join_into};
use super::reference::Reference;
use crate::protocol::http::Method;

/// One of several concurrent requests.
pub(super) struct Part<R: Runtime> {
    connection: Connection<R>,
    request: Vec<u8>,
}

/// A session that makes several concurrent requests.
pub struct FanOut<R: Runtime> {
    endpoint: Endpoint,
    /// `None` only while a part is in flight, and after one has panicked.
    parts: Vec<(String, Option<Part<R>>)>,
}

impl<R: Runtime> FanOut<R> {
    /// A session with one open connection for each of `paths`.
    pub(super) async fn open(env: &RoundEnv<R>, paths: &[String]) -> Result<Self, Failure> {
        let endpoint = Endpoint::of(env)?;
        let mut parts = Vec::with_capacity(paths.len());
        for path in paths {
            let path = endpoint.path(path).to_owned();
            let mut part = Part::new(env, &endpoint, &path)?;
            part.connection.connect().await?;
            parts.push((path, Some(part)));
        }
        Ok(Self { endpoint, parts })
    }

    /// Requests all paths concurrently; every response must equal the reference at its index.
    pub(super) async fn exchange(
        &mut self,
        env: &RoundEnv<R>,
        references: &[Reference],
    ) -> Result<(), Failure> {
        self.exchange_checked(env, |index, answer| references[index].check(answer))
            .await
    }

    /// Requests all paths concurrently; `check` gets every response with its index.
    pub(super) async fn exchange_checked(
        &mut self,
        env: &RoundEnv<R>,
        check: impl Fn(usize, &Answer) -> Result<(), Failure> + Send,
    ) -> Result<(), Failure> {
        let mut tasks = Vec::with_capacity(self.parts.len());
        for (path, slot) in &mut self.parts {
            let part = match slot.take() {
                Some(part) => part,
                None => Part::new(env, &self.endpoint, path)?,
            };
            tasks.push((parts::start(&env.runtime, part.exchange()), slot));
        }
        let mut outcome = Ok(());
        for (index, (task, slot)) in tasks.into_iter().enumerate() {
            let answer = join_into(task, slot).await;
            let checked = match (answer, slot) {
                (Ok(_), Some(part)) => check(index, part.connection.answer()),
                (answer, _) => answer.map(drop),
            };
            outcome = outcome.and(checked);
        }
        outcome
    }
}

/// A part with its response's status.
type PartOutcome<R> = (Part<R>, Result<u16, Failure>);

impl<R: Runtime> Part<R> {
    fn new(env: &RoundEnv<R>, endpoint: &Endpoint, path: &str) -> Result<Self, Failure> {
        Ok(Self {
            connection: Connection::new(env, endpoint),
            request: endpoint.get(path)?,
        })
    }

    async fn exchange(mut self) -> PartOutcome<R> {
        let answer = self
            .connection
            .exchange(Method::Get, &mut self.request)
            .await;
        (self, answer)
    }
}

/// The references of `paths`, in their order.
pub(super) async fn references<R: Runtime>(
    env: &RoundEnv<R>,
    paths: &[String],
    expectation: &Expectation,
) -> Result<Vec<Reference>, Failure> {
    let mut references = Vec::with_capacity(paths.len());
    for path in paths {
        references.push(Reference::obtain(env, path, expectation).await?);
    }
    Ok(references)
}
