//! The workload `http` over HTTP/2, against servers that do everything the protocol permits: each request is answered once or
//! sent again, alike under every runtime.

use std::io::{Read as _, Write as _};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_record::Measurement;
use photofinish_record::protocol::{TargetAddress, WorkerPlan, WorkerResult};
use photofinish_workloads::registry::workload;
use photofinish_workloads::worker::work;
use serde_json::{Value, json};

use crate::support::http2_peer::{
    CANCEL, DATA, HEADERS, INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, NO_ERROR, PING, Peer,
    REFUSED_STREAM, SETTINGS, WINDOW_UPDATE,
};
use crate::support::rounds::{measured, plan};
use crate::support::tiny_server;

fn worker_plan(params: &Value, address: &str, runtime: &str, operations: u64) -> WorkerPlan {
    let entry = workload("http").expect("it ships");
    let target = TargetAddress {
        url: format!("http://{address}"),
        address: None,
        mock: false,
        tls: None,
    };
    let (unit, directory) = (Duration::from_millis(1), std::env::temp_dir());
    WorkerPlan {
        targets: [("http".to_owned(), target)].into(),
        ..plan(entry, params, unit, runtime, operations, &directory)
    }
}

fn round(params: &Value, address: &str, runtime: &str, operations: u64) -> Measurement {
    let plan = worker_plan(params, address, runtime, operations);
    measured(&plan, work(&plan).result)
}

/// Runs operations, and one of warm-up, under every runtime, each against its own server; returns the measurements.
fn under_every_runtime(
    params: &Value,
    operations: u64,
    serve: impl Fn(&mut Peer<'_>) + Clone + Send + Sync + 'static,
    settings: &'static [(u16, u32)],
    check: impl Fn(&str, &Measurement),
) {
    for runtime in DESCRIPTORS {
        let serve = serve.clone();
        let address = tiny_server::start(move |client| {
            if let Some(mut peer) = Peer::greet(client, settings) {
                serve(&mut peer);
            }
        });
        let measurement = round(params, &address, runtime.name, operations);
        check(runtime.name, &measurement);
    }
}

/// Checks that nothing failed and each request was counted once.
#[track_caller]
fn check_success(runtime: &str, measurement: &Measurement, operations: u64, requests: u64) {
    assert!(
        measurement.errors.is_empty() && measurement.warmup_errors.is_empty(),
        "{runtime}: {:?} {:?}",
        measurement.errors,
        measurement.warmup_errors
    );
    assert_eq!(measurement.ops, operations, "{runtime}");
    assert_eq!(measurement.violations, [""; 0], "{runtime}");
    assert_eq!(measurement.traffic["http"].requests, requests, "{runtime}");
}

/// A mix of one request, with this number of streams.
fn streams(streams: u32, request: Value) -> Value {
    json!({ "http": { "version": "2", "streams": streams }, "request": [request] })
}

/// Passes the streams of each batch of requests to `answer`, until that ends the connection.
fn batches(
    count: usize,
    answer: impl Fn(&mut Peer<'_>, &[u32]) -> Option<()> + Clone + Send + Sync + 'static,
) -> impl Fn(&mut Peer<'_>) + Clone + Send + Sync + 'static {
    move |peer| {
        while let Some(streams) = peer.requests(count)
            && answer(peer, &streams).is_some()
        {}
    }
}

#[test]
fn all_streams_of_an_operation_are_open_at_once_and_answered_in_any_order() {
    let serve = batches(8, |peer, streams| {
        for stream in streams.iter().rev() {
            peer.respond(*stream, b"hello");
        }
        Some(())
    });
    let request = json!({ "send": "GET /", "expect": { "bytes": 5, "text": "hello" } });
    under_every_runtime(&streams(8, request), 5, serve, &[], |runtime, seen| {
        check_success(runtime, seen, 5, 48);
        assert_eq!(seen.gauges["http2_streams"], 8.0, "{runtime}");
        let windows = "windows of 1048576 bytes per stream and 2097152 per connection";
        assert_eq!(seen.contents["HTTP/2"], windows, "{runtime}");
        assert_eq!(seen.parts[0].succeeded, 40, "{runtime}");
        assert_eq!(seen.traffic["http"].connections, 1, "{runtime}");
    });
}

#[test]
fn a_goaway_in_mid_operation_costs_no_request_even_of_a_post() {
    // The first three of each connection's eight are answered; the others are above the last stream.
    let serve = |peer: &mut Peer<'_>| {
        let Some(streams) = peer.requests(8) else {
            return;
        };
        peer.go_away(streams[2]);
        for stream in &streams[..3] {
            peer.respond(*stream, b"");
        }
        while peer.frame().is_some() {}
    };
    // The 8, 5 and then 2 requests left of the operations do not fill a connection and are answered as they arrive.
    let served = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&served);
    let serve = move |peer: &mut Peer<'_>| {
        let number = {
            let mut log = log.lock().expect("no panic");
            log.push(());
            log.len()
        };
        if number == 1 {
            return serve(peer);
        }
        while let Some(stream) = peer.request() {
            peer.respond(stream, b"");
        }
    };
    let request = json!({ "send": "POST /", "body": { "text": "x" } });
    for runtime in DESCRIPTORS {
        served.lock().expect("no panic").clear();
        let serve = serve.clone();
        let address = tiny_server::start(move |client| {
            if let Some(mut peer) = Peer::greet(client, &[]) {
                serve(&mut peer);
            }
        });
        let seen = round(&streams(8, request.clone()), &address, runtime.name, 2);
        check_success(runtime.name, &seen, 2, 24);
        assert_eq!(seen.traffic["http"].connections, 2, "{}", runtime.name);
        assert_eq!(seen.traffic["http"].reconnects, 1, "{}", runtime.name);
        assert_eq!(seen.traffic["http"].abandoned, 0, "{}", runtime.name);
    }
}

#[test]
fn a_goaway_between_operations_is_noticed_before_a_post_is_sent() {
    let serve = |peer: &mut Peer<'_>| {
        if let Some(stream) = peer.request() {
            peer.respond(stream, b"");
            std::thread::sleep(Duration::from_millis(5));
            peer.go_away(stream);
            // Closes: anything the client sends from now on would be lost.
        }
    };
    let mut params = streams(1, json!({ "send": "POST /", "body": { "text": "x" } }));
    params["request"][0]["pause"] = json!("60ms");
    under_every_runtime(&params, 3, serve, &[], |runtime, seen| {
        check_success(runtime, seen, 3, 4);
        assert_eq!(seen.traffic["http"].connections, 4, "{runtime}");
    });
}

#[test]
fn a_refused_stream_is_resent_and_fails_if_it_is_never_accepted() {
    let refused = |times: usize| {
        let seen = Arc::new(AtomicUsize::new(0));
        move |peer: &mut Peer<'_>| {
            while let Some(stream) = peer.request() {
                if seen.fetch_add(1, Ordering::Relaxed) % (times + 1) < times {
                    peer.reset(stream, REFUSED_STREAM);
                } else {
                    peer.respond(stream, b"");
                }
            }
        }
    };
    let params = streams(1, json!({ "send": "POST /", "body": { "text": "x" } }));
    under_every_runtime(&params, 3, refused(2), &[], |runtime, seen| {
        check_success(runtime, seen, 3, 4);
    });
    under_every_runtime(&params, 2, refused(1_000_000), &[], |runtime, seen| {
        assert_eq!(seen.errors["refused-stream"].count, 2, "{runtime}");
    });
}

#[test]
fn a_reset_fails_a_request_unless_its_response_was_complete() {
    let serve = |reason: u32, is_whole: bool| {
        move |peer: &mut Peer<'_>| {
            while let Some(stream) = peer.request() {
                peer.head(stream, false);
                peer.data(stream, b"hel", is_whole);
                peer.reset(stream, reason);
            }
        }
    };
    let params = streams(1, json!({ "send": "GET /" }));
    under_every_runtime(&params, 3, serve(NO_ERROR, true), &[], |runtime, seen| {
        check_success(runtime, seen, 3, 4);
    });
    for reason in [NO_ERROR, CANCEL] {
        under_every_runtime(&params, 2, serve(reason, false), &[], |runtime, seen| {
            assert_eq!(seen.errors["stream-reset"].count, 2, "{runtime} {reason}");
        });
    }
}

#[test]
fn a_stream_limit_makes_requests_wait_and_is_recorded() {
    // Answers only once two requests have arrived, and checks that no third one does meanwhile.
    let serve = |peer: &mut Peer<'_>| {
        while let Some(streams) = peer.requests(2) {
            let open = Duration::from_millis(20);
            std::thread::sleep(open);
            for stream in streams {
                peer.respond(stream, b"");
            }
        }
    };
    let most: &[(u16, u32)] = &[(MAX_CONCURRENT_STREAMS, 2)];
    let params = streams(8, json!({ "send": "GET /" }));
    under_every_runtime(&params, 2, serve, most, |runtime, seen| {
        check_success(runtime, seen, 2, 24);
        assert_eq!(seen.gauges["http2_streams"], 2.0, "{runtime}");
    });
}

#[test]
fn a_zero_or_lowered_stream_limit_is_waited_for() {
    let serve = |peer: &mut Peer<'_>| {
        std::thread::sleep(Duration::from_millis(30));
        peer.settings(&[(MAX_CONCURRENT_STREAMS, 4)]);
        let Some(streams) = peer.requests(4) else {
            return;
        };
        peer.settings(&[(MAX_CONCURRENT_STREAMS, 1)]);
        for stream in streams {
            peer.respond(stream, b"");
        }
        while let Some(stream) = peer.request() {
            peer.respond(stream, b"");
        }
    };
    let none: &[(u16, u32)] = &[(MAX_CONCURRENT_STREAMS, 0)];
    let params = streams(8, json!({ "send": "GET /" }));
    under_every_runtime(&params, 2, serve, none, |runtime, seen| {
        check_success(runtime, seen, 2, 24);
        assert_eq!(seen.gauges["http2_streams"], 1.0, "{runtime}");
    });
}

/// Method: a server that sends a PING in the pause of a flow, and another once the first is answered. Both answers must arrive
/// before the next request, and so must that to the new settings.
#[test]
fn pings_and_settings_are_answered_in_a_pause() {
    let params = json!({
        "http": { "version": "2" },
        "flow": [{ "request": [
            { "send": "GET /first", "pause": "700ms" },
            { "send": "GET /second" },
        ] }],
    });
    let serve = |client: &std::net::TcpStream, log: &Mutex<Vec<Vec<u8>>>| {
        let Some(mut peer) = Peer::greet(client, &[]) else {
            return;
        };
        while let Some(stream) = peer.request() {
            peer.respond(stream, b"");
            let mut seen = Vec::new();
            peer.send(PING, 0, 0, b"pingpong");
            while let Some(frame) = peer.frame() {
                seen.push(frame.kind);
                if frame.kind == PING && seen.len() == 1 {
                    peer.settings(&[(INITIAL_WINDOW_SIZE, 70_000)]);
                    peer.send(PING, 0, 0, b"pongping");
                }
                if frame.kind == HEADERS {
                    peer.respond(frame.stream, b"");
                    break;
                }
            }
            log.lock().expect("sound").push(seen);
        }
    };
    std::thread::scope(|scope| {
        for runtime in DESCRIPTORS {
            let params = &params;
            scope.spawn(move || {
                let log = Arc::new(Mutex::new(Vec::new()));
                let logged = Arc::clone(&log);
                let address = tiny_server::start(move |client| serve(client, &logged));
                let seen = round(params, &address, runtime.name, 1);
                check_success(runtime.name, &seen, 1, 4);
                for seen in log.lock().expect("sound").iter_mut() {
                    // The last two answers may leave in either order.
                    seen[1..3].sort_unstable();
                    let expected = [PING, SETTINGS, PING, HEADERS];
                    assert_eq!(seen[..], expected, "{}", runtime.name);
                }
            });
        }
    });
}

#[test]
fn a_server_that_allows_no_streams_fails_the_requests_with_the_reason() {
    let serve = |peer: &mut Peer<'_>| while peer.frame().is_some() {};
    let none: &[(u16, u32)] = &[(MAX_CONCURRENT_STREAMS, 0)];
    let mut params = streams(2, json!({ "send": "GET /" }));
    params["http"]["timeout"] = json!("50ms");
    under_every_runtime(&params, 2, serve, none, |runtime, seen| {
        let failures = &seen.errors["http2"];
        assert_eq!((failures.count, seen.ops), (2, 0), "{runtime}");
        let reason = "no concurrent streams (SETTINGS_MAX_CONCURRENT_STREAMS is 0)";
        assert!(failures.example.contains(reason), "{runtime}: {failures:?}");
    });
}

/// Method: a server that breaks the protocol behind each response, so that the client ends the connection.
#[test]
fn a_connection_that_the_client_ends_is_no_reconnect() {
    let serve = |peer: &mut Peer<'_>| {
        while let Some(stream) = peer.request() {
            peer.respond(stream, b"");
            peer.data(0, b"not on a stream", false);
        }
    };
    let params = streams(1, json!({ "send": "GET /" }));
    under_every_runtime(&params, 4, serve, &[], |runtime, seen| {
        let traffic = &seen.traffic["http"];
        assert!(traffic.connections > 1, "{runtime}: {traffic:?}");
        assert_eq!(traffic.reconnects, 0, "{runtime}");
        let kinds: Vec<&String> = seen.errors.keys().collect();
        assert!(kinds.iter().all(|kind| *kind == "malformed"), "{kinds:?}");
    });
}

/// Method: a server that grants windows in small steps and takes part of a granted window back.
#[test]
fn windows_of_any_size_stall_no_body_in_either_direction() {
    const BODY: usize = 1 << 20;
    let serve = |peer: &mut Peer<'_>| {
        let mut received = 0;
        while let Some(frame) = peer.frame() {
            if frame.kind != DATA {
                continue;
            }
            let size = frame.payload.len() as u32;
            let before = received;
            received += frame.payload.len();
            if before < 8 && received >= 8 {
                // The granted window becomes negative, and is granted again.
                peer.settings(&[(INITIAL_WINDOW_SIZE, 1)]);
                peer.settings(&[(INITIAL_WINDOW_SIZE, 8)]);
            }
            // Updates of one byte at first, then enough for a body of this size.
            let step = if received < 40 { 1 } else { 200_000 };
            for granted in [0, frame.stream] {
                for _ in 0..(size.min(step)).min(8) {
                    peer.send(WINDOW_UPDATE, 0, granted, &step.to_be_bytes());
                }
            }
            if received == BODY {
                received = 0;
                peer.settings(&[(INITIAL_WINDOW_SIZE, 8)]);
                echo(peer, frame.stream);
            }
        }
    };
    /// Sends a body of the same size, which the client's windows of 1 MiB allow at once, with a PING in the middle.
    fn echo(peer: &mut Peer<'_>, stream: u32) {
        peer.head(stream, false);
        let part = vec![b'x'; 16 * 1024];
        for index in 0..BODY / part.len() {
            if index == 20 {
                peer.send(PING, 0, 0, b"12345678");
            }
            peer.data(stream, &part, false);
        }
        while let Some(frame) = peer.frame() {
            if frame.is_acknowledgement(PING) {
                assert_eq!(frame.payload, b"12345678");
                return peer.data(stream, b"", true);
            }
        }
    }
    let small: &[(u16, u32)] = &[(INITIAL_WINDOW_SIZE, 8)];
    let request = json!({
        "send": "POST /", "body": { "text": "x".repeat(BODY) }, "expect": { "bytes": BODY },
    });
    under_every_runtime(&streams(1, request), 2, serve, small, |runtime, seen| {
        check_success(runtime, seen, 2, 3);
    });
}

#[test]
fn a_broken_connection_repeats_idempotent_requests_once_and_fails_the_rest() {
    let breaking = |peer: &mut Peer<'_>| {
        // Each connection answers one operation, and breaks in the next.
        let Some(stream) = peer.request() else {
            return;
        };
        peer.respond(stream, b"");
        peer.request();
    };
    let get = streams(1, json!({ "send": "GET /" }));
    under_every_runtime(&get, 3, breaking, &[], |runtime, seen| {
        check_success(runtime, seen, 3, 4);
        assert_eq!(seen.traffic["http"].abandoned, 3, "{runtime}");
    });
    let post = streams(1, json!({ "send": "POST /", "body": { "text": "x" } }));
    under_every_runtime(&post, 3, breaking, &[], |runtime, seen| {
        // Of the four operations, warm-up included, the connections of the second and fourth break.
        let failed: u64 = seen.errors.values().map(|failures| failures.count).sum();
        assert_eq!(failed, 2, "{runtime}: {:?}", seen.errors);
        let kinds = seen
            .errors
            .keys()
            .all(|kind| kind == "short" || kind == "reset");
        assert!(kinds, "{runtime}: {:?}", seen.errors);
        assert_eq!(seen.violations, [""; 0], "{runtime}");
    });
}

#[test]
fn a_late_response_fails_its_request_and_the_next_operation_works() {
    let count = Arc::new(AtomicUsize::new(0));
    let serve = move |peer: &mut Peer<'_>| {
        while let Some(stream) = peer.request() {
            // The second request, the first of the measurement, is never answered.
            if count.fetch_add(1, Ordering::Relaxed) % 4 != 1 {
                peer.respond(stream, b"");
            }
        }
    };
    let mut params = streams(1, json!({ "send": "GET /" }));
    params["http"]["timeout"] = json!("300ms");
    under_every_runtime(&params, 3, serve, &[], |runtime, seen| {
        assert_eq!(seen.errors["timeout"].count, 1, "{runtime}");
        assert_eq!(seen.ops, 2, "{runtime}");
        assert_eq!(seen.traffic["http"].connections, 2, "{runtime}");
        assert_eq!(seen.violations, [""; 0], "{runtime}");
    });
}

#[test]
fn a_server_without_http2_is_reported_before_anything_is_measured() {
    let answers: [&[u8]; 3] = [
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n",
        b"",
        b"220 ftp\r\n",
    ];
    for answer in answers {
        let address = tiny_server::start(move |mut client| {
            let mut preface = [0; 24];
            let _ = client.read_exact(&mut preface);
            let _ = client.write_all(answer);
            let _ = client.shutdown(Shutdown::Both);
        });
        let params = streams(2, json!({ "send": "GET /" }));
        let result = work(&worker_plan(&params, &address, "tokio", 1)).result;
        let WorkerResult::Failed { reason, hint, .. } = &result else {
            panic!("{result:?}");
        };
        assert!(
            reason.contains("http2: the server does not speak HTTP/2"),
            "{reason}"
        );
        assert!(
            hint.as_deref()
                .is_some_and(|hint| hint.contains("version = \"1.1\""))
        );
    }
}

#[test]
fn a_server_that_ends_every_connection_before_a_request_is_not_asked_forever() {
    for runtime in DESCRIPTORS {
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        let address = tiny_server::start(move |client| {
            let Some(mut peer) = Peer::greet(client, &[]) else {
                return;
            };
            if count.fetch_add(1, Ordering::Relaxed) == 0 {
                let Some(stream) = peer.request() else {
                    return;
                };
                peer.go_away(stream);
                peer.respond(stream, b"");
            } else {
                peer.go_away(0);
            }
            while peer.frame().is_some() {}
        });
        let request = json!({ "send": "POST /" });
        let seen = round(&streams(1, request), &address, runtime.name, 1);
        assert_eq!(seen.errors["goaway"].count, 1, "{}", runtime.name);
        let example = &seen.errors["goaway"].example;
        assert!(example.contains("20 connections in a row"), "{example}");
        assert_eq!(connections.load(Ordering::Relaxed), 21, "{}", runtime.name);
    }
}

#[test]
fn http1_only_features_are_refused_with_the_reason() {
    let refused = |params: Value| {
        let entry = workload("http").expect("it ships");
        let errors = (entry.check)(&params, Duration::from_millis(1)).expect_err("refused");
        format!("{errors:?}")
    };
    let get = json!([{ "send": "GET /" }]);
    for (params, expected) in [
        (
            json!({ "http": { "streams": 2 }, "request": get }),
            "expected `version = \\\"2\\\"` with several streams",
        ),
        (
            json!({ "http": { "version": "2", "streams": 1001 }, "request": get }),
            "expected at most 1000, got 1001",
        ),
        (
            json!({ "http": { "version": "2", "streams": 4, "keep_alive": false }, "request": get }),
            "expected at least 4 requests per connection, as many as streams, got 1",
        ),
        (
            json!({ "http": { "version": "2", "headers": { "Connection": "close" } }, "request": get }),
            "HTTP/2 has no header `connection`",
        ),
        (
            json!({ "http": { "version": "2", "streams": 2 },
                    "request": [{ "send": "GET /", "pause": "1s" }] }),
            "expected no pause with several streams",
        ),
        (
            json!({ "http": { "version": "2" }, "request": [{ "send": "POST /pkg.Service/Method",
                    "headers": { "Content-Type": "application/grpc+proto" }, "body": { "file": "m.bin" } }] }),
            "gRPC is not supported",
        ),
        (
            json!({ "http": { "version": "2", "streams": 2 }, "request": get,
                    "feed": { "user": { "file": "u.csv", "order": "once" } } }),
            "expected an order other than `once` with several streams",
        ),
        (
            json!({ "http": { "version": "3" }, "request": get }),
            "expected `1.1` or `2`",
        ),
    ] {
        let got = refused(params);
        assert!(got.contains(expected), "{got}");
    }
}
