//! `idle-connections`: many concurrent idle connections, and the memory of each.
//!
//! The result is `idle_connection_bytes`: an idle part as in `idle-tasks` that holds a connection, on the client's side
//! alone, without a read buffer and without the kernel's memory, as `crowd.rs` measures it. At the end each connection
//! carries one GET, whose response is checked, which shows that it was open all the time.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::runtime::{Capability, Runtime};
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};

use super::crowd::{Footprint, Part, come_and_go};
use super::http_connection::{Connection, Endpoint, Reference, TARGET, dialer};
use super::params::{count, params, require_at_most, require_path};
use super::request_count::wrong_requests;
use super::tallies::Peak;
use super::wire::{Dialer, Link};
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
}

impl<R: Runtime> Caller<R> {
    fn new(env: &RoundEnv<R>, path: &str, reference: &Reference) -> Result<Self, Failure> {
        let endpoint = Endpoint::of(env)?;
        Ok(Self {
            call: Arc::new(Call {
                dialer: dialer(env, &endpoint),
                request: endpoint.get(endpoint.path(path))?,
                reference: reference.clone(),
                waiting: Peak::default(),
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
        } = &*self.call;
        waiting.down();
        let mut connection = Connection::over(dialer.clone());
        connection.attach(stream);
        let status = connection
            .exchange_once(Method::Get, &mut request.clone())
            .await?;
        reference.check(status, connection.body())
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
        let caller = Caller::new(env, &self.params.path, &reference)?;
        let footprint = Footprint::measure(&env.runtime, self.params.count, &caller).await?;
        Ok(Shared {
            reference,
            footprint,
        })
    }

    async fn open<R: Runtime>(&self, env: &Env<R, Shared>, _: u32) -> Result<Caller<R>, Failure> {
        Caller::new(env, &self.params.path, &env.shared.reference)
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
