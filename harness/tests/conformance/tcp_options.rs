//! `TCP_NODELAY` on every connection, as the kernel has it.
//!
//! The `Stream` trait shows no descriptor, and its implementations own theirs; so the check asks about every socket of
//! its process. Borrowing a descriptor by number is the one use of `unsafe` in the tests.
#![allow(
    unsafe_code,
    reason = "a descriptor of this process is known by its number only"
)]

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};

use photofinish_harness::runtime::{Listener, Runtime};
use socket2::SockRef;

use crate::peer::any_port;
use crate::suite::{Check, checks};

pub(crate) const CHECKS: &[Check] = checks![
    a_connected_stream_sends_without_delay,
    an_accepted_stream_sends_without_delay,
];

fn a_connected_stream_sends_without_delay<R: Runtime>(runtime: R) {
    let listener = TcpListener::bind(any_port()).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let _stream = runtime
        .block_on(runtime.connect(&address.into()))
        .expect("connect");
    let (accepted, client) = listener.accept().expect("accept");
    assert_eq!(without_delay(client, accepted.as_raw_fd()), [true]);
}

fn an_accepted_stream_sends_without_delay<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let mut listener = runtime.listen(any_port()).await.expect("listen");
        let address = listener.local_address().expect("it listens");
        let client = TcpStream::connect(address).expect("connect");
        let _stream = listener.accept().await.expect("accept");
        let sockets = without_delay(address, client.as_raw_fd());
        // The listener itself, and the connection it accepted.
        assert_eq!(sockets.len(), 2);
        assert!(sockets.contains(&true), "{sockets:?}");
    });
}

/// The state of `TCP_NODELAY` of each socket of this process bound to `local`, but for `excluded`.
fn without_delay(local: SocketAddr, excluded: RawFd) -> Vec<bool> {
    let numbers: Vec<RawFd> = std::fs::read_dir("/proc/self/fd")
        .expect("proc")
        .map(|entry| entry.expect("an entry").file_name())
        .map(|name| name.to_string_lossy().parse().expect("a number"))
        .filter(|number| *number != excluded)
        .collect();
    let option = |number: RawFd| {
        // SAFETY: the number was listed just now, and is only asked about. Should another thread have closed it
        // meanwhile the call fails, or answers for another socket, which has another port.
        let descriptor = unsafe { BorrowedFd::borrow_raw(number) };
        let socket = SockRef::from(&descriptor);
        let bound_to = socket.local_addr().ok()?.as_socket()?;
        (bound_to == local).then(|| socket.tcp_nodelay().expect("an option of TCP"))
    };
    numbers.into_iter().filter_map(option).collect()
}
