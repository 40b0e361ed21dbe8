//! Reaching a target: one address for probe and workers, a deadline for the whole of a probe, an interrupt at any time;
//! and connections that a server closes while they are idle.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::Command;
use std::time::{Duration, Instant};

use photofinish_record::{Outcome, PlannedServer};

use crate::serve::served;
use crate::support::{Finished, Sandbox, Started, TINY, program};

/// A server that serves each connection on a thread of its own.
pub fn server(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let serve = serve.clone();
            std::thread::spawn(move || serve(connection));
        }
    });
    address
}

/// A listener whose queue is full, so that packets are dropped: a hole, as a firewall makes it.
fn hole() -> (SocketAddr, impl Sized) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None);
    let socket = socket.expect("a socket");
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    socket.bind(&any.into()).expect("bound");
    socket.listen(0).expect("listening");
    let listener = TcpListener::from(socket);
    let address = listener.local_addr().expect("an address");
    let fill = || TcpStream::connect_timeout(&address, Duration::from_millis(200));
    let held: Vec<_> = (0..4).map(|_| fill()).collect();
    assert!(held[3].is_err(), "the queue takes more");
    (address, (listener, held))
}

/// Says that it has begun, and goes on with `piece` for ever.
fn endless(start: &'static [u8], piece: Vec<u8>, pause: Duration) -> SocketAddr {
    server(move |mut connection| {
        let _ = connection.read(&mut [0; 4096]);
        let mut alive = connection.write_all(start).is_ok();
        while alive {
            std::thread::sleep(pause);
            alive = connection.write_all(&piece).is_ok();
        }
    })
}

const LOGGED_IN: &[u8] = b"R\0\0\0\x08\0\0\0\0";
const NOTICE: &[u8] = b"N\0\0\0\x18SNOTICE\0C00000\0Mhi\0\0";

fn arguments(scenario: &'static str, target: &str) -> [String; 6] {
    let words = [
        "run",
        scenario,
        "--target",
        target,
        "--quick",
        "--runtimes=sync",
    ];
    words.map(str::to_owned)
}

fn start(sandbox: &Sandbox, scenario: &'static str, target: &str) -> Started {
    let arguments = arguments(scenario, target);
    sandbox.start(&arguments.each_ref().map(String::as_str))
}

/// Goal: a probe ends at its one deadline of 10 s, and says what the server did. Method: all at the same time; each
/// wait was of minutes, or without end.
#[test]
fn a_probe_ends_whatever_the_server_does() {
    let sandbox = Sandbox::new();
    let (hole, _full) = hole();
    let second = Duration::from_secs(1);
    let drip = endless(
        b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n",
        b"x".to_vec(),
        second,
    );
    let notices = endless(LOGGED_IN, NOTICE.to_vec(), second);
    let flood = endless(LOGGED_IN, NOTICE.repeat(100), Duration::ZERO);
    let silent = endless(b"", Vec::new(), second * 100);
    let page = endless(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
        Vec::new(),
        second * 100,
    );
    let connecting = "connecting took longer than 10 s";
    let began = "began to respond, but did not finish within 10 s";
    let nothing = "accepted the connection but did not respond within 10 s";
    let begun = Instant::now();
    let cases = [
        ("http-get", format!("http=http://{hole}/"), connecting),
        ("ws-echo", format!("ws=ws://{hole}/"), connecting),
        ("db-select", format!("db=postgres://u@{hole}/d"), connecting),
        ("http-get", format!("http=http://{drip}/"), began),
        ("http-get", format!("http=http://{silent}/"), nothing),
        ("db-select", format!("db=postgres://u@{notices}/d"), began),
        ("db-select", format!("db=postgres://u@{flood}/d"), began),
        ("db-select", format!("db=postgres://u@{silent}/d"), nothing),
    ];
    let started =
        cases.map(|(scenario, target, expected)| (start(&sandbox, scenario, &target), expected));
    let status = [
        "run",
        "http-get",
        &format!("--target=http=http://{page}/"),
        &format!("--target=http-status=http://{drip}/status"),
    ];
    sandbox.run(&status).check(1, &["/status", began]);
    for (started, expected) in started {
        let finished = started.finish().check(1, &[expected]);
        assert!(!finished.stderr.contains("os error 11"), "{finished:?}");
    }
    assert!(
        begun.elapsed() < Duration::from_secs(60),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn a_signal_ends_a_probe() {
    let sandbox = Sandbox::new();
    let (hole, _full) = hole();
    let notices = endless(LOGGED_IN, NOTICE.to_vec(), Duration::from_millis(100));
    for (scenario, target, signal) in [
        ("http-get", format!("http=http://{hole}/"), "INT"),
        ("ws-echo", format!("ws=ws://{hole}/"), "TERM"),
        ("db-select", format!("db=postgres://u@{notices}/d"), "INT"),
    ] {
        let mut started = start(&sandbox, scenario, &target);
        std::thread::sleep(Duration::from_secs(1));
        let signalled = Instant::now();
        started.signal(signal);
        started.finish().check(130, &[]);
        // The deadline of the probe would end it later.
        assert!(signalled.elapsed() < Duration::from_secs(7), "{scenario}");
    }
}

/// The server keeps the connection although it was asked to close it: whoever reads on waits for ten seconds.
#[test]
fn an_invalid_response_is_reported_at_once() {
    let sandbox = Sandbox::new();
    let check = |scenario: &'static str, target: &str, answer: &'static [u8], expected: &[&str]| {
        let address = endless(answer, Vec::new(), Duration::from_secs(100));
        let target = target.replace("{address}", &address.to_string());
        let begun = Instant::now();
        let finished = start(&sandbox, scenario, &target)
            .finish()
            .check(1, expected);
        assert!(!finished.stderr.contains("no response"), "{finished:?}");
        assert!(begun.elapsed() < Duration::from_secs(9), "{expected:?}");
    };
    let http = |answer, expected: &str| {
        check(
            "http-get",
            "http=http://{address}/",
            answer,
            &["gave an invalid response", expected],
        );
    };
    http(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok",
        "given twice with different values",
    );
    http(
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nok",
        "not a decimal number",
    );
    http(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "no hexadecimal size",
    );
    let not_http = "does not speak HTTP/1.1";
    check(
        "http-get",
        "http=http://{address}/",
        b"220 mail.test ESMTP\r\n",
        &[not_http],
    );
    let refusal = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    check(
        "db-select",
        "db=postgres://u@{address}/d",
        refusal,
        &["speaks HTTP", "--target http=", "hint:"],
    );
}

/// Goal: workers connect to the address that answered the probe. Method: a name whose first address is ::1, at which
/// nobody listens, in a mount namespace with an `/etc/hosts` of its own.
#[test]
fn the_address_that_answered_is_the_one_that_is_measured() {
    let unshared = Command::new("unshare").args(["-rm", "true"]).output();
    if !unshared.is_ok_and(|output| output.status.success()) {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: this system allows no user namespaces"
        );
        return;
    }
    let sandbox = Sandbox::new();
    let hosts = sandbox.write("hosts", "::1 two.test\n127.0.0.1 two.test\n");
    for (server, scenario, target) in [
        ("http", "http-get", "http=http://two.test:{port}/bytes/64"),
        (
            "http",
            "http-connect",
            "http=http://two.test:{port}/bytes/64",
        ),
        ("ws", "ws-echo", "ws=ws://two.test:{port}/echo"),
        ("postgres", "db-select", "db=postgres://u@two.test:{port}/d"),
    ] {
        let (_server, address) = served(&sandbox, &[server]);
        let (_, port) = address.rsplit_once(':').expect("host and port");
        let mount = "mount --bind \"$0\" /etc/hosts && exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["-rm", "sh", "-c", mount])
            .arg(&hosts)
            .arg(program());
        command.args(["run", scenario, "--runtimes=sync,tokio", "--target"]);
        command.arg(target.replace("{port}", port)).args(TINY);
        command
            .current_dir(sandbox.path())
            .env("TMPDIR", sandbox.path());
        Finished::of(&mut command).check(0, &[]);
        let servers = &sandbox.record().plan.scenarios[0].servers;
        let Some(PlannedServer::External {
            url,
            address: Some(reached),
            ..
        }) = servers.values().next()
        else {
            panic!("{servers:?}");
        };
        assert!(url.contains("two.test"), "{url}");
        assert_eq!(reached.to_string(), address);
    }
}

/// Answers each request with its own body, or `ok`, and closes a connection on which nothing comes for a while.
fn impatient(mut connection: TcpStream) {
    let patience = Duration::from_millis(100);
    connection.set_read_timeout(Some(patience)).expect("set");
    let mut lines = BufReader::new(connection.try_clone().expect("a clone"));
    let mut length = 0;
    loop {
        let mut line = String::new();
        if !matches!(lines.read_line(&mut line), Ok(1..)) {
            return;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a number");
        }
        if line.trim().is_empty() {
            let mut body = vec![0; std::mem::take(&mut length)];
            lines.read_exact(&mut body).expect("the body");
            if body.is_empty() {
                body = b"ok".to_vec();
            }
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            connection
                .write_all(&[head.as_bytes(), &body].concat())
                .expect("written");
        }
    }
}

/// Goal: a server that closes kept connections while they are idle costs no operation, under any runtime and whatever
/// the number of sessions; what it did is told. Method: each connection is idle for longer than the server is patient.
#[test]
fn connections_that_a_server_closes_while_idle_are_opened_again_and_counted() {
    let sandbox = Sandbox::new();
    let target = format!("--target=http=http://{}/", server(impatient));
    for scenario in ["http-get", "http-post"] {
        let open = [
            "--rate=2",
            "--duration=3s",
            "--rounds=1",
            "--concurrency=4",
            "--no-redo",
        ];
        let runtimes = "--runtimes=sync,tokio,smol";
        let run = [&["run", scenario, &target, runtimes], &open[..]].concat();
        let finished = sandbox.run(&run).check(0, &[]);
        let words: Vec<_> = finished.stdout.split_whitespace().collect();
        let expected = "keep-alive connections before their next request";
        assert!(words.join(" ").contains(expected), "{finished:?}");
        for round in &sandbox.record().rounds {
            let Outcome::Ok(measured) = &round.outcome else {
                panic!("{round:?}");
            };
            assert_eq!((measured.worker.ops, measured.worker.failed_ops()), (6, 0));
            assert!(measured.worker.traffic["http"].reconnects > 0, "{scenario}");
        }
        let latest = sandbox.latest();
        let latest = latest.to_str().expect("UTF-8");
        let csv = sandbox
            .run(&["export", latest, "--format", "csv"])
            .check(0, &[]);
        assert!(
            csv.stdout
                .lines()
                .next()
                .is_some_and(|line| line.contains("reconnects"))
        );
    }
}
