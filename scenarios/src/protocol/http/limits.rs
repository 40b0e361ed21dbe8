//! How much of a response a client is willing to hold.
//!
//! A server under load, or a wrong address, may answer with anything; limits turn that into a counted failure instead
//! of memory growth inside the measurement. Read next: `response.rs`.

/// The most header fields any [`Limits`] may allow: the reader keeps them in an array on its stack.
pub const MAX_HEADERS: usize = 128;

/// Bounds on one response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the status line and header fields, interim (1xx) responses before it included. It bounds each
    /// chunk-size line, and the trailer section, too.
    pub max_head_bytes: usize,
    /// Number of header fields, at most [`MAX_HEADERS`].
    pub max_headers: usize,
    /// Bytes of the body after chunked coding is removed.
    pub max_body_bytes: u64,
}

impl Default for Limits {
    /// 64 KiB of head in up to 100 fields, 64 MiB of body: above what common servers send, far below what hurts.
    fn default() -> Self {
        Limits {
            max_head_bytes: 64 * 1024,
            max_headers: 100,
            max_body_bytes: 64 * 1024 * 1024,
        }
    }
}
