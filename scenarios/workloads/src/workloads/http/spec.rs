//! The parameters of the workload as they are written in a scenario file: requests, flows, checks, captures.
//!
//! The doc comments are the format's documentation: `photofinish schema scenario` prints them. Types only; `compile.rs`
//! reads them into what runs.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::quantity::{Statuses, Time};

/// A request of a mix or of a flow.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RequestSpec {
    /// Its name in tables and thresholds; method and path by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// Its share of the mix, relative to the other weights; 1 by default. Not for a request of a flow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    pub weight: Option<u32>,
    /// Method and path, with a query if there is one: `GET /items/{{id}}`. Values are percent-encoded.
    pub send: String,
    /// Header fields, `host` among them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// A body, written as JSON. `"{{x|raw}}"` as a whole string is replaced without quotes: a number stays one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Value")]
    pub json: Option<Value>,
    /// A body of text, or from a file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BodySpec")]
    pub body: Option<BodySpec>,
    /// A body of form fields, URL-encoded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BTreeMap<String, String>")]
    pub form: Option<BTreeMap<String, String>>,
    /// The expected response.
    #[serde(default)]
    pub expect: ExpectSpec,
    /// Values for later requests of the flow, by name: `json /POINTER`, `header NAME`, `cookie NAME` or `regex PATTERN`
    /// (its first group, or the whole match).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub capture: BTreeMap<String, String>,
    /// A wait after the request: part of the operation's time, but of no request's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub pause: Option<Time>,
    /// Replaces `http.timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub timeout: Option<Time>,
    /// Replaces `http.tries`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "NonZeroU32")]
    pub tries: Option<NonZeroU32>,
}

impl RequestSpec {
    /// A plain GET.
    pub(super) fn get(path: &str) -> Self {
        Self {
            name: None,
            weight: None,
            send: format!("GET {path}"),
            headers: BTreeMap::new(),
            json: None,
            body: None,
            form: None,
            expect: ExpectSpec::default(),
            capture: BTreeMap::new(),
            pause: None,
            timeout: None,
            tries: None,
        }
    }
}

/// A sequence of requests that makes one operation. It ends at the first request that fails.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct FlowSpec {
    /// Its name, for messages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// Its share of the mix, relative to the other weights; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    pub weight: Option<u32>,
    /// Its requests, in order.
    #[schemars(length(min = 1))]
    pub request: Vec<RequestSpec>,
}

/// A body: `text` or `file`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct BodySpec {
    /// The body itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub text: Option<String>,
    /// A file with the body, relative to the scenario file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub file: Option<String>,
    /// True to send `{{…}}` literally.
    #[serde(default)]
    pub raw: bool,
    /// SHA-256 of the file, in hexadecimal. Computed from the file; compared with it if given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sha256: String,
}

/// The expected response. Without any key: a status of 2xx, and framing that is complete.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectSpec {
    /// Statuses that count as a success: a code, a class such as "2xx" (the default), or a list of them.
    pub status: Statuses,
    /// Header fields, by name: the beginning of the value, `true` for a field that must be there, or `false` for one that
    /// must not.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub header: BTreeMap<String, HeaderSpec>,
    /// Values in a JSON body, by JSON Pointer: `"/items/0/id" = 7`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub json: BTreeMap<String, Value>,
    /// The body's length in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub bytes: Option<u64>,
    /// `"same"`: every response has the body of the first one; `{ sha256 = "…" }`: a body with this digest, of any size;
    /// `"any"` (the default).
    #[serde(skip_serializing_if = "BodyCheckSpec::is_any")]
    pub body: BodyCheckSpec,
    /// Text that the body contains.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub text: Option<String>,
}

impl Default for ExpectSpec {
    fn default() -> Self {
        Self {
            status: Statuses::success(),
            header: BTreeMap::new(),
            json: BTreeMap::new(),
            bytes: None,
            body: BodyCheckSpec::default(),
            text: None,
        }
    }
}

/// The expected value of a header field.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(untagged, expecting = "the beginning of a value, `true` or `false`")]
pub enum HeaderSpec {
    Present(bool),
    Prefix(String),
}

/// The expected body.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyCheckSpec {
    #[default]
    Any,
    /// The body of the first response.
    Same,
    /// A body with this SHA-256, in hexadecimal.
    Sha256(String),
}

impl BodyCheckSpec {
    fn is_any(&self) -> bool {
        *self == Self::Any
    }
}

/// Settings of all requests.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSpec {
    /// `"1.1"` (the default) or `"2"`: HTTP/2, chosen in the TLS handshake, or without TLS from the first byte (prior knowledge).
    pub version: HttpVersion,
    /// Number of requests or flows that one operation makes concurrently over its session's connection, 1 by default; more
    /// need version `"2"`. Each is drawn separately.
    pub streams: NonZeroU32,
    /// Header fields of every request; a request's own take precedence.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// True: cookies are kept for the rest of an operation; `"session"`: for the rest of the session; false (the
    /// default): they are ignored. Sessions never share them.
    pub cookies: Cookies,
    /// Maximum number of redirects followed for each request, 0 by default. Each is a request of its own in all counts.
    pub redirects: u32,
    /// Time limit of each request; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub timeout: Option<Time>,
    /// Time limit of each operation; none by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Time")]
    pub operation_timeout: Option<Time>,
    /// Maximum number of times that a request is sent, 1 by default: again after a broken connection, a timeout, or status
    /// 429, 502, 503 or 504. Each is a request of its own in all counts.
    pub tries: NonZeroU32,
    /// True (the default): connections are kept; false: each request has its own; `{ requests = N }`: each connection is
    /// closed after N requests.
    pub keep_alive: KeepAlive,
}

impl Default for HttpSpec {
    fn default() -> Self {
        Self {
            version: HttpVersion::Http1,
            streams: NonZeroU32::MIN,
            headers: BTreeMap::new(),
            cookies: Cookies::Enabled(false),
            redirects: 0,
            timeout: None,
            operation_timeout: None,
            tries: NonZeroU32::MIN,
            keep_alive: KeepAlive::Enabled(true),
        }
    }
}

impl HttpSpec {
    /// Maximum value of `streams`.
    pub(super) const MOST_STREAMS: u32 = 1000;
}

/// An HTTP version.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
pub enum HttpVersion {
    #[default]
    #[serde(rename = "1.1")]
    Http1,
    #[serde(rename = "2")]
    Http2,
}

/// The life of cookies.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(untagged, expecting = "`true`, `false` or \"session\"")]
pub enum Cookies {
    /// True: until the end of the operation.
    Enabled(bool),
    Until(CookieLife),
}

/// The life of cookies, by name.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CookieLife {
    Session,
}

/// The life of connections.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(untagged, expecting = "`true`, `false` or `{ requests = N }`")]
pub enum KeepAlive {
    Enabled(bool),
    Bounded(ConnectionLife),
}

/// The life of a connection, in requests.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ConnectionLife {
    pub requests: NonZeroU32,
}

impl KeepAlive {
    /// Maximum number of requests of one connection.
    pub(super) fn most_requests(self) -> u32 {
        match self {
            Self::Enabled(true) => u32::MAX,
            Self::Enabled(false) => 1,
            Self::Bounded(life) => life.requests.get(),
        }
    }
}
