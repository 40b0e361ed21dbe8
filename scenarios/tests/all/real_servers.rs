//! Servers that behave as real ones do: they close kept connections, answer before they have read a request, answer while
//! they read it, or end with a reason. Each is one source for every runtime, so that none is told apart by it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_record::Measurement;
use photofinish_record::protocol::{TargetAddress, WorkerPlan};
use photofinish_workloads::registry::workload;
use photofinish_workloads::worker::work;
use serde_json::{Value, json};

use crate::support::rounds::{measured, plan};
use crate::support::tiny_server;

const OPERATIONS: u64 = 6;

/// One round of a workload under a runtime, against the server at `url`.
fn round(name: &str, params: &Value, url: &str, runtime: &str, operations: u64) -> Measurement {
    let directory = tempfile::tempdir().expect("a directory");
    let target = ("http", url);
    let plan = planned(name, params, target, runtime, operations, directory.path());
    measured(&plan, work(&plan).result)
}

fn planned(
    name: &str,
    params: &Value,
    (target, url): (&str, &str),
    runtime: &str,
    operations: u64,
    directory: &Path,
) -> WorkerPlan {
    let entry = workload(name).expect("it ships");
    let address = TargetAddress {
        url: url.to_owned(),
        address: None,
        mock: false,
        tls: None,
    };
    WorkerPlan {
        targets: [(target.to_owned(), address)].into(),
        ..plan(
            entry,
            params,
            Duration::from_millis(1),
            runtime,
            operations,
            directory,
        )
    }
}

/// A server that counts its requests; `answer` gets each with its Content-Length and number, from 0, and returns false to
/// close. The first ones are of the set-up, which wants them answered as by any server.
fn http_server(
    answer: impl Fn(&mut BufReader<&TcpStream>, u64, u64) -> std::io::Result<bool>
    + Send
    + Sync
    + 'static,
) -> (String, Arc<AtomicU64>) {
    let requests = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&requests);
    let address = tiny_server::start(move |client| {
        let mut client = BufReader::new(client);
        while let Some(length) = head(&mut client) {
            let number = seen.fetch_add(1, Ordering::SeqCst);
            if !answer(&mut client, length, number).unwrap_or(false) {
                return;
            }
        }
    });
    (format!("http://{address}/x"), requests)
}

/// Reads the head of a request; `None` at the end of input.
fn head(client: &mut BufReader<&TcpStream>) -> Option<u64> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if client.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if line.is_empty() {
            return Some(length);
        }
    }
}

/// Answers a POST with its body.
fn echo(client: &mut BufReader<&TcpStream>, length: u64) -> std::io::Result<bool> {
    let mut body = vec![0; usize::try_from(length).expect("it fits")];
    client.read_exact(&mut body)?;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
    client.get_mut().write_all(head.as_bytes())?;
    client.get_mut().write_all(&body)?;
    Ok(true)
}

/// Workloads that POST a body of this size, with their parameters and number of set-up requests.
fn posts(size: &str, bytes: usize) -> [(&'static str, Value, u64); 2] {
    let request = json!([{ "send": "POST /", "body": { "text": "x".repeat(bytes) } }]);
    [
        ("http-post", json!({ "size": size }), 1),
        ("http", json!({ "request": request }), 0),
    ]
}

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Goal: a connection closed after its answer costs no operation of an idempotent method (RFC 9110, 9.2.2), and each
/// request is answered once. Method: a server that closes every connection after one answer, without having said so.
#[test]
fn a_closed_idle_connection_is_reopened_under_every_runtime() {
    let every = DESCRIPTORS.iter().map(|runtime| ("http-get", runtime));
    let own = DESCRIPTORS.iter().map(|runtime| ("http", runtime));
    for (workload, runtime) in every.chain(own) {
        let (url, requests) =
            http_server(|client, _, _| client.get_mut().write_all(OK).map(|()| false));
        let round = round(workload, &json!({}), &url, runtime.name, OPERATIONS);
        assert_eq!(
            round.ops, OPERATIONS,
            "{}: {:?}",
            runtime.name, round.errors
        );
        assert_eq!(round.violations, [""; 0], "{}", runtime.name);
        let traffic = round.traffic["http"];
        // All but the first request of the session; the reference was fetched over a connection of its own.
        assert_eq!(traffic.reconnects, OPERATIONS, "{}", runtime.name);
        assert_eq!(requests.load(Ordering::SeqCst), traffic.requests);
    }
}

/// A request is not repeated if the connection was new, or had begun to answer.
#[test]
fn only_a_closed_idle_connection_is_reopened_without_a_failure() {
    for runtime in ["sync", "tokio"] {
        let (url, requests) = http_server(|client, _, number| {
            // The reference, which is fetched twice.
            let answer = if number < 2 { OK } else { b"" };
            client.get_mut().write_all(answer).map(|()| false)
        });
        let failed = round("http-connect", &json!({}), &url, runtime, OPERATIONS);
        assert_eq!(
            (failed.ops, failed.failed_ops()),
            (0, OPERATIONS),
            "{runtime}"
        );
        assert_eq!(failed.traffic["http"].reconnects, 0);
        assert_eq!(requests.load(Ordering::SeqCst), OPERATIONS + 3, "{runtime}");
        let (url, requests) = http_server(|client, length, number| {
            if number == 0 {
                return echo(client, length);
            }
            let half = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok";
            client.get_mut().write_all(half).map(|()| false)
        });
        let failed = round("http-post", &json!({}), &url, runtime, OPERATIONS);
        assert_eq!(
            (failed.ops, failed.failed_ops()),
            (0, OPERATIONS),
            "{runtime}"
        );
        assert_eq!(requests.load(Ordering::SeqCst), OPERATIONS + 2, "{runtime}");
    }
}

/// A POST whose connection is closed between write and answer may have been carried out: it is sent once only.
#[test]
fn a_post_is_never_sent_twice() {
    for runtime in DESCRIPTORS {
        for (workload, params, set_up) in posts("256B", 256) {
            let (url, requests) = http_server(|client, length, number| {
                if number == 0 {
                    return echo(client, length);
                }
                let mut body = vec![0; usize::try_from(length).expect("small")];
                client.read_exact(&mut body)?;
                Ok(false)
            });
            let round = round(workload, &params, &url, runtime.name, OPERATIONS);
            assert_eq!(round.failed_ops(), OPERATIONS, "{}", runtime.name);
            let kinds: Vec<_> = round.errors.keys().collect();
            // With a set-up, the request that is answered comes over a connection of its own.
            let expected: &[&str] = match set_up {
                0 => &["closed-idle", "short"],
                _ => &["short"],
            };
            assert_eq!(kinds, expected, "{workload} under {}", runtime.name);
            // One for the warm-up.
            let expected = OPERATIONS + 1 + set_up;
            assert_eq!(
                requests.load(Ordering::SeqCst),
                expected,
                "{}",
                runtime.name
            );
        }
    }
}

/// A kept connection that ends between a POST and its answer is told from one that never answered.
#[test]
fn a_post_over_a_kept_connection_that_ends_fails_as_closed_idle() {
    for runtime in DESCRIPTORS {
        for (workload, params, set_up) in posts("256B", 256) {
            // The set-up, the warm-up and each second request are answered.
            let (url, requests) = http_server(move |client, length, number| {
                if number < set_up || (number - set_up) % 2 == 0 {
                    return echo(client, length);
                }
                let mut body = vec![0; usize::try_from(length).expect("small")];
                client.read_exact(&mut body)?;
                Ok(false)
            });
            let round = round(workload, &params, &url, runtime.name, OPERATIONS);
            let kinds: Vec<_> = round.errors.keys().collect();
            assert_eq!(kinds, ["closed-idle"], "{workload} under {}", runtime.name);
            assert_eq!(
                round.failed_ops(),
                OPERATIONS.div_ceil(2),
                "{}",
                runtime.name
            );
            let sent = requests.load(Ordering::SeqCst);
            assert_eq!(sent, OPERATIONS + 1 + set_up, "{}", runtime.name);
        }
    }
}

/// Goal: a connection that has answered nothing is not taken for the one before it, which was found closed. Method: a pause
/// after each request, which lets the client look; the server closes after each answer, and each second connection without one.
#[test]
fn a_post_over_a_new_connection_in_place_of_a_closed_one_fails_as_short() {
    let request = json!([{ "send": "POST /", "body": { "text": "x" }, "pause": "30ms" }]);
    let params = json!({ "flow": [{ "request": request }] });
    for runtime in ["sync", "tokio"] {
        let (url, _) = http_server(|client, length, number| {
            if number % 2 == 0 {
                return echo(client, length).map(|_| false);
            }
            let mut body = vec![0; usize::try_from(length).expect("small")];
            client.read_exact(&mut body)?;
            Ok(false)
        });
        let round = round("http", &params, &url, runtime, OPERATIONS);
        let kinds: Vec<_> = round.errors.keys().collect();
        assert_eq!(kinds, ["short"], "{runtime}");
        assert_eq!(round.failed_ops(), OPERATIONS / 2, "{runtime}");
        assert!(round.traffic["http"].reconnects > 0, "{runtime}");
    }
}

/// Goal: 413 before the body was sent is reported as such, whatever the size. Method: a server that refuses after the
/// head, and closes with the body unread, which resets the connection.
#[test]
fn a_response_before_the_end_of_the_request_is_reported_under_every_runtime() {
    // The largest one is sent in the same way by both workloads.
    let [_, largest] = posts("32MiB", 32 << 20);
    let small = [posts("300B", 300), posts("64KiB", 64 << 10)]
        .into_iter()
        .flatten();
    for (workload, params, set_up) in small.chain([largest]) {
        for runtime in DESCRIPTORS {
            let (url, _) = http_server(move |client, length, number| {
                if number < set_up {
                    return echo(client, length);
                }
                let refusal =
                    b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                client.get_mut().write_all(refusal).map(|()| false)
            });
            let round = round(workload, &params, &url, runtime.name, 1);
            let kinds: Vec<_> = round.errors.keys().collect();
            assert_eq!(kinds, ["status"], "{workload} under {}", runtime.name);
            let example = &round.errors["status"].example;
            assert!(example.contains("413"), "{example}");
        }
    }
}

/// Goal: interim responses are skipped, and an unsolicited upgrade is a failure (RFC 9110, 15.2).
#[test]
fn interim_responses_are_skipped_under_every_runtime() {
    for runtime in DESCRIPTORS {
        let (url, _) = http_server(|client, _, _| {
            let interim =
                b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n";
            client
                .get_mut()
                .write_all(&[interim, OK].concat())
                .map(|()| true)
        });
        let params = json!({ "request": [{ "send": "GET /", "expect": { "text": "ok" } }] });
        let taken = round("http", &params, &url, runtime.name, OPERATIONS);
        assert_eq!(
            taken.ops, OPERATIONS,
            "{}: {:?}",
            runtime.name, taken.errors
        );
        let (url, _) = http_server(|client, _, number| {
            let upgrade = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n";
            let answer = if number == 0 { OK } else { upgrade };
            client.get_mut().write_all(answer).map(|()| true)
        });
        let refused = round("http", &params, &url, runtime.name, 1);
        let kinds: Vec<_> = refused.errors.keys().collect();
        assert_eq!(kinds, ["status"], "{}", runtime.name);
        let example = &refused.errors["status"].example;
        assert!(example.contains("101"), "{example}");
    }
}

/// Goal: neither side waits for the other. Method: an echo that sends each piece back before it reads the next; the
/// request is larger than all buffers between the two.
#[test]
fn a_request_is_written_while_its_answer_is_read_under_every_runtime() {
    let [_, (workload, params, _)] = posts("32MiB", 32 << 20);
    for runtime in DESCRIPTORS {
        let (url, _) = http_server(|client, length, _| {
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n");
            client.get_mut().write_all(head.as_bytes())?;
            let mut left = usize::try_from(length).expect("it fits");
            let mut part = vec![0; 64 * 1024];
            while left > 0 {
                let most = left.min(part.len());
                let count = client.read(&mut part[..most])?;
                client.get_mut().write_all(&part[..count])?;
                left -= count;
            }
            Ok(true)
        });
        let round = round(workload, &params, &url, runtime.name, 1);
        assert_eq!(round.ops, 1, "{}: {:?}", runtime.name, round.errors);
        let traffic = round.traffic["http"];
        assert_eq!(traffic.connections, 1, "{}", runtime.name);
        assert!(traffic.bytes_in > Some(32 << 20), "{}", runtime.name);
    }
}

/// A server that answers at once and then reads the rest keeps the connection, and gets all of the request.
#[test]
fn an_early_response_on_a_kept_connection_does_not_truncate_the_request() {
    let params = json!({ "size": "3MiB" });
    for runtime in ["sync", "tokio", "smol"] {
        let whole = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&whole);
        let (url, _) = http_server(move |client, length, number| {
            if number == 0 {
                return echo(client, length);
            }
            client.get_mut().write_all(OK)?;
            std::io::copy(&mut client.take(length), &mut std::io::sink())?;
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(true)
        });
        // The answer is no echo, which is not the point.
        let round = round("http-post", &params, &url, runtime, OPERATIONS);
        let kinds: Vec<_> = round.errors.keys().collect();
        assert_eq!(kinds, ["wrong-content"], "{runtime}");
        assert_eq!(round.traffic["http"].connections, 2, "{runtime}");
        // The server may still be reading the last one.
        let deadline = Instant::now() + Duration::from_secs(10);
        while whole.load(Ordering::SeqCst) <= OPERATIONS && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(whole.load(Ordering::SeqCst), OPERATIONS + 1, "{runtime}");
    }
}

/// Goal: the server's reason is reported, not the broken connection. Method: a server that ends each session after its
/// first statements, and resets the connection.
#[test]
fn a_terminated_database_session_is_reported_with_its_reason_under_every_runtime() {
    const READY: &[u8] = b"Z\0\0\0\x05I";
    const FATAL: &[u8] = b"E\0\0\0\x1cSFATAL\0C57P01\0Mgoodbye\0\0";
    for runtime in DESCRIPTORS {
        let address = tiny_server::start(|mut client| {
            let mut word = [0; 4];
            client.read_exact(&mut word).expect("a startup message");
            let mut startup = vec![0; u32::from_be_bytes(word) as usize - 4];
            client.read_exact(&mut startup).expect("all of it");
            let welcome = [&b"R\0\0\0\x08\0\0\0\0"[..], READY, FATAL].concat();
            client.write_all(&welcome).expect("written");
            let socket = socket2::SockRef::from(client);
            socket.set_linger(Some(Duration::ZERO)).expect("set");
            // Closing it now resets the connection.
        });
        let directory = tempfile::tempdir().expect("a directory");
        let url = format!("postgres://somebody@{address}/somewhere");
        let target = ("db", &*url);
        let plan = planned(
            "db-select",
            &json!({}),
            target,
            runtime.name,
            1,
            directory.path(),
        );
        let result_text = format!("{:?}", work(&plan).result);
        assert!(
            result_text.contains("57P01"),
            "{}: {result_text}",
            runtime.name
        );
    }
}
