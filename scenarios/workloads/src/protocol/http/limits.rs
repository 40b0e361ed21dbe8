//! Limits on the size of a response.
//!
//! An overloaded server, or a wrong address, may send anything; limits turn that into a counted failure instead of memory
//! growth inside the measurement.

/// Upper bound of [`Limits::max_headers`]: the reader keeps the fields in an array on its stack.
pub const MAX_HEADERS: usize = 128;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the status line and header fields, including those of preceding interim (1xx) responses. Also the limit
    /// of each chunk-size line and of the trailer section.
    pub max_head_bytes: usize,
    /// Number of header fields, at most [`MAX_HEADERS`].
    pub max_headers: usize,
    /// Bytes of the body after chunked coding is removed.
    pub max_body_bytes: u64,
}

impl Default for Limits {
    /// 64 KiB of head in up to 100 fields, 64 MiB of body: more than common servers send.
    fn default() -> Self {
        Limits {
            max_head_bytes: 64 * 1024,
            max_headers: 100,
            max_body_bytes: 64 * 1024 * 1024,
        }
    }
}
