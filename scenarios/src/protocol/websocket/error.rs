//! What can go wrong with a WebSocket connection, and under which name it is counted.
//!
//! The parser's own errors are told apart here, once; nobody else matches on them.

use tungstenite::Error;
use tungstenite::error::ProtocolError;

/// Why a connection did not open, or broke.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebSocketError {
    /// Both sides have said goodbye and the server has hung up.
    #[error("the connection is closed")]
    Closed,
    /// A message was to be sent or received before the handshake or after a failure.
    #[error("the connection is not open")]
    NotOpen,
    /// The server hung up without a goodbye.
    #[error("the server closed without a closing handshake")]
    BrokenOff,
    /// The server answered the handshake with another status than 101.
    #[error("the handshake was answered with status {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// A binary message, where only text was asked for.
    #[error("a binary message came where text was expected")]
    Binary,
    /// A message longer than this client takes.
    #[error("too large: {0}")]
    TooLarge(String),
    /// Anything that RFC 6455 does not allow.
    #[error("broken protocol: {0}")]
    Malformed(String),
}

impl WebSocketError {
    /// The name under which failures of this sort are counted, the same as for HTTP where that has one: `short`,
    /// `status`, `wrong-content`, `too-large`, `malformed`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Closed | Self::NotOpen | Self::BrokenOff => "short",
            Self::Refused { .. } => "status",
            Self::Binary => "wrong-content",
            Self::TooLarge(_) => "too-large",
            Self::Malformed(_) => "malformed",
        }
    }
}

impl From<Error> for WebSocketError {
    fn from(error: Error) -> Self {
        match error {
            Error::ConnectionClosed | Error::AlreadyClosed => Self::Closed,
            Error::Protocol(
                ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete,
            ) => Self::BrokenOff,
            Error::Http(response) => Self::Refused {
                status: response.status().as_u16(),
            },
            Error::Capacity(error) => Self::TooLarge(error.to_string()),
            other => Self::Malformed(other.to_string()),
        }
    }
}
