//! An existing WebSocket server: connected to once, so that a missing server is reported before anything is measured.
//!
//! The worker does handshakes and messages; such a server has no counts to read.

use std::net::TcpStream;

use url::Url;

use super::{Target, TargetKind, TargetServer, Values, forms, loopback};
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
    Ok(Box::new(WebSocket {
        url: parse_url(values.url)?,
    }))
}

/// Parses a URL that a plain WebSocket client can use.
fn parse_url(text: &str) -> Result<Url, Failure> {
    let wrong = |message: &str| Failure::usage(format!("--target ws: {message}")).hint(forms());
    let url = Url::parse(text).map_err(|error| wrong(&format!("not a URL: {error}")))?;
    match url.scheme() {
        "ws" if url.password().is_some() || !url.username().is_empty() => {
            Err(wrong("a user name in the URL is not supported"))
        }
        "ws" if url.query().is_some() || url.fragment().is_some() => {
            Err(wrong("a query or fragment in the URL is not supported"))
        }
        "ws" => Ok(url),
        "wss" => Err(wrong(
            "TLS is not supported; measure the server behind it over plain WebSocket",
        )),
        _ => Err(wrong("the URL must begin with ws://")),
    }
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
        _: &Interrupt,
    ) -> Result<Box<dyn TargetServer>, Failure> {
        let addresses = loopback::addresses(&self.url)?;
        TcpStream::connect(&addresses[..]).map_err(|error| {
            Failure::could_not_run(format!("no answer from {}", redaction::url(&self.url)))
                .caused_by(error)
                .hint("start the server, or omit --target to use the embedded one")
        })?;
        Ok(self)
    }
}

impl TargetServer for WebSocket {
    fn url(&self) -> &str {
        self.url.as_str()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_is_not_there_is_told_with_a_hint() {
        let closed = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("ws://{}/", closed.local_addr().expect("an address"));
        drop(closed);
        let target = Box::new(WebSocket {
            url: parse_url(&url).expect("a URL"),
        });
        let failure = target
            .start(&[], &Interrupt::default())
            .err()
            .expect("refused");
        assert_eq!(failure.exit(), crate::exit::Exit::CouldNotRun);
        assert!(
            failure.to_string().contains("hint: start the server"),
            "{failure}"
        );
    }
}
