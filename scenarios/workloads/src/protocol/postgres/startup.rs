//! The login: from the first byte of a connection to the first ReadyForQuery.
//!
//! Trust, cleartext, MD5 and SCRAM-SHA-256, computed by `postgres-protocol`. Connecting is measured separately from
//! queries, so this file may allocate, and SCRAM may take its milliseconds.

use std::fmt;

use bytes::BytesMut;
use fallible_iterator::FallibleIterator;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;

use super::config::{PgConfig, Secret};
use super::encode::EncodeError;
use super::error::PgError;
use super::wire::{Cursor, Frame, cleaned};
use crate::protocol::Advance;

const DURING: &str = "the start of a connection";

/// Far above any message of a login; a peer that is not a PostgreSQL server soon announces more.
const MAX_MESSAGE_BYTES: usize = 64 * 1024;

enum State {
    /// Before the server's choice of a method; it may also skip authentication.
    Start,
    SaslInitial(sasl::ScramSha256),
    SaslContinue(sasl::ScramSha256),
    /// The client has sent its proof of the password.
    Proof,
    /// Logged in; the server sends its parameters.
    Accepted,
    Ready,
    Failed(PgError),
}

/// The TLS request, which comes before anything else and is answered by one byte.
pub const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Checks the answer to [`TLS_REQUEST`], which has at least one byte: success if the handshake may begin. Bytes after the
/// server's agreement are not encrypted, and may be an attacker's (CVE-2021-23222).
pub fn accept_tls(answer: &[u8]) -> Result<(), PgError> {
    match answer {
        b"S" => Ok(()),
        [b'S', ..] => Err(PgError::Unencrypted),
        [b'N', ..] => Err(PgError::NoTls),
        [] => Err(PgError::Truncated {
            during: "the answer to the TLS request",
        }),
        [tag, ..] => Err(PgError::Unexpected {
            tag: *tag,
            during: "the TLS request",
        }),
    }
}

/// The login of one connection.
///
/// ```
/// use photofinish_workloads::protocol::postgres::{PgConfig, Startup};
///
/// let mut out = Vec::new();
/// let mut startup = Startup::begin(&PgConfig::new("ann"), &mut out)?;
/// // … written to a socket; a server without authentication responds:
/// let advance = startup.advance(b"R\0\0\0\x08\0\0\0\0Z\0\0\0\x05I", &mut out)?;
/// assert!(advance.done);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Startup {
    user: String,
    password: Option<Secret>,
    state: State,
    server_version: Option<String>,
}

impl fmt::Debug for Startup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Startup")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Startup {
    /// Appends the first message of a connection to `out`.
    pub fn begin(config: &PgConfig, out: &mut Vec<u8>) -> Result<Self, EncodeError> {
        let password = config.password.as_ref().map_or("", Secret::expose);
        let parameters = [
            ("user", config.user.as_str()),
            ("database", config.database.as_str()),
            ("application_name", config.application_name.as_str()),
            ("client_encoding", "UTF8"),
        ];
        if password.contains('\0') || parameters.iter().any(|(_, value)| value.contains('\0')) {
            return Err(EncodeError::Nul);
        }
        let mut message = BytesMut::new();
        frontend::startup_message(parameters, &mut message).map_err(|_| EncodeError::TooLong)?;
        out.extend_from_slice(&message);
        Ok(Startup {
            user: config.user.clone(),
            password: config.password.clone(),
            state: State::Start,
            server_version: None,
        })
    }

    /// Reads the complete messages in `input`, appends what they call for to `out`, and is done when the server is
    /// ready for queries. An incomplete message is not consumed: the caller keeps it and calls again with more. One of
    /// the calls may compute for milliseconds (SCRAM).
    ///
    /// # Errors
    ///
    /// [`PgError::Server`] if the server refuses (`28P01` wrong password, `53300` too many connections, …), another
    /// [`PgError`] if the exchange cannot go on. The connection is then unusable; further calls repeat the error.
    pub fn advance(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Advance, PgError> {
        let mut consumed = 0;
        while !self.is_ready() {
            match self.step(&input[consumed..], out) {
                Ok(0) => break,
                Ok(used) => consumed += used,
                Err(error) => {
                    self.state = State::Failed(error.clone());
                    return Err(error);
                }
            }
        }
        let done = self.is_ready();
        Ok(Advance { consumed, done })
    }

    /// Handles the peer's close.
    ///
    /// # Errors
    ///
    /// [`PgError::Truncated`], or the earlier error, unless the login was complete.
    pub fn end_of_input(&mut self) -> Result<(), PgError> {
        match &self.state {
            State::Ready => Ok(()),
            State::Failed(error) => Err(error.clone()),
            _ => Err(PgError::Truncated { during: DURING }),
        }
    }

    /// The server's version, in its own words.
    pub fn server_version(&self) -> Option<&str> {
        self.server_version.as_deref()
    }

    fn is_ready(&self) -> bool {
        matches!(self.state, State::Ready)
    }

    fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, PgError> {
        if let State::Failed(error) = &self.state {
            return Err(error.clone());
        }
        let Some(frame) = Frame::split(input, MAX_MESSAGE_BYTES)? else {
            return Ok(0);
        };
        match (frame.tag, &self.state) {
            (b'E', _) => return Err(PgError::Server(frame.server_error()?)),
            (b'S', State::Accepted) => self.note_parameter(&frame)?,
            // Notices, and the key for cancel requests, which this client never sends.
            (b'N', _) | (b'K', State::Accepted) => {}
            (b'Z', State::Accepted) => self.state = State::Ready,
            (b'R', _) => self.authenticate(&frame, out)?,
            (tag, _) => return Err(unexpected(tag)),
        }
        Ok(frame.bytes.len())
    }

    fn note_parameter(&mut self, frame: &Frame<'_>) -> Result<(), PgError> {
        let mut cursor = Cursor(frame.body);
        let (name, value) = cursor
            .text()
            .zip(cursor.text())
            .ok_or(frame.malformed("parameter without name or value"))?;
        if name == b"server_version" {
            self.server_version = Some(cleaned(value));
        }
        Ok(())
    }

    /// One step of the authentication. Each state accepts only its own messages: a server that sends OK in the middle of
    /// SCRAM has not proved that it knows the password.
    fn authenticate(&mut self, frame: &Frame<'_>, out: &mut Vec<u8>) -> Result<(), PgError> {
        let state = std::mem::replace(&mut self.state, State::Start);
        self.state = match (state, authentication(frame)?) {
            (State::Start | State::Proof, Message::AuthenticationOk) => State::Accepted,
            (State::Start, Message::AuthenticationCleartextPassword) => {
                let password = self.password("cleartext")?;
                send(out, |message| frontend::password_message(password, message));
                State::Proof
            }
            (State::Start, Message::AuthenticationMd5Password(body)) => {
                let password = self.password("MD5")?;
                let hash = md5_hash(self.user.as_bytes(), password, body.salt());
                send(out, |message| {
                    frontend::password_message(hash.as_bytes(), message)
                });
                State::Proof
            }
            (State::Start, Message::AuthenticationSasl(body)) => self.begin_sasl(&body, out)?,
            (State::SaslInitial(mut scram), Message::AuthenticationSaslContinue(body)) => {
                scram.update(body.data()).map_err(scram_error)?;
                send(out, |message| {
                    frontend::sasl_response(scram.message(), message)
                });
                State::SaslContinue(scram)
            }
            (State::SaslContinue(mut scram), Message::AuthenticationSaslFinal(body)) => {
                scram.finish(body.data()).map_err(scram_error)?;
                State::Proof
            }
            (State::Start, other) => return Err(unsupported(&other)),
            _ => return Err(unexpected(frame.tag)),
        };
        Ok(())
    }

    fn begin_sasl(
        &self,
        body: &AuthenticationSaslBody,
        out: &mut Vec<u8>,
    ) -> Result<State, PgError> {
        let mut mechanisms = body.mechanisms();
        let offered = mechanisms
            .any(|name| Ok(name == sasl::SCRAM_SHA_256))
            .map_err(scram_error)?;
        if !offered {
            let method = "SASL other than SCRAM-SHA-256";
            return Err(PgError::UnsupportedAuthentication { method });
        }
        let password = self.password("SCRAM-SHA-256")?;
        // Channel binding needs TLS.
        let scram = sasl::ScramSha256::new(password, sasl::ChannelBinding::unsupported());
        send(out, |message| {
            frontend::sasl_initial_response(sasl::SCRAM_SHA_256, scram.message(), message)
        });
        Ok(State::SaslInitial(scram))
    }

    fn password(&self, method: &'static str) -> Result<&[u8], PgError> {
        self.password
            .as_ref()
            .map(|secret| secret.expose().as_bytes())
            .ok_or(PgError::PasswordRequired { method })
    }
}

/// Parses an authentication request, from a copy because the parser needs to own its input.
fn authentication(frame: &Frame<'_>) -> Result<Message, PgError> {
    Message::parse(&mut BytesMut::from(frame.bytes))
        .ok()
        .flatten()
        .ok_or(frame.malformed("invalid authentication request"))
}

/// Appends a message. Writing cannot fail: `begin` ruled out NUL, and no message comes near 2 GiB.
fn send(out: &mut Vec<u8>, write: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) {
    let mut message = BytesMut::new();
    write(&mut message).expect("Startup::begin refuses NUL");
    out.extend_from_slice(&message);
}

fn scram_error(error: std::io::Error) -> PgError {
    let reason = cleaned(error.to_string().as_bytes());
    PgError::Scram { reason }
}

fn unexpected(tag: u8) -> PgError {
    let during = DURING;
    PgError::Unexpected { tag, during }
}

fn unsupported(request: &Message) -> PgError {
    let method = match request {
        Message::AuthenticationGss | Message::AuthenticationGssContinue(_) => "GSSAPI",
        Message::AuthenticationSspi => "SSPI",
        Message::AuthenticationKerberosV5 => "Kerberos V5",
        Message::AuthenticationScmCredential => "SCM credential",
        _ => return unexpected(b'R'),
    };
    PgError::UnsupportedAuthentication { method }
}
