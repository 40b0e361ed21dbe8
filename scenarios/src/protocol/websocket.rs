//! A WebSocket client (RFC 6455): the opening handshake, text messages both ways, the closing handshake.
//!
//! Handshake and frames are tungstenite's, over a stream in memory (`pipe.rs`): the caller feeds what it has read, and
//! writes what it finds in [`Client::outgoing`]. No socket and no waiting live here. Unlike the other clients it
//! allocates, once for each message, because its parser hands messages out as values. What is wrong is an error of
//! `error.rs`; extensions and TLS are never offered.
//!
//! Read next: `workloads/ws_connection.rs`, which drives it over a runtime's socket.

mod error;
mod pipe;

use std::io::ErrorKind;

use tungstenite::client::{IntoClientRequest as _, client_with_config};
use tungstenite::handshake::client::{ClientHandshake, Response};
use tungstenite::handshake::{HandshakeError, MidHandshake};
use tungstenite::protocol::{WebSocket, WebSocketConfig};
use tungstenite::{Error, Message};

pub use error::WebSocketError;
pub use tungstenite::Utf8Bytes;

use pipe::Pipe;

/// Longest message taken.
const LONGEST_MESSAGE_BYTES: usize = 1 << 20;

/// Longest answer to the opening handshake.
const LONGEST_HEAD_BYTES: usize = 16 * 1024;

/// The parser's own 128 KiB for each connection would be most of the memory of a crowd of clients.
const READ_BUFFER_BYTES: usize = 4096;

/// One connection, from its handshake to its end.
#[derive(Debug)]
pub struct Client {
    state: State,
}

#[derive(Debug)]
enum State {
    Opening(MidHandshake<ClientHandshake<Pipe>>),
    Open(Box<WebSocket<Pipe>>),
    /// Only the pipe is left, so that its owner need not ask before every call.
    Failed(Pipe),
}

impl Client {
    /// A connection to `uri` (`ws://host:port/path`), whose request is in [`Client::outgoing`] from the start.
    ///
    /// # Errors
    ///
    /// A `uri` that cannot be asked for.
    pub fn new(uri: &str) -> Result<Self, WebSocketError> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_message_size(Some(LONGEST_MESSAGE_BYTES))
            .max_frame_size(Some(LONGEST_MESSAGE_BYTES));
        let request = uri.into_client_request()?;
        let state = after(client_with_config(request, Pipe::default(), Some(config)))?;
        Ok(Self { state })
    }

    /// Bytes to be written to the server; whoever has written them clears them.
    pub fn outgoing(&mut self) -> &mut Vec<u8> {
        &mut self.pipe().outgoing
    }

    /// Takes bytes that were read from the server.
    pub fn feed(&mut self, input: &[u8]) {
        self.pipe().feed(input);
    }

    /// Takes note that the server will send nothing more.
    pub fn end_of_input(&mut self) {
        self.pipe().ended = true;
    }

    /// Goes on with the opening handshake as far as what was fed allows; whether the connection is open.
    ///
    /// # Errors
    ///
    /// The server's refusal, and an answer that is none.
    pub fn open(&mut self) -> Result<bool, WebSocketError> {
        // The parser takes an answer in very many small pieces for an attack, hence whole or not at all.
        let pipe = self.pipe();
        let whole = pipe.ended || holds_a_head(pipe.unread());
        match std::mem::replace(&mut self.state, State::Failed(Pipe::default())) {
            State::Opening(waiting) if whole => self.state = after(waiting.handshake())?,
            other => self.state = other,
        }
        Ok(matches!(self.state, State::Open(_)))
    }

    /// Puts a text message into [`Client::outgoing`].
    ///
    /// # Errors
    ///
    /// The connection is not open, or the message is too long.
    pub fn send(&mut self, text: &str) -> Result<(), WebSocketError> {
        Ok(self.socket()?.send(Message::text(text))?)
    }

    /// The next text message among what was fed; `None` where more has to be read. Pings are answered on the way, so
    /// there may be something in [`Client::outgoing`] after this.
    ///
    /// # Errors
    ///
    /// [`WebSocketError::Closed`] once the closing handshake is complete and the server has hung up; any other where the
    /// server breaks the protocol, breaks off, or sends anything but text.
    pub fn receive(&mut self) -> Result<Option<Utf8Bytes>, WebSocketError> {
        let socket = self.socket()?;
        loop {
            match socket.read() {
                Ok(Message::Text(text)) => return Ok(Some(text)),
                Ok(Message::Binary(_)) => return Err(WebSocketError::Binary),
                Ok(_) => {}
                Err(Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Puts a close into [`Client::outgoing`]; what is received after it ends with [`WebSocketError::Closed`].
    ///
    /// # Errors
    ///
    /// The connection is not open.
    pub fn close(&mut self) -> Result<(), WebSocketError> {
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
            State::Opening(waiting) => waiting.get_mut().get_mut(),
            State::Open(socket) => socket.get_mut(),
            State::Failed(pipe) => pipe,
        }
    }
}

type Handshaken = Result<(WebSocket<Pipe>, Response), HandshakeError<ClientHandshake<Pipe>>>;

fn after(round: Handshaken) -> Result<State, WebSocketError> {
    match round {
        Ok((socket, _)) => Ok(State::Open(Box::new(socket))),
        Err(HandshakeError::Interrupted(waiting)) => Ok(State::Opening(waiting)),
        Err(HandshakeError::Failure(error)) => Err(error.into()),
    }
}

/// Whether `bytes` hold an HTTP head to its end, or are too many to be one.
fn holds_a_head(bytes: &[u8]) -> bool {
    bytes.len() > LONGEST_HEAD_BYTES || bytes.windows(4).any(|window| window == b"\r\n\r\n")
}
