//! What holds of every server in the list: the ready line, the control channel, the end, and errors before the start.

use std::collections::HashSet;
use std::io::{empty, sink};
use std::net::TcpListener;
use std::num::NonZeroUsize;

use photofinish_servers::{SERVERS, ServeError, ServeOptions, find, serve};
use serde_json::{Value, json};

use crate::client::Client;
use crate::driver::Server;

fn refused(kind: &str, options: ServeOptions) -> ServeError {
    serve(kind, options, empty(), sink()).expect_err("this must not start")
}

#[test]
fn every_server_in_the_list_is_complete() {
    let names: HashSet<_> = SERVERS.iter().map(|kind| kind.name).collect();
    assert_eq!(
        names.len(),
        SERVERS.len(),
        "names are used twice in {names:?}"
    );
    for kind in SERVERS {
        assert!(
            std::ptr::eq(find(kind.name).unwrap(), *kind),
            "{}",
            kind.name
        );
        assert!(
            !kind.summary.is_empty() && !kind.summary.ends_with('.'),
            "{}",
            kind.summary
        );
        assert_eq!((kind.check_behaviour)(&json!({})), Ok(()), "{}", kind.name);
        assert_eq!(
            (kind.check_behaviour)(&Value::Null),
            Ok(()),
            "{}",
            kind.name
        );
        let mistake = (kind.check_behaviour)(&json!({"no such key": 1})).unwrap_err();
        assert_eq!(mistake.path, ["no such key"], "{}", kind.name);
        let schema = (kind.behaviour_schema)();
        let known = schema.get("properties").and_then(Value::as_object);
        let known: HashSet<_> = known.into_iter().flat_map(|known| known.keys()).collect();
        let expected_keys: HashSet<_> = mistake.expected.iter().collect();
        assert_eq!(
            expected_keys, known,
            "what {} tells beside its schema",
            kind.name
        );
    }
}

#[test]
fn every_server_starts_says_that_it_is_ready_counts_and_stops() {
    for kind in SERVERS {
        let mut server = Server::start(kind.name, json!({}));
        let pid = std::process::id();
        let address = server.address();
        let expected = json!({"ready": kind.name, "protocol": 1, "address": address, "pid": pid, "threads": 1});
        assert_eq!(
            serde_json::from_str::<Value>(&server.ready_line).unwrap(),
            expected
        );
        assert!(
            address.ip().is_loopback() && address.port() != 0,
            "{address}"
        );
        let counts: Value = serde_json::from_str(&server.ask("counts")).unwrap();
        for (name, value) in counts["counts"].as_object().unwrap() {
            let count = serde_json::from_value(json!(name)).ok();
            let is_kept = count.is_none_or(|count| kind.counted.contains(&count));
            assert_eq!(
                value.is_u64(),
                is_kept,
                "{} of {}: {value}",
                name,
                kind.name
            );
        }
        server.stop().unwrap();
    }
}

#[test]
fn a_server_ends_when_stdin_closes() {
    for kind in SERVERS {
        let server = Server::start(kind.name, json!({}));
        server.abandon().unwrap();
    }
}

#[test]
fn a_stopped_server_frees_its_port() {
    // Goal: `stop` really ends serving; method: the same port can be listened on without SO_REUSEADDR's help.
    let server = Server::start("http", json!({}));
    let address = server.address();
    server.stop().unwrap();
    let again = ServeOptions {
        listen: address,
        ..ServeOptions::default()
    };
    let mut server = Server::start_with("http", again);
    assert_eq!(server.address(), address);
    assert_eq!(server.counts().requests, Some(0));
    server.stop().unwrap();
}

#[test]
fn an_unknown_command_lists_the_known_ones() {
    let mut server = Server::start("http", json!({}));
    let answer: Value = serde_json::from_str(&server.ask("count")).unwrap();
    assert_eq!(
        answer,
        json!({"error": "unknown command `count`", "expected": ["counts", "stop"]})
    );
    assert_eq!(server.counts().requests, Some(0));
    server.stop().unwrap();
}

#[test]
fn a_port_in_use_is_an_error_with_its_address_and_a_hint() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap();
    for threads in [1, 2] {
        let threads = NonZeroUsize::new(threads).unwrap();
        let error = refused(
            "http",
            ServeOptions {
                listen,
                threads,
                ..ServeOptions::default()
            },
        );
        assert!(
            matches!(error, ServeError::Listen { address, .. } if address == listen),
            "{error:?}"
        );
        assert_eq!(error.to_string(), format!("cannot listen on {listen}"));
        assert!(
            error.hint().unwrap().contains("port 0 for any free one"),
            "{:?}",
            error.hint()
        );
    }
}

#[test]
fn two_servers_of_several_threads_do_not_share_a_port() {
    let server = Server::start_with_threads("http", 2);
    let options = ServeOptions {
        listen: server.address(),
        threads: NonZeroUsize::new(2).unwrap(),
        ..Default::default()
    };
    assert!(matches!(
        refused("http", options),
        ServeError::Listen { .. }
    ));
    server.stop().unwrap();
}

#[test]
fn an_unservable_setting_is_refused_before_listening() {
    let error = refused("htpp", ServeOptions::default());
    assert!(
        matches!(&error, ServeError::UnknownServer { name, expected } if name == "htpp" && expected.contains(&"http"))
    );
    let names: Vec<_> = SERVERS.iter().map(|kind| kind.name).collect();
    let hint = error.hint().unwrap();
    assert!(hint.contains(&names.join(", ")), "{hint}");

    let error = refused(
        "http",
        ServeOptions {
            behaviour: json!({"dely": "1ms"}),
            ..Default::default()
        },
    );
    let ServeError::Behaviour(error) = error else {
        panic!("{error:?}")
    };
    assert_eq!(
        (error.path, error.expected.len()),
        (vec!["dely".to_owned()], 6)
    );

    let error = refused(
        "wiremock",
        ServeOptions {
            threads: NonZeroUsize::new(2).unwrap(),
            ..Default::default()
        },
    );
    assert!(
        matches!(
            error,
            ServeError::TooManyThreads {
                requested: 2,
                most: 1,
                ..
            }
        ),
        "{error:?}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn a_server_is_pinned_to_the_cpus_it_was_given() {
    let error = refused(
        "http",
        ServeOptions {
            cpus: Some(vec![1023]),
            ..ServeOptions::default()
        },
    );
    assert!(
        matches!(&error, ServeError::Pin { cpus, .. } if cpus == &[1023]),
        "{error:?}"
    );

    let mut server = Server::start_with(
        "http",
        ServeOptions {
            cpus: Some(vec![0]),
            ..ServeOptions::default()
        },
    );
    // An answer proves that the serving thread runs under its name; other tests' threads may bear it too.
    assert_eq!(
        Client::connect(server.address()).get("/health").text(),
        "ok"
    );
    // The serving thread inherits the affinity; `/proc` tells it for each thread of this process.
    let serving = allowed_cpus_of_threads("http-0");
    assert!(serving.iter().any(|allowed| allowed == "0"), "{serving:?}");
    assert_eq!(server.counts().requests, Some(1));
    server.stop().unwrap();
}

#[cfg(target_os = "linux")]
fn allowed_cpus_of_threads(name: &str) -> Vec<String> {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    // Threads of other tests may end while they are looked at.
    let statuses = threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("status")).ok());
    let field = |status: &str, key: &str| {
        status
            .lines()
            .find_map(|line| Some(line.strip_prefix(key)?.trim().to_owned()))
            .unwrap_or_default()
    };
    let named = statuses.filter(|status| field(status, "Name:") == name);
    named
        .map(|status| field(&status, "Cpus_allowed_list:"))
        .collect()
}

#[test]
fn several_threads_serve_one_port_and_count_together() {
    let mut server = Server::start_with_threads("http", 2);
    assert_eq!(server.ready.threads, 2);
    let mut clients: Vec<_> = (0..32).map(|_| Client::connect(server.address())).collect();
    for client in &mut clients {
        assert_eq!(client.get("/health").text(), "ok");
    }
    let counts = server.counts();
    assert_eq!((counts.requests, counts.connections), (Some(32), Some(32)));
    assert_eq!(
        counts.bytes_in,
        Some(clients.iter().map(|client| client.written_bytes).sum())
    );
    server.stop().unwrap();
}
