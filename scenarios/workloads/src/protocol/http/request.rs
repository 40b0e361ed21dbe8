//! Writes a request into a buffer that the caller reuses.
//!
//! Everything is checked first: a stray CR or LF in a target or a field would turn a scenario's parameter into a second
//! request. The fields that frame the message (Host, Content-Length, Transfer-Encoding) are written only here.

use std::io::Write as _;

use thiserror::Error;

use super::method::Method;
use super::syntax::{is_text, is_token};

/// A request.
///
/// ```
/// use photofinish_workloads::protocol::http::{Method, Request};
///
/// let mut out = Vec::new();
/// let headers = [("accept", "application/json")];
/// Request { method: Method::Post, target: "/echo?n=1", host: "localhost", headers: &headers, body: Some(b"{}") }
///     .encode(&mut out)?;
/// assert_eq!(
///     out,
///     b"POST /echo?n=1 HTTP/1.1\r\nhost: localhost\r\naccept: application/json\r\ncontent-length: 2\r\n\r\n{}",
/// );
/// # Ok::<(), photofinish_workloads::protocol::http::RequestError>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub method: Method,
    /// Path and query, percent-encoded, beginning with `/`; or `*` for OPTIONS.
    pub target: &'a str,
    /// Value of Host: [`HttpTarget::authority`](super::HttpTarget).
    pub host: &'a str,
    /// Other fields, in order.
    pub headers: &'a [(&'a str, &'a str)],
    /// Body, sent with its Content-Length.
    pub body: Option<&'a [u8]>,
}

/// An invalid request. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    #[error("expected a path of visible ASCII characters that begins with `/`, got {target:?}")]
    Target { target: String },
    #[error("expected a host name or address with an optional port, got {host:?}")]
    Host { host: String },
    #[error("header name {name:?} is not a token")]
    HeaderName { name: String },
    /// The value is not shown: it may be a credential.
    #[error("value of header `{name}` contains a control character")]
    HeaderValue { name: String },
    #[error("header `{name}` is written by the client itself and cannot be set")]
    ReservedHeader { name: String },
}

impl Request<'_> {
    /// Appends the request to `out`.
    ///
    /// # Errors
    ///
    /// A [`RequestError`] if a part is invalid; `out` is then unchanged.
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
            write!(out, "content-length: {length_bytes}\r\n").expect("writing to memory");
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

/// True for the name of a header field.
pub fn is_field_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_token)
}

fn check_header(name: &str, value: &str) -> Result<(), RequestError> {
    let owned = || name.to_owned();
    if !is_field_name(name) {
        return Err(RequestError::HeaderName { name: owned() });
    }
    if !value.bytes().all(is_text) {
        return Err(RequestError::HeaderValue { name: owned() });
    }
    let mut reserved = ["host", "content-length", "transfer-encoding"].iter();
    if reserved.any(|reserved| name.eq_ignore_ascii_case(reserved)) {
        return Err(RequestError::ReservedHeader { name: owned() });
    }
    Ok(())
}

/// False if there are spaces, control or non-ASCII characters, which must be percent-encoded.
fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A byte of `host`, `host:port` or `[v6]:port` (RFC 3986, section 3.2.2).
fn is_host_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=:[]".contains(&byte)
}
