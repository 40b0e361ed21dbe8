//! The behaviour of the server `wiremock`: mocks, each with a sequence of responses.
//!
//! Everything read here is checked so that mounting it cannot fail (wiremock itself answers mistakes with panics).
//! Faults that wiremock cannot do honestly are refused by name. Nothing here talks to wiremock; read `../wiremock.rs`
//! next.

use std::collections::BTreeMap;
use std::num::NonZeroU64;

use ::wiremock::http::{HeaderValue, Method, Url};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::faults::Fault;
use crate::{BehaviourError, Duration, read_behaviour};

/// Maximum value of `body_bytes`.
const LARGEST_BODY_BYTES: usize = 64 << 20;

/// The behaviour of the server `wiremock`. A request meets the first mock that matches it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Behaviour {
    pub(super) mocks: Vec<Mock>,
    /// Maximum number of requests, all of which are kept in memory; further ones get 503.
    pub(super) max_requests: MaxRequests,
}

/// A bound on requests.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(transparent)]
pub(super) struct MaxRequests(pub(super) NonZeroU64);

impl Default for MaxRequests {
    fn default() -> Self {
        MaxRequests(NonZeroU64::new(100_000).expect("100,000 is not zero"))
    }
}

/// A pattern of requests, and the responses to them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Mock {
    /// Any method if omitted.
    pub(super) method: Option<String>,
    /// The whole path, without its query. A `*` at its end stands for any rest; each whole path goes through the
    /// responses on its own then.
    pub(super) path: String,
    /// Parameters that the query must contain; others are allowed.
    #[serde(default)]
    pub(super) query: BTreeMap<String, String>,
    /// The responses, in order; the last one repeats.
    #[schemars(length(min = 1))]
    pub(super) respond: Vec<Response>,
}

/// One response, or one fault, in a sequence.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Response {
    /// From 200 to 599; 200 by default.
    #[schemars(range(min = 200, max = 599))]
    pub(super) status: Option<u16>,
    /// The body as text.
    pub(super) body: Option<String>,
    /// The body as JSON.
    pub(super) json: Option<serde_json::Value>,
    /// Length of a generated body, in which byte i is `a` + i modulo 26.
    pub(super) body_bytes: Option<usize>,
    /// By default `text/plain`, or `application/json` for `json`.
    pub(super) content_type: Option<String>,
    pub(super) delay: Option<Duration>,
    /// Number of requests that get this response before the next one takes over; 1 by default. Not for the last
    /// response.
    pub(super) times: Option<NonZeroU64>,
    /// In place of a response: `close` or `reset`, one of them for all mocks of a server; the server `http` can do
    /// more.
    pub(super) fault: Option<Fault>,
}

impl Behaviour {
    /// Reads and checks a behaviour.
    pub(super) fn read(behaviour: &serde_json::Value) -> Result<Self, BehaviourError> {
        let read: Behaviour = read_behaviour(behaviour)?;
        let mut fault = None;
        for (index, mock) in read.mocks.iter().enumerate() {
            mock.check()
                .and_then(|()| mock.check_same_fault(&mut fault))
                .map_err(|error| error.within(["mocks", &index.to_string()]))?;
        }
        Ok(read)
    }

    /// True if faults reset connections rather than close them in order.
    pub(super) fn resets(&self) -> bool {
        let mut responses = self.mocks.iter().flat_map(|mock| &mock.respond);
        responses.any(|response| response.fault == Some(Fault::Reset))
    }
}

impl Mock {
    /// The prefix of a path that ends with `*`.
    pub(super) fn prefix(&self) -> Option<&str> {
        self.path.strip_suffix('*')
    }

    fn check(&self) -> Result<(), BehaviourError> {
        if let Some(method) = &self.method {
            check_method(method)?;
        }
        check_path(self.prefix().unwrap_or(&self.path))?;
        if self.respond.is_empty() {
            return Err(BehaviourError::at(
                ["respond"],
                "a mock needs at least one response",
            ));
        }
        for (index, response) in self.respond.iter().enumerate() {
            let is_last = index + 1 == self.respond.len();
            response
                .check(is_last)
                .map_err(|error| error.within(["respond", &index.to_string()]))?;
        }
        Ok(())
    }

    /// All mocks of a server must use the same fault, because all of its sockets are configured alike.
    fn check_same_fault(&self, earlier: &mut Option<Fault>) -> Result<(), BehaviourError> {
        for (index, response) in self.respond.iter().enumerate() {
            let Some(fault) = response.fault else {
                continue;
            };
            let first = *earlier.get_or_insert(fault);
            if first != fault {
                let message = format!(
                    "one server `wiremock` ends its connections in one way, and `{first}` was asked for before; the \
                     server `http` can do both, in its `faults`"
                );
                return Err(BehaviourError::at(
                    ["respond", &index.to_string(), "fault"],
                    message,
                ));
            }
        }
        Ok(())
    }
}

fn check_method(method: &str) -> Result<(), BehaviourError> {
    let is_valid =
        Method::from_bytes(method.as_bytes()).is_ok() && method == method.to_ascii_uppercase();
    if is_valid {
        return Ok(());
    }
    let expected = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
        .map(String::from)
        .to_vec();
    let message = format!("`{method}` is not an HTTP method in capitals");
    Err(BehaviourError {
        expected,
        ..BehaviourError::at(["method"], message)
    })
}

/// Checks a path's form: requests have their path normalized by a URL parser, so any other form would never match.
fn check_path(path: &str) -> Result<(), BehaviourError> {
    let wrong = |message: String| Err(BehaviourError::at(["path"], message));
    if !path.starts_with('/') {
        return wrong(format!("`{path}` does not begin with `/`"));
    }
    if path.contains(['?', '#']) {
        return wrong(format!(
            "`{path}` holds more than a path; parameters go into `query`"
        ));
    }
    match Url::parse(&format!("http://localhost{path}")) {
        Ok(url) if url.path() == path => Ok(()),
        Ok(url) => wrong(format!(
            "no request comes with the path `{path}`; it would be `{}`",
            url.path()
        )),
        Err(_) => wrong(format!("`{path}` is not a valid path")),
    }
}

impl Response {
    /// The content type and the bytes of the body.
    pub(super) fn content(&self) -> (&str, Vec<u8>) {
        let typed = |usual| self.content_type.as_deref().unwrap_or(usual);
        match (&self.body, &self.json, self.body_bytes) {
            (Some(body), _, _) => (typed("text/plain"), body.clone().into_bytes()),
            (_, Some(json), _) => (typed("application/json"), json.to_string().into_bytes()),
            (_, _, Some(length)) => (
                typed("text/plain"),
                (0..length).map(|i| b'a' + (i % 26) as u8).collect(),
            ),
            (None, None, None) => (typed(""), Vec::new()),
        }
    }

    fn check(&self, is_last: bool) -> Result<(), BehaviourError> {
        if is_last && self.times.is_some() {
            let message =
                "the last response repeats for as long as requests come, so it takes no `times`";
            return Err(BehaviourError::at(["times"], message));
        }
        match self.fault {
            Some(fault) => self.check_fault(fault),
            None => self.check_content(),
        }
    }

    fn check_fault(&self, fault: Fault) -> Result<(), BehaviourError> {
        if !matches!(fault, Fault::Close | Fault::Reset) {
            let message = format!(
                "the server `wiremock` cannot do `{fault}`; the server `http` can, in its `faults`"
            );
            return Err(BehaviourError {
                expected: vec!["close".into(), "reset".into()],
                ..BehaviourError::at(["fault"], message)
            });
        }
        let others = [
            ("status", self.status.is_some()),
            ("body", self.body.is_some()),
            ("json", self.json.is_some()),
            ("body_bytes", self.body_bytes.is_some()),
            ("content_type", self.content_type.is_some()),
            ("delay", self.delay.is_some()),
        ];
        match others.iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((name, _)) => Err(BehaviourError::at(
                [name],
                format!("a fault comes at once and without `{name}`"),
            )),
        }
    }

    fn check_content(&self) -> Result<(), BehaviourError> {
        let status = self.status.unwrap_or(200);
        if !(200..=599).contains(&status) {
            let message = format!("{status} is not a final HTTP status; use one from 200 to 599");
            return Err(BehaviourError::at(["status"], message));
        }
        let bodies = [
            ("body", self.body.is_some()),
            ("json", self.json.is_some()),
            ("body_bytes", self.body_bytes.is_some()),
        ];
        let mut given = bodies
            .iter()
            .filter(|(_, given)| *given)
            .map(|(name, _)| *name);
        let (first, second) = (given.next(), given.next());
        if let (Some(first), Some(second)) = (first, second) {
            return Err(BehaviourError::at(
                [second],
                format!("the body is given by `{first}` already"),
            ));
        }
        if let (Some(body), 204 | 304) = (first, status) {
            return Err(BehaviourError::at(
                [body],
                format!("a response of status {status} has no body"),
            ));
        }
        if self
            .body_bytes
            .is_some_and(|length| length > LARGEST_BODY_BYTES)
        {
            return Err(BehaviourError::at(
                ["body_bytes"],
                format!("at most {LARGEST_BODY_BYTES} bytes are sent"),
            ));
        }
        match &self.content_type {
            Some(content_type) if HeaderValue::from_str(content_type).is_err() => {
                Err(BehaviourError::at(
                    ["content_type"],
                    format!("{content_type:?} is not a valid header value"),
                ))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    /// A behaviour, the path of its mistake, and a part of the message.
    const MISTAKES: &str = r#"
        {"mock": []} | mock | unknown field
        {"max_requests": 0} | max_requests | nonzero
        {"mocks": [{"respond": [{}]}]} | mocks.0 | missing field `path`
        {"mocks": [{"path": "/", "respond": []}]} | mocks.0.respond | at least one
        {"mocks": [{"path": "x", "respond": [{}]}]} | mocks.0.path | begin with `/`
        {"mocks": [{"path": "/x?y=1", "respond": [{}]}]} | mocks.0.path | `query`
        {"mocks": [{"path": "/a b", "respond": [{}]}]} | mocks.0.path | `/a%20b`
        {"mocks": [{"path": "*", "respond": [{}]}]} | mocks.0.path | begin with `/`
        {"mocks": [{"path": "/", "method": "get", "respond": [{}]}]} | mocks.0.method | capitals
        {"mocks": [{"path": "/", "respond": [{"times": 2}]}]} | mocks.0.respond.0.times | last response
        {"mocks": [{"path": "/", "respond": [{"fault": "reset"}, {}, {"fault": "close"}]}]} | mocks.0.respond.2.fault | `reset` was asked for before
        {"mocks": [{"path": "/a", "respond": [{"fault": "reset"}]}, {"path": "/b", "respond": [{"fault": "close"}]}]} | mocks.1.respond.0.fault | in one way
    "#;

    /// A response, its wrong key, and a part of the message.
    const WRONG_RESPONSES: &str = r#"
        {"statu": 1} | statu | unknown field
        {"status": 101} | status | not a final
        {"body": "x", "json": 1} | json | by `body` already
        {"status": 204, "body": "x"} | body | has no body
        {"content_type": "a\nb"} | content_type | not a valid header value
        {"body_bytes": 67108865} | body_bytes | at most
        {"delay": "soon"} | delay | is not a duration
        {"fault": "close", "delay": "1ms"} | delay | at once
        {"fault": "truncate"} | fault | the server `http` can
        {"fault": "garbage"} | fault | the server `http` can
    "#;

    fn check(case: &str, wrap: impl Fn(Value) -> Value, prefix: &str) {
        let parts: Vec<&str> = case.split('|').map(str::trim).collect();
        let [json, path, message] = parts[..] else {
            panic!("not three parts: {case}");
        };
        let behaviour = wrap(serde_json::from_str(json).expect(case));
        let error = Behaviour::read(&behaviour).expect_err(case);
        assert_eq!(error.path.join("."), format!("{prefix}{path}"), "{error}");
        assert!(error.message.contains(message), "{case}: {error}");
    }

    #[test]
    fn a_mistake_is_reported_with_its_path() {
        for case in MISTAKES.trim().lines() {
            check(case, |behaviour| behaviour, "");
        }
        let alone = |response| json!({"mocks": [{"path": "/", "respond": [response, {}]}]});
        for case in WRONG_RESPONSES.trim().lines() {
            check(case, alone, "mocks.0.respond.0.");
        }
    }

    #[test]
    fn an_unknown_key_comes_with_the_valid_names() {
        let behaviour = json!({"mocks": [{"pth": "/", "respond": [{}]}]});
        assert_eq!(
            Behaviour::read(&behaviour).unwrap_err().expected,
            ["method", "path", "query", "respond"]
        );
    }
}
