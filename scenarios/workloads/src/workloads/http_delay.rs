//! `http-delay`: several concurrent requests to an endpoint that answers after one unit.
//!
//! The headline speed-up: in sequence they take as many units as there are requests, concurrently about one.

use std::num::NonZeroU32;
use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};

use super::expectation::Expectation;
use super::fan_out::{FanOut, references};
use super::http_connection::TARGET;
use super::params::{count, params, require_at_most, require_path};
use super::reference::Reference;
use super::request_count::wrong_requests;

#[derive(Debug)]
pub struct HttpDelay {
    /// The same path, once for each request.
    paths: Vec<String>,
    expectation: Expectation,
}

params! {
    fetches;
    /// The endpoint with a delay, which the server's behaviour sets.
    path: String = "/delay".to_owned(),
    /// Requests made at once.
    requests: NonZeroU32 = count(5),
}

impl Workload for HttpDelay {
    const ABOUT: About = About {
        name: "http-delay",
        class: "http",
        operation: "concurrent requests to an endpoint that responds after a delay",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Vec<Reference>;
    type Session<R: Runtime> = FanOut<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_at_most("requests", params.requests.get(), 10_000)?;
        require_path("path", &params.path)?;
        Ok(Self {
            expectation: params.expectation(),
            paths: vec![params.path; params.requests.get() as usize],
        })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Vec<Reference>, Failure> {
        let one = references(env, &self.paths[..1], &self.expectation).await?;
        Ok(vec![one[0].clone(); self.paths.len()])
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Vec<Reference>>,
        _: u32,
    ) -> Result<FanOut<R>, Failure> {
        FanOut::open(env, &self.paths).await
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Vec<Reference>>,
        session: &mut FanOut<R>,
        _: u64,
    ) -> Result<(), Failure> {
        session.exchange(env, &env.shared).await
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        wrong_requests(totals, TARGET, self.paths.len() as u64)
    }
}
