//! The probe of an HTTP/2 server: one request on one stream, as workers send it.

use http::{Request, Uri, Version};
use photofinish_harness::buffer::Buffer;
use photofinish_workloads::protocol::http::HttpTarget;
use photofinish_workloads::protocol::http2::{
    Event, Exchange, Http2Client, Http2Error, PROTOCOLS, require_chosen,
};
use url::Url;

use super::connect;
use super::connection::Connection;
use super::tls::Tls;
use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::store::redaction;

/// The answer to a probe.
pub struct Answer {
    pub connection: Connection,
    /// Value of the header `server`.
    pub software: Option<String>,
}

/// Sends one request on a separate connection.
pub fn get(url: &Url, tls: Option<&Tls>, interrupt: &Interrupt) -> Result<Answer, Failure> {
    let with_http2 = tls.map(|tls| Tls {
        settings: tls.settings.clone(),
        config: tls.config.with_protocols(&PROTOCOLS),
    });
    let connection = connect(url, "HTTP/2", with_http2.as_ref(), interrupt)?;
    if let Some(protocol) = connection.protocol() {
        require_chosen(protocol).map_err(|error| refused(url, error))?;
    }
    let mut probe = Probe {
        connection,
        client: Http2Client::new(),
        received: Buffer::with_capacity(16 * 1024),
    };
    while !probe.client.is_settled() {
        probe.turn().map_err(|flaw| flaw.into_failure(url))?;
    }
    let request = request(url)?;
    let exchange = probe.client.begin(request, None);
    let exchange = exchange.map_err(|error| refused(url, error))?;
    let software = probe
        .finish(exchange)
        .map_err(|flaw| flaw.into_failure(url))?;
    let Probe { connection, .. } = probe;
    Ok(Answer {
        connection,
        software,
    })
}

/// True if an answer begins with a SETTINGS frame.
pub fn is_greeting(answer: &[u8]) -> bool {
    answer.len() >= 9 && answer[0] == 0 && answer[3..9] == [4, 0, 0, 0, 0, 0]
}

fn request(url: &Url) -> Result<Request<()>, Failure> {
    let usage = |error: String| Failure::usage(error);
    let target = HttpTarget::parse(url.as_str()).map_err(|error| usage(error.to_string()))?;
    let scheme = if url.scheme() == "https" {
        "https"
    } else {
        "http"
    };
    let uri = Uri::builder()
        .scheme(scheme)
        .authority(target.authority)
        .path_and_query(target.path_and_query.as_deref().unwrap_or("/"))
        .build()
        .map_err(|error| usage(error.to_string()))?;
    Request::get(uri)
        .version(Version::HTTP_2)
        .header("user-agent", "photofinish")
        .body(())
        .map_err(|error| usage(error.to_string()))
}

/// A connection being probed.
struct Probe {
    connection: Connection,
    client: Http2Client,
    received: Buffer,
}

/// Reason for the failure of a probe.
enum Flaw {
    Protocol(Http2Error),
    Connection(Failure),
}

impl Flaw {
    fn into_failure(self, url: &Url) -> Failure {
        match self {
            Self::Protocol(error) => refused(url, error),
            Self::Connection(failure) => failure,
        }
    }
}

fn refused(url: &Url, error: Http2Error) -> Failure {
    let url = redaction::url(url);
    let message = match error {
        Http2Error::AnotherProtocol => format!("{url} does not speak HTTP/2"),
        Http2Error::NoStreams => format!("{url} accepts no request over HTTP/2"),
        Http2Error::NotChosen(_) => format!("{url} does not speak HTTP/2 over TLS"),
        _ => format!("{url} did not give a valid HTTP/2 response"),
    };
    let hint = error.hint();
    let failure = Failure::could_not_run(message).caused_by(error);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

impl Probe {
    /// Sends pending output and processes what arrives.
    fn turn(&mut self) -> Result<(), Flaw> {
        self.process(false)?;
        let part = self.received.spare();
        let count = self.connection.read(part).map_err(|failure| {
            match (self.client.is_settled(), self.connection.is_late()) {
                (true, true) if self.client.most_streams() == 0 => {
                    Flaw::Protocol(Http2Error::NoStreams)
                }
                // A server that does not expect the preface may drop the connection.
                (false, false) => Flaw::Protocol(Http2Error::AnotherProtocol),
                _ => Flaw::Connection(failure),
            }
        })?;
        self.received.commit(count);
        self.process(count == 0)
    }

    fn process(&mut self, is_ended: bool) -> Result<(), Flaw> {
        let mut output = Vec::new();
        let advanced = self
            .client
            .advance(&mut self.received, is_ended, &mut output);
        advanced.map_err(Flaw::Protocol)?;
        self.connection.write(&output).map_err(Flaw::Connection)
    }

    /// Reads the response to its end; returns the name of the server.
    fn finish(&mut self, mut exchange: Exchange) -> Result<Option<String>, Flaw> {
        let mut software = None;
        loop {
            match exchange.event().map_err(Flaw::Protocol)? {
                Some(Event::Head(_, fields)) => {
                    let server = fields.get("server").and_then(|value| value.to_str().ok());
                    software = server.map(str::to_owned);
                }
                Some(Event::Data(_)) => {}
                Some(Event::End) => return Ok(software),
                None => self.turn()?,
            }
        }
    }
}
