//! Clients that harm the mock servers: each is refused or bounded, the server goes on serving others, and its memory
//! stays below a limit that is stated here.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use crate::serve::{ready, served};
use crate::support::{Finished, Sandbox, Started, wait_for};

/// Far beyond what any answer takes.
const PATIENCE: Duration = Duration::from_secs(60);

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    stream
}

/// Sends what a server may cut short, and gives what it answers up to the end of the connection.
fn exchange(address: &str, parts: impl IntoIterator<Item = Vec<u8>>) -> String {
    let mut stream = connect(address);
    for part in parts {
        if stream.write_all(&part).is_err() {
            break;
        }
    }
    let mut answer = Vec::new();
    // A reset after the answer is an end too.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn get(address: &str, path: &str, host: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    exchange(address, [request.into_bytes()])
}

/// The most memory that a process has used so far.
#[track_caller]
fn check_memory(server: &mut Started, most_mib: u64) {
    let status = fs::read_to_string(format!("/proc/{}/status", server.id())).expect("alive");
    let peak = status.split("VmHWM:").nth(1).expect("a peak");
    let kib: u64 = peak
        .split_whitespace()
        .next()
        .expect("a number")
        .parse()
        .expect("KiB");
    assert!(
        kib >> 10 < most_mib,
        "{} MiB at most, not {most_mib}",
        kib >> 10
    );
}

/// Ends a server; nothing in it has panicked.
#[track_caller]
fn end(server: Started) {
    let mut server = server;
    server.signal("TERM");
    let Finished { stderr, .. } = server.finish().check(0, &[]);
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn only_addresses_of_this_machine_are_listened_on_unless_allowed() {
    let sandbox = Sandbox::new();
    for address in ["0.0.0.0:0", "[::]:0"] {
        let run = sandbox.run(&["serve", "postgres", "--listen", address]);
        run.check(2, &["other machines", "hint:", "--allow-remote"]);
    }
    for address in ["nonsense", "localhost:70000"] {
        let run = sandbox.run(&["serve", "http", "--listen", address]);
        run.check(2, &[address, "HOST:PORT"]);
    }
    let (server, address) = served(&sandbox, &["http", "--listen", "localhost:0"]);
    assert!(get(&address, "/bytes/1", "x").starts_with("HTTP/1.1 200"));
    end(server);
    let allowed = ["http", "--listen", "0.0.0.0:0", "--allow-remote"];
    let (server, address) = served(&sandbox, &allowed);
    assert!(address.starts_with("0.0.0.0:"), "{address}");
    end(server);
}

#[test]
fn wiremock_survives_clients_that_leave_and_bodies_without_an_end() {
    let sandbox = Sandbox::new();
    let (mut server, address) = served(&sandbox, &["wiremock"]);
    for _ in 0..5 {
        let part = b"POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nonly this";
        connect(&address).write_all(part).expect("sent");
    }
    let head = b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let chunk = [
        b"100000\r\n".to_vec(),
        vec![b'x'; 1 << 20],
        b"\r\n".to_vec(),
    ]
    .concat();
    exchange(
        &address,
        [head].into_iter().chain(std::iter::repeat_n(chunk, 400)),
    );
    assert!(get(&address, "/x", "x").starts_with("HTTP/1.1 404"));
    check_memory(&mut server, 160);
    end(server);
}

#[test]
fn servers_listen_again_once_there_are_descriptors() {
    for name in ["wiremock", "http", "postgres"] {
        let sandbox = Sandbox::new();
        let command = sandbox.command_after("ulimit -n 64", &["serve", name]);
        let (server, address) = ready(Started::of(command));
        let many: Vec<_> = (0..200).map(|_| TcpStream::connect(&address)).collect();
        thread::sleep(Duration::from_millis(300));
        drop(many);
        wait_for("an answer", || {
            let mut stream = TcpStream::connect(&address).ok()?;
            stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
            // An HTTP server answers it; the other one declines a request of this length.
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                .ok()?;
            (stream.read(&mut [0]).ok()? == 1).then_some(())
        });
        end(server);
    }
}

#[test]
fn a_site_remembers_a_bounded_number_of_paths_and_escapes_them() {
    let sandbox = Sandbox::new();
    let (mut server, address) = served(&sandbox, &["site"]);
    let page = get(&address, "/", "\"><script>alert(1)</script>");
    assert!(page.contains("200 OK"), "{page}");
    assert!(!page.contains("alert(1)"), "{page}");
    assert!(get(&address, "/", "example.org:80").contains("200 OK"));
    let mut stream = connect(&address);
    for number in 0..1_500 {
        let mut request = String::new();
        let path = "x".repeat(50_000);
        write!(request, "GET /{number}{path} HTTP/1.1\r\nHost: x\r\n\r\n").expect("a text");
        stream.write_all(request.as_bytes()).expect("sent");
        let mut answer = Vec::new();
        while !answer.ends_with(b"Home</a>\n") {
            let mut part = [0; 4096];
            let length = stream.read(&mut part).expect("answered");
            assert!(length > 0, "the connection goes on");
            answer.extend(&part[..length]);
        }
    }
    check_memory(&mut server, 64);
    end(server);
}

/// A session of the mock PostgreSQL, in bytes.
struct Session(TcpStream);

impl Session {
    fn start(address: &str) -> Self {
        let mut session = Session(connect(address));
        session
            .0
            .write_all(b"\0\0\0\x11\0\x03\0\0user\0me\0\0")
            .expect("sent");
        session.answers();
        session
    }

    fn ask(&mut self, sql: &str) {
        let length = (sql.len() as u32 + 5).to_be_bytes();
        let message = [&b"Q"[..], &length, sql.as_bytes(), b"\0"].concat();
        self.0.write_all(&message).expect("sent");
    }

    /// The kinds of the answers up to ReadyForQuery, and the last error.
    fn answers(&mut self) -> (String, String) {
        let (mut kinds, mut error) = (String::new(), String::new());
        while !kinds.ends_with('Z') {
            let mut head = [0; 5];
            self.0.read_exact(&mut head).expect("an answer");
            let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
            let mut body = vec![0; length as usize - 4];
            self.0.read_exact(&mut body).expect("an answer");
            if head[0] == b'E' {
                error = String::from_utf8_lossy(&body).into_owned();
            }
            if !kinds.ends_with(char::from(head[0])) {
                kinds.push(char::from(head[0]));
            }
        }
        (kinds, error)
    }
}

const ENDLESS: &str = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT";

#[test]
fn an_endless_result_is_refused_in_bounded_memory() {
    let sandbox = Sandbox::new();
    let (mut server, address) = served(&sandbox, &["postgres"]);
    let mut session = Session::start(&address);
    for sql in [
        "SELECT * FROM generate_series(1, 1000000000)".to_owned(),
        format!("{ENDLESS} n, 'some more text to fill the result' FROM t"),
    ] {
        session.ask(&sql);
        let (kinds, error) = session.answers();
        assert_eq!(kinds, "TDEZ", "{sql}");
        // Too long, or too slow on a slow machine.
        assert!(
            error.contains("C54000") || error.contains("C57014"),
            "{error}"
        );
    }
    session.ask("SELECT 1");
    assert_eq!(session.answers().0, "TDCZ");
    check_memory(&mut server, 320);
    end(server);
}

#[test]
fn messages_of_the_mock_postgresql_are_bounded() {
    let sandbox = Sandbox::new();
    let (mut server, address) = served(&sandbox, &["postgres"]);
    // Before the login 10,000 bytes, after it 16 MiB.
    let long = [20_000_u32.to_be_bytes().to_vec(), vec![b'x'; 20_000]].concat();
    assert!(exchange(&address, [long]).contains("C08P01"));
    let mut session = Session::start(&address);
    let head = [&b"Q"[..], &(17_u32 << 20).to_be_bytes()].concat();
    session.0.write_all(&head).expect("sent");
    let mut answer = Vec::new();
    session.0.read_to_end(&mut answer).expect("closed");
    assert!(String::from_utf8_lossy(&answer).contains("C08P01"));
    // Without the parts that every such message has.
    for kind in [b"P", b"B", b"D", b"E", b"C"] {
        let mut session = Session::start(&address);
        session
            .0
            .write_all(&[&kind[..], b"\0\0\0\x04"].concat())
            .expect("sent");
        let mut answer = Vec::new();
        session.0.read_to_end(&mut answer).expect("closed");
        assert!(
            String::from_utf8_lossy(&answer).contains("C08P01"),
            "{kind:?}"
        );
    }
    check_memory(&mut server, 64);
    end(server);
}

#[test]
fn others_are_served_soon_after_a_statement_without_an_end() {
    let sandbox = Sandbox::new();
    let (server, address) = served(&sandbox, &["postgres"]);
    let mut endless = Session::start(&address);
    endless.ask(&format!("{ENDLESS} count(*) FROM t"));
    let begin = Instant::now();
    let mut other = Session::start(&address);
    other.ask("SELECT 1");
    assert_eq!(other.answers().0, "TDCZ");
    let (kinds, error) = endless.answers();
    assert_eq!(kinds, "TEZ");
    assert!(error.contains("C57014"), "{error}");
    assert!(
        begin.elapsed() < Duration::from_secs(40),
        "{:?}",
        begin.elapsed()
    );
    end(server);
}

#[test]
fn an_endless_statement_does_not_delay_the_servers_exit() {
    let sandbox = Sandbox::new();
    let (server, address) = served(&sandbox, &["postgres"]);
    let mut sessions: Vec<Session> = (0..8).map(|_| Session::start(&address)).collect();
    // Each would take five seconds, one after another.
    for session in &mut sessions {
        session.ask(&format!("{ENDLESS} count(*) FROM t"));
    }
    thread::sleep(Duration::from_millis(300));
    let begin = Instant::now();
    end(server);
    assert!(
        begin.elapsed() < Duration::from_secs(4),
        "{:?}",
        begin.elapsed()
    );
}

fn web_socket(address: &str, path: &str) -> TcpStream {
    let mut stream = connect(address);
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).expect("answered");
        answer.push(byte[0]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 101"));
    stream
}

#[test]
fn the_queue_of_a_client_that_does_not_read_is_bounded() {
    let sandbox = Sandbox::new();
    let (mut server, address) = served(&sandbox, &["ws"]);
    // Pings, each answered by a pong that nobody reads.
    let mut pings = web_socket(&address, "/echo");
    let ping = [&[0x89, 0x80 | 125, 0, 0, 0, 0][..], &[b'x'; 125]].concat();
    for _ in 0..600 {
        pings.write_all(&ping.repeat(1_000)).expect("sent");
    }
    check_memory(&mut server, 64);
    // Members of a room that hear nothing of what another one says.
    let silent: Vec<_> = (0..5).map(|_| web_socket(&address, "/chat/room")).collect();
    let mut talker = web_socket(&address, "/chat/room");
    let mut heard = talker.try_clone().expect("cloned");
    let hearing = thread::spawn(move || std::io::copy(&mut heard, &mut std::io::sink()));
    let header = [
        &[0x82, 0x80 | 127][..],
        &(1_u64 << 20).to_be_bytes(),
        &[0; 4],
    ]
    .concat();
    let message = [header, vec![b'x'; 1 << 20]].concat();
    for _ in 0..150 {
        if talker.write_all(&message).is_err() {
            break;
        }
    }
    check_memory(&mut server, 120);
    drop((pings, silent));
    end(server);
    // Ends with the server.
    let _ = hearing.join();
}
