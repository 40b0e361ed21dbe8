//! A keep-alive HTTP connection over a [`Wire`], for all HTTP workloads.
//!
//! It combines the sans-IO client with the wire and connects again after an exchange that left the connection unusable.

use std::sync::Arc;
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Moved, Runtime};
use photofinish_harness::workload::{Failure, RoundEnv, Totals};

use super::answer::{Answer, Keep};
use super::secured::TLS;
use super::wire::{CONNECTING, Dialer, Link, Route, Transfer, Wire, invalid, within};
use crate::protocol::http::{HttpError, HttpTarget, Method, Request};
use crate::protocol::http2;

/// Name of the target of HTTP workloads.
pub(super) const TARGET: &str = "http";

/// Buffer size, so that a common response arrives in a single read.
const BUFFER_BYTES: usize = 16 * 1024;

/// Buffer size once a longer body is on its way: fewer reads, each of which a core's cache can hold.
const LARGE_BUFFER_BYTES: u64 = 128 * 1024;

/// The longest request that is written whole before its answer is read: the send buffer of an idle socket has room for
/// it, so that no server has to read before it answers. Longer ones are written while reading.
const WRITTEN_AT_ONCE: usize = 16 * 1024;

/// The field of the last request over a connection (RFC 9112, section 9.6): the server closes it, and keeps its port for a
/// minute in the client's place.
pub(super) const CLOSE: (&str, &str) = ("connection", "close");

/// Idle time after which a server may have closed a keep-alive connection: it is checked before a request
/// that must not be sent twice.
const IDLE: Duration = Duration::from_millis(10);

/// The HTTP target: its address, and a path if its URL has one.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    route: Route,
    scheme: &'static str,
    authority: String,
    path: Option<String>,
    mock: bool,
}

impl Endpoint {
    /// The endpoint of this round.
    pub(super) fn of<R>(env: &RoundEnv<R>) -> Result<Self, Failure> {
        let target = &env.targets[TARGET];
        let parsed = HttpTarget::parse(&target.url).map_err(invalid)?;
        Ok(Self {
            route: Route::of(env, TARGET, &parsed.location)?,
            scheme: if target.url.starts_with("https:") {
                "https"
            } else {
                "http"
            },
            authority: parsed.authority,
            path: parsed.path_and_query,
            mock: target.mock,
        })
    }

    /// The path of a request for `path`: a path in the target's URL wins.
    pub(super) fn path<'a>(&'a self, path: &'a str) -> &'a str {
        self.path.as_deref().unwrap_or(path)
    }

    /// The scheme of its URL: `http` or `https`.
    pub(super) fn scheme(&self) -> &'static str {
        self.scheme
    }

    /// The paths of several requests.
    pub(super) fn paths(&self, paths: &[String]) -> Vec<String> {
        paths
            .iter()
            .map(|path| self.path(path).to_owned())
            .collect()
    }

    /// The beginning of all paths: the URL's own, without a slash at its end.
    pub(super) fn prefix(&self) -> Result<&str, Failure> {
        let path = self.path.as_deref().unwrap_or_default();
        if path.contains('?') {
            let detail = format!(
                "expected a URL without a query, since paths are appended to it, got `{path}`"
            );
            return Err(Failure::new(Failure::PATHS, detail));
        }
        Ok(path.trim_end_matches('/'))
    }

    /// Rejects a URL with a path, if each of `params` has to be a different path at which the server behaves in a
    /// specific way.
    pub(super) fn require_server_only(&self, params: &str) -> Result<(), Failure> {
        match &self.path {
            None => Ok(()),
            Some(path) => Err(Failure::new(
                Failure::PATHS,
                format!(
                    "expected paths of this server in {params}, got `{path}` for all of them; name them with --set, and \
                     only host and port in --target"
                ),
            )),
        }
    }

    /// The bytes of a GET request of `path`.
    pub(super) fn get(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        self.encode_get(path, &mut bytes)?;
        Ok(bytes)
    }

    /// True for an embedded mock server.
    pub(super) fn is_mock(&self) -> bool {
        self.mock
    }

    /// The value of the `Host` field.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// Like [`Endpoint::get`], into a reused vector.
    pub(super) fn encode_get(&self, path: &str, bytes: &mut Vec<u8>) -> Result<(), Failure> {
        self.encode_get_with(path, &[], bytes)
    }

    /// Like [`Endpoint::encode_get`], with additional header fields.
    pub(super) fn encode_get_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        bytes: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let request = Request {
            method: Method::Get,
            target: path,
            host: &self.authority,
            headers,
            body: None,
        };
        encode(&request, bytes)
    }

    /// The bytes of a POST request that sends a JSON document to `path`, into a reused vector.
    pub(super) fn encode_post(
        &self,
        path: &str,
        document: &[u8],
        bytes: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        let request = Request {
            method: Method::Post,
            target: path,
            host: &self.authority,
            headers: &[("content-type", "application/json")],
            body: Some(document),
        };
        encode(&request, bytes)
    }
}

fn encode(request: &Request<'_>, bytes: &mut Vec<u8>) -> Result<(), Failure> {
    bytes.clear();
    request
        .encode(bytes)
        .map_err(|error| Failure::new(Failure::IO, error.to_string()))
}

/// A dialer of the HTTP target.
pub(super) fn dialer<R: Runtime>(env: &RoundEnv<R>, endpoint: &Endpoint) -> Dialer<R> {
    Dialer::new(env, TARGET, endpoint.route.clone())
}

/// A dialer of the HTTP target for HTTP/2, which is offered in the TLS handshake. HTTP/1.1 is offered as well, so that
/// a server without HTTP/2 chooses it instead of aborting the handshake.
pub(super) fn http2_dialer<R: Runtime>(env: &RoundEnv<R>, endpoint: &Endpoint) -> Dialer<R> {
    let route = endpoint
        .route
        .clone()
        .with_protocols(env, &http2::PROTOCOLS);
    Dialer::new(env, TARGET, route)
}

/// A connection that is opened at the first exchange, and again after one that broke it.
pub(super) struct Connection<R: Runtime> {
    dialer: Dialer<R>,
    wire: Wire<R>,
    answer: Answer,
    /// The end of the last exchange that must not be repeated, or of the connecting before it.
    used: Instant,
}

impl<R: Runtime> Connection<R> {
    pub(super) fn new(env: &RoundEnv<R>, endpoint: &Endpoint) -> Self {
        Self::over(dialer(env, endpoint))
    }

    /// A connection that is open.
    pub(super) async fn open(env: &RoundEnv<R>, endpoint: &Endpoint) -> Result<Self, Failure> {
        let mut connection = Self::new(env, endpoint);
        connection.connect().await?;
        Ok(connection)
    }

    /// A connection that `dialer` will open.
    pub(super) fn over(dialer: Dialer<R>) -> Self {
        Self {
            wire: dialer.wire(BUFFER_BYTES),
            dialer,
            answer: Answer::new(),
            used: Instant::now(),
        }
    }

    /// Continues on a stream that the dialer opened.
    pub(super) fn attach(&mut self, stream: Link<R>) {
        self.wire.attach(stream);
    }

    /// Opens the connection now rather than at the first exchange.
    pub(super) async fn connect(&mut self) -> Result<(), Failure> {
        let runtime = self.dialer.runtime();
        let opening = self.wire.open(&self.dialer);
        within(runtime, CONNECTING, "connecting", opening).await
    }

    /// Opens the connection in an operation, without a deadline of its own.
    pub(super) async fn reopen(&mut self) -> Result<(), Failure> {
        self.wire.open(&self.dialer).await
    }

    /// Sends one encoded request and reads its response to the end; returns the status. The body is in
    /// [`Connection::body`] until the next exchange.
    ///
    /// A server may close a keep-alive connection at any time. If it has done so before any part of the response, a
    /// request with an idempotent method is sent once more over another connection (RFC 9110, section 9.2.2; RFC 9112,
    /// section 9.3.1). Any other is never sent twice: after a pause it is sent only if the connection is still open, and
    /// fails as [`Failure::CLOSED_IDLE`] if that ends before the response begins.
    pub(super) async fn exchange(
        &mut self,
        method: Method,
        request: &mut Vec<u8>,
    ) -> Result<u16, Failure> {
        let kept = self.wire.is_open();
        if method.is_idempotent() {
            match self.exchange_once(method, request).await {
                Err(failure) if kept && self.was_closed(&failure) => {
                    self.wire.traffic().reconnected();
                    self.exchange_once(method, request).await
                }
                outcome => outcome,
            }
        } else {
            if kept && self.used.elapsed() > IDLE && self.wire.is_stale().await {
                self.wire.traffic().reconnected();
                self.wire.close();
            }
            let reused = self.wire.is_open() && self.was_answered();
            let outcome = self.exchange_once(method, request).await;
            self.used = Instant::now();
            match outcome {
                Err(failure) if reused && self.was_closed(&failure) => Err(closed_idle(&failure)),
                outcome => outcome,
            }
        }
    }

    /// Like [`Connection::exchange`], but fails if the server has closed the connection.
    pub(super) async fn exchange_once(
        &mut self,
        method: Method,
        request: &mut Vec<u8>,
    ) -> Result<u16, Failure> {
        if !self.wire.is_open() {
            self.wire.open(&self.dialer).await?;
        }
        let answer = &mut self.answer;
        answer.begin(method);
        let mut exchange = self.wire.request();
        if request.len() > WRITTEN_AT_ONCE {
            if answer.read_while_writing(&mut exchange, request).await? == Sent::InPart {
                exchange.end_unsent();
                return Ok(answer.reader.status());
            }
        } else if let Err(broken) = exchange.write(request).await {
            answer.read_after(&mut exchange, broken).await?;
            exchange.end_unsent();
            return Ok(answer.reader.status());
        }
        while !answer.is_complete() {
            let more = exchange.read().await?;
            answer.advance(&mut exchange, more)?;
        }
        exchange.end();
        if !answer.reader.keep_alive() {
            self.wire.close();
        }
        Ok(answer.reader.status())
    }

    /// True if the last exchange has failed because the server had closed the connection: before it answered anything.
    fn was_closed(&self, failure: &Failure) -> bool {
        matches!(failure.kind, Failure::RESET | Failure::SHORT) && !self.was_answered()
    }

    /// The status of the last response.
    pub(super) fn status(&self) -> u16 {
        self.answer.reader.status()
    }

    /// The body of the last response, if it is kept.
    pub(super) fn body(&self) -> &[u8] {
        &self.answer.body
    }

    /// The body of the last response, mutable so that it can be passed on; the next exchange overwrites it.
    pub(super) fn body_mut(&mut self) -> &mut Vec<u8> {
        &mut self.answer.body
    }

    /// Keeps the header fields with these names of each response.
    pub(super) fn watch<'a>(&mut self, names: impl IntoIterator<Item = &'a str>) {
        self.answer.reader.watch(names);
    }

    /// Sets the part of later bodies to keep, and the body to compare them with; see [`Answer::keep`].
    pub(super) fn keep(&mut self, keep: Keep, expected: Option<&Arc<[u8]>>) {
        self.answer.keep(keep, expected);
    }

    /// The last response.
    pub(super) fn answer(&self) -> &Answer {
        &self.answer
    }

    /// The value of Content-Type of the last response, if there was one.
    pub(super) fn content_type(&self) -> Option<&[u8]> {
        self.answer.reader.content_type()
    }

    /// The value of Location of the last response, if there was one.
    pub(super) fn location(&self) -> Option<&[u8]> {
        self.answer.reader.location()
    }

    /// True if any part of the last response has arrived.
    pub(super) fn was_answered(&self) -> bool {
        self.answer.reader.has_begun()
    }

    /// True if the next exchange can go over the stream that is open now.
    pub(super) fn is_usable(&self) -> bool {
        self.wire.is_open()
    }

    /// Closes the stream; the next exchange opens another one.
    pub(super) fn close(&mut self) {
        self.wire.close();
    }
}

/// The failure of a request that must not be sent twice, over a kept connection that the server has closed.
#[cold]
fn closed_idle(failure: &Failure) -> Failure {
    let detail = format!(
        "the server closed a kept connection before it answered: {}",
        failure.detail
    );
    Failure::new(Failure::CLOSED_IDLE, detail).hint(
        "such a request is not sent again, since the server may have carried it out: keep connections open for longer on the server, or limit the requests per connection",
    )
}

/// The part of a large request that was sent by the end of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    Whole,
    InPart,
}

impl Answer {
    /// Processes the bytes that were received, or the end of input unless there is `more`.
    fn advance<R: Runtime>(
        &mut self,
        exchange: &mut Transfer<'_, R>,
        more: bool,
    ) -> Result<(), Failure> {
        if !more {
            // Only a body that lasts until the end of the connection ends here (RFC 9112, section 9.8).
            self.reader.end_of_input().map_err(failure)?;
            return exchange.require_announced_end();
        }
        let received = exchange.received();
        let consumed = self.take(received.unread()).map_err(failure)?;
        received.consume(consumed);
        if self.is_complete() {
            let rest = received.unread();
            self.reader.expect_no_more(rest).map_err(failure)?;
        } else if self.reader.left_bytes() > BUFFER_BYTES as u64 {
            let room = self.reader.left_bytes().min(LARGE_BUFFER_BYTES);
            received.enlarge(room as usize);
        }
        Ok(())
    }

    /// Writes a large request, and reads as much of its answer as comes in the meantime: a server that answers while it
    /// reads would otherwise wait for the client, and the client for the server. An answer that refuses the request, or
    /// ends the connection, ends the sending (RFC 9112, section 9.5).
    async fn read_while_writing<R: Runtime>(
        &mut self,
        exchange: &mut Transfer<'_, R>,
        request: &[u8],
    ) -> Result<Sent, Failure> {
        let mut rest = request;
        while !rest.is_empty() {
            match exchange.write_or_read(rest).await {
                Ok(Moved::Written(count)) => rest = &rest[count..],
                // After the response only the end of the connection can be read.
                Ok(Moved::Read(_)) | Err(_) if self.is_complete() => return Ok(Sent::InPart),
                Ok(Moved::Read(count)) => self.advance(exchange, count > 0)?,
                Err(broken) => {
                    self.read_after(exchange, broken).await?;
                    return Ok(Sent::InPart);
                }
            }
            if self.is_complete() && (self.reader.status() >= 400 || !self.reader.keep_alive()) {
                return Ok(Sent::InPart);
            }
        }
        exchange.wrote(request.len());
        Ok(Sent::Whole)
    }

    /// Reads the answer to a request that could not be sent: a server may refuse one and close before it has read all
    /// of it. If there is none, the failure is the one that has `broken` the connection.
    #[cold]
    async fn read_after<R: Runtime>(
        &mut self,
        exchange: &mut Transfer<'_, R>,
        broken: Failure,
    ) -> Result<(), Failure> {
        // Reading from a connection that was not closed might wait.
        if broken.kind != Failure::RESET {
            return Err(broken);
        }
        loop {
            let more = match exchange.read().await {
                Ok(more) => more,
                // An alert explains a broken connection.
                Err(failure) if failure.kind == TLS => return Err(failure),
                Err(_) => return Err(broken),
            };
            if self.advance(exchange, more).is_err() {
                return Err(broken);
            }
            if self.is_complete() {
                return Ok(());
            }
        }
    }
}

fn failure(error: HttpError) -> Failure {
    Failure::new(error.kind(), error.to_string())
}

/// Checks that a request was answered with 200.
pub(super) fn succeeded(status: u16) -> Result<(), Failure> {
    match status {
        200 => Ok(()),
        status => Err(Failure::new(
            Failure::STATUS,
            format!("answered with {status}"),
        )),
    }
}

/// The path at which the `http` mock answers after `delay`.
pub(super) fn delayed_path(delay: Duration) -> String {
    format!("/delay/{}ns", delay.as_nanos())
}

/// A violation unless each operation opened a connection of its own.
pub(super) fn too_few_connections(totals: &Totals) -> Vec<String> {
    let traffic = &totals.traffic[TARGET];
    // A deadline may pass while a connection is being opened; that operation still counts as having one.
    let connections = traffic.connections + traffic.abandoned_connections;
    let operations = totals.succeeded + totals.failed;
    if connections >= operations {
        return Vec::new();
    }
    vec![format!(
        "expected a connection for each of {operations} operations, counted {connections}"
    )]
}

#[cfg(test)]
mod tests {
    use photofinish_record::Traffic;

    use super::super::tallies::totals;
    use super::*;

    #[test]
    fn a_connection_that_served_two_operations_is_a_violation() {
        let violations = |connections, abandoned_connections| {
            let traffic = Traffic {
                connections,
                abandoned_connections,
                ..Traffic::default()
            };
            too_few_connections(&totals(9, 1, TARGET, traffic))
        };
        let none: [&str; 0] = [];
        assert_eq!(violations(10, 0), none);
        assert_eq!(violations(11, 0), none);
        assert_eq!(violations(9, 1), none);
        let expected = "expected a connection for each of 10 operations, counted 9";
        assert_eq!(violations(9, 0), [expected]);
    }
}
