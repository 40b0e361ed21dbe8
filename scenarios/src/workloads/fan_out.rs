//! Several GETs at once: what `http-fanout` and `http-delay` share.
//!
//! Each part has a connection of its own, is spawned as the runtime understands "at once", and is joined in the order
//! asked. All parts are joined even if one failed, so that no connection is lost and nothing runs on.

use photofinish_harness::runtime::{Runtime, Task as _};
use photofinish_harness::workload::{Env, Failure};

use super::http_connection::{Connection, Endpoint, Reference};
use crate::protocol::http::Method;

/// One of several requests made at once.
struct Part<R: Runtime> {
    connection: Connection<R>,
    request: Vec<u8>,
}

/// A session that makes several requests at once.
pub struct FanOut<R: Runtime> {
    endpoint: Endpoint,
    /// `None` only while a part is under way, and after one panicked.
    parts: Vec<(String, Option<Part<R>>)>,
}

impl<R: Runtime> FanOut<R> {
    /// A session with one open connection for each of `paths`.
    pub(super) async fn open(env: &Env<R>, paths: &[String]) -> Result<Self, Failure> {
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

    /// Asks for all paths at once; every answer must equal the reference of its place.
    pub(super) async fn exchange(
        &mut self,
        env: &Env<R>,
        references: &[Reference],
    ) -> Result<(), Failure> {
        let mut tasks = Vec::with_capacity(self.parts.len());
        for (path, part) in &mut self.parts {
            let part = match part.take() {
                Some(part) => part,
                None => Part::new(env, &self.endpoint, path)?,
            };
            tasks.push(env.runtime.spawn(part.exchange()));
        }
        let mut outcome = Ok(());
        for ((task, (_, place)), reference) in
            tasks.into_iter().zip(&mut self.parts).zip(references)
        {
            let checked = match task.join().await {
                Ok((part, answer)) => {
                    let checked =
                        answer.and_then(|status| reference.check(status, part.connection.body()));
                    *place = Some(part);
                    checked
                }
                Err(error) => Err(error.into()),
            };
            outcome = outcome.and(checked);
        }
        outcome
    }
}

impl<R: Runtime> Part<R> {
    fn new(env: &Env<R>, endpoint: &Endpoint, path: &str) -> Result<Self, Failure> {
        Ok(Self {
            connection: Connection::new(env, endpoint),
            request: endpoint.get(path)?,
        })
    }

    async fn exchange(mut self) -> (Self, Result<u16, Failure>) {
        let answer = self
            .connection
            .exchange(Method::Get, &mut self.request)
            .await;
        (self, answer)
    }
}

/// The references of `paths`, in their order.
pub(super) async fn references<R: Runtime>(
    env: &Env<R>,
    paths: &[String],
) -> Result<Vec<Reference>, Failure> {
    let endpoint = Endpoint::of(env)?;
    let mut references = Vec::with_capacity(paths.len());
    for path in paths {
        references.push(Reference::obtain(env, &endpoint, endpoint.path(path)).await?);
    }
    Ok(references)
}
