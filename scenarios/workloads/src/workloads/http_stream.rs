//! `http-stream`: URLs in sequence over one connection, as an async iterator would request them.
//!
//! The next URL is requested after the last response: strictly in order, never two in flight. A server that counts
//! requests in flight sees as many as there are sessions.

use std::num::NonZeroU32;
use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};

use super::expectation::Expectation;
use super::fan_out::references;
use super::http_connection::TARGET;
use super::http_session::HttpSession;
use super::params::{count, params, require_at_most, require_path};
use super::reference::Reference;
use super::request_count::wrong_requests;
use crate::protocol::http::Method;

#[derive(Debug)]
pub struct HttpStream {
    /// A path for each response, in the order of the requests.
    paths: Vec<String>,
    expectation: Expectation,
}

params! {
    fetches;
    /// Prefix of all paths, followed by the URL's number, from 1.
    path: String = "/text/page-".to_owned(),
    /// Number of URLs.
    urls: NonZeroU32 = count(10),
}

impl Workload for HttpStream {
    const ABOUT: About = About {
        name: "http-stream",
        class: "http",
        operation: "URLs in sequence over one connection",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Vec<Reference>;
    type Session<R: Runtime> = HttpSession<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_at_most("urls", params.urls.get(), 100_000)?;
        require_path("path", &params.path)?;
        let path = |number| format!("{}{number}", params.path);
        Ok(Self {
            paths: (1..=params.urls.get()).map(path).collect(),
            expectation: params.expectation(),
        })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Vec<Reference>, Failure> {
        references(env, &self.paths, &self.expectation).await
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Vec<Reference>>,
        _: u32,
    ) -> Result<HttpSession<R>, Failure> {
        HttpSession::open(env).await
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Vec<Reference>>,
        session: &mut HttpSession<R>,
        _: u64,
    ) -> Result<(), Failure> {
        for (path, reference) in self.paths.iter().zip(&env.shared) {
            session.get(path)?;
            reference.keep_comparison_in(&mut session.connection);
            session.exchange(Method::Get).await?;
            reference.check(session.connection.answer())?;
        }
        Ok(())
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        wrong_requests(totals, TARGET, self.paths.len() as u64)
    }
}
