//! The session of workloads with one request at a time: an endpoint, one kept connection, and the current request.
//!
//! The connection is open before the clock starts; a failed exchange closes it, and the next one opens another.
//! `fan_out.rs` has the session for several concurrent requests.

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{Failure, RoundEnv};

use super::http_connection::{Connection, Endpoint};
use crate::protocol::http::Method;

/// A connection and its current request.
pub struct HttpSession<R: Runtime> {
    pub(super) endpoint: Endpoint,
    pub(super) connection: Connection<R>,
    /// The bytes of the current request.
    pub(super) request: Vec<u8>,
}

impl<R: Runtime> HttpSession<R> {
    /// A session that is connected, without a request.
    pub(super) async fn open(env: &RoundEnv<R>) -> Result<Self, Failure> {
        let endpoint = Endpoint::of(env)?;
        let connection = Connection::open(env, &endpoint).await?;
        Ok(Self {
            endpoint,
            connection,
            request: Vec::new(),
        })
    }

    /// Sets the request to a GET of `path`, or of the path in the target's URL if it has one.
    pub(super) fn get(&mut self, path: &str) -> Result<(), Failure> {
        let path = self.endpoint.path(path);
        self.endpoint.encode_get(path, &mut self.request)
    }

    /// Sends the current request, which may be repeated; returns the status.
    pub(super) async fn exchange(&mut self, method: Method) -> Result<u16, Failure> {
        self.connection.exchange(method, &mut self.request).await
    }
}
