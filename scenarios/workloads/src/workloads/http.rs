//! `http`: the user's own requests, as a weighted mix or as flows, from a scenario file.
//!
//! An operation is one request of the mix or one whole flow; a flow ends at the first request that fails. The choice,
//! and all its values, follow from the operation's number, so every runtime sends the same. This file connects, sends and
//! waits, once for each runtime; everything else is compiled once: the parameters (`spec.rs`) become a script
//! (`compile.rs`, `step.rs`, `body.rs`, `check.rs`, `capture.rs`), and `walk.rs` holds a session's state and decisions. With
//! HTTP/2 (`streams.rs`) an operation may be several concurrent requests or flows.

#[cfg(test)]
mod allocations;
mod body;
mod capture;
mod check;
mod compile;
mod cookies;
mod lane;
mod message;
mod place;
mod redirect;
mod spec;
mod step;
mod streams;
mod walk;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use photofinish_harness::parts::{PartOutcome, PartRecorder};
use photofinish_harness::runtime::{Elapsed, Runtime};
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};

pub use self::body::survey as survey_bodies;
use self::compile::Script;
use self::spec::{FlowSpec, HttpSpec, HttpVersion, RequestSpec};
use self::step::Step;
use self::streams::Streams;
use self::walk::Walk;
use super::http_connection::{Connection, Endpoint, TARGET};
use super::params::params;
use super::reference::{FETCHING, fingerprint, known_body};
use super::request_count::unequal_requests;
use super::wire::within;
use crate::data::{DataSpec, DrawSpec, FeedSpec, RoundData, Values};
use crate::protocol::http::Method;
use crate::protocol::http2;

#[derive(Debug)]
pub struct Http {
    script: Script,
}

params! {
    /// Requests of a mix: each operation is one of them, by weight. Without any request or flow, `GET /`.
    request: Vec<RequestSpec> = Vec::new(),
    /// Sequences of requests: each operation is one whole flow, by weight. They may stand beside requests.
    flow: Vec<FlowSpec> = Vec::new(),
    /// Settings of all requests.
    http: HttpSpec = HttpSpec::default(),
    /// Rows of files, by name: `{{user.email}}` is the column `email` of the feed `user`.
    feed: BTreeMap<String, FeedSpec> = BTreeMap::new(),
    /// Values drawn by operation number, by name.
    draw: BTreeMap<String, DrawSpec> = BTreeMap::new(),
}

impl Params {
    fn data(&self) -> DataSpec {
        DataSpec {
            feed: self.feed.clone(),
            draw: self.draw.clone(),
        }
    }
}

/// State of a round.
pub struct Shared {
    data: Arc<RoundData>,
    /// The body of the first response, for each step that compares with it.
    same: Vec<Option<Arc<[u8]>>>,
    /// Requests started by operations.
    begun: AtomicU64,
    /// Smallest stream limit of a server at the end of an operation over HTTP/2.
    stream_limit: Arc<AtomicU32>,
}

impl Shared {
    fn new(data: Arc<RoundData>) -> Self {
        Self {
            data,
            same: Vec::new(),
            begun: AtomicU64::new(0),
            stream_limit: Arc::new(AtomicU32::new(u32::MAX)),
        }
    }
}

/// One client.
pub enum Session<R: Runtime> {
    Http1(Box<Sequence<R>>),
    Http2(Box<Streams<R>>),
}

/// An HTTP/1.1 client: a connection, and the state of its operation.
pub struct Sequence<R: Runtime> {
    connection: Connection<R>,
    walk: Walk,
    /// Figures of each step.
    part: PartRecorder,
    /// Number of requests over the current connection.
    requests: u32,
}

impl Workload for Http {
    const ABOUT: About = About {
        name: "http",
        class: "http",
        operation: "a request of a mix or a whole flow, from a scenario file; responses checked",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Shared;
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let script = Script::compile(&params)?;
        Ok(Self { script })
    }

    fn parts(&self) -> Vec<String> {
        let steps = self.script.steps.iter();
        steps.map(|step| step.name.clone()).collect()
    }

    fn repeated_writes(&self) -> Vec<String> {
        self.script.repeated_writes()
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Shared, Failure> {
        let mut shared = Shared::new(self.script.data.load(env)?);
        for step in &self.script.steps {
            step.load(&env.directory)?;
        }
        let mut same = Vec::new();
        for (index, step) in self.script.steps.iter().enumerate() {
            same.push(if step.check.same {
                Some(self.first_body(env, index, &shared.data).await?)
            } else {
                None
            });
        }
        shared.same = same;
        if self.script.http.version == HttpVersion::Http2 {
            env.observed.content("HTTP/2", http2::windows());
        }
        Ok(shared)
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        index: u32,
    ) -> Result<Session<R>, Failure> {
        let mut session = self.session(env, &env.shared, index)?;
        match &mut session {
            Session::Http1(session) => session.connection.connect().await?,
            Session::Http2(session) => session.connect().await?,
        }
        Ok(session)
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        session: &mut Session<R>,
        op: u64,
    ) -> Result<(), Failure> {
        let Some(limit) = self.script.limit() else {
            return self.run_operation(env, session, op).await;
        };
        let operation = Box::pin(self.run_operation(env, session, op));
        let ended = env.runtime.timeout(limit, operation).await;
        ended.unwrap_or_else(|Elapsed| Err(too_late(limit)))
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        totals: &Totals,
    ) -> Result<Vec<String>, Failure> {
        let HttpSpec {
            version, streams, ..
        } = self.script.http;
        if version == HttpVersion::Http2 {
            let limit = env.shared.stream_limit.load(Ordering::Relaxed);
            let streams = streams.get().min(limit);
            env.observed.number("http2_streams", f64::from(streams));
        }
        let begun = env.shared.begun.load(Ordering::Relaxed);
        Ok(unequal_requests(totals, TARGET, begun))
    }
}

impl Http {
    fn session<R: Runtime>(
        &self,
        env: &RoundEnv<R>,
        shared: &Shared,
        index: u32,
    ) -> Result<Session<R>, Failure> {
        let script = &self.script;
        if script.http.version == HttpVersion::Http2 {
            let streams = Streams::new(script, env, &shared.data, index, &shared.stream_limit)?;
            return Ok(Session::Http2(Box::new(streams)));
        }
        let sequence = Sequence::new(script, env, &shared.data, index)?;
        Ok(Session::Http1(Box::new(sequence)))
    }

    /// Runs an operation without a time limit. Futures are awaited where they are made: moving one copies all of it.
    async fn run_operation<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        session: &mut Session<R>,
        op: u64,
    ) -> Result<(), Failure> {
        match session {
            Session::Http1(session) => {
                let steps = session.walk.begin(&self.script, env.seed, op)?;
                self.run_steps(env, session, steps).await
            }
            Session::Http2(session) => {
                session
                    .operate(&self.script, &env.shared, env.seed, op)
                    .await
            }
        }
    }

    /// Performs steps in order.
    async fn run_steps<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        session: &mut Sequence<R>,
        steps: Range<usize>,
    ) -> Result<(), Failure> {
        for index in steps {
            let step = &self.script.steps[index];
            self.perform(env, session, index).await?;
            if let Some(pause) = step.pause {
                env.runtime.sleep_until(Instant::now() + pause).await;
            }
        }
        Ok(())
    }

    /// Sends the request of a step, and its retries and redirects, until one is final.
    async fn perform<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        session: &mut Sequence<R>,
        index: usize,
    ) -> Result<(), Failure> {
        let Script { steps, http, .. } = &self.script;
        let (step, same) = (&steps[index], env.shared.same[index].as_ref());
        let mut sending = session.walk.prepare(step, index, http.redirects)?;
        session.connection.keep(step.keep, same);
        let same = same.map(|body| &**body);
        loop {
            let start = (!step.is_operation).then(|| session.part.start());
            let sent = session
                .send(env, &env.shared.begun, step, sending.method)
                .await;
            let status = sent.as_ref().ok().copied();
            let outcome = sent.map(|_| session.connection.answer());
            let verdict = session
                .walk
                .judge(&self.script, step, &mut sending, outcome, same);
            match start {
                None => session.part.mark_whole(index, status),
                Some(start) => {
                    let failure = verdict.result.as_ref().err().map(|failure| failure.kind);
                    let outcome = PartOutcome { failure, status };
                    session.part.end(index, start, outcome);
                }
            }
            session.end_request(http.keep_alive.most_requests());
            if !verdict.again {
                return verdict.result;
            }
        }
    }

    /// The body with which all others are compared: known for an embedded mock, else asked for once, and twice of a server
    /// of the user's, so that one that changes is reported before anything is measured.
    async fn first_body<R: Runtime>(
        &self,
        env: &Env<R>,
        index: usize,
        data: &Arc<RoundData>,
    ) -> Result<Arc<[u8]>, Failure> {
        let step = &self.script.steps[index];
        let is_mock = Endpoint::of(env)?.is_mock();
        let mut shared = Shared::new(Arc::clone(data));
        shared.same = vec![None; self.script.steps.len()];
        let mut session = self.session(env, &shared, 0)?;
        let path = session.path_of(&self.script, index)?;
        if let Some(body) = known_body(&path).filter(|_| is_mock && step.method == Method::Get) {
            return Ok(body.into());
        }
        let fetching = session.fetch(env, &self.script, &shared, index);
        let body: Arc<[u8]> = within(&env.runtime, FETCHING, &step.name, fetching)
            .await?
            .into();
        if !is_mock {
            shared.same[index] = Some(Arc::clone(&body));
            let fetching = session.fetch(env, &self.script, &shared, index);
            within(&env.runtime, FETCHING, &step.name, fetching).await?;
        }
        env.observed.content(step.name.clone(), fingerprint(&body));
        Ok(body)
    }
}

impl<R: Runtime> Session<R> {
    /// Path of a step's request.
    fn path_of(&mut self, script: &Script, index: usize) -> Result<String, Failure> {
        let walk = match self {
            Self::Http1(session) => &mut session.walk,
            Self::Http2(session) => session.first_walk(),
        };
        walk.prepare(&script.steps[index], index, 0)?;
        Ok(walk.path().to_owned())
    }

    /// Body of the response to a step, which is checked; empty if it was compared with the first one. Set-up only.
    async fn fetch(
        &mut self,
        env: &RoundEnv<R>,
        script: &Script,
        shared: &Shared,
        index: usize,
    ) -> Result<Vec<u8>, Failure> {
        let step = &script.steps[index];
        match self {
            Self::Http1(session) => {
                let mut sending = session.walk.prepare(step, index, 0)?;
                let same = shared.same[index].as_ref();
                session.connection.keep(step.keep, same);
                let sent = session.send(env, &shared.begun, step, step.method).await;
                let outcome = sent.map(|_| session.connection.answer());
                let verdict = session.walk.judge(
                    script,
                    step,
                    &mut sending,
                    outcome,
                    same.map(|body| &**body),
                );
                verdict.result?;
                Ok(session.connection.body().to_vec())
            }
            Self::Http2(session) => {
                session.connect().await?;
                Ok(session.perform(script, shared, index).await?.to_vec())
            }
        }
    }
}

impl<R: Runtime> Sequence<R> {
    fn new(
        script: &Script,
        env: &RoundEnv<R>,
        data: &Arc<RoundData>,
        index: u32,
    ) -> Result<Self, Failure> {
        let endpoint = Endpoint::of(env)?;
        let mut connection = Connection::new(env, &endpoint);
        connection.watch(script.watched());
        Ok(Self {
            connection,
            walk: Walk::new(&endpoint, HttpVersion::Http1, Values::new(data, index)?)?,
            part: env.parts.recorder(index),
            requests: 0,
        })
    }

    /// Sends the current request, and reads the response.
    async fn send(
        &mut self,
        env: &RoundEnv<R>,
        begun: &AtomicU64,
        step: &Step,
        method: Method,
    ) -> Result<u16, Failure> {
        let Some(limit) = step.timeout else {
            return self.send_once(begun, method).await;
        };
        let exchange = Box::pin(self.send_once(begun, method));
        let ended = env.runtime.timeout(limit, exchange).await;
        ended.unwrap_or_else(|Elapsed| Err(too_late(limit)))
    }

    /// Like [`Sequence::send`], without a time limit.
    async fn send_once(&mut self, begun: &AtomicU64, method: Method) -> Result<u16, Failure> {
        if !self.connection.is_usable() {
            self.requests = 0;
            self.connection.reopen().await?;
        }
        begun.fetch_add(1, Ordering::Relaxed);
        self.requests += 1;
        self.connection
            .exchange(method, &mut self.walk.request)
            .await
    }

    /// Closes the connection after its last request.
    fn end_request(&mut self, most: u32) {
        if self.requests >= most {
            self.connection.close();
        }
    }
}

#[cold]
fn too_late(limit: Duration) -> Failure {
    Failure::new(Failure::TIMEOUT, format!("took longer than {limit:?}"))
}
