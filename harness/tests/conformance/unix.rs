//! Connections to Unix sockets: the same guarantees as over TCP, and waiting while the backlog is full.

use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Instant;

use photofinish_harness::buffer::Buffer;
use photofinish_harness::runtime::{Elapsed, Runtime, Stream};
use photofinish_record::PeerAddress;
use socket2::{Domain, SockAddr, Socket, Type};
use tempfile::TempDir;

use crate::peer::{SHORT, pattern, read_exactly};
use crate::suite::{Check, checks};
use crate::tcp::{LARGE_BYTES, transfer_all};

pub(crate) const CHECKS: &[Check] = checks![
    a_mebibyte_comes_back_over_a_unix_socket,
    a_transfer_over_a_unix_socket_reads_while_its_peer_takes_nothing,
    a_unix_socket_is_stale_once_its_peer_has_closed_it,
    a_missing_unix_socket_is_reported_as_such,
    a_full_backlog_is_waited_for,
    a_full_backlog_is_waited_for_until_the_deadline,
];

/// Serves one connection with `serve`; the directory holds the socket.
fn server(serve: fn(UnixStream)) -> (PeerAddress, TempDir) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let listener = UnixListener::bind(&path).expect("bind");
    std::thread::spawn(move || serve(listener.accept().expect("a connection").0));
    (PeerAddress::Unix(path), directory)
}

/// Echoes everything it has read before it reads on.
fn send_back(mut connection: UnixStream) {
    let mut part = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = connection.read(&mut part) {
        connection
            .write_all(&part[..count])
            .expect("the client reads");
    }
}

fn a_mebibyte_comes_back_over_a_unix_socket<R: Runtime>(runtime: R) {
    let (address, _directory) = server(|mut connection| {
        let mut content = vec![0; 1 << 20];
        connection.read_exact(&mut content).expect("the content");
        connection.write_all(&content).expect("the client reads");
    });
    let mut content = pattern(1 << 20);
    runtime.block_on(async {
        let mut stream = runtime.connect(&address).await.expect("connect");
        stream.write_all(&mut content).await.expect("write");
        let back = read_exactly(&mut stream, content.len()).await;
        assert!(back == content, "{} bytes, and other ones", back.len());
        let mut buffer = Buffer::with_capacity(16);
        assert_eq!(stream.read(&mut buffer).await.expect("read"), 0);
    });
}

fn a_transfer_over_a_unix_socket_reads_while_its_peer_takes_nothing<R: Runtime>(runtime: R) {
    let (address, _directory) = server(send_back);
    let content = pattern(LARGE_BYTES);
    runtime.block_on(async {
        let mut stream = runtime.connect(&address).await.expect("connect");
        let mut back = transfer_all(&mut stream, &content).await.expect("moved");
        let rest = content.len() - back.len();
        back.extend(read_exactly(&mut stream, rest).await);
        assert!(back == content, "{} bytes, and other ones", back.len());
    });
}

fn a_unix_socket_is_stale_once_its_peer_has_closed_it<R: Runtime>(runtime: R) {
    let (address, _directory) =
        server(|mut connection| connection.read_exact(&mut [0]).expect("read"));
    runtime.block_on(async {
        let mut stream = runtime.connect(&address).await.expect("connect");
        assert!(!stream.is_stale());
        stream.write_all(&mut b"!".to_vec()).await.expect("write");
        while !stream.is_stale() {
            runtime.sleep_until(Instant::now() + SHORT).await;
        }
    });
}

fn a_missing_unix_socket_is_reported_as_such<R: Runtime>(runtime: R) {
    let directory = tempfile::tempdir().expect("a directory");
    let address = PeerAddress::Unix(directory.path().join("socket"));
    let missing = runtime.block_on(runtime.connect(&address)).map(drop);
    let kind = missing.map_err(|error| error.kind());
    assert_eq!(kind, Err(std::io::ErrorKind::NotFound));
}

/// A listener without room, and the connection that takes its only place.
fn full(path: &Path) -> (Socket, UnixStream) {
    let listener = Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let address = SockAddr::unix(path).expect("a path");
    listener.bind(&address).expect("bind");
    listener.listen(0).expect("listen");
    (listener, UnixStream::connect(path).expect("one fits"))
}

fn a_full_backlog_is_waited_for<R: Runtime>(runtime: R) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let (listener, first) = full(&path);
    std::thread::spawn(move || {
        // Most likely after the connection under test was refused for the first time.
        std::thread::sleep(SHORT * 4);
        drop(listener.accept().expect("the first"));
        let (mut second, _) = listener.accept().expect("the one under test");
        second.write_all(b"welcome").expect("it reads");
        drop(first);
    });
    runtime.block_on(async {
        let address = PeerAddress::Unix(path);
        let mut stream = runtime.connect(&address).await.expect("connect");
        assert_eq!(read_exactly(&mut stream, 7).await, b"welcome");
    });
}

fn a_full_backlog_is_waited_for_until_the_deadline<R: Runtime>(runtime: R) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("socket");
    let _full = full(&path);
    let address = PeerAddress::Unix(path);
    runtime.block_on(async {
        let connecting = runtime.timeout(SHORT * 4, runtime.connect(&address));
        assert_eq!(connecting.await.map(drop), Err(Elapsed));
    });
}
