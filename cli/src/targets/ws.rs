//! An existing WebSocket server: connected to once, so that a missing server is reported before anything is measured.
//!
//! The worker does handshakes and messages; such a server has no counts to read.

use photofinish_record::{PeerAddress, TlsSettings};
use url::Url;

use super::tls::{self, Tls};
use super::{Target, TargetKind, TargetServer, Values, connect, forms, server_url};
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::store::redaction;

pub(super) static KIND: TargetKind = TargetKind {
    name: "ws",
    server: "ws",
    schemes: &["ws", "wss"],
    url: "ws://{address}",
    secure_url: Some("wss://{address}"),
    options: &tls::OPTIONS,
    forms: "ws=ws[s]://HOST:PORT[/PATH]",
    beginnings: &[("ws=ws://127.0.0.1:", "a WebSocket server")],
    parse: Some(parse),
};

fn parse(values: &Values<'_>) -> Result<Box<dyn Target>, Failure> {
    let url = server_url("ws", values.url)?;
    if url.query().is_some() {
        let message = "--target ws: a query in the URL is not supported";
        return Err(Failure::usage(message).hint(forms()));
    }
    let tls = tls::of(&KIND, &url, values)?;
    Ok(Box::new(WebSocket { url, tls }))
}

#[derive(Debug)]
struct WebSocket {
    url: Url,
    tls: Option<Tls>,
}

impl Target for WebSocket {
    fn urls(&self) -> Vec<&Url> {
        vec![&self.url]
    }

    fn safe_url(&self) -> String {
        redaction::url(&self.url)
    }

    fn start(
        self: Box<Self>,
        _: &[usize],
        interrupt: &Interrupt,
    ) -> Result<Box<dyn TargetServer>, Failure> {
        let address = connect(&self.url, "WebSocket", self.tls.as_ref(), interrupt)?
            .address()
            .clone();
        Ok(Box::new(Reached {
            url: self.url,
            tls: self.tls,
            address,
        }))
    }
}

/// A server that accepted a connection.
struct Reached {
    url: Url,
    tls: Option<Tls>,
    address: PeerAddress,
}

impl TargetServer for Reached {
    fn url(&self) -> &str {
        self.url.as_str()
    }

    fn address(&self) -> PeerAddress {
        self.address.clone()
    }

    fn tls(&self) -> Option<&TlsSettings> {
        self.tls.as_ref().map(|tls| &tls.settings)
    }
}
