//! Routing: method, path and query become a [`Route`], or a refusal that says what would work.
//!
//! Pure: text in, value out; nothing is answered here. The list of endpoints is also the page shown to a browser and
//! the hint in a 404. Read `answers.rs` next.

use hyper::{Method, StatusCode};

use super::behaviour::final_status;
use crate::Duration;
use crate::faults::Fault;

/// The largest body sent or echoed.
pub(super) const LARGEST_BODY_BYTES: usize = 64 << 20;

/// The endpoints, each with an example that a browser can follow and a description of its answer.
pub(super) const ENDPOINTS: &[Endpoint] = &[
    Endpoint {
        path: "/health",
        example: Some("/health"),
        answer: "ok",
    },
    Endpoint {
        path: "/bytes/{n}",
        example: Some("/bytes/64"),
        answer: "n bytes, up to 64 MiB; with ?chunked in chunks",
    },
    Endpoint {
        path: "/text/{anything}",
        example: Some("/text/hello"),
        answer: "text: {anything}, as it was sent",
    },
    Endpoint {
        path: "/delay/{duration}",
        example: Some("/delay/20ms"),
        answer: "ok, after that time",
    },
    Endpoint {
        path: "/status/{code}",
        example: Some("/status/404"),
        answer: "that status, from 200 to 599",
    },
    Endpoint {
        path: "/fault/{kind}",
        example: None,
        answer: "no answer: the connection meets that fault (reset, close, truncate, garbage)",
    },
    Endpoint {
        path: "/echo",
        example: None,
        answer: "POST or PUT: the body back, with its content type",
    },
    Endpoint {
        path: "/counts",
        example: Some("/counts"),
        answer: "what was served so far, as JSON",
    },
];

/// One line of the list of endpoints.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub(super) path: &'static str,
    pub(super) example: Option<&'static str>,
    pub(super) answer: &'static str,
}

/// A request that can be answered.
#[derive(Debug, PartialEq)]
pub(super) enum Route<'a> {
    Bytes { length_bytes: usize, chunked: bool },
    Text(&'a str),
    Echo,
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
                read.op = Some(
                    number
                        .parse()
                        .map_err(|_| bad(format!("op={number} is no number")))?,
                )
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
    let allow = if route == Route::Echo {
        "POST, PUT"
    } else {
        "GET, HEAD"
    };
    let allowed = match route {
        Route::Echo => matches!(*method, Method::POST | Method::PUT),
        _ => matches!(*method, Method::GET | Method::HEAD),
    };
    if allowed {
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
            .ok_or_else(|| bad(format!("`{code}` is no status from 200 to 599")));
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
        _ => Err(not_found(path)),
    }
}

fn bytes<'a>(length: &str, query: &Query) -> Result<Route<'a>, Refusal> {
    match length.parse() {
        Ok(length_bytes) if length_bytes <= LARGEST_BODY_BYTES => Ok(Route::Bytes {
            length_bytes,
            chunked: query.chunked,
        }),
        _ => Err(bad(format!(
            "`{length}` is no number of bytes from 0 to {LARGEST_BODY_BYTES}"
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
    let paths: Vec<_> = ENDPOINTS.iter().map(|endpoint| endpoint.path).collect();
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

    fn check(method: Method, target: &str, expected: Result<Route<'_>, (u16, &str)>) {
        let (path, query) = target
            .split_once('?')
            .map_or((target, None), |(path, query)| (path, Some(query)));
        let routed = read_query(query).and_then(|query| route(&method, path, &query));
        match (routed, expected) {
            (Ok(routed), Ok(expected)) => assert_eq!(routed, expected, "{target}"),
            (Err(refusal), Err((status, reason))) => {
                assert_eq!(refusal.status, status, "{target}");
                assert!(
                    refusal.reason.contains(reason),
                    "{target}: {}",
                    refusal.reason
                );
            }
            (routed, expected) => panic!("{target}: {routed:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn every_endpoint_is_found_and_every_mistake_explained() {
        check(
            Method::GET,
            "/bytes/64",
            Ok(Route::Bytes {
                length_bytes: 64,
                chunked: false,
            }),
        );
        check(
            Method::HEAD,
            "/bytes/0?op=3&chunked",
            Ok(Route::Bytes {
                length_bytes: 0,
                chunked: true,
            }),
        );
        check(
            Method::GET,
            "/bytes/67108864",
            Ok(Route::Bytes {
                length_bytes: 64 << 20,
                chunked: false,
            }),
        );
        check(
            Method::GET,
            "/bytes/67108865",
            Err((400, "no number of bytes")),
        );
        check(Method::GET, "/bytes/-1", Err((400, "no number of bytes")));
        check(Method::GET, "/text/a/b%20c", Ok(Route::Text("a/b%20c")));
        check(
            Method::GET,
            "/delay/1.5s",
            Ok(Route::Delay("1.5s".parse().unwrap())),
        );
        check(Method::GET, "/delay/soon", Err((400, "is not a duration")));
        check(
            Method::GET,
            "/status/503",
            Ok(Route::Status(StatusCode::SERVICE_UNAVAILABLE)),
        );
        check(Method::GET, "/status/101", Err((400, "no status")));
        check(Method::GET, "/fault/reset", Ok(Route::Fault(Fault::Reset)));
        check(
            Method::GET,
            "/fault/quake",
            Err((400, "there are reset, close, truncate, garbage")),
        );
        check(Method::PUT, "/echo", Ok(Route::Echo));
        check(Method::GET, "/echo", Err((405, "takes POST, PUT, not GET")));
        check(
            Method::POST,
            "/health",
            Err((405, "takes GET, HEAD, not POST")),
        );
        check(Method::GET, "/health?op=x", Err((400, "op=x is no number")));
        check(Method::GET, "/nowhere", Err((404, "/bytes/{n}")));
    }

    #[test]
    fn every_example_on_the_front_page_works() {
        for example in ENDPOINTS.iter().filter_map(|endpoint| endpoint.example) {
            assert!(
                route(&Method::GET, example, &Query::default()).is_ok(),
                "{example}"
            );
        }
    }
}
