//! Routing: method, path and query become a [`Route`], or a refusal that says what would work.
//!
//! Pure: text in, value out; nothing is answered here. The list of endpoints is also the page shown to a browser and
//! the hint in a 404. Read `answers.rs` next.

use hyper::{Method, StatusCode};

use super::api::Resource;
use super::behaviour::final_status;
use crate::Duration;
use crate::faults::Fault;

/// The largest body sent or echoed.
pub(super) const LARGEST_BODY_BYTES: usize = 64 << 20;

/// A path, an example that a browser can follow, and a description of the answer.
pub(super) type Endpoint = (&'static str, Option<&'static str>, &'static str);

pub(super) const ENDPOINTS: &[Endpoint] = &[
    ("/health", Some("/health"), "ok"),
    (
        "/bytes/{n}",
        Some("/bytes/64"),
        "n bytes, up to 64 MiB; with ?chunked in chunks",
    ),
    (
        "/text/{anything}",
        Some("/text/hello"),
        "text: {anything}, as it was sent",
    ),
    (
        "/delay/{duration}",
        Some("/delay/20ms"),
        "ok, after that time",
    ),
    (
        "/status/{code}",
        Some("/status/404"),
        "that status, from 200 to 599",
    ),
    (
        "/fault/{kind}",
        None,
        "no answer: the connection meets that fault (reset, close, truncate, garbage)",
    ),
    (
        "/echo",
        None,
        "POST or PUT: the body back, with its content type",
    ),
    (
        "/api/login",
        None,
        "POST: a token for the email in a JSON object with email and password",
    ),
    (
        "/api/cart",
        None,
        "the cart of a token's user: authorization: Bearer TOKEN, or the cookie session",
    ),
    ("/api/orders", None, "POST: 201 for a token's user"),
    ("/items/{n}", Some("/items/7"), "an item as JSON; PUT: 204"),
    (
        "/counts",
        Some("/counts"),
        "what was served so far, as JSON",
    ),
];

/// A request that can be answered.
#[derive(Debug, PartialEq)]
pub(super) enum Route<'a> {
    Bytes { length_bytes: usize, chunked: bool },
    Text(&'a str),
    Echo,
    Api(Resource),
    Delay(Duration),
    Status(StatusCode),
    Fault(Fault),
    Health,
    Counts,
    Index,
    Favicon,
}

/// A request that cannot be answered, and the reason.
#[derive(Debug, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// The methods that would work, for a 405.
    pub(super) allow: Option<&'static str>,
    pub(super) reason: String,
}

/// The recognised parts of a request's query; other keys are up to the client.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Query {
    /// The number of the operation.
    pub(super) op: Option<u64>,
    pub(super) chunked: bool,
}

/// Reads `op=N` and `chunked`.
pub(super) fn read_query(query: Option<&str>) -> Result<Query, Refusal> {
    let mut read = Query::default();
    for pair in query.unwrap_or_default().split('&') {
        match pair.split_once('=') {
            Some(("op", number)) => {
                let wrong = |_| bad(format!("op={number} is not a number"));
                read.op = Some(number.parse().map_err(wrong)?);
            }
            _ if pair == "chunked" => read.chunked = true,
            _ => (),
        }
    }
    Ok(read)
}

/// The route of a request.
pub(super) fn route<'a>(
    method: &Method,
    path: &'a str,
    query: &Query,
) -> Result<Route<'a>, Refusal> {
    let route = find(path, query)?;
    let allow = match route {
        Route::Echo => "POST, PUT",
        Route::Api(resource) => resource.methods(),
        _ => "GET, HEAD",
    };
    if allow.split(", ").any(|allowed| allowed == method.as_str()) {
        return Ok(route);
    }
    let reason = format!("{path} takes {allow}, not {method}");
    Err(Refusal {
        status: StatusCode::METHOD_NOT_ALLOWED,
        allow: Some(allow),
        reason,
    })
}

fn find<'a>(path: &'a str, query: &Query) -> Result<Route<'a>, Refusal> {
    // The endpoints of throughput scenarios come first.
    if let Some(length) = path.strip_prefix("/bytes/") {
        return bytes(length, query);
    }
    if let Some(text) = path.strip_prefix("/text/") {
        return Ok(Route::Text(text));
    }
    if let Some(delay) = path.strip_prefix("/delay/") {
        return delay.parse().map(Route::Delay).map_err(bad);
    }
    if let Some(code) = path.strip_prefix("/status/") {
        let code_of = |code: &str| final_status(code.parse().ok()?);
        return code_of(code)
            .map(Route::Status)
            .ok_or_else(|| bad(format!("`{code}` is not a status from 200 to 599")));
    }
    if let Some(kind) = path.strip_prefix("/fault/") {
        return kind.parse().map(Route::Fault).map_err(bad);
    }
    match path {
        "/echo" => Ok(Route::Echo),
        "/health" => Ok(Route::Health),
        "/counts" => Ok(Route::Counts),
        "/" => Ok(Route::Index),
        "/favicon.ico" => Ok(Route::Favicon),
        _ => Resource::find(path)
            .map(Route::Api)
            .ok_or_else(|| not_found(path)),
    }
}

fn bytes<'a>(length: &str, query: &Query) -> Result<Route<'a>, Refusal> {
    match length.parse() {
        Ok(length_bytes) if length_bytes <= LARGEST_BODY_BYTES => Ok(Route::Bytes {
            length_bytes,
            chunked: query.chunked,
        }),
        _ => Err(bad(format!(
            "`{length}` is not a number of bytes from 0 to {LARGEST_BODY_BYTES}"
        ))),
    }
}

fn bad(reason: String) -> Refusal {
    Refusal {
        status: StatusCode::BAD_REQUEST,
        allow: None,
        reason,
    }
}

fn not_found(path: &str) -> Refusal {
    let paths: Vec<_> = ENDPOINTS.iter().map(|(path, ..)| *path).collect();
    let reason = format!("there is no {path} here; try one of / {}", paths.join(" "));
    Refusal {
        status: StatusCode::NOT_FOUND,
        allow: None,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routed<'a>(method: &str, target: &'a str) -> Result<Route<'a>, Refusal> {
        let (path, query) = target
            .split_once('?')
            .map_or((target, None), |(path, query)| (path, Some(query)));
        route(&method.parse().unwrap(), path, &read_query(query)?)
    }

    #[test]
    fn every_endpoint_is_found() {
        let bytes = |length_bytes, chunked| Route::Bytes {
            length_bytes,
            chunked,
        };
        let delay = Route::Delay("1.5s".parse().unwrap());
        for (method, target, expected) in [
            ("GET", "/bytes/64", bytes(64, false)),
            ("HEAD", "/bytes/0?op=3&chunked", bytes(0, true)),
            ("GET", "/bytes/67108864", bytes(64 << 20, false)),
            ("GET", "/text/a/b%20c", Route::Text("a/b%20c")),
            ("GET", "/delay/1.5s", delay),
            (
                "GET",
                "/status/503",
                Route::Status(StatusCode::SERVICE_UNAVAILABLE),
            ),
            ("GET", "/fault/reset", Route::Fault(Fault::Reset)),
            ("PUT", "/echo", Route::Echo),
            ("PUT", "/items/7", Route::Api(Resource::Item(7))),
            ("POST", "/api/login?x=1", Route::Api(Resource::Login)),
        ] {
            assert_eq!(routed(method, target), Ok(expected), "{target}");
        }
    }

    #[test]
    fn every_mistake_is_explained() {
        for (method, target, status, reason) in [
            ("GET", "/bytes/67108865", 400, "not a number of bytes"),
            ("GET", "/bytes/-1", 400, "not a number of bytes"),
            ("GET", "/delay/soon", 400, "is not a duration"),
            ("GET", "/status/101", 400, "not a status"),
            (
                "GET",
                "/fault/quake",
                400,
                "expected one of reset, close, truncate, garbage",
            ),
            ("GET", "/echo", 405, "takes POST, PUT, not GET"),
            (
                "DELETE",
                "/items/7",
                405,
                "takes GET, HEAD, PUT, not DELETE",
            ),
            ("POST", "/health", 405, "takes GET, HEAD, not POST"),
            ("GET", "/health?op=x", 400, "op=x is not a number"),
            ("GET", "/nowhere", 404, "/bytes/{n}"),
        ] {
            let refusal = routed(method, target).expect_err(target);
            assert_eq!(refusal.status, status, "{target}");
            assert!(refusal.reason.contains(reason), "{target}: {refusal:?}");
        }
    }

    #[test]
    fn every_example_on_the_front_page_works() {
        for example in ENDPOINTS.iter().filter_map(|(_, example, _)| *example) {
            assert!(
                route(&Method::GET, example, &Query::default()).is_ok(),
                "{example}"
            );
        }
    }
}
