//! `http-limited`: many URLs, of which a semaphore allows only a few in flight.
//!
//! Each URL is answered after a seeded number of units. A permit comes with one of the session's connections, so there
//! are never more connections than permits. The workload counts requests in flight itself; the server's own count is
//! compared with the scenario's `[expect] in_flight`.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use photofinish_harness::runtime::{Runtime, Semaphore as _};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use photofinish_record::draw::draw_below;

use super::fan_out::references;
use super::http_connection::{Connection, Endpoint, TARGET, delayed_path, dialer};
use super::params::{count, params, require_at_most};
use super::parts::{self, joined};
use super::reference::Reference;
use super::request_count::wrong_requests;
use super::tallies::Peak;
use super::wire::Dialer;
use crate::protocol::http::Method;

#[derive(Debug)]
pub struct HttpLimited {
    params: Params,
    /// A path for each delay, the shortest first.
    paths: Vec<String>,
}

params! {
    fetches;
    /// Number of URLs.
    urls: NonZeroU32 = count(20),
    /// Requests in flight at once.
    at_once: NonZeroU32 = count(5),
    /// Longest delay of a response, in units; the shortest is one.
    longest_units: NonZeroU32 = count(3),
}

impl Workload for HttpLimited {
    const ABOUT: About = About {
        name: "http-limited",
        class: "http",
        operation: "URLs that respond after some units, a limited number in flight",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Vec<Reference>;
    type Session<R: Runtime> = Arc<Session<R>>;

    fn new(params: Params, unit: Duration) -> Result<Self, ParamError> {
        require_at_most("urls", params.urls.get(), 100_000)?;
        require_at_most("at_once", params.at_once.get(), 10_000)?;
        require_at_most("longest_units", params.longest_units.get(), 1_000)?;
        let delays = 1..=params.longest_units.get();
        Ok(Self {
            paths: delays.map(|units| delayed_path(unit * units)).collect(),
            params,
        })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Vec<Reference>, Failure> {
        references(env, &self.paths, &self.params.expectation()).await
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Vec<Reference>>,
        _: u32,
    ) -> Result<Arc<Session<R>>, Failure> {
        let endpoint = Endpoint::of(env)?;
        let session = Session {
            dialer: dialer(env, &endpoint),
            endpoint,
            permits: env.runtime.semaphore(self.params.at_once),
            idle: Mutex::new(Vec::new()),
            in_flight: Arc::default(),
        };
        for _ in 0..self.params.at_once.get() {
            let mut connection = session.connection();
            connection.connect().await?;
            session.idle().push(connection);
        }
        Ok(Arc::new(session))
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Vec<Reference>>,
        session: &mut Arc<Session<R>>,
        op: u64,
    ) -> Result<(), Failure> {
        let urls = u64::from(self.params.urls.get());
        let references = &env.shared;
        let first = op.wrapping_mul(urls);
        let fetch = |url| {
            let delay = draw_below(env.seed, first.wrapping_add(url), references.len() as u64);
            let reference = &references[delay as usize];
            parts::start(&env.runtime, session.clone().fetch(reference.clone()))
        };
        let fetched = joined((0..urls).map(fetch).collect()).await;
        let limit = self.params.at_once.get();
        fetched.and(session.in_flight.at_most(limit, "requests in flight"))
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        wrong_requests(totals, TARGET, u64::from(self.params.urls.get()))
    }
}

/// Connections, and the permits to use them.
pub struct Session<R: Runtime> {
    endpoint: Endpoint,
    dialer: Dialer<R>,
    permits: R::Semaphore,
    /// Connections not in use; each of the others belongs to a holder of a permit.
    idle: Mutex<Vec<Connection<R>>>,
    in_flight: Arc<Peak>,
}

impl<R: Runtime> Session<R> {
    async fn fetch(self: Arc<Self>, reference: Reference) -> Result<(), Failure> {
        let path = self.endpoint.path(reference.path());
        let mut request = self.endpoint.get(path)?;
        let permit = self.permits.acquire().await;
        let idle = self.idle().pop();
        let mut connection = idle.unwrap_or_else(|| self.connection());
        let under_way = self.in_flight.enter();
        let answer = connection.exchange(Method::Get, &mut request).await;
        drop(under_way);
        let checked = answer.and_then(|_| reference.check(connection.answer()));
        self.idle().push(connection);
        drop(permit);
        checked
    }

    fn connection(&self) -> Connection<R> {
        Connection::over(self.dialer.clone())
    }

    /// A panic elsewhere leaves the list valid: it is only pushed to and popped from.
    fn idle(&self) -> MutexGuard<'_, Vec<Connection<R>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
