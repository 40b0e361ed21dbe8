//! `http-post`: a JSON document posted to an endpoint that echoes it.
//!
//! The document names its operation and is padded to its size; the response must be the same document. Small by
//! default; `size = "1MiB"` sends one that does not fit into a socket buffer at once.

use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use serde_json::{Value, json};

use super::expectation::{Expectation, advised};
use super::http_connection::{Endpoint, TARGET};
use super::http_session::HttpSession;
use super::params::{params, require, require_path};
use super::reference::FETCHING;
use super::request_count::wrong_requests;
use super::tallies::ensure;
use super::wire::within;
use crate::protocol::http::Method;
use crate::quantity::Size;

#[derive(Debug)]
pub struct HttpPost {
    path: String,
    filling: String,
    expectation: Expectation,
}

params! {
    fetches;
    /// Path of an endpoint that echoes the body; a path in the target's URL wins.
    path: String = "/echo".to_owned(),
    /// Approximate size of the document.
    size: Size = Size { bytes: 256 },
}

/// The largest document that the mock echoes, in bytes.
const LARGEST_BYTES: u64 = 32 << 20;

impl Workload for HttpPost {
    const ABOUT: About = About {
        name: "http-post",
        class: "http",
        operation: "one POST of a JSON document, response checked",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = ();
    type Session<R: Runtime> = HttpSession<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_path("path", &params.path)?;
        let size = params.size.bytes;
        require((1..=LARGEST_BYTES).contains(&size), "size", || {
            "expected from 1 byte to 32MiB".to_owned()
        })?;
        Ok(Self {
            expectation: params.expectation(),
            path: params.path,
            filling: ('a'..='z').cycle().take(params.size.as_len()).collect(),
        })
    }

    /// Posts once to the user's own server, so that one that does not echo is reported before anything is measured.
    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<(), Failure> {
        if Endpoint::of(env)?.is_mock() {
            return Ok(());
        }
        let mut session = HttpSession::open(env).await?;
        let what = format!("the response to the first POST {}", self.path);
        let posted = self.post(&mut session, 0);
        let posted = within(&env.runtime, FETCHING, &what, posted).await;
        posted.map_err(|failure| {
            let (status, location) = (session.connection.status(), session.connection.location());
            advised(failure, status, location)
        })
    }

    async fn open<R: Runtime>(&self, env: &Env<R>, _: u32) -> Result<HttpSession<R>, Failure> {
        HttpSession::open(env).await
    }

    async fn operate<R: Runtime>(
        &self,
        _: &Env<R>,
        session: &mut HttpSession<R>,
        op: u64,
    ) -> Result<(), Failure> {
        self.post(session, op).await
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        wrong_requests(totals, TARGET, 1)
    }
}

impl HttpPost {
    /// Posts the document of operation `op` and checks the response.
    async fn post<R: Runtime>(&self, session: &mut HttpSession<R>, op: u64) -> Result<(), Failure> {
        let sent = json!({ "operation": op, "filling": self.filling });
        let body = sent.to_string();
        let path = session.endpoint.path(&self.path);
        session
            .endpoint
            .encode_post(path, body.as_bytes(), &mut session.request)?;
        let status = session.exchange(Method::Post).await?;
        let request = || format!("POST {}", session.endpoint.path(&self.path));
        self.expectation.check_status(request, status)?;
        if self.expectation.compares_content() {
            check_echo(&sent, session.connection.body())?;
        }
        Ok(())
    }
}

/// Checks that the response is the document that was sent.
fn check_echo(sent: &Value, body: &[u8]) -> Result<(), Failure> {
    let echoed: Value = serde_json::from_slice(body).map_err(|error| {
        Failure::wrong_content(format!(
            "the echo is not JSON ({error}); --set content=any accepts any response"
        ))
    })?;
    ensure(echoed == *sent, || {
        format!(
            "expected the document of operation {}, got that of {}; --set content=any accepts any response",
            sent["operation"], echoed["operation"]
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_different_document_is_not_an_echo() {
        let sent = json!({ "operation": 7, "filling": "abc" });
        let check = |body: &str| check_echo(&sent, body.as_bytes());
        assert_eq!(check(r#"{ "filling": "abc", "operation": 7 }"#), Ok(()));
        assert_eq!(check("{").unwrap_err().kind, Failure::WRONG_CONTENT);
        let other = check(r#"{"operation":8,"filling":"abc"}"#).unwrap_err();
        assert_eq!(
            other.detail,
            "expected the document of operation 7, got that of 8; --set content=any accepts any response"
        );
    }
}
