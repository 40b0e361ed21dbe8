//! `idle-connections`: many concurrent idle connections, and the memory of each.
//!
//! The result is `idle_connection_bytes`: an idle part as in `idle-tasks` that holds a connection, on the client's side
//! alone, without a read buffer and without the kernel's memory, as `crowd.rs` measures it. At the end each connection
//! carries one GET, whose response is checked, which shows that it was open all the time.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use photofinish_harness::runtime::{Capability, Elapsed, Runtime};
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};

use super::crowd::{Footprint, NOT_GATHERED, Part, come_and_go};
use super::http_connection::{Connection, Endpoint, TARGET, dialer};
use super::params::{count, params, require_at_most, require_path};
use super::reference::{FETCHING, Reference};
use super::request_count::wrong_requests;
use super::tallies::Peak;
use super::wire::{CONNECTING, Dialer, Link};
use crate::protocol::http::Method;

#[derive(Debug)]
pub struct IdleConnections {
    params: Params,
}

params! {
    fetches;
    /// Connections open at once; twice as many while memory is measured.
    count: NonZeroU32 = count(1_000),
    /// Path that each requests before it is closed; a path in the target's URL wins.
    path: String = "/bytes/64".to_owned(),
}

/// One open connection. Clones share all of it, so that a part holds no more than a pointer.
#[derive(Clone)]
pub struct Caller<R> {
    call: Arc<Call<R>>,
}

struct Call<R> {
    dialer: Dialer<R>,
    request: Vec<u8>,
    reference: Reference,
    /// Connections that are open and idle.
    waiting: Peak,
    /// `None` in the measurement.
    limit: Option<Limit<R>>,
}

/// The deadline of responses before the clock starts.
struct Limit<R> {
    runtime: R,
    /// Connections open at once.
    connections: u64,
    /// True once it has passed: one wait is enough to show that the server does not serve all of them.
    passed: AtomicBool,
}

impl<R: Runtime> Limit<R> {
    async fn within(
        &self,
        exchange: impl Future<Output = Result<u16, Failure>> + Send,
    ) -> Result<u16, Failure> {
        if !self.passed.load(Ordering::Relaxed) {
            match self.runtime.timeout(FETCHING, exchange).await {
                Ok(exchanged) => return exchanged,
                Err(Elapsed) => self.passed.store(true, Ordering::Relaxed),
            }
        }
        Err(unserved(self.connections, "and one got no response"))
    }
}

/// The failure of a server that does not serve all connections at once.
fn unserved(connections: u64, which: &str) -> Failure {
    let seconds = FETCHING.as_secs();
    let detail =
        format!("{connections} connections were opened at once, {which} within {seconds} s");
    Failure::new(Failure::TIMEOUT, detail).hint(
        "the server seems to serve fewer connections at a time: let it serve more, or use fewer, as in --set count=10 \
         (twice as many are open while memory is measured)",
    )
}

impl<R: Runtime> Caller<R> {
    fn new(
        env: &RoundEnv<R>,
        path: &str,
        reference: &Reference,
        limit: Option<Limit<R>>,
    ) -> Result<Self, Failure> {
        let endpoint = Endpoint::of(env)?;
        Ok(Self {
            call: Arc::new(Call {
                dialer: dialer(env, &endpoint),
                request: endpoint.get(endpoint.path(path))?,
                reference: reference.clone(),
                waiting: Peak::default(),
                limit,
            }),
        })
    }
}

impl<R: Runtime> Part for Caller<R> {
    type Resource = Link<R>;

    async fn begin(&self) -> Result<Link<R>, Failure> {
        let stream = self.call.dialer.dial().await?;
        self.call.waiting.up();
        Ok(stream)
    }

    async fn end(&self, stream: Link<R>) -> Result<(), Failure> {
        let Call {
            dialer,
            request,
            reference,
            waiting,
            limit,
        } = &*self.call;
        waiting.down();
        let mut connection = Connection::over(dialer.clone());
        connection.attach(stream);
        let mut request = request.clone();
        let exchange = connection.exchange_once(Method::Get, &mut request);
        match limit {
            Some(limit) => limit.within(exchange).await?,
            None => exchange.await?,
        };
        reference.check(connection.answer())
    }
}

/// The reference answer and the memory of a connection.
pub struct Shared {
    reference: Reference,
    footprint: Footprint,
}

impl Workload for IdleConnections {
    const ABOUT: About = About {
        name: "idle-connections",
        class: "tasks",
        operation: "connections opened, all idle at once, then each used once and closed",
        targets: &[TARGET],
        needs: &[Capability::ManyAtOnce],
    };
    const STATIC_DISPATCH: bool = true;
    type Params = Params;
    type Shared<R: Runtime> = Shared;
    /// The origin of a session's parts.
    type Session<R: Runtime> = Caller<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_at_most("count", params.count.get(), 1_000_000)?;
        require_path("path", &params.path)?;
        Ok(Self { params })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Shared, Failure> {
        let reference =
            Reference::obtain(env, &self.params.path, &self.params.expectation()).await?;
        let connections = 2 * u64::from(self.params.count.get());
        let limit = Limit {
            runtime: env.runtime.clone(),
            connections,
            passed: AtomicBool::new(false),
        };
        let caller = Caller::new(env, &self.params.path, &reference, Some(limit))?;
        let measuring =
            Footprint::measure(&env.runtime, self.params.count, &caller, Some(CONNECTING)).await;
        let footprint = measuring.map_err(|failure| match failure.kind {
            NOT_GATHERED => unserved(connections, &failure.detail),
            _ => failure,
        })?;
        Ok(Shared {
            reference,
            footprint,
        })
    }

    async fn open<R: Runtime>(&self, env: &Env<R, Shared>, _: u32) -> Result<Caller<R>, Failure> {
        Caller::new(env, &self.params.path, &env.shared.reference, None)
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        caller: &mut Caller<R>,
        _: u64,
    ) -> Result<(), Failure> {
        let waiting = &caller.call.waiting;
        come_and_go(&env.runtime, self.params.count, caller, waiting).await
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        wrong_requests(totals, TARGET, self.params.count.get().into())
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        _: &Totals,
    ) -> Result<Vec<String>, Failure> {
        let footprint = env.shared.footprint;
        footprint.observe(&env.observed, "idle_connection_bytes");
        Ok(Vec::new())
    }
}
