//! The answers of the server `http`: a request in, a response (now or later) or a fault out.
//!
//! Answers without a delay are built directly, without a heap-allocated future, in the request's own header map and
//! from static bodies, which keeps a small response close to the cost of its system calls. `behaviour.rs` decides the
//! fate of operations, `routes.rs` does the routing. Read `payload.rs` next.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, SET_COOKIE};
use hyper::service::Service;
use hyper::{Method, Request, Response, StatusCode};

use super::KIND;
use super::api::{self, Reply, Resource};
use super::behaviour::{Fate, Script};
use super::payload::Payload;
use super::routes::{ENDPOINTS, LARGEST_BODY_BYTES, Query, Refusal, Route, read_query, route};
use crate::faults::Fault;
use crate::{Counts, sleep};

/// State shared by all connections.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) counts: Arc<Counts>,
    pub(super) script: Script,
    /// Orders placed through the API.
    pub(super) orders: AtomicU64,
}

/// The service of one connection.
#[derive(Debug, Clone)]
pub(super) struct HttpService(pub(super) Arc<Shared>);

type Outcome = Result<Response<Payload>, Fault>;

/// An answer that is ready, or one that takes time.
pub(super) enum Answer {
    Now(Option<Outcome>),
    Later(Pin<Box<dyn Future<Output = Outcome> + Send>>),
}

impl Future for Answer {
    type Output = Outcome;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome> {
        match self.get_mut() {
            Answer::Now(answered) => Poll::Ready(
                answered
                    .take()
                    .expect("an answer is polled until it is ready"),
            ),
            Answer::Later(future) => future.as_mut().poll(cx),
        }
    }
}

impl Service<Request<Incoming>> for HttpService {
    type Response = Response<Payload>;
    type Error = Fault;
    type Future = Answer;

    fn call(&self, request: Request<Incoming>) -> Answer {
        let (parts, body) = request.into_parts();
        let query = read_query(parts.uri.query())
            .and_then(|query| Ok((route(&parts.method, parts.uri.path(), &query)?, query)));
        match query {
            Ok((route, query)) => self.answer(route, &query, parts.method, parts.headers, body),
            Err(refusal) => self.now(Ok(refuse(refusal, parts.headers))),
        }
    }
}

impl HttpService {
    fn answer(
        &self,
        route: Route<'_>,
        query: &Query,
        method: Method,
        headers: HeaderMap,
        body: Incoming,
    ) -> Answer {
        let Shared { counts, script, .. } = &*self.0;
        match route {
            Route::Bytes {
                length_bytes,
                chunked,
            } => {
                let payload = Payload::alphabet(length_bytes, chunked);
                self.scripted(
                    script.fate(query.op),
                    respond(headers, StatusCode::OK, BYTES, payload),
                )
            }
            Route::Text(text) => {
                let payload = Payload::Whole(Bytes::from(["text: ", text].concat()));
                self.scripted(
                    script.fate(query.op),
                    respond(headers, StatusCode::OK, TEXT, payload),
                )
            }
            Route::Echo => self.echo(script.fate(query.op), headers, body),
            Route::Api(resource) => {
                self.api(resource, script.fate(query.op), method, headers, body)
            }
            Route::Delay(delay) => self.later(delay.get(), Ok(ok(headers, "ok"))),
            Route::Status(status) => self.now(Ok(with_status(headers, status))),
            Route::Fault(fault) => {
                let fate = Fate {
                    fault: Some(fault),
                    ..Fate::default()
                };
                self.scripted(fate, ok(headers, "ok"))
            }
            Route::Health => self.now(Ok(ok(headers, "ok"))),
            Route::Counts => {
                let snapshot = counts.snapshot(KIND.counted);
                let json =
                    serde_json::to_vec(&snapshot).expect("numbers and names are always JSON");
                self.now(Ok(respond(
                    headers,
                    StatusCode::OK,
                    JSON,
                    Payload::Whole(json.into()),
                )))
            }
            Route::Index => self.now(Ok(respond(
                headers,
                StatusCode::OK,
                HTML,
                Payload::Whole(index_page()),
            ))),
            Route::Favicon => self.now(Ok(with_status(headers, StatusCode::NO_CONTENT))),
        }
    }

    /// The answer of an endpoint to which the status mix and the faults apply.
    fn scripted(&self, fate: Fate, response: Response<Payload>) -> Answer {
        let answered = match (fate.fault, fate.status) {
            (Some(Fault::Truncate), _) => {
                self.0.counts.faults.fetch_add(1, Relaxed);
                Ok(response.map(Payload::cut))
            }
            (Some(fault), _) => Err(fault),
            (None, Some(status)) => Ok(with_status(response.into_parts().0.headers, status)),
            (None, None) => Ok(response),
        };
        match fate.delay {
            None => self.now(answered),
            Some(delay) => self.later(delay, answered),
        }
    }

    fn now(&self, answered: Outcome) -> Answer {
        let counts = &*self.0.counts;
        drop(counts.enter());
        count(counts, &answered);
        Answer::Now(Some(answered))
    }

    fn later(&self, delay: Duration, answered: Outcome) -> Answer {
        let shared = self.0.clone();
        Answer::Later(Box::pin(async move {
            let processing = Processing::of(&shared.counts);
            sleep(delay).await;
            processing.done(answered)
        }))
    }

    fn api(
        &self,
        resource: Resource,
        fate: Fate,
        method: Method,
        headers: HeaderMap,
        body: Incoming,
    ) -> Answer {
        let reply = move |shared: &Shared, headers: HeaderMap, body: &[u8]| {
            let reply = api::reply(resource, &method, &headers, body, &shared.orders);
            api_response(headers, reply)
        };
        if body.is_end_stream() {
            return self.scripted(fate, reply(&self.0, headers, b""));
        }
        let shared = self.0.clone();
        Answer::Later(Box::pin(async move {
            let processing = Processing::of(&shared.counts);
            let response = match collect(body).await {
                Ok(whole) => reply(&shared, headers, &whole),
                Err(BodyError::TooLarge) => refuse(too_large(), headers),
                Err(BodyError::Disconnected) => return Err(Fault::Close),
            };
            if let Some(delay) = fate.delay {
                sleep(delay).await;
            }
            processing.done(match fate.status {
                Some(status) => Ok(with_status(response.into_parts().0.headers, status)),
                None => Ok(response),
            })
        }))
    }

    fn echo(&self, fate: Fate, mut headers: HeaderMap, body: Incoming) -> Answer {
        let shared = self.0.clone();
        Answer::Later(Box::pin(async move {
            let processing = Processing::of(&shared.counts);
            let content_type = headers.remove(CONTENT_TYPE).unwrap_or(BINARY);
            let response = match collect(body).await {
                Ok(whole) => respond(headers, StatusCode::OK, content_type, Payload::Whole(whole)),
                Err(BodyError::TooLarge) => refuse(too_large(), headers),
                // The client disconnected mid-body; there is no one to answer.
                Err(BodyError::Disconnected) => return Err(Fault::Close),
            };
            if let Some(delay) = fate.delay {
                sleep(delay).await;
            }
            processing.done(Ok(response))
        }))
    }
}

/// The response of the API, in the header map of its request.
fn api_response(mut headers: HeaderMap, reply: Reply) -> Response<Payload> {
    let Some(json) = reply.json else {
        return with_status(headers, reply.status);
    };
    headers.clear();
    for (name, value) in [(LOCATION, reply.location), (SET_COOKIE, reply.cookie)] {
        if let Some(value) = value.and_then(|value| HeaderValue::try_from(value).ok()) {
            headers.insert(name, value);
        }
    }
    headers.insert(CONTENT_TYPE, JSON);
    let mut response = Response::new(Payload::Whole(json.to_string().into()));
    *response.status_mut() = reply.status;
    *response.headers_mut() = headers;
    response
}

/// A request whose answer takes time. If dropped before it is done, it counts as abandoned: its client has left.
struct Processing<'a> {
    counts: &'a Counts,
    done: bool,
}

impl<'a> Processing<'a> {
    fn of(counts: &'a Counts) -> Self {
        std::mem::forget(counts.enter());
        Processing {
            counts,
            done: false,
        }
    }

    fn done(mut self, answered: Outcome) -> Outcome {
        self.done = true;
        count(self.counts, &answered);
        answered
    }
}

impl Drop for Processing<'_> {
    fn drop(&mut self) {
        self.counts.in_flight.fetch_sub(1, Relaxed);
        if !self.done {
            self.counts.abandoned.fetch_add(1, Relaxed);
        }
    }
}

fn count(counts: &Counts, answered: &Outcome) {
    counts.requests.fetch_add(1, Relaxed);
    if answered.is_err() {
        counts.faults.fetch_add(1, Relaxed);
    }
}

// Constants rather than statics: cloning a static value would touch its reference count.
#[allow(
    clippy::declare_interior_mutable_const,
    reason = "each use is meant to be a value of its own"
)]
mod content_types {
    use hyper::header::HeaderValue;

    pub(super) const BYTES: HeaderValue = HeaderValue::from_static("text/plain");
    pub(super) const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
    pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
    pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
    pub(super) const BINARY: HeaderValue = HeaderValue::from_static("application/octet-stream");
}
use content_types::{BINARY, BYTES, HTML, JSON, TEXT};

/// A response in the header map of its request: hyper takes it back after sending, so no response allocates one.
fn respond(
    mut headers: HeaderMap,
    status: StatusCode,
    content_type: HeaderValue,
    payload: Payload,
) -> Response<Payload> {
    headers.clear();
    headers.insert(CONTENT_TYPE, content_type);
    let mut response = Response::new(payload);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

fn ok(headers: HeaderMap, text: &'static str) -> Response<Payload> {
    respond(headers, StatusCode::OK, TEXT, Payload::fixed(text))
}

/// A response with just a status; its body is the status text, if it may have a body.
fn with_status(headers: HeaderMap, status: StatusCode) -> Response<Payload> {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        let mut response = respond(headers, status, TEXT, Payload::empty());
        response.headers_mut().remove(CONTENT_TYPE);
        return response;
    }
    respond(
        headers,
        status,
        TEXT,
        Payload::Whole(format!("{status}\n").into()),
    )
}

fn refuse(refusal: Refusal, headers: HeaderMap) -> Response<Payload> {
    let payload = Payload::Whole(format!("{}\n", refusal.reason).into());
    let mut response = respond(headers, refusal.status, TEXT, payload);
    if let Some(allow) = refusal.allow {
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static(allow));
    }
    response
}

fn too_large() -> Refusal {
    let reason = format!("at most {LARGEST_BODY_BYTES} bytes are echoed");
    Refusal {
        status: StatusCode::PAYLOAD_TOO_LARGE,
        allow: None,
        reason,
    }
}

/// Reasons a body could not be read.
enum BodyError {
    TooLarge,
    Disconnected,
}

/// Reads a whole body; a body that arrived in one piece is not copied.
async fn collect(mut body: Incoming) -> Result<Bytes, BodyError> {
    if body.size_hint().lower() > LARGEST_BODY_BYTES as u64 {
        return Err(BodyError::TooLarge);
    }
    let first = next_piece(&mut body).await?.unwrap_or_default();
    let Some(second) = next_piece(&mut body).await? else {
        return Ok(first);
    };
    let mut whole =
        BytesMut::with_capacity(first.len() + second.len() + body.size_hint().lower() as usize);
    whole.extend_from_slice(&first);
    whole.extend_from_slice(&second);
    while let Some(piece) = next_piece(&mut body).await? {
        if whole.len() + piece.len() > LARGEST_BODY_BYTES {
            return Err(BodyError::TooLarge);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// The next bytes of a body; trailers are skipped.
async fn next_piece(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        if let Ok(bytes) = frame.map_err(|_| BodyError::Disconnected)?.into_data() {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

/// A page for visitors with a browser.
fn index_page() -> Bytes {
    let rows: String = ENDPOINTS
        .iter()
        .map(|(path, example, answer)| {
            let path = example.map_or((*path).to_owned(), |example| {
                format!(r#"<a href="{example}">{path}</a>"#)
            });
            format!("<tr><td><code>{path}</code><td>{answer}\n")
        })
        .collect();
    Bytes::from(format!(
        "<!doctype html><html lang=en><meta charset=utf-8><title>Photofinish: mock HTTP server</title>\n\
         <style>body{{font:16px/1.5 sans-serif;margin:3em auto;max-width:46em}}td{{padding:.2em 1em}}</style>\n\
         <h1>Photofinish: mock HTTP server</h1>\n<p>It answers:</p>\n<table>\n{rows}</table>\n\
         <p><code>op=N</code> in a query numbers the operation, which decides what it meets.</p></html>\n"
    ))
}
