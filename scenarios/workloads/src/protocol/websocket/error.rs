//! Errors of a WebSocket connection, and the kinds under which they are counted.

use tungstenite::Error;
use tungstenite::error::ProtocolError;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WebSocketError {
    /// Both sides have sent a close, and the server has closed the connection.
    #[error("connection closed")]
    Closed,
    /// The server sent a close first, with its code and reason, if any.
    #[error("closed by the server: {0}")]
    ClosedByServer(String),
    /// A message before the handshake, or after a failure.
    #[error("connection not open")]
    NotOpen,
    #[error("connection closed without a closing handshake")]
    Aborted,
    #[error("expected status 101 in the handshake, got {status}")]
    Refused { status: u16 },
    #[error("expected a text message, got a binary one")]
    Binary,
    #[error("too large: {0}")]
    TooLarge(String),
    /// A violation of RFC 6455.
    #[error("protocol violation: {0}")]
    Malformed(String),
}

impl WebSocketError {
    /// The kind of failure in records: `short`, `status`, `wrong-content`, `too-large` or `malformed`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Closed | Self::ClosedByServer(_) | Self::NotOpen | Self::Aborted => "short",
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
            ) => Self::Aborted,
            Error::Http(response) => Self::Refused {
                status: response.status().as_u16(),
            },
            Error::Capacity(error) => Self::TooLarge(error.to_string()),
            other => Self::Malformed(other.to_string()),
        }
    }
}
