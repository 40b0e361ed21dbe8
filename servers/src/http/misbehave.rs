//! Ending a connection on purpose, in each of the ways that a behaviour may ask for.
//!
//! A fault travels as the service's (or the body's) error through hyper, which stops at once and gives the socket back;
//! here it is closed as the fault says. When faults happen is decided in `behaviour.rs`. Read `http.rs` next.

use std::error::Error;

use tokio::io::AsyncWriteExt;

use crate::CountedStream;
use crate::faults::Fault;

/// Sent in place of a response: neither a status line nor text.
const GARBAGE: &[u8] = b"\x16\x03\xff\x00\x17 this is no HTTP \xfe\xff\r\n\r\n";

/// The fault that ended a connection, if it was one.
pub(super) fn fault_in(error: &hyper::Error) -> Option<Fault> {
    error.source()?.downcast_ref::<Fault>().copied()
}

/// Closes a connection as the fault asks.
pub(super) async fn close_with(fault: Fault, mut stream: CountedStream) {
    match fault {
        Fault::Close | Fault::Truncate => (),
        Fault::Reset => {
            // Closing with a linger time of zero sends RST instead of FIN.
            let _ = stream.socket().set_zero_linger();
        }
        Fault::Garbage => {
            // Whether the client still reads it is its own affair.
            let _ = stream.write_all(GARBAGE).await;
            let _ = stream.shutdown().await;
        }
    }
}
