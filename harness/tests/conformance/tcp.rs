//! TCP connections: what goes out comes back, and every end and every failure is told apart.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use photofinish_harness::buffer::Buffer;
use photofinish_harness::runtime::{Listener, Runtime, Stream, Task};

use crate::peer::{
    any_port, exchange, listening_silently, pattern, read_exactly, send_back, server, wait_for,
};
use crate::suite::{Check, checks};

pub(crate) const CHECKS: &[Check] = checks![
    a_small_message_comes_back,
    a_mebibyte_comes_back,
    the_end_of_input_reads_as_zero_again_and_again,
    a_refused_connection_is_told_as_such,
    a_reset_connection_is_an_error_and_not_an_end,
    a_dropped_stream_is_closed_for_its_peer,
    a_listener_serves_those_who_connect needs Concurrency,
    a_burst_of_connections_waits_to_be_accepted,
];

fn a_small_message_comes_back<R: Runtime>(runtime: R) {
    let address = server(send_back);
    runtime.block_on(async {
        let mut stream = runtime.connect(address).await.expect("connect");
        for message in ["ping", "", "a longer one", "x"] {
            let back = exchange(&mut stream, message.as_bytes()).await;
            assert_eq!(back, message.as_bytes());
        }
    });
}

fn a_mebibyte_comes_back<R: Runtime>(runtime: R) {
    let address = server(send_back);
    let content = pattern(1 << 20);
    runtime.block_on(async {
        let mut stream = runtime.connect(address).await.expect("connect");
        let back = exchange(&mut stream, &content).await;
        assert!(back == content, "{} bytes, and other ones", back.len());
    });
}

fn the_end_of_input_reads_as_zero_again_and_again<R: Runtime>(runtime: R) {
    let address = server(|mut connection| connection.write_all(b"bye").expect("write"));
    runtime.block_on(async {
        let mut stream = runtime.connect(address).await.expect("connect");
        assert_eq!(read_exactly(&mut stream, 3).await, b"bye");
        let mut buffer = Buffer::with_capacity(16);
        for _ in 0..2 {
            assert_eq!(stream.read(&mut buffer).await.expect("read"), 0);
        }
        assert_eq!(buffer.unread(), b"");
    });
}

fn a_refused_connection_is_told_as_such<R: Runtime>(runtime: R) {
    let listener = TcpListener::bind(any_port()).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    drop(listener);
    let refused = runtime.block_on(runtime.connect(address)).map(drop);
    let kind = refused.map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::ConnectionRefused));
}

fn a_reset_connection_is_an_error_and_not_an_end<R: Runtime>(runtime: R) {
    let address = server(|mut connection| {
        // Closing without lingering sends a reset; not before the client has come so far as to send something.
        connection.read_exact(&mut [0]).expect("read");
        let socket = socket2::Socket::from(connection);
        socket.set_linger(Some(Duration::ZERO)).expect("linger");
    });
    runtime.block_on(async {
        let mut stream = runtime.connect(address).await.expect("connect");
        stream.write_all(&mut b"?".to_vec()).await.expect("write");
        let mut buffer = Buffer::with_capacity(16);
        let read = stream.read(&mut buffer).await;
        let kind = read.map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::ConnectionReset));
    });
}

fn a_dropped_stream_is_closed_for_its_peer<R: Runtime>(runtime: R) {
    let (address, closed) = listening_silently();
    runtime.block_on(async {
        drop(runtime.connect(address).await.expect("connect"));
        wait_for(&runtime, closed).await;
    });
}

fn a_listener_serves_those_who_connect<R: Runtime>(runtime: R) {
    async fn echo<S: Stream>(mut stream: S) {
        let mut buffer = Buffer::with_capacity(64);
        while stream.read(&mut buffer).await.expect("read") > 0 {
            let mut bytes = buffer.unread().to_vec();
            buffer.clear();
            stream.write_all(&mut bytes).await.expect("write");
        }
    }
    runtime.block_on(async {
        let mut listener = runtime.listen(any_port()).await.expect("listen");
        let address = listener.local_address().expect("it listens");
        assert_ne!(address.port(), 0);
        let spawner = runtime.clone();
        let serving = runtime.spawn(async move {
            let mut connections = Vec::new();
            for _ in 0..2 {
                let stream = listener.accept().await.expect("accept");
                connections.push(spawner.spawn(echo(stream)));
            }
            for connection in connections {
                connection.join().await.expect("serving does not panic");
            }
        });
        let mut streams = Vec::new();
        for _ in 0..2 {
            streams.push(runtime.connect(address).await.expect("connect"));
        }
        // Both are open, and the one that came last speaks first.
        for mut stream in streams.into_iter().rev() {
            stream
                .write_all(&mut b"hello".to_vec())
                .await
                .expect("write");
            assert_eq!(read_exactly(&mut stream, 5).await, b"hello");
        }
        assert_eq!(serving.join().await, Ok(()));
    });
}

/// The standard library's backlog of 128 would make some of these wait a second for the client's next try.
fn a_burst_of_connections_waits_to_be_accepted<R: Runtime>(runtime: R) {
    let most = std::fs::read_to_string("/proc/sys/net/core/somaxconn");
    let most: usize = most.map_or(128, |text| text.trim().parse().expect("a number"));
    runtime.block_on(async {
        let listener = runtime.listen(any_port()).await.expect("listen");
        let address = listener.local_address().expect("it listens");
        let connect = |_| TcpStream::connect_timeout(&address, Duration::from_millis(900));
        let waiting: Result<Vec<_>, _> = (0..most.min(400)).map(connect).collect();
        assert_eq!(
            waiting.map_err(|error| error.kind()).map(|all| all.len()),
            Ok(most.min(400))
        );
    });
}
