//! An existing WebSocket server: connected to once, so that a missing server is reported before anything is measured.
//!
//! The worker does handshakes and messages; such a server has no counts to read.

use photofinish_record::PeerAddress;
use url::Url;

use super::{Target, TargetKind, TargetServer, Values, connect, forms, plain_url};
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::store::redaction;

pub(super) static KIND: TargetKind = TargetKind {
    name: "ws",
    server: "ws",
    url: "ws://{address}",
    options: &[],
    forms: "ws=ws://HOST:PORT[/PATH]",
    parse: Some(parse),
};

fn parse(values: &Values<'_>) -> Result<Box<dyn Target>, Failure> {
    let url = plain_url("ws", values.url)?;
    if url.query().is_some() {
        let message = "--target ws: a query in the URL is not supported";
        return Err(Failure::usage(message).hint(forms()));
    }
    Ok(Box::new(WebSocket { url }))
}

#[derive(Debug)]
struct WebSocket {
    url: Url,
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
        let address = connect(&self.url, "WebSocket", interrupt)?
            .address()
            .clone();
        Ok(Box::new(Reached {
            url: self.url,
            address,
        }))
    }
}

/// A server that accepted a connection.
struct Reached {
    url: Url,
    address: PeerAddress,
}

impl TargetServer for Reached {
    fn url(&self) -> &str {
        self.url.as_str()
    }

    fn address(&self) -> PeerAddress {
        self.address.clone()
    }
}
