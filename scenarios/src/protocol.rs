//! Sans-IO protocol clients: bytes in, bytes out, shared by every runtime.
//!
//! Here live the HTTP/1.1, PostgreSQL and WebSocket clients that workloads drive over whatever socket a runtime offers. No
//! socket, no clock, no task and no buffer of the transport lives here: the caller reads and writes, these types only
//! say what the bytes mean. That is what lets seven runtimes share one parser, and lets tests cut the input anywhere.
//! They run inside the timed operation, so in steady state they allocate nothing.
//!
//! Read next: [`http`], [`postgres`] and [`websocket`], which alone allocates for each message.

pub mod http;
pub mod http_server;
pub mod postgres;
pub mod websocket;

/// What one call of an `advance` method did with its input.
///
/// The caller drops the first `consumed` bytes of its buffer, keeps the rest, and calls again with more appended
/// until `done`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "the consumed bytes have to leave the caller's buffer"]
pub struct Advance {
    /// Bytes of the input that were used up; never more than it held.
    pub consumed: usize,
    /// Whether the exchange is complete. Bytes after `consumed` then belong to whatever comes next.
    pub done: bool,
}
