//! `http-connect`: a new connection for each request.
//!
//! What a client pays that keeps no connections: a handshake, a request, a goodbye. The server must have seen as many
//! connections as requests. On one address the local ports run out after some 28,000 connections in a minute, so rounds
//! are bounded by count.

use std::sync::OnceLock;
use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use photofinish_record::Traffic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::asked::Asked;
use super::http_connection::{Connection, Endpoint, Reference, TARGET, too_few_connections};
use super::params::require_path;
use crate::protocol::http::Method;

/// The workload.
#[derive(Debug)]
pub struct HttpConnect {
    path: String,
    reference: OnceLock<Reference>,
    asked: Asked,
}

/// Its parameters.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// What to ask for; a path in the target's URL wins.
    pub path: String,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            path: "/bytes/64".to_owned(),
        }
    }
}

/// What a session keeps between its connections: the words of its request.
pub struct Session {
    endpoint: Endpoint,
    request: Vec<u8>,
}

impl Workload for HttpConnect {
    const ABOUT: About = About {
        name: "http-connect",
        class: "http",
        operation: "a new connection, one GET, body checked, closed",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Session<R: Runtime> = Session;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_path("path", &params.path)?;
        Ok(Self {
            path: params.path,
            reference: OnceLock::new(),
            asked: Asked::of(TARGET),
        })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<(), Failure> {
        let endpoint = Endpoint::of(env)?;
        let reference = Reference::obtain(env, &endpoint, endpoint.path(&self.path)).await?;
        self.reference.get_or_init(|| reference);
        self.asked.begin(env);
        Ok(())
    }

    async fn open<R: Runtime>(&self, env: &Env<R>, _: u32) -> Result<Session, Failure> {
        let endpoint = Endpoint::of(env)?;
        let request = endpoint.get(endpoint.path(&self.path))?;
        Ok(Session { endpoint, request })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut Session,
        _: u64,
    ) -> Result<(), Failure> {
        let mut connection = Connection::new(env, &session.endpoint);
        let status = connection
            .exchange(Method::Get, &mut session.request)
            .await?;
        let reference = self.reference.get().expect("prepared before any session");
        reference.check(status, connection.body())
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R>,
        totals: Totals,
    ) -> Result<Vec<String>, Failure> {
        let mut violations = too_few_connections(env, totals);
        violations.extend(self.asked.judge(env, totals, 1));
        let Traffic {
            connections,
            requests,
            ..
        } = env.traffic[TARGET].snapshot();
        violations.extend(too_many(connections, requests, totals));
        Ok(violations)
    }
}

/// What is wrong where a connection was opened that carried no request; a failed operation may have had one.
fn too_many(connections: u64, requests: u64, totals: Totals) -> Option<String> {
    (totals.failed == 0 && connections > requests)
        .then(|| format!("{connections} connections were opened for {requests} requests"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_carried_nothing_is_caught() {
        let told = |connections, failed| {
            let totals = Totals {
                sessions: 1,
                succeeded: 10,
                failed,
            };
            too_many(connections, 10, totals)
        };
        assert_eq!(told(10, 0), None);
        assert_eq!(told(11, 1), None);
        assert_eq!(
            told(11, 0).as_deref(),
            Some("11 connections were opened for 10 requests")
        );
    }
}
