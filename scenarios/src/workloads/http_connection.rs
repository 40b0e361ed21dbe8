//! A keep-alive HTTP connection over whichever runtime's TCP: what all HTTP workloads talk through.
//!
//! It joins the sans-IO client with the runtime's stream, counts what goes over the wire, and connects anew when the
//! last exchange left the connection unusable. What an answer must hold is said by [`Reference`]: computed where an
//! embedded mock with known content stands behind the target, fetched once before the clock starts where another server
//! does. What must hold of the number of connections over a round is here too.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::time::Duration;

use photofinish_harness::buffer::Buffer;
use photofinish_harness::runtime::{Runtime, Stream};
use photofinish_harness::traffic::TrafficCounter;
use photofinish_harness::workload::{Failure, RoundEnv, Totals};
use photofinish_record::hex;
use sha2::{Digest as _, Sha256};

use crate::protocol::http::{HttpError, HttpTarget, Limits, Method, Request, ResponseReader};

/// Name of the target that HTTP workloads talk to.
pub(super) const TARGET: &str = "http";

/// Room for a common response to arrive whole in one read.
const BUFFER_BYTES: usize = 16 * 1024;

/// Where the HTTP target is, and the path that its URL names.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    address: SocketAddr,
    authority: String,
    path: Option<String>,
    mock: bool,
}

impl Endpoint {
    /// The endpoint of this round.
    pub(super) fn of<R>(env: &RoundEnv<R>) -> Result<Self, Failure> {
        let target = &env.targets[TARGET];
        let cannot = |detail: String| Failure::new(Failure::IO, detail);
        let parsed = HttpTarget::parse(&target.url).map_err(|error| cannot(error.to_string()))?;
        let address = (parsed.host.as_str(), parsed.port)
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| cannot(format!("`{}` has no address", parsed.host)))?;
        Ok(Self {
            address,
            authority: parsed.authority,
            path: parsed.path_and_query,
            mock: target.mock,
        })
    }

    /// The path to ask for where the scenario says `path`: a path in the target's URL wins.
    pub(super) fn path<'a>(&'a self, path: &'a str) -> &'a str {
        self.path.as_deref().unwrap_or(path)
    }

    /// The same for several.
    pub(super) fn paths(&self, paths: &[String]) -> Vec<String> {
        paths
            .iter()
            .map(|path| self.path(path).to_owned())
            .collect()
    }

    /// Refuses a URL that names one path where each of `params` has to be a path at which the server behaves in a way of
    /// its own.
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

    /// Host and port as the server is asked for them.
    pub(super) fn authority(&self) -> &str {
        &self.authority
    }

    /// As [`Endpoint::get`], into a vector that is used again.
    pub(super) fn encode_get(&self, path: &str, bytes: &mut Vec<u8>) -> Result<(), Failure> {
        self.encode_get_with(path, &[], bytes)
    }

    /// As [`Endpoint::encode_get`], with further fields.
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

    /// The bytes of a POST request that sends a JSON document to `path`, into a vector that is used again.
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

/// What opens connections, and counts them.
#[derive(Clone, Debug)]
pub(super) struct Connector<R> {
    runtime: R,
    address: SocketAddr,
    traffic: TrafficCounter,
}

impl<R: Runtime> Connector<R> {
    pub(super) fn new(env: &RoundEnv<R>, endpoint: &Endpoint) -> Self {
        Self {
            runtime: env.runtime.clone(),
            address: endpoint.address,
            traffic: env.traffic[TARGET].clone(),
        }
    }

    /// Opens one.
    pub(super) async fn connect(&self) -> Result<R::Stream, Failure> {
        let opening = Opening {
            traffic: &self.traffic,
        };
        let connected = self.runtime.connect(self.address).await;
        opening.ended();
        let stream = connected?;
        self.traffic.connected();
        Ok(stream)
    }
}

/// A connection that is being opened. Dropped before its end was seen, it counts as abandoned: the server may have
/// accepted it or not.
struct Opening<'a> {
    traffic: &'a TrafficCounter,
}

impl Opening<'_> {
    fn ended(self) {
        std::mem::forget(self);
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.traffic.abandoned_connection();
    }
}

/// A connection that is opened at the first exchange, and again after one that broke it.
pub(super) struct Connection<R: Runtime> {
    connector: Connector<R>,
    stream: Option<R::Stream>,
    received: Buffer,
    reader: ResponseReader,
    body: Vec<u8>,
}

impl<R: Runtime> Connection<R> {
    pub(super) fn new(env: &RoundEnv<R>, endpoint: &Endpoint) -> Self {
        Self::over(Connector::new(env, endpoint), None)
    }

    /// One that is open.
    pub(super) async fn open(env: &RoundEnv<R>, endpoint: &Endpoint) -> Result<Self, Failure> {
        let mut connection = Self::new(env, endpoint);
        connection.connect().await?;
        Ok(connection)
    }

    /// One over a stream that `connector` may have opened already.
    pub(super) fn over(connector: Connector<R>, stream: Option<R::Stream>) -> Self {
        Self {
            connector,
            stream,
            received: Buffer::with_capacity(BUFFER_BYTES),
            reader: ResponseReader::new(Limits::default()),
            body: Vec::new(),
        }
    }

    /// Opens the connection now rather than at the first exchange.
    pub(super) async fn connect(&mut self) -> Result<(), Failure> {
        self.stream = None;
        self.received.clear();
        self.stream = Some(self.connector.connect().await?);
        Ok(())
    }

    /// Sends one encoded request and reads its response to the end; gives the status. The body is in
    /// [`Connection::body`] until the next exchange.
    pub(super) async fn exchange(
        &mut self,
        method: Method,
        request: &mut Vec<u8>,
    ) -> Result<u16, Failure> {
        if self.stream.is_none() {
            self.connect().await?;
        }
        let Self {
            connector: Connector { traffic, .. },
            stream: place,
            received,
            reader,
            body,
        } = self;
        // Out of its place while in use: a failed or cancelled exchange leaves a connection nobody may use again.
        let mut stream = place.take().expect("it was connected above");
        reader.begin(method);
        body.clear();
        let under_way = UnderWay { traffic };
        stream.write_all(request).await?;
        traffic.wrote(request.len());
        read_response(&mut stream, received, reader, body, traffic).await?;
        under_way.ended();
        if reader.keep_alive() {
            *place = Some(stream);
        }
        Ok(reader.status())
    }

    /// The body of the last response.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// The same, for whoever hands it on to be written; the next exchange overwrites it.
    pub(super) fn body_mut(&mut self) -> &mut Vec<u8> {
        &mut self.body
    }

    /// The value of Content-Type of the last response, if there was one.
    pub(super) fn content_type(&self) -> Option<&[u8]> {
        self.reader.content_type()
    }

    /// The value of Location of the last response, if there was one.
    pub(super) fn location(&self) -> Option<&[u8]> {
        self.reader.location()
    }

    /// Whether anything came of the last response, be it whole or not.
    pub(super) fn was_answered(&self) -> bool {
        self.reader.has_begun()
    }

    /// Whether the next exchange can go over the stream that is open now.
    pub(super) fn is_usable(&self) -> bool {
        self.stream.is_some()
    }

    /// Closes the stream; the next exchange opens another one.
    pub(super) fn close(&mut self) {
        self.stream = None;
    }
}

/// An exchange that has begun. Dropped before its end was seen, it counts as abandoned: the server may answer it or not.
struct UnderWay<'a> {
    traffic: &'a TrafficCounter,
}

impl UnderWay<'_> {
    fn ended(self) {
        self.traffic.answered();
        std::mem::forget(self);
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.traffic.abandoned();
    }
}

async fn read_response<S: Stream>(
    stream: &mut S,
    received: &mut Buffer,
    reader: &mut ResponseReader,
    body: &mut Vec<u8>,
    traffic: &TrafficCounter,
) -> Result<(), Failure> {
    loop {
        let count = stream.read(received).await?;
        if count == 0 {
            return reader.end_of_input().map_err(failure);
        }
        traffic.read(count);
        let advance = reader.advance(received.unread(), body).map_err(failure)?;
        received.consume(advance.consumed);
        if advance.done {
            return reader.expect_no_more(received.unread()).map_err(failure);
        }
    }
}

fn failure(error: HttpError) -> Failure {
    Failure::new(error.kind(), error.to_string())
}

/// What tells one body from another, for people and records.
fn fingerprint(body: &[u8]) -> String {
    format!(
        "{} bytes, SHA-256 {}",
        body.len(),
        hex(Sha256::digest(body))
    )
}

/// The answer every response to one path must equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    path: String,
    body: Vec<u8>,
}

impl Reference {
    /// What `path` must answer with: known content of a mock, or else fetched now.
    pub(super) async fn obtain<R: Runtime>(
        env: &RoundEnv<R>,
        endpoint: &Endpoint,
        path: &str,
    ) -> Result<Self, Failure> {
        let body = match known_body(path).filter(|_| endpoint.mock) {
            Some(body) => body,
            None => {
                let body = fetch(env, endpoint, path).await?;
                env.observed
                    .content(format!("GET {path}"), fingerprint(&body));
                body
            }
        };
        let path = path.to_owned();
        Ok(Self { path, body })
    }

    /// What is asked for.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What the body must be.
    pub(super) fn body(&self) -> &[u8] {
        &self.body
    }

    /// Whether a response is the right one: status 200 and the same body.
    pub(super) fn check(&self, status: u16, body: &[u8]) -> Result<(), Failure> {
        if status != 200 {
            let path = &self.path;
            return Err(Failure::new(
                Failure::STATUS,
                format!("GET {path} answered {status}"),
            ));
        }
        if body != self.body {
            return Err(Failure::wrong_content(self.difference(body)));
        }
        Ok(())
    }

    fn difference(&self, body: &[u8]) -> String {
        let same = body
            .iter()
            .zip(&self.body)
            .take_while(|(ours, theirs)| ours == theirs);
        format!(
            "GET {} answered {} bytes that differ from the expected {} at byte {}",
            self.path,
            body.len(),
            self.body.len(),
            same.count(),
        )
    }
}

async fn fetch<R: Runtime>(
    env: &RoundEnv<R>,
    endpoint: &Endpoint,
    path: &str,
) -> Result<Vec<u8>, Failure> {
    let mut connection = Connection::new(env, endpoint);
    let mut request = endpoint.get(path)?;
    let status = connection.exchange(Method::Get, &mut request).await?;
    if status != 200 {
        let answer = format!("GET {path} must answer 200, and answered {status}");
        return Err(Failure::new(Failure::STATUS, answer));
    }
    Ok(connection.body().to_vec())
}

/// Where the `http` mock answers after `delay`.
pub(super) fn delayed_path(delay: Duration) -> String {
    format!("/delay/{}ns", delay.as_nanos())
}

/// What the `http` mock serves at `path`, where that follows from the path alone.
fn known_body(path: &str) -> Option<Vec<u8>> {
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
    // A deadline may pass while a connection is being opened: that operation had one all the same.
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
    use std::collections::BTreeMap;

    use photofinish_record::Traffic;

    use super::*;

    #[test]
    fn a_connection_that_served_two_operations_is_a_violation() {
        let violations = |connections, abandoned_connections| {
            let traffic = Traffic {
                connections,
                abandoned_connections,
                ..Traffic::default()
            };
            too_few_connections(&Totals {
                sessions: 1,
                succeeded: 9,
                failed: 1,
                traffic: BTreeMap::from([(TARGET.to_owned(), traffic)]),
            })
        };
        let none: [&str; 0] = [];
        assert_eq!(violations(10, 0), none);
        assert_eq!(violations(11, 0), none);
        assert_eq!(violations(9, 1), none);
        let expected = "expected a connection for each of 10 operations, counted 9";
        assert_eq!(violations(9, 0), [expected]);
    }

    #[test]
    fn only_a_connection_whose_opening_was_not_seen_to_its_end_is_abandoned() {
        let traffic = TrafficCounter::default();
        Opening { traffic: &traffic }.ended();
        assert_eq!(traffic.snapshot().abandoned_connections, 0);
        drop(Opening { traffic: &traffic });
        assert_eq!(traffic.snapshot().abandoned_connections, 1);
    }

    #[test]
    fn only_an_exchange_whose_end_was_not_seen_is_abandoned() {
        let traffic = TrafficCounter::default();
        UnderWay { traffic: &traffic }.ended();
        assert_eq!(
            (traffic.snapshot().requests, traffic.snapshot().abandoned),
            (1, 0)
        );
        drop(UnderWay { traffic: &traffic });
        assert_eq!(
            (traffic.snapshot().requests, traffic.snapshot().abandoned),
            (1, 1)
        );
    }

    #[test]
    fn a_reference_tells_status_from_content() {
        let reference = Reference {
            path: "/x".to_owned(),
            body: b"abc".to_vec(),
        };
        assert_eq!(reference.check(200, b"abc"), Ok(()));
        let kind = |status, body: &[u8]| reference.check(status, body).unwrap_err().kind;
        assert_eq!(kind(503, b"abc"), Failure::STATUS);
        assert_eq!(kind(200, b"abd"), Failure::WRONG_CONTENT);
        assert_eq!(kind(200, b"abcd"), Failure::WRONG_CONTENT);
        let detail = reference.check(200, b"abd").unwrap_err().detail;
        assert_eq!(
            detail,
            "GET /x answered 3 bytes that differ from the expected 3 at byte 2"
        );
    }

    #[test]
    fn known_bodies_follow_from_the_path() {
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
