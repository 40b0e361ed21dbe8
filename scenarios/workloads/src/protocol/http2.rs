//! A sans-IO HTTP/2 client: the crate h2, used in this file alone, pumped through two byte queues.
//!
//! h2 needs a stream with tokio's traits and a task that drives the connection. Here the stream is a pair of in-memory
//! queues (`http2/pipe.rs`), and [`Http2Client::advance`] is the task: it reads what the caller has received, and produces
//! the output to send. No call affects the wire before the next `advance`. The waker does nothing, since the caller that
//! feeds the queues also polls. h2 allocates for each request.

mod greeting;
mod pipe;

use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use h2::client::{Builder, Connection, ResponseFuture, SendRequest};
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, StatusCode};
use photofinish_harness::buffer::Buffer;
use thiserror::Error;

use self::greeting::Greeting;
use self::pipe::{Pipe, is_full};

/// Protocols to offer in the TLS handshake, the preferred one first.
pub const PROTOCOLS: [&str; 2] = ["h2", "http/1.1"];

/// Bytes that a server may send on one stream before the client has read them.
pub const STREAM_WINDOW_BYTES: u32 = 1 << 20;

/// Bytes that a server may send on all streams of a connection before the client has read them.
pub const CONNECTION_WINDOW_BYTES: u32 = 2 << 20;

/// The windows of the client, for records.
pub fn windows() -> String {
    format!(
        "windows of {STREAM_WINDOW_BYTES} bytes per stream and {CONNECTION_WINDOW_BYTES} per connection"
    )
}

/// Largest list of header fields in a response.
const MOST_HEADER_BYTES: u32 = 64 * 1024;

/// The client's side of one connection.
pub struct Http2Client {
    requests: SendRequest<Bytes>,
    connection: Connection<Pipe, Bytes>,
    pipe: Pipe,
    /// The preface, until it is sent.
    opening: Vec<u8>,
    greeting: Greeting,
    is_over: bool,
    is_own_end: bool,
}

/// A request in flight and its response; dropping it early cancels it.
pub struct Exchange {
    state: ExchangeState,
}

enum ExchangeState {
    Head(ResponseFuture),
    Body(RecvStream),
    Ended,
}

/// A part of a response.
#[derive(Debug)]
pub enum Event {
    Head(StatusCode, HeaderMap),
    Data(Bytes),
    End,
}

/// Failure of a request or of a connection.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Http2Error {
    /// The server's first bytes are not HTTP/2.
    #[error("the server does not speak HTTP/2")]
    AnotherProtocol,
    /// The server did not choose HTTP/2 in the TLS handshake.
    #[error("HTTP/2 was offered, and the server chose {}", .0.as_deref().unwrap_or("no protocol"))]
    NotChosen(Option<String>),
    /// The server is closing the connection and has not processed the request, which may be sent again.
    #[error("the server closed the connection (GOAWAY, {}) before it processed the request", name(*.0))]
    GoneAway(Reason),
    /// The server has not processed the request, which may be sent again.
    #[error("the server refused the stream before it processed the request (REFUSED_STREAM)")]
    Refused,
    /// The server ended the stream before the response was complete.
    #[error("the server ended the stream before the end of the response (RST_STREAM, {})", name(*.0))]
    Reset(Reason),
    /// The server broke the protocol.
    #[error("the server broke the HTTP/2 protocol ({})", name(*.0))]
    Malformed(Reason),
    /// The server allows no request.
    #[error("the server allows no concurrent streams (SETTINGS_MAX_CONCURRENT_STREAMS is 0)")]
    NoStreams,
    /// The connection ended.
    #[error("the connection ended before the end of the response")]
    Closed,
    /// The request cannot be sent as it is.
    #[error("not a valid HTTP/2 request: {0}")]
    Unfit(String),
}

impl Http2Error {
    /// Kind of failure in records: `http2`, `goaway`, `refused-stream`, `stream-reset`, `malformed`, `short` or `data`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::AnotherProtocol | Self::NotChosen(_) | Self::NoStreams => "http2",
            Self::GoneAway(_) => "goaway",
            Self::Refused => "refused-stream",
            Self::Reset(_) => "stream-reset",
            Self::Malformed(_) => "malformed",
            Self::Closed => "short",
            Self::Unfit(_) => "data",
        }
    }

    /// Advice, if there is any.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::AnotherProtocol => Some(
                "without TLS, the server must accept HTTP/2 on this port directly (prior knowledge); `version = \"1.1\"` in `[http]` \
                 measures HTTP/1.1",
            ),
            Self::NotChosen(_) => Some(
                "enable HTTP/2 in the server (`http2` in nginx), or measure HTTP/1.1 with `version = \"1.1\"` in `[http]`",
            ),
            Self::NoStreams => Some(
                "raise the limit in the server (`http2_max_concurrent_streams` in nginx), or wait until it is ready; `version = \"1.1\"` \
                 in `[http]` measures HTTP/1.1",
            ),
            _ => None,
        }
    }

    /// True if the server has not processed the request (RFC 9113, section 8.7).
    pub fn is_unprocessed(&self) -> bool {
        matches!(self, Self::GoneAway(_) | Self::Refused)
    }

    fn of(error: &h2::Error) -> Self {
        match error.reason() {
            Some(reason) if error.is_go_away() && error.is_remote() => Self::GoneAway(reason),
            Some(Reason::REFUSED_STREAM) if error.is_remote() => Self::Refused,
            Some(reason) if error.is_remote() => Self::Reset(reason),
            Some(reason) => Self::Malformed(reason),
            None if error.is_io() => Self::Closed,
            None => Self::Unfit(error.to_string()),
        }
    }
}

/// Checks the protocol that a server chose in the TLS handshake.
pub fn require_chosen(protocol: Option<&[u8]>) -> Result<(), Http2Error> {
    if protocol == Some(PROTOCOLS[0].as_bytes()) {
        return Ok(());
    }
    let name = protocol.map(|name| String::from_utf8_lossy(name).into_owned());
    Err(Http2Error::NotChosen(name))
}

/// The name of an error code in RFC 9113.
fn name(reason: Reason) -> String {
    format!("{reason:?}")
}

impl Default for Http2Client {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Http2Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http2Client").finish_non_exhaustive()
    }
}

impl Http2Client {
    /// A client at the beginning of a connection.
    pub fn new() -> Self {
        let pipe = Pipe::default();
        let mut builder = Builder::new();
        builder
            .initial_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
            .max_header_list_size(MOST_HEADER_BYTES)
            .enable_push(false)
            // None before the server's settings have arrived.
            .initial_max_send_streams(0)
            // A server that sends a body in tiny frames is slow, but must not be cut off.
            .data_frame_budget(usize::MAX);
        let handshake = Box::pin(builder.handshake(pipe.clone()));
        let Poll::Ready(Ok((requests, connection))) = poll(handshake) else {
            unreachable!("the handshake only writes, and the queue takes everything");
        };
        let opening = std::mem::take(&mut pipe.queues().output);
        Self {
            requests,
            connection,
            pipe,
            opening,
            greeting: Greeting::default(),
            is_over: false,
            is_own_end: false,
        }
    }

    /// Processes the received `input` and appends the output to send to `output`; `is_ended` means that no more input will
    /// follow. Stops early if there is much output: see [`Http2Client::has_more_output`].
    ///
    /// # Errors
    ///
    /// [`Http2Error::AnotherProtocol`] at the beginning; later errors are those of the exchanges.
    pub fn advance(
        &mut self,
        input: &mut Buffer,
        is_ended: bool,
        output: &mut Vec<u8>,
    ) -> Result<(), Http2Error> {
        if !self.greeting.is_settled() {
            self.greeting.watch(input.unread())?;
            if is_ended && !self.greeting.has_settings() {
                return Err(Http2Error::AnotherProtocol);
            }
        }
        if self.is_over {
            return Ok(());
        }
        output.append(&mut self.opening);
        self.exchange_queues(input, output, is_ended);
        let polled = poll(&mut self.connection);
        self.exchange_queues(input, output, is_ended);
        // Its error is known to the exchanges.
        self.is_over |= polled.is_ready();
        self.is_own_end |= matches!(&polled, Poll::Ready(Err(error)) if error.is_library());
        Ok(())
    }

    /// Swaps the caller's queues and the pipe's: nothing is copied.
    fn exchange_queues(&self, input: &mut Buffer, output: &mut Vec<u8>, is_ended: bool) {
        let mut queues = self.pipe.queues();
        std::mem::swap(&mut queues.input, input);
        std::mem::swap(&mut queues.output, output);
        queues.is_ended = is_ended;
    }

    /// True if another [`Http2Client::advance`] may produce more than `output`.
    pub fn has_more_output(output: &[u8]) -> bool {
        is_full(output)
    }

    /// True once both sides' settings are in force.
    pub fn is_settled(&self) -> bool {
        self.greeting.is_settled()
    }

    /// True if the connection has ended.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// True if this side ended the connection, because the server broke the protocol.
    pub fn is_own_end(&self) -> bool {
        self.is_own_end
    }

    /// Maximum number of concurrent exchanges that the server currently allows.
    pub fn most_streams(&self) -> usize {
        self.requests.current_max_send_streams()
    }

    /// True if the connection accepts no more requests: it has ended, or the server is about to close it.
    pub fn is_retired(&mut self) -> bool {
        let ready = self.requests.poll_ready(&mut context());
        self.is_over || matches!(ready, Poll::Ready(Err(_)))
    }

    /// Begins an exchange. The caller must have fewer open than [`Http2Client::most_streams`].
    pub fn begin(
        &mut self,
        head: Request<()>,
        body: Option<Bytes>,
    ) -> Result<Exchange, Http2Error> {
        let sent = self.requests.send_request(head, body.is_none());
        let (response, mut sending) = sent.map_err(|error| Http2Error::of(&error))?;
        if let Some(body) = body {
            // h2 sends it as the windows allow, without copying the rest.
            let sent = sending.send_data(body, true);
            sent.map_err(|error| Http2Error::of(&error))?;
        }
        Ok(Exchange {
            state: ExchangeState::Head(response),
        })
    }
}

impl Exchange {
    /// The next part of the response, or `None` if it has not arrived yet.
    pub fn event(&mut self) -> Result<Option<Event>, Http2Error> {
        let event = match &mut self.state {
            ExchangeState::Head(response) => match poll(response) {
                Poll::Pending => return Ok(None),
                Poll::Ready(Err(error)) => Err(error),
                Poll::Ready(Ok(response)) => {
                    let (head, body) = response.into_parts();
                    self.state = ExchangeState::Body(body);
                    Ok(Event::Head(head.status, head.headers))
                }
            },
            ExchangeState::Body(body) => match body.poll_data(&mut context()) {
                Poll::Pending => return Ok(None),
                Poll::Ready(Some(data)) => data.and_then(|data| {
                    // The server learns of it at the next `advance`.
                    body.flow_control().release_capacity(data.len())?;
                    Ok(Event::Data(data))
                }),
                // Trailers may follow; they are ignored.
                Poll::Ready(None) if body.is_end_stream() => Ok(Event::End),
                Poll::Ready(None) => match body.poll_trailers(&mut context()) {
                    Poll::Pending => return Ok(None),
                    Poll::Ready(trailers) => trailers.map(|_| Event::End),
                },
            },
            ExchangeState::Ended => return Ok(None),
        };
        if !matches!(event, Ok(Event::Head(..) | Event::Data(_))) {
            self.state = ExchangeState::Ended;
        }
        event.map(Some).map_err(|error| Http2Error::of(&error))
    }
}

fn context() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

fn poll<F: Future + Unpin>(mut future: F) -> Poll<F::Output> {
    Pin::new(&mut future).poll(&mut context())
}
