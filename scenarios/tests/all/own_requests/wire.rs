//! The wire: connections kept, bodies framed, digested and counted.

use std::io::{BufReader, Write as _};

use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_workloads::worker::work;
use serde_json::{Value, json};

use super::{failure, planned_for, receive, requests, response, round, server, succeeded};
use crate::support::rounds::measured;
use crate::support::tiny_server;

#[test]
fn keep_alive_policies_are_followed() {
    let params = |keep_alive: Value| json!({ "http": { "keep_alive": keep_alive }, "request": [{ "send": "GET /" }] });
    for runtime in DESCRIPTORS {
        for (keep_alive, connections) in [
            (json!(true), 1),
            (json!(false), 10),
            (json!({ "requests": 3 }), 4),
        ] {
            let (url, log) = server(|_| response(200, "", ""));
            let measurement = round(&params(keep_alive.clone()), &url, runtime.name, 9);
            let announced = (keep_alive == json!(false)).then_some("close");
            for request in requests(&log, 0) {
                assert_eq!(request.field("connection"), announced, "{}", runtime.name);
            }
            succeeded(&measurement, 9, 10, runtime.name);
            assert_eq!(
                measurement.traffic["http"].connections, connections,
                "{} {keep_alive}",
                runtime.name
            );
        }
    }
}

#[test]
fn http_connect_announces_the_end_of_its_connections() {
    for runtime in DESCRIPTORS {
        let (url, log) = server(|_| response(200, "", "ok"));
        let plan = planned_for("http-connect", &json!({}), &url, runtime.name, 9);
        let measurement = measured(&plan, work(&plan).result);
        assert_eq!(measurement.ops, 9, "{}", runtime.name);
        let measured = requests(&log, 0).split_off(2);
        assert_eq!(measured.len(), 10, "{}", runtime.name);
        for request in measured {
            assert_eq!(
                request.field("connection"),
                Some("close"),
                "{}",
                runtime.name
            );
        }
    }
}

#[test]
fn responses_without_a_body_are_framed_by_method_and_status() {
    let params = json!({
        "flow": [{ "request": [
            { "send": "HEAD /a", "expect": { "bytes": 0 } },
            { "send": "DELETE /b", "expect": { "status": 204 } },
            { "send": "GET /c", "expect": { "status": 304, "header": { "x-absent": false, "etag": true } } },
            { "send": "OPTIONS /d", "expect": { "bytes": 2 } },
        ] }],
    });
    for runtime in DESCRIPTORS {
        let (url, _) = server(|request| match request.line() {
            "HEAD /a" => "HTTP/1.1 200 OK\r\ncontent-length: 999\r\n\r\n".to_owned(),
            "DELETE /b" => "HTTP/1.1 204 X\r\n\r\n".to_owned(),
            "GET /c" => "HTTP/1.1 304 X\r\netag: 1\r\ncontent-length: 999\r\n\r\n".to_owned(),
            _ => response(200, "", "ok"),
        });
        succeeded(&round(&params, &url, runtime.name, 3), 3, 16, runtime.name);
    }
}

/// More than the limit of a response that is kept in memory, which shows that this one is not.
#[test]
fn a_large_body_is_counted_or_digested_without_being_kept() {
    const BLOCK: usize = 1 << 20;
    const BLOCKS: usize = 70;
    let address = tiny_server::start(|client| {
        let mut client = BufReader::new(client);
        while let Some(request) = receive(&mut client) {
            let blocks = if request.line() == "GET /large" {
                BLOCKS
            } else {
                1
            };
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
                blocks * BLOCK
            );
            let stream = client.get_mut();
            let body = vec![b'x'; BLOCK];
            if stream.write_all(head.as_bytes()).is_err()
                || (0..blocks).any(|_| stream.write_all(&body).is_err())
            {
                return;
            }
        }
    });
    let url = format!("http://{address}");
    let params = |expect: Value| json!({ "request": [{ "name": "r", "send": "GET /large", "expect": expect }] });
    let bytes = (BLOCK * BLOCKS) as u64;
    succeeded(
        &round(&params(json!({ "bytes": bytes })), &url, "tokio", 1),
        1,
        2,
        "tokio",
    );
    let kept = round(&params(json!({ "text": "y" })), &url, "sync", 1);
    assert_eq!(failure(&kept).0, "too-large");
    let params = |path: &str, digest: &str| json!({ "request": [{ "name": "r", "send": format!("GET {path}"), "expect": { "body": { "sha256": digest } } }] });
    // Longer than a body that may be kept.
    let digest = photofinish_record::hex(<sha2::Sha256 as sha2::Digest>::digest(vec![
        b'x';
        BLOCKS
            * BLOCK
    ]));
    succeeded(
        &round(&params("/large", &digest), &url, "threads", 1),
        1,
        2,
        "threads",
    );
    let digest = photofinish_record::hex(<sha2::Sha256 as sha2::Digest>::digest(vec![b'x'; BLOCK]));
    let other = "0".repeat(64);
    let expected = format!("r: expected a body with SHA-256 {other}, got {digest} ({BLOCK} bytes)");
    assert_eq!(
        failure(&round(&params("/small", &other), &url, "sync", 1)),
        ("wrong-content", expected.as_str())
    );
}
