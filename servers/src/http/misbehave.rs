//! Ends a connection on purpose, in each of the ways that a behaviour may request.
//!
//! A fault travels as the service's (or the body's) error through hyper, which stops at once and gives the socket back;
//! here it is closed in the way of that fault. `behaviour.rs` decides when faults happen. Read `http.rs` next.

use std::error::Error;

use tokio::io::AsyncWriteExt;

use crate::CountedStream;
use crate::faults::Fault;

/// Sent in place of a response: neither a status line nor text.
const GARBAGE: &[u8] = b"\x16\x03\xff\x00\x17 this is no HTTP \xfe\xff\r\n\r\n";

/// The fault that ended a connection, if any.
pub(super) fn fault_in(error: &hyper::Error) -> Option<Fault> {
    error.source()?.downcast_ref::<Fault>().copied()
}

/// Closes a connection in the way of the fault.
pub(super) async fn close_with(fault: Fault, mut stream: CountedStream) {
    match fault {
        Fault::Close | Fault::Truncate => (),
        Fault::Reset => {
            // Closing with a linger time of zero sends RST instead of FIN.
            let _ = stream.socket().set_zero_linger();
        }
        Fault::Garbage => {
            // It does not matter if the client no longer reads it.
            let _ = stream.write_all(GARBAGE).await;
            let _ = stream.shutdown().await;
        }
    }
}
