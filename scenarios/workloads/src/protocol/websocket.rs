//! A WebSocket client (RFC 6455): the opening handshake, text messages both ways, the closing handshake.
//!
//! Handshake and frames are tungstenite's, over a stream in memory (`pipe.rs`): the caller feeds input, and writes the
//! content of [`Client::outgoing`] to its socket. Unlike the other clients it allocates for each message, because its
//! parser returns messages as values. Extensions and TLS are never offered.

mod error;
mod pipe;

use std::io::ErrorKind;

use tungstenite::client::{IntoClientRequest as _, client_with_config};
use tungstenite::handshake::client::{ClientHandshake, Response};
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::http::header;
use tungstenite::protocol::{CloseFrame, WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};

pub use error::WebSocketError;
pub use tungstenite::Utf8Bytes;

use pipe::Pipe;

const MAX_MESSAGE_BYTES: usize = 1 << 20;

/// Maximum length of the response to the opening handshake.
const MAX_HEAD_BYTES: usize = 16 * 1024;

/// The parser's default of 128 KiB per connection would dominate the memory of many clients.
const READ_BUFFER_BYTES: usize = 4096;

/// One connection, from its handshake to its close.
#[derive(Debug)]
pub struct Client {
    state: State,
    /// True once this side has sent a close.
    closing: bool,
}

#[derive(Debug)]
enum State {
    Opening(MidHandshake<ClientHandshake<Pipe>>),
    Open(Box<WebSocket<Pipe>>),
    /// Keeps the pipe, so that callers need not check before every call.
    Failed(Pipe),
}

impl Client {
    /// Starts a connection to `uri` (`ws://host:port/path`); the request is in [`Client::outgoing`].
    pub fn new(uri: &str) -> Result<Self, WebSocketError> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(MAX_MESSAGE_BYTES))
            .max_frame_size(Some(MAX_MESSAGE_BYTES));
        let request = uri.into_client_request()?;
        let state = after(client_with_config(request, Pipe::default(), Some(config)))?;
        Ok(Self {
            state,
            closing: false,
        })
    }

    /// Bytes to write to the server; the caller clears them.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.pipe().outgoing
    }

    /// Adds bytes read from the server.
    pub fn feed(&mut self, input: &[u8]) {
        self.pipe().feed(input);
    }

    /// Handles the server's close.
    pub fn end_of_input(&mut self) {
        self.pipe().ended = true;
    }

    /// Continues the opening handshake with the input so far; true once the connection is open.
    pub fn open(&mut self) -> Result<bool, WebSocketError> {
        // The parser takes a response in many small pieces for an attack, so it gets the whole head at once.
        let pipe = self.pipe();
        let whole = pipe.ended || contains_head(pipe.unread());
        match std::mem::replace(&mut self.state, State::Failed(Pipe::default())) {
            State::Opening(mut handshake) if whole => {
                handshake.get_mut().get_mut().reduce_connection();
                self.state = after(handshake.handshake())?;
            }
            other => self.state = other,
        }
        Ok(matches!(self.state, State::Open(_)))
    }

    /// Appends a text message to [`Client::outgoing`].
    pub fn send(&mut self, text: &str) -> Result<(), WebSocketError> {
        Ok(self.socket()?.send(Message::text(text))?)
    }

    /// The next text message in the input; `None` if more input is needed. Pongs may be appended to [`Client::outgoing`].
    ///
    /// # Errors
    ///
    /// [`WebSocketError::Closed`] once the closing handshake is complete and the server has closed the connection; another
    /// one if the server closes first, violates the protocol, aborts the connection, or sends anything but text.
    pub fn receive(&mut self) -> Result<Option<Utf8Bytes>, WebSocketError> {
        let closing = self.closing;
        let socket = self.socket()?;
        loop {
            match socket.read() {
                Ok(Message::Text(text)) => return Ok(Some(text)),
                Ok(Message::Close(frame)) if !closing => {
                    // Appends the answer, which RFC 6455 asks for.
                    let _ = socket.flush();
                    return Err(WebSocketError::ClosedByServer(described(frame)));
                }
                Ok(Message::Binary(_)) => return Err(WebSocketError::Binary),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Appends a close to [`Client::outgoing`]; receiving then ends with [`WebSocketError::Closed`].
    pub fn close(&mut self) -> Result<(), WebSocketError> {
        self.closing = true;
        Ok(self.socket()?.close(None)?)
    }

    fn socket(&mut self) -> Result<&mut WebSocket<Pipe>, WebSocketError> {
        match &mut self.state {
            State::Open(socket) => Ok(socket),
            State::Opening(_) | State::Failed(_) => Err(WebSocketError::NotOpen),
        }
    }

    fn pipe(&mut self) -> &mut Pipe {
        match &mut self.state {
            State::Opening(handshake) => handshake.get_mut().get_mut(),
            State::Open(socket) => socket.get_mut(),
            State::Failed(pipe) => pipe,
        }
    }
}

type HandshakeResult = Result<(WebSocket<Pipe>, Response), HandshakeError<ClientHandshake<Pipe>>>;

/// Code and reason of a close: `1001 restarting`.
fn described(frame: Option<CloseFrame>) -> String {
    match frame {
        Some(CloseFrame { code, reason }) => format!("{} {reason}", u16::from(code))
            .trim_end()
            .to_owned(),
        None => "no code given".to_owned(),
    }
}

/// The state after a step of the handshake.
fn after(step: HandshakeResult) -> Result<State, WebSocketError> {
    match step {
        Ok((socket, response)) => {
            check_offered(&response)?;
            Ok(State::Open(Box::new(socket)))
        }
        Err(HandshakeError::Interrupted(handshake)) => Ok(State::Opening(handshake)),
        Err(HandshakeError::Failure(error)) => Err(error.into()),
    }
}

/// Refuses a response that accepts twice, or agrees to an extension, which is never offered: RFC 6455, 4.1.
fn check_offered(response: &Response) -> Result<(), WebSocketError> {
    let headers = response.headers();
    if let Some(extension) = headers.get(header::SEC_WEBSOCKET_EXTENSIONS) {
        let extension = String::from_utf8_lossy(extension.as_bytes());
        let problem = format!("extension `{extension}` was not offered");
        return Err(WebSocketError::Malformed(problem));
    }
    match headers.get_all(header::SEC_WEBSOCKET_ACCEPT).iter().count() {
        1 => Ok(()),
        count => Err(WebSocketError::Malformed(format!(
            "Sec-WebSocket-Accept was sent {count} times"
        ))),
    }
}

/// True if `bytes` contain a complete HTTP head, or are too many for one.
fn contains_head(bytes: &[u8]) -> bool {
    bytes.len() > MAX_HEAD_BYTES || bytes.windows(4).any(|window| window == b"\r\n\r\n")
}
