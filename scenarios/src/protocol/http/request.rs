//! Writes a request into a buffer the caller reuses.
//!
//! Everything that reaches the wire is checked first: a stray CR or LF in a target or a field would let a scenario's
//! parameter become a second request. The fields that frame the message (Host, Content-Length, Transfer-Encoding) are
//! written here and nowhere else. Read next: `response.rs`.

use std::io::Write as _;

use thiserror::Error;

use super::method::Method;
use super::syntax::{is_text, is_token};

/// One request, borrowed from whoever holds its parts.
///
/// ```
/// use photofinish_scenarios::protocol::http::{Method, Request};
///
/// let mut out = Vec::new();
/// let headers = [("accept", "application/json")];
/// Request { method: Method::Post, target: "/echo?n=1", host: "localhost", headers: &headers, body: Some(b"{}") }
///     .encode(&mut out)?;
/// assert_eq!(
///     out,
///     b"POST /echo?n=1 HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\ncontent-length: 2\r\n\r\n{}",
/// );
/// # Ok::<(), photofinish_scenarios::protocol::http::RequestError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: Method,
    /// Path and query as they shall stand in the request line, percent-encoded, beginning with `/`; or `*` for
    /// OPTIONS.
    pub target: &'a str,
    /// Value of Host: [`HttpTarget::authority`](super::HttpTarget).
    pub host: &'a str,
    /// Further fields, in order.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body, sent with its Content-Length.
    pub body: Option<&'a [u8]>,
}

/// Why a request cannot be written. The buffer is then untouched.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// The target is not a percent-encoded absolute path.
    #[error(
        "request target {target:?} is not a path of visible ASCII characters that begins with `/`"
    )]
    Target {
        /// What was given.
        target: String,
    },
    /// The host is empty or holds something a Host field must not.
    #[error("host {host:?} is not a host name or address with an optional port")]
    Host {
        /// What was given.
        host: String,
    },
    /// A field name is not a token.
    #[error("header name {name:?} is not a token")]
    HeaderName {
        /// What was given.
        name: String,
    },
    /// A field value holds CR, LF or another control character. It is not shown: it may be a credential.
    #[error("value of header `{name}` holds a control character")]
    HeaderValue {
        /// The name of the field.
        name: String,
    },
    /// A field that this client writes itself.
    #[error("header `{name}` is written by the client itself and cannot be set")]
    ReservedHeader {
        /// The name of the field.
        name: String,
    },
}

impl Request<'_> {
    /// Appends the request to `out`.
    ///
    /// # Errors
    ///
    /// A [`RequestError`] if a part may not stand in a request; `out` is then as it was.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), RequestError> {
        self.check()?;
        out.extend_from_slice(self.method.as_str().as_bytes());
        out.push(b' ');
        out.extend_from_slice(self.target.as_bytes());
        out.extend_from_slice(b" HTTP/1.1\r\nhost: ");
        out.extend_from_slice(self.host.as_bytes());
        out.extend_from_slice(b"\r\n");
        for (name, value) in self.headers {
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(b": ");
            out.extend_from_slice(value.as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        if let Some(length_bytes) = self.content_length() {
            write!(out, "content-length: {length_bytes}\r\n")
                .expect("writing to memory cannot fail");
        }
        out.extend_from_slice(b"\r\n");
        out.extend_from_slice(self.body.unwrap_or_default());
        Ok(())
    }

    fn content_length(&self) -> Option<usize> {
        match self.body {
            Some(body) => Some(body.len()),
            None if self.method.announces_empty_body() => Some(0),
            None => None,
        }
    }

    fn check(&self) -> Result<(), RequestError> {
        let asterisk = self.target == "*" && self.method == Method::Options;
        if !asterisk && (!self.target.starts_with('/') || !is_visible(self.target)) {
            let target = self.target.to_owned();
            return Err(RequestError::Target { target });
        }
        if self.host.is_empty() || !self.host.bytes().all(is_host_byte) {
            let host = self.host.to_owned();
            return Err(RequestError::Host { host });
        }
        self.headers
            .iter()
            .try_for_each(|(name, value)| check_header(name, value))
    }
}

fn check_header(name: &str, value: &str) -> Result<(), RequestError> {
    let owned = || name.to_owned();
    if name.is_empty() || !name.bytes().all(is_token) {
        return Err(RequestError::HeaderName { name: owned() });
    }
    if !value.bytes().all(is_text) {
        return Err(RequestError::HeaderValue { name: owned() });
    }
    let reserved = ["host", "content-length", "transfer-encoding"];
    if reserved
        .iter()
        .any(|reserved| name.eq_ignore_ascii_case(reserved))
    {
        return Err(RequestError::ReservedHeader { name: owned() });
    }
    Ok(())
}

/// Neither space, control character nor anything beyond ASCII: those must be percent-encoded.
fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A byte of `host`, `host:port` or `[v6]:port` (RFC 3986, section 3.2.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}
