//! Everything that can go wrong with what a server sends.
//!
//! These are failures of the system under test: data to be counted by [`PgError::kind`]. An error the server reports
//! about a statement is not among them unless it ends the connection; it is in
//! [`Outcome::error`](super::Outcome::error), and the connection goes on.

use std::fmt;

use thiserror::Error;

/// What the server reported in an ErrorResponse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerError {
    /// `ERROR`, `FATAL` or `PANIC`, not translated where the server says so.
    pub severity: String,
    /// The SQLSTATE: five characters, such as `23505`.
    pub code: String,
    /// What happened, in the server's language.
    pub message: String,
    /// More about it.
    pub detail: Option<String>,
    /// What to do about it.
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

/// Why a connection cannot be used, or not any longer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PgError {
    /// The server refused the connection, or ended it and said why.
    #[error("server reported {0}")]
    Server(ServerError),
    /// The peer closed the connection while something was outstanding.
    #[error("connection closed while waiting for {during}")]
    Truncated {
        /// What was being read.
        during: &'static str,
    },
    /// A message contradicts its own lengths or the protocol's grammar.
    #[error("malformed message {}: {reason}", tag_name(*.tag))]
    Malformed {
        /// The message's type byte.
        tag: u8,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A message is longer than the reader was told to accept.
    #[error("message {} of {length_bytes} bytes is longer than {limit_bytes} bytes", tag_name(*.tag))]
    TooLarge {
        /// The message's type byte.
        tag: u8,
        /// Its announced length.
        length_bytes: u32,
        /// The limit that was set.
        limit_bytes: usize,
    },
    /// A message that has no place here: unknown, or of another phase.
    #[error("unexpected message {} during {during}", tag_name(*.tag))]
    Unexpected {
        /// The message's type byte.
        tag: u8,
        /// What was being read.
        during: &'static str,
    },
    /// The statement started a COPY, which this client does not speak.
    #[error("statement started a COPY, which is not supported")]
    Copy,
    /// The server asked for a password, and none was given.
    #[error("server asked for a password ({method}), but none was given")]
    PasswordRequired {
        /// The authentication method.
        method: &'static str,
    },
    /// The server asked for a method this client does not have.
    #[error("server asked for {method} authentication, which is not supported")]
    UnsupportedAuthentication {
        /// The authentication method.
        method: &'static str,
    },
    /// The server did not keep to SCRAM, or does not know the password itself.
    #[error("SCRAM authentication failed: {reason}")]
    Scram {
        /// What the exchange stumbled over.
        reason: String,
    },
}

impl PgError {
    /// The name under which failures of this sort are counted: `server`, `short`, `malformed`, `too-large`,
    /// `unexpected` or `authentication`.
    pub fn kind(&self) -> &'static str {
        match self {
            PgError::Server(_) => "server",
            PgError::Truncated { .. } => "short",
            PgError::Malformed { .. } => "malformed",
            PgError::TooLarge { .. } => "too-large",
            PgError::Unexpected { .. } | PgError::Copy => "unexpected",
            PgError::PasswordRequired { .. }
            | PgError::UnsupportedAuthentication { .. }
            | PgError::Scram { .. } => "authentication",
        }
    }
}

/// The type byte as the protocol's documentation writes it.
fn tag_name(tag: u8) -> String {
    format!("'{}'", tag.escape_ascii())
}
