//! `http-queue`: many URLs through a queue to a few workers, which are joined when the queue is empty.
//!
//! The queue receives all URLs before the first worker starts, and is then closed: a runtime with few threads must not
//! wait for room in it. Each worker has its own connection and takes URLs until there are none. If nothing runs
//! concurrently, the first worker takes them all.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::runtime::{Receiver, Runtime, Sender as _};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};

use super::fan_out::references;
use super::http_connection::{Connection, Endpoint, TARGET};
use super::params::{count, params, require_at_most, require_path};
use super::parts::each_in_slot;
use super::reference::Reference;
use super::request_count::wrong_requests;
use super::tallies::{Ledger, exactly};
use crate::protocol::http::Method;

#[derive(Debug)]
pub struct HttpQueue {
    params: Params,
}

params! {
    fetches;
    /// Prefix of all paths, followed by the URL's number, from 1.
    path: String = "/text/page-".to_owned(),
    /// Number of URLs.
    urls: NonZeroU32 = count(100),
    /// Workers that take URLs from the queue.
    workers: NonZeroU32 = count(10),
}

/// The connections of a session's workers.
pub struct Session<R: Runtime> {
    endpoint: Endpoint,
    /// `None` only while a worker has it, and after one has panicked.
    connections: Vec<Option<Connection<R>>>,
}

impl Workload for HttpQueue {
    const ABOUT: About = About {
        name: "http-queue",
        class: "http",
        operation: "URLs through a queue to workers, which are then stopped",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Arc<[Reference]>;
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_at_most("urls", params.urls.get(), 100_000)?;
        require_at_most("workers", params.workers.get(), 10_000)?;
        require_path("path", &params.path)?;
        Ok(Self { params })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Arc<[Reference]>, Failure> {
        let path = |number| format!("{}{number}", self.params.path);
        let paths: Vec<_> = (1..=self.params.urls.get()).map(path).collect();
        let references = references(env, &paths, &self.params.expectation()).await?;
        Ok(references.into())
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Arc<[Reference]>>,
        _: u32,
    ) -> Result<Session<R>, Failure> {
        let endpoint = Endpoint::of(env)?;
        let mut connections = Vec::new();
        for _ in 0..self.params.workers.get() {
            connections.push(Some(Connection::open(env, &endpoint).await?));
        }
        Ok(Session {
            endpoint,
            connections,
        })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Arc<[Reference]>>,
        session: &mut Session<R>,
        _: u64,
    ) -> Result<(), Failure> {
        let references = &env.shared;
        let (queue, urls) = env.runtime.channel(self.params.urls);
        for url in 0..self.params.urls.get() {
            let sent = queue.send(url).await;
            sent.map_err(|closed| Failure::wrong_content(format!("URL {url} was lost: {closed}")))?;
        }
        drop(queue);

        let alive = Arc::new(());
        let fetched = Arc::new(Ledger::new(self.params.urls.get()));
        let refill = || Ok(Connection::new(env, &session.endpoint));
        let part = |connection, ()| {
            let worker = Worker {
                connection,
                endpoint: session.endpoint.clone(),
                references: references.clone(),
                fetched: fetched.clone(),
                alive: alive.clone(),
            };
            worker.run(urls.clone())
        };
        let workers = std::iter::repeat(());
        each_in_slot(
            &env.runtime,
            &mut session.connections,
            workers,
            refill,
            part,
        )
        .await?;
        fetched.each_once("URL")?;
        exactly(
            0,
            Arc::strong_count(&alive) - 1,
            "workers after all were joined",
        )
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        wrong_requests(totals, TARGET, u64::from(self.params.urls.get()))
    }
}

/// A worker that takes URLs from the queue.
struct Worker<R: Runtime> {
    connection: Connection<R>,
    endpoint: Endpoint,
    references: Arc<[Reference]>,
    /// The URLs that were answered, to any worker.
    fetched: Arc<Ledger>,
    /// Counts the workers that are alive.
    alive: Arc<()>,
}

impl<R: Runtime> Worker<R> {
    /// Takes URLs until there are none; a failed one does not stop it.
    async fn run(mut self, urls: impl Receiver<u32>) -> (Connection<R>, Result<(), Failure>) {
        let mut outcome = Ok(());
        while let Some(url) = urls.receive().await {
            // Checked against the URL from the queue, not the one requested.
            let answer = self.fetch(url).await;
            let reference = &self.references[url as usize];
            let checked = answer.and_then(|_| reference.check(self.connection.answer()));
            if checked.is_ok() {
                self.fetched.note(url);
            }
            outcome = outcome.and(checked);
        }
        drop(self.alive);
        (self.connection, outcome)
    }

    /// Requests a URL and returns the status.
    async fn fetch(&mut self, url: u32) -> Result<u16, Failure> {
        let path = self.references[url as usize].path();
        let mut request = self.endpoint.get(path)?;
        self.connection.exchange(Method::Get, &mut request).await
    }
}
