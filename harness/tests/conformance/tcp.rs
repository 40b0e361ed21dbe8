//! TCP connections: what goes out comes back, and every end and every failure is told apart.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use photofinish_harness::buffer::Buffer;
use photofinish_harness::runtime::{Listener, Moved, Runtime, Stream, Task};
use photofinish_record::PeerAddress;

use crate::peer::{
    SHORT, any_port, exchange, listening_silently, pattern, read_exactly, send_back, server,
    wait_for,
};
use crate::suite::{Check, checks};

pub(crate) const CHECKS: &[Check] = checks![
    a_small_message_comes_back,
    a_mebibyte_comes_back,
    small_messages_that_the_peer_does_not_read_yet_arrive_in_order,
    the_end_of_input_reads_as_zero_again_and_again,
    a_refused_connection_is_reported_as_such,
    a_reset_connection_is_an_error_and_not_an_end,
    a_dropped_stream_is_closed_for_its_peer,
    a_stream_dropped_after_a_message_is_closed_while_its_session_waits,
    a_stream_dropped_in_a_long_write_is_closed_while_its_session_waits,
    a_listener_serves_those_who_connect needs Concurrency,
    a_burst_of_connections_waits_to_be_accepted,
    a_transfer_reads_while_its_peer_takes_nothing,
    a_transfer_tells_what_lies_there_when_its_peer_is_gone,
    a_transfer_that_is_given_up_has_moved_nothing,
    a_connection_is_stale_once_its_peer_has_closed_it,
];

fn a_small_message_comes_back<R: Runtime>(runtime: R) {
    let address = server(send_back);
    runtime.block_on(async {
        let mut stream = runtime.connect(&address).await.expect("connect");
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
        let mut stream = runtime.connect(&address).await.expect("connect");
        let back = exchange(&mut stream, &content).await;
        assert!(back == content, "{} bytes, and other ones", back.len());
    });
}

/// More than sockets hold, in messages that each fit; the peer lets them fill up first.
fn small_messages_that_the_peer_does_not_read_yet_arrive_in_order<R: Runtime>(runtime: R) {
    const MESSAGES: u32 = 20_000;
    let message = |number: u32| number.to_be_bytes().repeat(250);
    let listener = TcpListener::bind(any_port()).expect("a free port");
    let address = PeerAddress::from(listener.local_addr().expect("it is bound"));
    let peer = std::thread::spawn(move || {
        let (mut client, _) = listener.accept().expect("a connection");
        std::thread::sleep(SHORT);
        let mut received = message(0);
        for number in 0..MESSAGES {
            client.read_exact(&mut received).expect("a message");
            assert_eq!(received, message(number));
        }
    });
    runtime.block_on(async {
        let mut stream = runtime.connect(&address).await.expect("connect");
        for number in 0..MESSAGES {
            let mut message = message(number);
            stream.write_all(&mut message).await.expect("written");
        }
    });
    peer.join().expect("all have arrived");
}

fn the_end_of_input_reads_as_zero_again_and_again<R: Runtime>(runtime: R) {
    let address = server(|mut connection| connection.write_all(b"bye").expect("write"));
    runtime.block_on(async {
        let mut stream = runtime.connect(&address).await.expect("connect");
        assert_eq!(read_exactly(&mut stream, 3).await, b"bye");
        let mut buffer = Buffer::with_capacity(16);
        for _ in 0..2 {
            assert_eq!(stream.read(&mut buffer).await.expect("read"), 0);
        }
        assert_eq!(buffer.unread(), b"");
    });
}

fn a_refused_connection_is_reported_as_such<R: Runtime>(runtime: R) {
    let listener = TcpListener::bind(any_port()).expect("a free port");
    let address: PeerAddress = listener.local_addr().expect("it is bound").into();
    drop(listener);
    let refused = runtime.block_on(runtime.connect(&address)).map(drop);
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
        let mut stream = runtime.connect(&address).await.expect("connect");
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
        drop(runtime.connect(&address).await.expect("connect"));
        wait_for(&runtime, closed).await;
    });
}

fn a_stream_dropped_after_a_message_is_closed_while_its_session_waits<R: Runtime>(runtime: R) {
    let address = one_ends_before_the_other_answers();
    runtime.block_on(async {
        let mut first = runtime.connect(&address).await.expect("connect");
        let mut second = runtime.connect(&address).await.expect("connect");
        first.write_all(&mut b"x".to_vec()).await.expect("written");
        drop(first);
        assert_eq!(read_exactly(&mut second, 1).await, b"!");
    });
}

fn a_stream_dropped_in_a_long_write_is_closed_while_its_session_waits<R: Runtime>(runtime: R) {
    let address = one_ends_before_the_other_answers();
    runtime.block_on(async {
        let mut first = runtime.connect(&address).await.expect("connect");
        let mut second = runtime.connect(&address).await.expect("connect");
        let mut bytes = vec![0; 64 << 20];
        // Given up in the middle, unless the peer already reads.
        let _ = runtime.timeout(SHORT, first.write_all(&mut bytes)).await;
        drop(first);
        assert_eq!(read_exactly(&mut second, 1).await, b"!");
    });
}

/// Accepts two connections; reads the first to its end, after a pause, and then sends a byte over the second.
fn one_ends_before_the_other_answers() -> PeerAddress {
    let listener = TcpListener::bind(any_port()).expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    std::thread::spawn(move || {
        let (mut first, _) = listener.accept().expect("a connection");
        let (mut second, _) = listener.accept().expect("a connection");
        std::thread::sleep(4 * SHORT);
        // Ends with an error if the client dropped it with something left to send.
        let _ = first.read_to_end(&mut Vec::new());
        second.write_all(b"!").expect("written");
    });
    address.into()
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
            streams.push(runtime.connect(&address.into()).await.expect("connect"));
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

/// More than all buffers between two sockets hold.
pub(crate) const LARGE_BYTES: usize = 24 << 20;

/// Transfers all of `content`; returns what was read meanwhile.
pub(crate) async fn transfer_all<S: Stream>(
    stream: &mut S,
    content: &[u8],
) -> std::io::Result<Vec<u8>> {
    let mut buffer = Buffer::with_capacity(4096);
    let mut received = Vec::new();
    let mut written = 0;
    while written < content.len() {
        match stream.transfer(&content[written..], &mut buffer).await? {
            Moved::Written(count) => {
                assert!(count > 0, "nothing was written of what there was");
                written += count;
            }
            Moved::Read(count) => {
                assert_eq!(buffer.unread().len(), count);
                received.extend_from_slice(buffer.unread());
                buffer.clear();
            }
        }
    }
    Ok(received)
}

fn a_transfer_reads_while_its_peer_takes_nothing<R: Runtime>(runtime: R) {
    // Sends everything back before it reads on: whoever only writes blocks both.
    let address = server(|mut connection| {
        let mut part = vec![0; 64 * 1024];
        while let Ok(count @ 1..) = connection.read(&mut part) {
            connection
                .write_all(&part[..count])
                .expect("the client reads");
        }
    });
    let content = pattern(LARGE_BYTES);
    runtime.block_on(async {
        let mut stream = runtime.connect(&address).await.expect("connect");
        let mut back = transfer_all(&mut stream, &content).await.expect("moved");
        let rest = content.len() - back.len();
        back.extend(read_exactly(&mut stream, rest).await);
        assert!(back == content, "{} bytes, and other ones", back.len());
        // Afterwards it is a stream like any other.
        stream.write_all(&mut b"end".to_vec()).await.expect("write");
        assert_eq!(read_exactly(&mut stream, 3).await, b"end");
    });
}

fn a_transfer_tells_what_lies_there_when_its_peer_is_gone<R: Runtime>(runtime: R) {
    // Refuses after the first bytes, and closes with the rest unread, which resets the connection.
    let address = server(|mut connection| {
        connection.read_exact(&mut [0; 16]).expect("read");
        connection.write_all(b"no").expect("write");
    });
    let content = pattern(LARGE_BYTES);
    runtime.block_on(async {
        let mut stream = runtime.connect(&address).await.expect("connect");
        let mut buffer = Buffer::with_capacity(4096);
        let mut written = 0;
        while buffer.unread() != b"no" {
            match stream.transfer(&content[written..], &mut buffer).await {
                Ok(Moved::Written(count)) => written += count,
                Ok(Moved::Read(count)) => assert!(count > 0, "its answer was lost"),
                // What came before the failure can still be read.
                Err(_) => assert!(stream.read(&mut buffer).await.expect("read") > 0),
            }
        }
    });
}

fn a_transfer_that_is_given_up_has_moved_nothing<R: Runtime>(runtime: R) {
    let (proceed, expected) = mpsc::channel::<()>();
    let (report, heard) = mpsc::channel();
    let listener = TcpListener::bind(any_port()).expect("a free port");
    let address: PeerAddress = listener.local_addr().expect("it is bound").into();
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("a connection");
        expected.recv().expect("told to read");
        let mut content = Vec::new();
        connection.read_to_end(&mut content).expect("the content");
        report.send(content).expect("the check listens");
    });
    let content = pattern(LARGE_BYTES);
    runtime.block_on(async {
        let mut stream = runtime.connect(&address).await.expect("connect");
        let mut buffer = Buffer::with_capacity(4096);
        let mut written = 0;
        // Until nothing more fits, and a transfer waits.
        while let Ok(moved) = runtime
            .timeout(SHORT * 4, stream.transfer(&content[written..], &mut buffer))
            .await
        {
            match moved.expect("nothing fails") {
                Moved::Written(count) => written += count,
                Moved::Read(_) => panic!("the peer has sent nothing"),
            }
        }
        assert!(written < content.len());
        proceed.send(()).expect("the peer listens");
        let rest = transfer_all(&mut stream, &content[written..]).await;
        assert_eq!(rest.expect("moved"), b"");
        drop(stream);
        let heard = wait_for(&runtime, heard).await;
        assert!(heard == content, "{} bytes, and other ones", heard.len());
    });
}

fn a_connection_is_stale_once_its_peer_has_closed_it<R: Runtime>(runtime: R) {
    let address = server(|mut connection| connection.read_exact(&mut [0]).expect("read"));
    runtime.block_on(async {
        let mut stream = runtime.connect(&address).await.expect("connect");
        assert!(!stream.is_stale());
        stream.write_all(&mut b"!".to_vec()).await.expect("write");
        while !stream.is_stale() {
            runtime.sleep_until(Instant::now() + SHORT).await;
        }
        let mut buffer = Buffer::with_capacity(16);
        assert_eq!(
            stream.read(&mut buffer).await.expect("read"),
            0,
            "its end is left"
        );
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
