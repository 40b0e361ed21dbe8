//! One connection's messages: read whole, written in bulk.
//!
//! Messages are pgwire's. What is written stays in a buffer until the server would have to wait for the client, so an
//! answer leaves in one piece however many messages it has. What messages mean is in `session.rs`.

use std::io;

use bytes::BytesMut;
use pgwire::messages::response::{GssEncResponse, NoticeResponse, SslResponse};
use pgwire::messages::{
    DecodeContext, Message, PgWireFrontendMessage, ProtocolVersion, SslNegotiationMetaMessage,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::error::SqlError;
use crate::CountedStream;

/// Where a new connection's buffers start.
const BUFFER_BYTES: usize = 8 << 10;

/// Answers larger than this leave before they are complete.
const FLUSH_BYTES: usize = 256 << 10;

/// Why a connection has to end.
#[derive(Debug)]
pub(crate) enum WireError {
    /// The socket failed or closed in the middle.
    Io,
    /// The client does not speak the protocol.
    Protocol(SqlError),
}

impl From<io::Error> for WireError {
    fn from(_: io::Error) -> Self {
        // Whatever the reason, the client is gone, and nobody is left to be told.
        WireError::Io
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Wire {
    stream: CountedStream,
    input: BytesMut,
    /// What will be sent.
    pub(crate) output: BytesMut,
    context: DecodeContext,
}

impl Wire {
    pub(crate) fn new(stream: CountedStream) -> Self {
        Wire {
            stream,
            input: BytesMut::with_capacity(BUFFER_BYTES),
            output: BytesMut::with_capacity(BUFFER_BYTES),
            context: DecodeContext::new(ProtocolVersion::PROTOCOL3_0),
        }
    }

    /// The first real message: a startup or a cancel request. Encryption is declined on the way.
    pub(crate) async fn first(&mut self) -> Result<Option<PgWireFrontendMessage>, WireError> {
        loop {
            match self.next().await? {
                Some(PgWireFrontendMessage::SslNegotiation(asked)) => match asked {
                    SslNegotiationMetaMessage::PostgresSsl(_) => self.send(&SslResponse::Refuse)?,
                    SslNegotiationMetaMessage::PostgresGss(_) => {
                        self.send(&GssEncResponse::Refuse)?
                    }
                    SslNegotiationMetaMessage::None => self.context.awaiting_frontend_ssl = false,
                },
                first => {
                    self.context.awaiting_frontend_ssl = false;
                    self.context.awaiting_frontend_startup = false;
                    return Ok(first);
                }
            }
        }
    }

    /// The next message; `None` when the client has closed. What was written goes out before waiting.
    pub(crate) async fn next(&mut self) -> Result<Option<PgWireFrontendMessage>, WireError> {
        loop {
            let decoded = PgWireFrontendMessage::decode(&mut self.input, &self.context);
            let decoded = decoded.map_err(|error| {
                WireError::Protocol(SqlError::fatal(
                    "08P01",
                    format!("invalid message: {error}"),
                ))
            })?;
            if let Some(message) = decoded {
                return Ok(Some(message));
            }
            self.flush().await?;
            self.input.reserve(BUFFER_BYTES);
            if self.stream.read_buf(&mut self.input).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// Whether the message that has arrived next is of this type.
    pub(crate) fn is_next(&self, message_type: u8) -> bool {
        self.input.first() == Some(&message_type)
    }

    /// Puts a message into the buffer.
    pub(crate) fn send(&mut self, message: &impl Message) -> Result<(), WireError> {
        // It fails only for a message of more than 2 GiB.
        message.encode(&mut self.output).map_err(|_| WireError::Io)
    }

    /// Tells the client of an error; the caller decides what happens to the session.
    pub(crate) fn send_error(&mut self, error: &SqlError) -> Result<(), WireError> {
        self.send(&error.to_response())
    }

    /// A remark that changes nothing.
    pub(crate) fn send_warning(&mut self, state: &str, message: &str) -> Result<(), WireError> {
        let field = |code: u8, text: &str| (code, text.to_owned());
        let fields = vec![
            field(b'S', "WARNING"),
            field(b'V', "WARNING"),
            field(b'C', state),
            field(b'M', message),
        ];
        self.send(&NoticeResponse::new(fields))
    }

    /// Sends early what has grown large.
    pub(crate) async fn flush_if_large(&mut self) -> Result<(), WireError> {
        if self.output.len() > FLUSH_BYTES {
            self.flush().await
        } else {
            Ok(())
        }
    }

    /// Sends what is in the buffer.
    pub(crate) async fn flush(&mut self) -> Result<(), WireError> {
        if !self.output.is_empty() {
            self.stream.write_all(&self.output).await?;
            self.output.clear();
        }
        Ok(())
    }

    /// Sends all, and says that nothing more will come.
    pub(crate) async fn close(&mut self) {
        // The client may have gone first.
        let _ = self.flush().await;
        let _ = self.stream.shutdown().await;
    }
}
