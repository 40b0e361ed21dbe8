//! The other side of a connection, on a thread of the standard library: so that even `sync` has somebody to talk to.
//!
//! Also what checks use to look at time and cleanup. No check lives here.

use std::io::{Read, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use photofinish_harness::buffer::Buffer;
use photofinish_harness::runtime::{Runtime, Stream};
use photofinish_record::PeerAddress;

/// Longer than anything takes that does happen.
pub(crate) const LONG: Duration = Duration::from_secs(30);

/// Shorter than anything takes that does not happen.
pub(crate) const SHORT: Duration = Duration::from_millis(15);

pub(crate) fn count(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).expect("a check asks for at least one")
}

/// A port of the loopback address, chosen by the system.
pub(crate) fn any_port() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Serves each connection with `serve` on a thread of its own.
pub(crate) fn server(serve: fn(TcpStream)) -> PeerAddress {
    let listener = TcpListener::bind(any_port()).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let connection = connection.expect("a connection");
            std::thread::spawn(move || serve(connection));
        }
    });
    address.into()
}

/// Takes messages (length, then content) whole before it sends them back: a client that writes before it reads cannot
/// block it.
pub(crate) fn send_back(mut connection: TcpStream) {
    let mut length = [0; 4];
    while connection.read_exact(&mut length).is_ok() {
        let mut content = vec![0; u32::from_be_bytes(length) as usize];
        connection.read_exact(&mut content).expect("the content");
        connection.write_all(&content).expect("the client reads");
    }
}

/// Accepts one connection, says nothing, and reports the end of its input.
pub(crate) fn listening_silently() -> (PeerAddress, mpsc::Receiver<()>) {
    let listener = TcpListener::bind(any_port()).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let (report, closed) = mpsc::channel();
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("a connection");
        let mut heard = Vec::new();
        if connection.read_to_end(&mut heard).is_ok() {
            // The check may be over, and have failed.
            let _ = report.send(());
        }
    });
    (address.into(), closed)
}

/// Waits for `event` without holding up the runtime.
pub(crate) async fn wait_for<R: Runtime, T: Send + 'static>(
    runtime: &R,
    event: mpsc::Receiver<T>,
) -> T {
    runtime
        .offload(move || event.recv_timeout(LONG))
        .await
        .expect("waiting does not panic")
        .expect("it happens")
}

/// Sends `content` to [`send_back`] and returns what comes back.
pub(crate) async fn exchange<S: Stream>(stream: &mut S, content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(content.len()).expect("a small message");
    let mut message = length.to_be_bytes().to_vec();
    message.extend_from_slice(content);
    let sent = message.clone();
    stream.write_all(&mut message).await.expect("write");
    assert_eq!(message, sent, "the vector is back, unchanged");
    read_exactly(stream, content.len()).await
}

/// Reads `length` bytes and not one more.
pub(crate) async fn read_exactly<S: Stream>(stream: &mut S, length: usize) -> Vec<u8> {
    let mut buffer = Buffer::with_capacity(4096);
    while buffer.unread().len() < length {
        let read = stream.read(&mut buffer).await.expect("read");
        assert!(read > 0, "{} of {length} bytes came", buffer.unread().len());
    }
    assert_eq!(buffer.unread().len(), length);
    buffer.unread().to_vec()
}

/// Bytes that differ from place to place.
pub(crate) fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|index| (index % 251) as u8).collect()
}

/// Tells whether it was dropped.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cleanup(Arc<AtomicBool>);

impl Cleanup {
    pub(crate) fn has_run(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn guard(&self) -> impl Send + 'static {
        struct Guard(Cleanup);
        impl Drop for Guard {
            fn drop(&mut self) {
                self.0.0.store(true, Ordering::SeqCst);
            }
        }
        Guard(self.clone())
    }
}
