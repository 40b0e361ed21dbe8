//! `http-get`: one keep-alive GET of a small body. The throughput scenario.

use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};

use super::http_connection::TARGET;
use super::http_session::HttpSession;
use super::params::{params, require_path};
use super::reference::Reference;
use super::request_count::wrong_requests;
use crate::protocol::http::Method;

#[derive(Debug)]
pub struct HttpGet {
    params: Params,
}

params! {
    fetches;
    /// Path of the request; a path in the target's URL wins.
    path: String = "/bytes/64".to_owned(),
    /// Appends `op=N` to the query, so that a mock's seeded draws follow the operation's number.
    numbered: bool = false,
}

impl Workload for HttpGet {
    const ABOUT: About = About {
        name: "http-get",
        class: "http",
        operation: "one GET, over a keep-alive connection if the server allows it; response checked",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Reference;
    type Session<R: Runtime> = HttpSession<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_path("path", &params.path)?;
        Ok(Self { params })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Reference, Failure> {
        Reference::obtain(env, &self.params.path, &self.params.expectation()).await
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Reference>,
        _: u32,
    ) -> Result<HttpSession<R>, Failure> {
        let mut session = HttpSession::open(env).await?;
        session.get(&self.params.path)?;
        env.shared.keep_comparison_in(&mut session.connection);
        Ok(session)
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Reference>,
        session: &mut HttpSession<R>,
        op: u64,
    ) -> Result<(), Failure> {
        if self.params.numbered {
            let path = session.endpoint.path(&self.params.path);
            let joint = if path.contains('?') { '&' } else { '?' };
            let numbered = format!("{path}{joint}op={op}");
            session
                .endpoint
                .encode_get(&numbered, &mut session.request)?;
        }
        session.exchange(Method::Get).await?;
        env.shared.check(session.connection.answer())
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        wrong_requests(totals, TARGET, 1)
    }
}
