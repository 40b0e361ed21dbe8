//! `http-post`: a JSON document posted to an endpoint that echoes it.
//!
//! The document names its operation and is padded to its size; the response must be the same document. Small by
//! default; `size = "1MiB"` sends one that does not fit into a socket buffer at once.

use std::time::Duration;

use photofinish_harness::nothing_shared;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use serde_json::{Value, json};

use super::http_connection::{TARGET, succeeded};
use super::http_session::HttpSession;
use super::params::{params, require, require_path};
use super::request_count::wrong_requests;
use super::tallies::ensure;
use crate::protocol::http::Method;
use crate::quantity::Size;

#[derive(Debug)]
pub struct HttpPost {
    path: String,
    filling: String,
}

params! {
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
        operation: "one POST of a JSON document; the echo is compared",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    type Session<R: Runtime> = HttpSession<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        require_path("path", &params.path)?;
        let size = params.size.bytes;
        require((1..=LARGEST_BYTES).contains(&size), "size", || {
            "expected from 1 byte to 32MiB".to_owned()
        })?;
        Ok(Self {
            path: params.path,
            filling: ('a'..='z').cycle().take(params.size.as_len()).collect(),
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
        let sent = json!({ "operation": op, "filling": self.filling });
        let body = sent.to_string();
        let path = session.endpoint.path(&self.path);
        session
            .endpoint
            .encode_post(path, body.as_bytes(), &mut session.request)?;
        let status = session.exchange(Method::Post).await?;
        check_echo(&sent, status, session.connection.body())
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        wrong_requests(totals, TARGET, 1)
    }
}

/// Checks that the response is the document that was sent.
fn check_echo(sent: &Value, status: u16, body: &[u8]) -> Result<(), Failure> {
    succeeded(status)?;
    let echoed: Value = serde_json::from_slice(body)
        .map_err(|error| Failure::wrong_content(format!("the echo is not JSON: {error}")))?;
    ensure(echoed == *sent, || {
        format!(
            "expected the document of operation {}, got that of {}",
            sent["operation"], echoed["operation"]
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_document_is_not_an_echo() {
        let sent = json!({ "operation": 7, "filling": "abc" });
        let check = |status, body: &str| check_echo(&sent, status, body.as_bytes());
        assert_eq!(
            check(200, r#"{ "filling": "abc", "operation": 7 }"#),
            Ok(())
        );
        let kind = |status, body| check(status, body).unwrap_err().kind;
        assert_eq!(kind(500, ""), Failure::STATUS);
        assert_eq!(kind(200, "{"), Failure::WRONG_CONTENT);
        let other = check(200, r#"{"operation":8,"filling":"abc"}"#).unwrap_err();
        assert_eq!(
            other.detail,
            "expected the document of operation 7, got that of 8"
        );
    }
}
