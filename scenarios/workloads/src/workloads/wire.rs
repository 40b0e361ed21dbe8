//! A byte stream to a peer under any runtime: the only place that connects, reads and writes.
//!
//! The orchestrator resolves names: a [`Dialer`] connects to the address that answered its probe, and a [`Wire`] is one
//! stream with its read buffer, opened again as often as needed. Bytes, connections and requests are counted here. A
//! [`Transfer`] is the use of a wire for one exchange: dropped before its end, by an error or because it was cancelled,
//! it closes the wire, since a late answer must not pass for the next one.
//!
//! Set-up has deadlines of its own ([`within`]). Exchanges of the measurement have none here: the supervisor ends a
//! phase whose operations never end, and a timer for each would be measured with it. Protocols are in
//! `http_connection.rs`, `db_connection.rs` and `ws_connection.rs`.

use std::convert::Infallible;
use std::io;
use std::net::ToSocketAddrs as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use photofinish_harness::buffer::Buffer;
use photofinish_harness::observed::Observed;
use photofinish_harness::runtime::{Elapsed, Moved, Runtime, Stream};
use photofinish_harness::traffic::TrafficCounter;
use photofinish_harness::workload::{Failure, RoundEnv};
use photofinish_record::protocol::TargetAddress;
use photofinish_record::{PeerAddress, nanoseconds};

use super::census::{Census, CensusGuard};
use super::secured::{Preface, Secured};
use crate::protocol::ServerLocation;
use crate::protocol::tls::{self, TlsConfig};

/// Deadline for a connection during set-up, with its handshake or login.
pub(super) const CONNECTING: Duration = Duration::from_secs(10);

/// Runs a set-up step with a time `limit`; `what` names it in the message.
pub(super) async fn within<R: Runtime, T: Send>(
    runtime: &R,
    limit: Duration,
    what: &str,
    step: impl Future<Output = Result<T, Failure>> + Send,
) -> Result<T, Failure> {
    // Boxed: a timeout moves its future over the stack, and a session's thread has a small one.
    let ended = runtime.timeout(limit, Box::pin(step)).await;
    ended.unwrap_or_else(|Elapsed| {
        let detail = format!("{what} took longer than {} s", limit.as_secs());
        Err(Failure::new(Failure::TIMEOUT, detail))
    })
}

/// Route to a target: its address, and TLS settings if its URL asks for TLS.
#[derive(Clone, Debug)]
pub(super) struct Route {
    address: PeerAddress,
    tls: Option<Arc<TlsConfig>>,
    /// Exchange before the TLS handshake.
    preface: Option<Preface>,
}

impl Route {
    /// The route to `target` at `location`, with TLS if the scheme of its URL says so.
    pub(super) fn of<R>(
        env: &RoundEnv<R>,
        target: &str,
        location: &ServerLocation,
    ) -> Result<Self, Failure> {
        let url = &env.targets[target].url;
        let is_secure = ["https:", "wss:"].iter().any(|it| url.starts_with(it));
        Self::secured_if(is_secure, env, target, location)
    }

    /// The route to `target` at `location`. All connections of a round share the TLS settings, and with them
    /// the sessions that can be resumed.
    pub(super) fn secured_if<R>(
        is_secure: bool,
        env: &RoundEnv<R>,
        target: &str,
        location: &ServerLocation,
    ) -> Result<Self, Failure> {
        let given = &env.targets[target];
        let config = || {
            let settings = given.tls.clone().unwrap_or_default();
            TlsConfig::new(&settings, location.name(), tls::system_roots).map_err(invalid)
        };
        let tls = is_secure.then(|| env.memo.obtain(&format!("tls {target}"), config));
        Ok(Self {
            address: address(given, location)?,
            tls: tls.transpose()?,
            preface: None,
        })
    }

    /// The same route, with an exchange before the TLS handshake.
    pub(super) fn with_preface(self, preface: Preface) -> Self {
        let preface = Some(preface);
        Self { preface, ..self }
    }

    /// The same route, with `protocols` offered in the TLS handshake.
    pub(super) fn with_protocols<R>(mut self, env: &RoundEnv<R>, protocols: &[&str]) -> Self {
        if let Some(config) = &self.tls {
            let name = format!("tls of {} offering {}", self.address, protocols.join(" "));
            let Ok(offering) = env.memo.obtain(&name, || {
                Ok::<_, Infallible>(config.with_protocols(protocols))
            });
            self.tls = Some(offering);
        }
        self
    }
}

/// The address of a target: the one that answered the probe, or the first of `location` if there was no probe.
fn address(target: &TargetAddress, location: &ServerLocation) -> Result<PeerAddress, Failure> {
    if let Some(address) = &target.address {
        return Ok(address.clone());
    }
    match location {
        ServerLocation::Socket(path) => Ok(PeerAddress::Unix(path.clone())),
        ServerLocation::Host(host, port) => {
            let first = (host.as_str(), *port).to_socket_addrs()?.next();
            first
                .map(PeerAddress::Tcp)
                .ok_or_else(|| invalid(format!("`{host}` has no address")))
        }
    }
}

/// The failure of an invalid target address.
pub(super) fn invalid(error: impl ToString) -> Failure {
    Failure::new(Failure::IO, error.to_string())
}

/// The stream under a wire.
pub(super) enum Link<R: Runtime> {
    Plain(R::Stream),
    Tls(Box<Secured<R::Stream>>),
}

/// Connects to the address of one target.
#[derive(Clone, Debug)]
pub(super) struct Dialer<R> {
    runtime: R,
    route: Route,
    traffic: TrafficCounter,
    observed: Observed,
    census: Option<Census>,
}

impl<R: Runtime> Dialer<R> {
    /// A dialer of `route`, counted as traffic of `target`.
    pub(super) fn new(env: &RoundEnv<R>, target: &str, route: Route) -> Self {
        Self {
            runtime: env.runtime.clone(),
            route,
            traffic: env.traffic[target].clone(),
            observed: env.observed.clone(),
            census: None,
        }
    }

    /// The same dialer, whose wires `census` counts while they are open.
    pub(super) fn counted_by(self, census: &Census) -> Self {
        let census = Some(census.clone());
        Self { census, ..self }
    }

    /// A wire that is not open yet, with room for `buffer_bytes` in one read.
    pub(super) fn wire(&self, buffer_bytes: usize) -> Wire<R> {
        Wire::new(&self.traffic, buffer_bytes)
    }

    /// The runtime that connects.
    pub(super) fn runtime(&self) -> &R {
        &self.runtime
    }

    /// Connects and performs the TLS handshake.
    pub(super) async fn dial(&self) -> Result<Link<R>, Failure> {
        let dialing = Dialing(&self.traffic);
        let connected = self.runtime.connect(&self.route.address).await;
        std::mem::forget(dialing);
        let stream = connected?;
        self.traffic.connected();
        Ok(match &self.route.tls {
            None => Link::Plain(stream),
            Some(config) => Link::Tls(self.secure(stream, config).await?),
        })
    }

    /// Performs the TLS handshake, whose time is recorded separately.
    async fn secure(
        &self,
        mut stream: R::Stream,
        config: &TlsConfig,
    ) -> Result<Box<Secured<R::Stream>>, Failure> {
        if let Some(preface) = self.route.preface {
            preface.exchange(&mut stream, &self.traffic).await?;
        }
        let begun = Instant::now();
        let secured = Secured::begin(stream, config, &self.traffic).await?;
        let name = if secured.is_resumed() {
            "tls_resumed_handshake"
        } else {
            "tls_full_handshake"
        };
        self.observed.time_ns(name, nanoseconds(begun.elapsed()));
        Ok(secured)
    }
}

/// Counts a connection as abandoned if dropped: the server may have accepted it or not.
struct Dialing<'a>(&'a TrafficCounter);

impl Drop for Dialing<'_> {
    fn drop(&mut self) {
        self.0.abandoned_connection();
    }
}

/// A stream that may be closed and opened again, with its read buffer.
pub(super) struct Wire<R: Runtime> {
    stream: Option<Link<R>>,
    presence: Option<CensusGuard>,
    received: Buffer,
    traffic: TrafficCounter,
}

impl<R: Runtime> Wire<R> {
    /// A wire that is not open yet.
    pub(super) fn new(traffic: &TrafficCounter, buffer_bytes: usize) -> Self {
        Self {
            stream: None,
            presence: None,
            received: Buffer::with_capacity(buffer_bytes),
            traffic: traffic.clone(),
        }
    }

    /// Closes the wire and reopens it.
    pub(super) async fn open(&mut self, dialer: &Dialer<R>) -> Result<(), Failure> {
        self.close();
        // Boxed: the handshake would make every exchange's future larger, and a timeout moves it over a thread's stack.
        self.attach(Box::pin(dialer.dial()).await?);
        self.presence = dialer.census.as_ref().map(Census::enter);
        Ok(())
    }

    /// Continues on `stream`, which was opened elsewhere.
    pub(super) fn attach(&mut self, stream: Link<R>) {
        self.received.clear();
        self.stream = Some(stream);
    }

    /// True if the next transfer can begin.
    pub(super) fn is_open(&self) -> bool {
        self.stream.is_some()
    }

    /// The protocol that the peer chose in the TLS handshake, if any; `None` without TLS.
    pub(super) fn chosen_protocol(&self) -> Option<Option<&[u8]>> {
        match &self.stream {
            Some(Link::Tls(stream)) => Some(stream.protocol()),
            _ => None,
        }
    }

    /// True if the peer has closed it since the last transfer, or has sent anything, as far as has been heard.
    pub(super) async fn is_stale(&mut self) -> bool {
        match &mut self.stream {
            None => false,
            Some(Link::Plain(stream)) => stream.is_stale(),
            Some(Link::Tls(stream)) => stream.is_stale(&mut self.received, &self.traffic).await,
        }
    }

    /// Closes the stream without notifying the peer.
    pub(super) fn close(&mut self) {
        self.stream = None;
        // After the stream: a connection counts for as long as it is open.
        self.presence = None;
    }

    /// Bytes that were read and not consumed; those of a closed wire stay until it is opened again.
    pub(super) fn received(&mut self) -> &mut Buffer {
        &mut self.received
    }

    /// The counter of its traffic.
    pub(super) fn traffic(&self) -> &TrafficCounter {
        &self.traffic
    }

    /// Begins a transfer that does not count as a request.
    pub(super) fn transfer(&mut self) -> Transfer<'_, R> {
        Transfer {
            wire: self,
            is_request: false,
        }
    }

    /// Begins a request, which counts as answered at its end and as abandoned if dropped before.
    pub(super) fn request(&mut self) -> Transfer<'_, R> {
        Transfer {
            wire: self,
            is_request: true,
        }
    }
}

/// The use of a wire for one exchange; it closes the wire unless it [ends](Self::end).
pub(super) struct Transfer<'a, R: Runtime> {
    wire: &'a mut Wire<R>,
    is_request: bool,
}

impl<R: Runtime> Transfer<'_, R> {
    /// Writes all of `bytes`, which are unchanged afterwards.
    #[inline]
    pub(super) async fn write(&mut self, bytes: &mut Vec<u8>) -> Result<(), Failure> {
        let Wire {
            stream, traffic, ..
        } = &mut *self.wire;
        match stream.as_mut().ok_or_else(closed)? {
            Link::Plain(stream) => stream.write_all(bytes).await?,
            Link::Tls(stream) => return stream.write_all(bytes, traffic).await,
        }
        traffic.wrote(bytes.len());
        Ok(())
    }

    /// Writes the beginning of `bytes`, or reads if the peer takes nothing at present; see [`Stream::transfer`]. The
    /// caller counts what was written in all with [`Transfer::wrote`].
    pub(super) async fn write_or_read(&mut self, bytes: &[u8]) -> Result<Moved, Failure> {
        let wire = &mut *self.wire;
        let received = &mut wire.received;
        let moved = match wire.stream.as_mut().ok_or_else(closed)? {
            Link::Plain(stream) => {
                let moved = stream.transfer(bytes, received).await?;
                if let Moved::Read(count) = moved {
                    wire.traffic.read(count);
                }
                moved
            }
            Link::Tls(stream) => stream.transfer(bytes, received, &wire.traffic).await?,
        };
        match moved {
            Moved::Written(0) => Err(io::Error::from(io::ErrorKind::WriteZero).into()),
            moved => Ok(moved),
        }
    }

    /// Counts `bytes` that were written piece by piece; ciphertext is counted already.
    pub(super) fn wrote(&mut self, bytes: usize) {
        if let Some(Link::Plain(_)) = self.wire.stream {
            self.wire.traffic.wrote(bytes);
        }
    }

    /// Reads the available bytes; false at the end of input.
    #[inline]
    pub(super) async fn read(&mut self) -> Result<bool, Failure> {
        let Wire {
            stream,
            received,
            traffic,
            ..
        } = &mut *self.wire;
        let count = match stream.as_mut().ok_or_else(closed)? {
            Link::Plain(stream) => stream.read(received).await?,
            Link::Tls(stream) => return Ok(stream.read(received, traffic).await? > 0),
        };
        traffic.read(count);
        Ok(count > 0)
    }

    /// Rejects an end of input that may have been cut short, for protocols in which it is the end of the content.
    pub(super) fn require_announced_end(&self) -> Result<(), Failure> {
        match &self.wire.stream {
            Some(Link::Tls(stream)) if stream.is_truncated() => Err(Failure::new(
                Failure::SHORT,
                "the connection ended without TLS's announcement of the end: the body may be cut off",
            )),
            _ => Ok(()),
        }
    }

    /// Bytes that were read and not consumed.
    pub(super) fn received(&mut self) -> &mut Buffer {
        &mut self.wire.received
    }

    /// Ends a request whose answer is complete although it was not sent whole, and closes the wire. It counts as
    /// answered and as abandoned: the server may have read any part of it.
    pub(super) fn end_unsent(self) {
        self.wire.traffic.answered();
    }

    /// Ends the transfer, and keeps the wire open.
    #[inline]
    pub(super) fn end(self) {
        if self.is_request {
            self.wire.traffic.answered();
        }
        std::mem::forget(self);
    }
}

impl<R: Runtime> Drop for Transfer<'_, R> {
    fn drop(&mut self) {
        self.wire.close();
        if self.is_request {
            self.wire.traffic.abandoned();
        }
    }
}

#[cold]
fn closed() -> Failure {
    Failure::new(Failure::SHORT, "the connection is closed")
}

#[cfg(test)]
mod tests {
    use super::super::every_runtime::under_every_runtime;
    use super::*;

    #[test]
    fn only_a_connection_that_is_not_seen_to_open_is_abandoned() {
        let traffic = TrafficCounter::default();
        drop(Dialing(&traffic));
        assert_eq!(traffic.snapshot().abandoned_connections, 1);
    }

    #[test]
    fn only_a_request_without_its_end_is_abandoned_and_closes_the_wire() {
        under_every_runtime!(&[], |runtime| {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("an address").into();
            let traffic = TrafficCounter::default();
            let dialer = Dialer {
                runtime: runtime.clone(),
                route: Route {
                    address,
                    tls: None,
                    preface: None,
                },
                traffic: traffic.clone(),
                observed: Observed::default(),
                census: Some(Census::default()),
            };
            let counts = || {
                let seen = traffic.snapshot();
                (seen.connections, seen.requests, seen.abandoned)
            };
            runtime.block_on(async {
                let mut wire = dialer.wire(16);
                wire.open(&dialer).await.expect("a connection");
                wire.request().end();
                wire.transfer().end();
                assert!(wire.is_open());
                assert_eq!(counts(), (1, 1, 0));
                drop(wire.request());
                assert!(!wire.is_open());
                assert_eq!(counts(), (1, 1, 1));
                let kind = wire.transfer().read().await.map_err(|failure| failure.kind);
                assert_eq!(kind, Err(Failure::SHORT));
                wire.open(&dialer).await.expect("a connection");
                drop(wire.transfer());
                assert!(!wire.is_open());
                assert_eq!(counts(), (2, 1, 1));
                let census = dialer.census.as_ref().expect("counted").counts();
                assert_eq!((census.opened, census.closed), (2, 2));
            });
        });
    }
}
