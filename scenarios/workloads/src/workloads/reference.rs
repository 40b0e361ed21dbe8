//! The expected response to a request: computed for an embedded mock with known content, fetched once before the clock starts
//! from any other server.

use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{Failure, RoundEnv};
use photofinish_record::hex;
use sha2::{Digest as _, Sha256};

use super::answer::{Answer, Keep};
use super::expectation::{Expectation, advised};
use super::http_connection::{Connection, Endpoint};
use super::wire::within;
use crate::protocol::http::Method;

/// Deadline for fetching a reference response before the measurement.
pub(super) const FETCHING: Duration = Duration::from_secs(10);

/// The expected response to one path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    path: String,
    body: Arc<[u8]>,
    expectation: Expectation,
    /// True for the user's own server, whose pages may change.
    foreign: bool,
}

impl Reference {
    /// The expected response to `path`: the known content of a mock, or fetched now. A server of the user's is asked
    /// twice, so that a page that changes is reported before anything is measured.
    pub(super) async fn obtain<R: Runtime>(
        env: &RoundEnv<R>,
        path: &str,
        expectation: &Expectation,
    ) -> Result<Self, Failure> {
        let endpoint = Endpoint::of(env)?;
        let path = endpoint.path(path).to_owned();
        let mut reference = Self {
            body: Arc::default(),
            expectation: expectation.clone(),
            foreign: !endpoint.is_mock(),
            path,
        };
        if let Some(body) = known_body(&reference.path).filter(|_| endpoint.is_mock()) {
            reference.body = body.into();
            return Ok(reference);
        }
        reference.body = reference.fetch(env, &endpoint).await?.body().into();
        if expectation.compares_content() {
            if reference.foreign {
                let again = reference.fetch(env, &endpoint).await?;
                reference.compare(again.answer())?;
            }
            env.observed.content(
                format!("GET {}", reference.path),
                fingerprint(&reference.body),
            );
        }
        Ok(reference)
    }

    /// A connection with the current response of the server.
    async fn fetch<R: Runtime>(
        &self,
        env: &RoundEnv<R>,
        endpoint: &Endpoint,
    ) -> Result<Connection<R>, Failure> {
        let mut connection = Connection::new(env, endpoint);
        let mut request = endpoint.get(&self.path)?;
        let exchange = connection.exchange(Method::Get, &mut request);
        let what = format!("the response to the first GET {}", self.path);
        let status = within(&env.runtime, FETCHING, &what, exchange).await?;
        self.check_status(status)
            .map_err(|failure| advised(failure, status, connection.location()))?;
        Ok(connection)
    }

    /// Keeps only the comparison of later bodies of `connection` with this one.
    pub(super) fn keep_comparison_in<R: Runtime>(&self, connection: &mut Connection<R>) {
        let keep = if self.expectation.compares_content() {
            Keep::Same
        } else {
            Keep::Length
        };
        connection.keep(keep, Some(&self.body));
    }

    /// The path of the request.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The expected body.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Checks that a response has an expected status and, unless any content is accepted, the expected body.
    pub(super) fn check(&self, answer: &Answer) -> Result<(), Failure> {
        self.check_status(answer.status())?;
        if self.expectation.compares_content() {
            self.compare(answer)?;
        }
        Ok(())
    }

    fn check_status(&self, status: u16) -> Result<(), Failure> {
        let request = || format!("GET {}", self.path);
        self.expectation.check_status(request, status)
    }

    fn compare(&self, answer: &Answer) -> Result<(), Failure> {
        match answer.difference(&self.body) {
            None => Ok(()),
            Some(at) => Err(Failure::wrong_content(self.difference(answer.length(), at))),
        }
    }

    #[cold]
    fn difference(&self, bytes: u64, at: usize) -> String {
        let (path, expected) = (&self.path, self.body.len());
        if self.foreign {
            format!(
                "GET {path} differs between two responses ({bytes} bytes, before {expected}, different at byte {at}); \
                 --set content=any checks only status and framing"
            )
        } else {
            format!(
                "GET {path} answered {bytes} bytes that differ from the expected {expected} at byte {at}"
            )
        }
    }
}

/// Length and digest of a body, for messages and records.
pub(super) fn fingerprint(body: &[u8]) -> String {
    format!(
        "{} bytes, SHA-256 {}",
        body.len(),
        hex(Sha256::digest(body))
    )
}

/// The longest body that the `http` mock serves (`LARGEST_BODY_BYTES` there).
const LONGEST_KNOWN_BYTES: usize = 64 << 20;

/// The body that the `http` mock serves at `path`, if that follows from the path alone.
pub(super) fn known_body(path: &str) -> Option<Vec<u8>> {
    let path = path.split('?').next().unwrap_or(path);
    if let Some(count) = path.strip_prefix("/bytes/") {
        let count = count
            .parse()
            .ok()
            .filter(|count| *count <= LONGEST_KNOWN_BYTES)?;
        return Some((b'a'..=b'z').cycle().take(count).collect());
    }
    let name = path.strip_prefix("/text/")?;
    Some(format!("text: {name}").into_bytes())
}

#[cfg(test)]
mod tests {
    use super::super::expectation::Content;
    use super::*;

    #[test]
    fn a_reference_tells_status_from_content() {
        let mut reference = Reference {
            path: "/x".to_owned(),
            body: Arc::from(&b"abc"[..]),
            expectation: Expectation::default(),
            foreign: false,
        };
        let check = |reference: &Reference, status, body: &[u8]| {
            let mut answer = Answer::new();
            answer
                .take_head(status, std::iter::empty())
                .expect("a head");
            answer.take_body(body).expect("a body");
            reference.check(&answer)
        };
        assert_eq!(check(&reference, 200, b"abc"), Ok(()));
        let kind = |status, body: &[u8]| check(&reference, status, body).unwrap_err().kind;
        assert_eq!(kind(503, b"abc"), Failure::STATUS);
        assert_eq!(kind(200, b"abd"), Failure::WRONG_CONTENT);
        assert_eq!(kind(200, b"abcd"), Failure::WRONG_CONTENT);
        let detail = check(&reference, 200, b"abd").unwrap_err().into_detail();
        assert_eq!(
            detail,
            "GET /x answered 3 bytes that differ from the expected 3 at byte 2"
        );
        reference.foreign = true;
        let detail = check(&reference, 200, b"abd").unwrap_err().into_detail();
        assert_eq!(
            detail,
            "GET /x differs between two responses (3 bytes, before 3, different at byte 2); \
             --set content=any checks only status and framing"
        );
        reference.expectation.content = Content::Any;
        assert_eq!(check(&reference, 200, b"abd"), Ok(()));
        assert_eq!(
            check(&reference, 204, b"").unwrap_err().kind,
            Failure::STATUS
        );
    }

    #[test]
    fn known_bodies_are_derived_from_the_path() {
        assert_eq!(
            known_body("/bytes/28").as_deref(),
            Some(&b"abcdefghijklmnopqrstuvwxyzab"[..])
        );
        assert_eq!(
            known_body("/text/alpha?op=3").as_deref(),
            Some(&b"text: alpha"[..])
        );
        assert_eq!(known_body("/delay/20ms"), None);
        assert_eq!(known_body("/bytes/99999999999999"), None);
    }
}
