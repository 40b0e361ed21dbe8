//! `http-fanout`: several concurrent requests, joined; results in the order of the requests.

use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};

use super::fan_out::{FanOut, references};
use super::http_connection::TARGET;
use super::params::{params, require, require_paths};
use super::reference::Reference;
use super::request_count::wrong_requests;

#[derive(Debug)]
pub struct HttpFanout {
    params: Params,
}

params! {
    fetches;
    /// Paths requested at once, each over a connection of its own.
    paths: Vec<String> = ["/text/alpha", "/text/beta", "/text/gamma"].map(str::to_owned).to_vec(),
}

impl Workload for HttpFanout {
    const ABOUT: About = About {
        name: "http-fanout",
        class: "http",
        operation: "concurrent URLs, joined; responses checked in the order of the URLs",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Vec<Reference>;
    type Session<R: Runtime> = FanOut<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require(!params.paths.is_empty(), "paths", || {
            "at least one path is needed".to_owned()
        })?;
        require_paths("paths", &params.paths)?;
        Ok(Self { params })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Vec<Reference>, Failure> {
        references(env, &self.params.paths, &self.params.expectation()).await
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Vec<Reference>>,
        _: u32,
    ) -> Result<FanOut<R>, Failure> {
        FanOut::open(env, &self.params.paths).await
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
        wrong_requests(totals, TARGET, self.params.paths.len() as u64)
    }
}
