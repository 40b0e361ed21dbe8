//! Errors in a server's messages.
//!
//! These are failures of the system under test: data to be counted by [`PgError::kind`]. An error that the server
//! reports about a statement is not among them unless it ends the connection; it is in
//! [`Outcome::error`](super::Outcome::error), and the connection remains usable.

use std::fmt;

use thiserror::Error;

/// The content of an ErrorResponse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerError {
    /// `ERROR`, `FATAL` or `PANIC`, in its untranslated form if the server sends one.
    pub severity: String,
    /// The SQLSTATE: five characters, such as `23505`.
    pub code: String,
    /// Message in the server's language.
    pub message: String,
    pub detail: Option<String>,
    pub hint: Option<String>,
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.severity, self.code, self.message)?;
        if let Some(detail) = &self.detail {
            write!(f, " ({detail})")?;
        }
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for ServerError {}

/// An error that makes the connection unusable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PgError {
    /// The server refused or ended the connection with an ErrorResponse.
    #[error("server reported {0}")]
    Server(ServerError),
    /// The peer closed the connection in the middle of an exchange.
    #[error("connection closed while waiting for {during}")]
    Truncated { during: &'static str },
    /// A message that contradicts its own lengths or the protocol's grammar.
    #[error("malformed message {}: {reason}", tag_name(*.tag))]
    Malformed { tag: u8, reason: &'static str },
    #[error("message {} of {length_bytes} bytes is longer than {limit_bytes} bytes", tag_name(*.tag))]
    TooLarge {
        tag: u8,
        /// Announced length.
        length_bytes: u32,
        limit_bytes: usize,
    },
    /// A message that is unknown, or belongs to another phase.
    #[error("unexpected message {} during {during}", tag_name(*.tag))]
    Unexpected { tag: u8, during: &'static str },
    #[error("the server declined the TLS request")]
    NoTls,
    #[error(
        "unencrypted bytes came with the server's agreement to use TLS: an attacker may have sent them"
    )]
    Unencrypted,
    #[error("statement started a COPY, which is not supported")]
    Copy,
    #[error("server asked for a password ({method}), but none was given")]
    PasswordRequired { method: &'static str },
    #[error("server asked for {method} authentication, which is not supported")]
    UnsupportedAuthentication { method: &'static str },
    /// The server violated SCRAM, or does not know the password itself.
    #[error("SCRAM authentication failed: {reason}")]
    Scram { reason: String },
}

impl PgError {
    /// Kind of failure in records: `server`, `short`, `malformed`, `too-large`, `unexpected`, `authentication` or `tls`.
    pub fn kind(&self) -> &'static str {
        match self {
            PgError::Server(_) => "server",
            PgError::Truncated { .. } => "short",
            PgError::Malformed { .. } => "malformed",
            PgError::TooLarge { .. } => "too-large",
            PgError::NoTls | PgError::Unencrypted => "tls",
            PgError::Unexpected { .. } | PgError::Copy => "unexpected",
            PgError::PasswordRequired { .. }
            | PgError::UnsupportedAuthentication { .. }
            | PgError::Scram { .. } => "authentication",
        }
    }

    /// Advice on the failure, if there is any.
    pub fn hint(&self) -> Option<&'static str> {
        matches!(self, PgError::NoTls).then_some(
            "enable it with ssl = on in postgresql.conf, or measure without encryption with sslmode=disable",
        )
    }
}

/// The type byte in the notation of the protocol's documentation.
fn tag_name(tag: u8) -> String {
    format!("'{}'", tag.escape_ascii())
}
