//! `idle-connections`: many open connections at once that nothing goes over, and the memory that each takes.
//!
//! The result is `idle_connection_bytes`: an idle part as in `idle-tasks`, with a connection of the runtime's in it, on the
//! client's side alone, without a buffer to read into and without what the kernel keeps. How that is measured is told in
//! `crowd`. In the end each connection carries one GET, whose answer is checked: so it was open all the time.

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use photofinish_harness::runtime::{Capability, Runtime};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::Asked;
use super::crowd::{Footprint, Part, come_and_go};
use super::http_connection::{Connection, Connector, Endpoint, Reference, TARGET};
use super::params::require_path;
use super::tallies::Peak;
use crate::protocol::http::Method;

/// The workload.
#[derive(Debug)]
pub struct IdleConnections {
    params: Params,
    footprint: Footprint,
    reference: OnceLock<Reference>,
    asked: Asked,
}

/// Its parameters.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// How many are open at the same time; twice as many while memory is measured.
    pub count: NonZeroU32,
    /// What each asks for before it is closed; a path in the target's URL wins.
    pub path: String,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            count: const { NonZeroU32::new(1_000).expect("not zero") },
            path: "/bytes/64".to_owned(),
        }
    }
}

/// One open connection. Clones share all of it, so that a part holds no more than a pointer.
struct Caller<R> {
    shared: Arc<Shared<R>>,
}

struct Shared<R> {
    connector: Connector<R>,
    request: Vec<u8>,
    reference: Reference,
    /// Connections that are open and idle.
    waiting: Peak,
}

impl<R> Clone for Caller<R> {
    fn clone(&self) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<R: Runtime> Caller<R> {
    fn new(env: &Env<R>, path: &str, reference: &Reference) -> Result<Self, Failure> {
        let endpoint = Endpoint::of(env)?;
        Ok(Self {
            shared: Arc::new(Shared {
                connector: Connector::new(env, &endpoint),
                request: endpoint.get(endpoint.path(path))?,
                reference: reference.clone(),
                waiting: Peak::default(),
            }),
        })
    }
}

impl<R: Runtime> Part for Caller<R> {
    type Held = R::Stream;

    async fn begin(&self) -> Result<R::Stream, Failure> {
        let stream = self.shared.connector.connect().await?;
        self.shared.waiting.up();
        Ok(stream)
    }

    async fn end(&self, stream: R::Stream) -> Result<(), Failure> {
        let Shared {
            connector,
            request,
            reference,
            waiting,
        } = &*self.shared;
        waiting.down();
        let mut connection = Connection::over(connector.clone(), Some(stream));
        let status = connection
            .exchange(Method::Get, &mut request.clone())
            .await?;
        reference.check(status, connection.body())
    }
}

/// What a session's parts are made from.
pub struct Session<R>(Caller<R>);

impl Workload for IdleConnections {
    const ABOUT: About = About {
        name: "idle-connections",
        class: "tasks",
        operation: "1000 connections opened, all idle at once, then used once and closed",
        targets: &[TARGET],
        needs: &[Capability::ManyAtOnce],
    };
    type Params = Params;
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_path("path", &params.path)?;
        Ok(Self {
            params,
            footprint: Footprint::named("idle_connection_bytes"),
            reference: OnceLock::new(),
            asked: Asked::of(TARGET),
        })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<(), Failure> {
        let endpoint = Endpoint::of(env)?;
        let path = endpoint.path(&self.params.path);
        let reference = Reference::obtain(env, &endpoint, path).await?;
        let reference = self.reference.get_or_init(|| reference);
        let caller = Caller::new(env, &self.params.path, reference)?;
        self.footprint
            .find_out(&env.runtime, self.params.count, &caller)
            .await?;
        self.asked.begin(env);
        Ok(())
    }

    async fn open<R: Runtime>(&self, env: &Env<R>, _: u32) -> Result<Session<R>, Failure> {
        let reference = self.reference.get().expect("prepared before any session");
        Caller::new(env, &self.params.path, reference).map(Session)
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut Session<R>,
        _: u64,
    ) -> Result<(), Failure> {
        let Session(caller) = session;
        let waiting = &caller.shared.waiting;
        come_and_go(&env.runtime, self.params.count, caller, waiting).await
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R>,
        totals: Totals,
    ) -> Result<Vec<String>, Failure> {
        self.footprint.tell(&env.observed);
        let each = self.params.count.get().into();
        Ok(Vec::from_iter(self.asked.judge(env, totals, each)))
    }
}
