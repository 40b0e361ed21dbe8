//! The expected status and content of a response: two parameters of every workload that fetches.
//!
//! [`params!`](super::params::params) adds them to a workload's own. The embedded mocks meet the defaults; other
//! servers respond with other statuses, or with pages that contain the time of day.

use photofinish_harness::workload::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Statuses;

/// The part of a body that is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Content {
    /// All of it: every response has the same body.
    #[default]
    Same,
    /// Its framing only.
    Any,
}

/// The expected response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Expectation {
    pub(super) statuses: Statuses,
    pub(super) content: Content,
}

impl Expectation {
    /// Checks the status of the response to a request, such as `GET /x`.
    pub(super) fn check_status(
        &self,
        request: impl FnOnce() -> String,
        status: u16,
    ) -> Result<(), Failure> {
        if self.statuses.include(status) {
            return Ok(());
        }
        let detail = format!("{} answered {status}", request());
        Err(Failure::new(Failure::STATUS, detail))
    }

    /// True if bodies are compared.
    pub(super) fn compares_content(&self) -> bool {
        self.content == Content::Same
    }
}

/// The `failure` of the first request to the user's server, with advice if its cause is the status.
pub(super) fn advised(failure: Failure, status: u16, location: Option<&[u8]>) -> Failure {
    if failure.kind != Failure::STATUS {
        return failure;
    }
    let accept = match status {
        // A refusal is seldom what somebody wants to measure.
        413 | 429 | 500.. => return failure,
        _ => format!("accept the status with --set status={status}"),
    };
    failure.hint(match location.filter(|_| (300..400).contains(&status)) {
        Some(to) => {
            let to = String::from_utf8_lossy(&to[..to.len().min(200)]);
            format!("it redirects to `{to}`: measure that address, or {accept}")
        }
        None => format!("name a path in --target http=http://HOST:PORT/PATH, or {accept}"),
    })
}
