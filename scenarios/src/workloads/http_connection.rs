//! A keep-alive HTTP connection over a [`Wire`], for all HTTP workloads.
//!
//! It combines the sans-IO client with the wire and connects again after an exchange that left the connection unusable.
//! A [`Reference`] is the expected response: computed for an embedded mock with known content, fetched once before the
//! clock starts from any other server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Moved, Runtime};
use photofinish_harness::workload::{Failure, RoundEnv, Totals};
use photofinish_record::hex;
use sha2::{Digest as _, Sha256};

use super::answer::{Answer, Keep};
use super::expectation::{Expectation, advised};
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

/// Idle time after which a server may have closed a keep-alive connection: it is checked before a request
/// that must not be sent twice.
const IDLE: Duration = Duration::from_millis(10);

/// Deadline for fetching a reference response before the measurement.
pub(super) const FETCHING: Duration = Duration::from_secs(10);

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
    /// section 9.3.1). Any other is never sent twice: after a pause it is sent only if the connection is still open.
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
            let outcome = self.exchange_once(method, request).await;
            self.used = Instant::now();
            outcome
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

    /// Keeps only the comparison of later bodies with that of `reference`.
    pub(super) fn expect(&mut self, reference: &Reference) {
        let keep = if reference.expectation.compares_content() {
            Keep::Same
        } else {
            Keep::Length
        };
        self.answer.keep(keep, Some(&reference.body));
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

/// Length and digest of a body, for messages and records.
pub(super) fn fingerprint(body: &[u8]) -> String {
    format!(
        "{} bytes, SHA-256 {}",
        body.len(),
        hex(Sha256::digest(body))
    )
}

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
            foreign: !endpoint.mock,
            path,
        };
        if let Some(body) = known_body(&reference.path).filter(|_| endpoint.mock) {
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

/// The body that the `http` mock serves at `path`, if that follows from the path alone.
pub(super) fn known_body(path: &str) -> Option<Vec<u8>> {
    let path = path.split('?').next().unwrap_or(path);
    if let Some(count) = path.strip_prefix("/bytes/") {
        let count: usize = count.parse().ok()?;
        return Some((b'a'..=b'z').cycle().take(count).collect());
    }
    let name = path.strip_prefix("/text/")?;
    Some(format!("text: {name}").into_bytes())
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

    use super::super::expectation::Content;
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
        let detail = check(&reference, 200, b"abd").unwrap_err().detail;
        assert_eq!(
            detail,
            "GET /x answered 3 bytes that differ from the expected 3 at byte 2"
        );
        reference.foreign = true;
        let detail = check(&reference, 200, b"abd").unwrap_err().detail;
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
    }
}
