//! `http-connect`: a new connection for each request: the cost of not keeping connections.
//!
//! The request says that its connection will not be kept, so the server closes it. The server must have seen as many
//! connections as requests. Where the client is the first to close, local ports to one address run out after some 28,000
//! connections in a minute, so rounds are bounded by count.

use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use photofinish_record::Traffic;

use super::http_connection::{CLOSE, Connection, Endpoint, TARGET, too_few_connections};
use super::params::{params, require_path};
use super::reference::Reference;
use super::request_count::wrong_requests;
use crate::protocol::http::Method;

#[derive(Debug)]
pub struct HttpConnect {
    params: Params,
}

params! {
    fetches;
    /// Path of the request; a path in the target's URL wins.
    path: String = "/bytes/64".to_owned(),
}

/// The request that a session repeats.
pub struct Session {
    endpoint: Endpoint,
    request: Vec<u8>,
}

impl Workload for HttpConnect {
    const ABOUT: About = About {
        name: "http-connect",
        class: "http",
        operation: "a new connection, one GET, response checked, closed",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Reference;
    type Session<R: Runtime> = Session;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_path("path", &params.path)?;
        Ok(Self { params })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Reference, Failure> {
        Reference::obtain(env, &self.params.path, &self.params.expectation()).await
    }

    async fn open<R: Runtime>(&self, env: &Env<R, Reference>, _: u32) -> Result<Session, Failure> {
        let endpoint = Endpoint::of(env)?;
        let mut request = Vec::new();
        let path = endpoint.path(&self.params.path);
        endpoint.encode_get_with(path, &[CLOSE], &mut request)?;
        Ok(Session { endpoint, request })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Reference>,
        session: &mut Session,
        _: u64,
    ) -> Result<(), Failure> {
        let mut connection = Connection::new(env, &session.endpoint);
        env.shared.keep_comparison_in(&mut connection);
        connection
            .exchange(Method::Get, &mut session.request)
            .await?;
        env.shared.check(connection.answer())
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        let mut violations = too_few_connections(totals);
        violations.extend(wrong_requests(totals, TARGET, 1));
        violations.extend(too_many(totals));
        violations
    }
}

/// A violation if connections carried no request; a failed operation may have had one.
fn too_many(totals: &Totals) -> Option<String> {
    let Traffic {
        connections,
        requests,
        ..
    } = totals.traffic[TARGET];
    (totals.failed == 0 && connections > requests).then(|| {
        format!("expected a request for each of {connections} connections, got {requests}")
    })
}

#[cfg(test)]
mod tests {
    use super::super::tallies::totals;
    use super::*;

    #[test]
    fn an_unused_connection_is_caught() {
        let message = |connections, failed| {
            let traffic = Traffic {
                connections,
                requests: 10,
                ..Traffic::default()
            };
            let totals = totals(10, failed, TARGET, traffic);
            too_many(&totals)
        };
        assert_eq!(message(10, 0), None);
        assert_eq!(message(11, 1), None);
        assert_eq!(
            message(11, 0).as_deref(),
            Some("expected a request for each of 11 connections, got 10")
        );
    }
}
