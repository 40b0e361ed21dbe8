//! Sans-IO protocol clients: bytes in, bytes out, shared by every runtime.
//!
//! HTTP/1.1, HTTP/2, PostgreSQL, WebSocket and TLS clients, and an HTTP/1.1 server. No socket, clock, task or transport
//! buffer: the caller reads and writes, these types interpret the bytes. So all runtimes share one parser, and tests can
//! split the input anywhere. They run inside the timed operation and allocate nothing in steady state, except for
//! [`websocket`] (once per message), [`tls`] (per record) and [`http2`] (per request).

pub mod http;
pub mod http2;
pub mod http_server;
pub mod postgres;
pub mod tls;
pub mod websocket;

use std::path::PathBuf;

use url::{Host, Url};

/// The location of a server in its URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerLocation {
    /// A name or an address, IPv6 without brackets, and a port.
    Host(String, u16),
    /// A Unix socket.
    Socket(PathBuf),
}

impl ServerLocation {
    /// The name that a certificate of the server is for.
    pub fn name(&self) -> &str {
        match self {
            Self::Host(host, _) => host,
            Self::Socket(_) => "localhost",
        }
    }
}

/// The host of a URL: a name or an address, of IPv6 without brackets.
pub(crate) fn host(url: &Url) -> Option<String> {
    url.host().map(|host| match host {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    })
}

/// The result of one call of an `advance` method.
///
/// The caller drops the first `consumed` bytes of its buffer, keeps the rest, and calls again with more appended
/// until `done`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the consumed bytes have to leave the caller's buffer"]
pub struct Advance {
    /// Bytes of the input that were used up.
    pub consumed: usize,
    /// True once the exchange is complete. Bytes after `consumed` belong to the next one.
    pub done: bool,
}
