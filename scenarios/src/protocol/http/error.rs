//! Everything that can be wrong with a response.
//!
//! These are failures of the system under test: data to be counted by [`HttpError::kind`], not reasons to stop. The
//! mistakes of a caller who builds a request are in `request.rs`, those of a user who writes a URL in `target.rs`.

use thiserror::Error;

/// Why a response could not be read. The connection it came on must not be used again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HttpError {
    /// The peer closed the connection before it sent anything of this response.
    #[error("connection closed before the response began")]
    ClosedBeforeResponse,
    /// The peer closed the connection inside the status line or header fields.
    #[error("connection closed inside the response head, after {received_bytes} bytes of it")]
    TruncatedHead {
        /// Bytes of the unfinished head that had arrived.
        received_bytes: usize,
    },
    /// The peer closed the connection before the body was complete.
    #[error("connection closed inside the body, after {received_bytes} bytes{}", of(.expected_bytes))]
    TruncatedBody {
        /// Bytes of the body that had arrived.
        received_bytes: u64,
        /// Its announced length; `None` when it was chunked.
        expected_bytes: Option<u64>,
    },
    /// The head was not finished within [`Limits::max_head_bytes`](super::Limits::max_head_bytes).
    #[error("response head is larger than {limit_bytes} bytes")]
    HeadTooLarge {
        /// The limit that was set.
        limit_bytes: usize,
    },
    /// There were more header fields than [`Limits::max_headers`](super::Limits::max_headers).
    #[error("response has more than {limit} header fields")]
    TooManyHeaders {
        /// The limit that was set.
        limit: usize,
    },
    /// The body is, or announces itself to be, above [`Limits::max_body_bytes`](super::Limits::max_body_bytes).
    #[error("response body of {at_least_bytes} bytes or more is larger than {limit_bytes} bytes")]
    BodyTooLarge {
        /// The length known when the limit was hit.
        at_least_bytes: u64,
        /// The limit that was set.
        limit_bytes: u64,
    },
    /// The status line or a header field breaks the grammar.
    #[error("malformed response head: {reason}")]
    MalformedHead {
        /// What the parser stumbled over.
        reason: httparse::Error,
    },
    /// A status code below 100.
    #[error("impossible status code {status:03}")]
    BadStatus {
        /// The code.
        status: u16,
    },
    /// 101 Switching Protocols, which no request of this client asks for.
    #[error("server switched protocols (status 101) without being asked")]
    SwitchedProtocols,
    /// Content-Length is no number, too large for one, or given twice with different values.
    #[error("bad content-length: {reason}")]
    BadContentLength {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Transfer-Encoding other than a single `chunked` in an HTTP/1.1 response.
    #[error("bad transfer-encoding: {reason}")]
    BadTransferEncoding {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Content-Length and Transfer-Encoding together: the mark of response splitting (RFC 9112, section 6.3).
    #[error("response has both content-length and transfer-encoding")]
    ConflictingFraming,
    /// The chunked coding of the body is broken.
    #[error("bad chunk after {after_body_bytes} bytes of body: {reason}")]
    BadChunk {
        /// Bytes of body decoded until then.
        after_body_bytes: u64,
        /// What is wrong.
        reason: &'static str,
    },
    /// Bytes arrived after the end of the response, though only one request was outstanding.
    #[error("{extra_bytes} unexpected bytes after the response")]
    ExtraBytes {
        /// How many were seen.
        extra_bytes: usize,
    },
}

impl HttpError {
    /// The name under which failures of this sort are counted: `short`, `malformed`, `too-large`, `status` or
    /// `extra`.
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

/// " of N", where the length was announced.
fn of(expected_bytes: &Option<u64>) -> String {
    expected_bytes.map_or_else(String::new, |expected| format!(" of {expected}"))
}
