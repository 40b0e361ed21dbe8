//! Errors in a response.
//!
//! These are failures of the system under test: data to be counted by [`HttpError::kind`], not reasons to stop.

use thiserror::Error;

/// An error in a response. The connection must not be used again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HttpError {
    /// The peer closed the connection before it sent anything of this response.
    #[error("connection closed before the response began")]
    ClosedBeforeResponse,
    /// The peer closed the connection inside the status line or header fields.
    #[error("connection closed inside the response head, after {received_bytes} bytes of it")]
    TruncatedHead { received_bytes: usize },
    /// The peer closed the connection before the body was complete.
    #[error("connection closed inside the body, after {received_bytes} bytes{}", of(.expected_bytes))]
    TruncatedBody {
        received_bytes: u64,
        /// The announced length; `None` if chunked.
        expected_bytes: Option<u64>,
    },
    /// The head was not finished within [`Limits::max_head_bytes`](super::Limits::max_head_bytes).
    #[error("response head is larger than {limit_bytes} bytes")]
    HeadTooLarge { limit_bytes: usize },
    /// There were more header fields than [`Limits::max_headers`](super::Limits::max_headers).
    #[error("response has more than {limit} header fields")]
    TooManyHeaders { limit: usize },
    /// The body is, or announces itself to be, above [`Limits::max_body_bytes`](super::Limits::max_body_bytes).
    #[error(
        "response body of {at_least_bytes} bytes or more is larger than the fixed limit of {limit_bytes} bytes"
    )]
    BodyTooLarge {
        /// The known part of the length when the limit was exceeded.
        at_least_bytes: u64,
        limit_bytes: u64,
    },
    /// The status line or a header field breaks the grammar.
    #[error("malformed response head: {reason}{}", at(.field))]
    MalformedHead {
        reason: httparse::Error,
        /// The field, if the error is in one.
        field: Option<BadField>,
    },
    /// A status code below 100.
    #[error("impossible status code {status:03}")]
    BadStatus { status: u16 },
    /// 101 Switching Protocols, which this client never requests.
    #[error("server switched protocols (status 101) without a request for it")]
    SwitchedProtocols,
    /// Content-Length is not a number, too large, or repeated with different values.
    #[error("bad content-length: {reason}")]
    BadContentLength { reason: &'static str },
    /// Transfer-Encoding other than a single `chunked` in an HTTP/1.1 response.
    #[error("bad transfer-encoding: {reason}")]
    BadTransferEncoding { reason: &'static str },
    /// Content-Length and Transfer-Encoding together: the mark of response splitting (RFC 9112, section 6.3).
    #[error("response has both content-length and transfer-encoding")]
    ConflictingFraming,
    /// The chunked coding of the body is broken.
    #[error("bad chunk after {after_body_bytes} bytes of body: {reason}")]
    BadChunk {
        after_body_bytes: u64,
        reason: &'static str,
    },
    /// Bytes arrived after the end of the response, with no other request outstanding.
    #[error("{extra_bytes} unexpected bytes after the response")]
    ExtraBytes { extra_bytes: usize },
}

/// A field that breaks the grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadField {
    /// The valid start of its name, at most 64 characters.
    pub name: String,
    /// The invalid byte after the name, or in the value.
    pub byte: u8,
}

impl HttpError {
    /// The kind of failure in records: `short`, `malformed`, `too-large`, `status` or `extra`.
    pub fn kind(&self) -> &'static str {
        match self {
            HttpError::ClosedBeforeResponse
            | HttpError::TruncatedHead { .. }
            | HttpError::TruncatedBody { .. } => "short",
            HttpError::HeadTooLarge { .. }
            | HttpError::TooManyHeaders { .. }
            | HttpError::BodyTooLarge { .. } => "too-large",
            HttpError::MalformedHead { .. }
            | HttpError::BadStatus { .. }
            | HttpError::BadContentLength { .. }
            | HttpError::BadTransferEncoding { .. }
            | HttpError::ConflictingFraming
            | HttpError::BadChunk { .. } => "malformed",
            HttpError::SwitchedProtocols => "status",
            HttpError::ExtraBytes { .. } => "extra",
        }
    }
}

/// " of N", if the length was announced.
fn of(expected_bytes: &Option<u64>) -> String {
    expected_bytes.map_or_else(String::new, |expected| format!(" of {expected}"))
}

/// Location of an error in a field.
fn at(field: &Option<BadField>) -> String {
    let Some(BadField { name, byte }) = field else {
        return String::new();
    };
    match byte {
        byte if name.is_empty() => {
            format!(" (a line begins with byte 0x{byte:02x}, not with a name)")
        }
        b' ' => format!(" (`{name}` is followed by a space)"),
        byte => format!(" (`{name}` is followed by byte 0x{byte:02x})"),
    }
}
