//! The session of workloads that ask for one thing at a time: where to ask, one kept connection, and the request at hand.
//!
//! The connection is open before the clock starts; a failed exchange closes it, and the next one opens another. Workloads
//! that have several requests under way at once have sessions of their own, most of them over `fan_out.rs`. What goes over
//! the connection, and how an answer is checked, is in `http_connection.rs`.

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{Failure, RoundEnv};

use super::http_connection::{Connection, Endpoint};
use crate::protocol::http::Method;

/// A connection, and what is asked over it.
pub struct HttpSession<R: Runtime> {
    pub(super) endpoint: Endpoint,
    pub(super) connection: Connection<R>,
    /// The bytes of the request at hand, in a vector that is used again.
    pub(super) request: Vec<u8>,
}

impl<R: Runtime> HttpSession<R> {
    /// One that is connected, with no request at hand yet.
    pub(super) async fn open(env: &RoundEnv<R>) -> Result<Self, Failure> {
        let endpoint = Endpoint::of(env)?;
        let connection = Connection::open(env, &endpoint).await?;
        Ok(Self {
            endpoint,
            connection,
            request: Vec::new(),
        })
    }

    /// Has a GET of `path` at hand, or of the path in the target's URL where it has one.
    pub(super) fn get(&mut self, path: &str) -> Result<(), Failure> {
        let path = self.endpoint.path(path);
        self.endpoint.encode_get(path, &mut self.request)
    }

    /// Sends the request at hand, once more where it was sent before; gives the status.
    pub(super) async fn exchange(&mut self, method: Method) -> Result<u16, Failure> {
        self.connection.exchange(method, &mut self.request).await
    }
}
