//! The workload `http` against servers that keep every byte they are sent: the intended requests, in order,
//! the same under every runtime, and nothing else.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::num::{NonZeroU32, NonZeroU64};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_record::Measurement;
use photofinish_record::load::{Load, Stop};
use photofinish_record::protocol::{TargetAddress, WorkerPlan};
use photofinish_scenarios::registry::workload;
use photofinish_scenarios::worker::work;
use serde_json::{Value, json};

use crate::support::rounds::{measured, plan};
use crate::support::tiny_server;

/// A request as received.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Received {
    head: String,
    body: String,
}

impl Received {
    /// Method and target.
    fn line(&self) -> &str {
        let line = self.head.lines().next().unwrap_or_default();
        line.strip_suffix(" HTTP/1.1").unwrap_or(line)
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .find(|(field, _)| *field == name)
            .map(|(_, value)| value)
    }
}

type Log = Arc<Mutex<Vec<Received>>>;

/// A server that answers each request with what `answer` makes of it, and closes after an empty answer.
fn server(answer: impl Fn(&Received) -> String + Send + Sync + 'static) -> (String, Log) {
    let log = Log::default();
    let seen = Arc::clone(&log);
    let address = tiny_server::start(move |client| {
        let mut client = BufReader::new(client);
        while let Some(request) = receive(&mut client) {
            seen.lock().expect("no panic").push(request.clone());
            let answer = answer(&request);
            if answer.is_empty() || client.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    (format!("http://{address}"), log)
}

fn receive(client: &mut BufReader<&TcpStream>) -> Option<Received> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if client.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut request = Received {
        head,
        body: String::new(),
    };
    let length = request
        .field("content-length")
        .map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    client.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).expect("text");
    Some(request)
}

/// A response with these header fields, lines with their ends.
fn response(status: u16, fields: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} X\r\n{fields}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn planned(params: &Value, url: &str, runtime: &str, operations: u64) -> WorkerPlan {
    let entry = workload("http").expect("it ships");
    let address = TargetAddress {
        url: url.to_owned(),
        address: None,
        mock: false,
        tls: None,
    };
    let directory = std::env::temp_dir();
    WorkerPlan {
        targets: [("http".to_owned(), address)].into(),
        run: "a-run".to_owned(),
        round: 7,
        ..plan(
            entry,
            params,
            Duration::from_millis(1),
            runtime,
            operations,
            &directory,
        )
    }
}

fn round(params: &Value, url: &str, runtime: &str, operations: u64) -> Measurement {
    let plan = planned(params, url, runtime, operations);
    measured(&plan, work(&plan).result)
}

/// The requests after those of the one operation of the warm-up, of which there are `warmup`.
fn requests(log: &Log, warmup: usize) -> Vec<Received> {
    log.lock().expect("no panic")[warmup..].to_vec()
}

/// The first failure's kind and example, without the number of its operation.
fn failure(measurement: &Measurement) -> (&str, &str) {
    let (kind, failures) = measurement.errors.first_key_value().expect("a failure");
    let (_, example) = failures.example.split_once(": ").expect("a number");
    (kind, example)
}

/// Checks for every round in this file: nothing failed, and each request was counted.
#[track_caller]
fn succeeded(measurement: &Measurement, operations: u64, requests: usize, runtime: &str) {
    assert!(
        measurement.errors.is_empty(),
        "{runtime}: {:?}",
        measurement.errors
    );
    assert_eq!(measurement.ops, operations, "{runtime}");
    assert_eq!(measurement.violations, [""; 0], "{runtime}");
    assert_eq!(
        measurement.traffic["http"].requests as usize, requests,
        "{runtime}"
    );
}

/// Successes and failures of each part, with its statuses.
fn parts(measurement: &Measurement) -> Vec<(&str, u64, u64, String)> {
    let parts = measurement.parts.iter();
    parts
        .map(|part| {
            let statuses = serde_json::to_string(&part.statuses).expect("JSON");
            (
                part.name.as_str(),
                part.succeeded,
                part.failed,
                statuses.replace('"', ""),
            )
        })
        .collect()
}

#[test]
fn a_mix_sends_the_same_requests_under_every_runtime() {
    let params = json!({
        "draw": { "id": { "from": 1, "to": 1000 } },
        "http": { "headers": { "x-common": "{{run}}/{{round}}", "accept": "*/*" } },
        "request": [
            { "name": "read", "weight": 3, "send": "GET /items/{{id}}?tag=a%20b&op={{op}}", "headers": { "host": "shop.test", "accept": "x" } },
            { "name": "write", "weight": 1, "send": "PUT /items/{{id}}", "json": { "n": "{{id|raw}}", "text": "\"{{op}}\"" } },
        ],
    });
    let mut first: Option<Vec<Received>> = None;
    for runtime in DESCRIPTORS {
        let (url, log) = server(|_| response(200, "", ""));
        let measurement = round(&params, &format!("{url}/base/"), runtime.name, 40);
        let sent = requests(&log, 1);
        succeeded(&measurement, 40, 41, runtime.name);
        assert_eq!(sent.len(), 40);
        let count = |method: &str| {
            sent.iter()
                .filter(|one| one.head.starts_with(method))
                .count() as u64
        };
        let (reads, writes) = (count("GET"), count("PUT"));
        let expected = [
            ("read", reads, 0, format!("{{200:{reads}}}")),
            ("write", writes, 0, format!("{{200:{writes}}}")),
        ];
        assert_eq!(parts(&measurement), expected, "{}", runtime.name);
        let address = url.strip_prefix("http://").expect("an address");
        let sent: Vec<_> = sent
            .into_iter()
            .map(|request| Received {
                head: request.head.replace(address, "SERVER"),
                ..request
            })
            .collect();
        assert_eq!(
            first.get_or_insert_with(|| sent.clone()),
            &sent,
            "{}",
            runtime.name
        );
    }
    let sent = first.expect("some runtime");
    let reads: Vec<_> = sent
        .iter()
        .filter(|one| one.head.starts_with("GET"))
        .collect();
    assert!(
        (22..=38).contains(&reads.len()),
        "{} of 40 are reads",
        reads.len()
    );
    let read = reads[0];
    let target = read.line().strip_prefix("GET ").expect("a read");
    assert_eq!(
        read.head,
        format!(
            "GET {target} HTTP/1.1\r\nhost: shop.test\r\nx-common: a-run/7\r\naccept: x\r\n\r\n"
        )
    );
    assert!(
        target.starts_with("/base/items/") && target.contains("?tag=a%20b&op="),
        "{target}"
    );
    let write = sent
        .iter()
        .find(|one| one.head.starts_with("PUT"))
        .expect("a write");
    let number = write
        .line()
        .strip_prefix("PUT /base/items/")
        .expect("an item");
    let document: Value = serde_json::from_str(&write.body).expect("JSON");
    assert_eq!(document["n"].to_string(), number);
    assert_eq!(write.field("content-type"), Some("application/json"));
}

#[test]
fn a_flow_carries_captures_on_and_ends_at_its_first_failure_under_every_runtime() {
    let params = json!({
        "flow": [{ "request": [
            { "name": "log in", "send": "POST /login", "form": { "user": "u {{op}}&", "k": "{{session}}" },
              "capture": { "token": "json /a/0/t~1", "tag": "header ETag", "cook": "cookie c", "num": "regex n=([0-9]+)" } },
            { "name": "use", "send": "GET /use/{{token}}?n={{num}}", "headers": { "if-match": "{{tag}}" },
              "expect": { "status": [200, 404], "text": "it is {{token}}" } },
            { "name": "end", "send": "DELETE /end", "body": { "text": "{{cook}} {{token|raw}} {{" , "raw": true } },
        ] }],
    });
    for runtime in DESCRIPTORS {
        let (url, log) = server(|request| match request.line() {
            "POST /login" => response(
                201,
                "Set-Cookie: b=0\r\nSet-Cookie: c=\"9\"; Path=/\r\netag: W/\"x\"\r\n",
                r#"{"b": "n=42", "a": [{"t/": "\u00e4 /"}]}"#,
            ),
            "GET /use/%C3%A4%20%2F?n=42" => response(404, "", "well, it is ä /."),
            _ => response(500, "", ""),
        });
        let measurement = round(&params, &url, runtime.name, 3);
        let sent = requests(&log, 3);
        assert_eq!(measurement.failed_ops(), 3, "{}", runtime.name);
        assert_eq!(
            failure(&measurement),
            ("status", "end: expected status 2xx, got 500")
        );
        assert_eq!(measurement.traffic["http"].requests, 12);
        let expected = [
            ("log in", 3, 0, "{201:3}"),
            ("use", 3, 0, "{404:3}"),
            ("end", 0, 3, "{500:3}"),
        ];
        assert_eq!(
            parts(&measurement),
            expected.map(|(name, right, wrong, statuses)| (
                name,
                right,
                wrong,
                statuses.to_owned()
            ))
        );
        assert_eq!(measurement.violations, [""; 0]);
        let lines: Vec<_> = sent[..3].iter().map(Received::line).collect();
        assert_eq!(
            lines,
            ["POST /login", "GET /use/%C3%A4%20%2F?n=42", "DELETE /end"]
        );
        assert_eq!(sent[0].body, "k=0&user=u+0%26");
        assert_eq!(sent[1].field("if-match"), Some("W/\"x\""));
        assert_eq!(sent[2].body, "{{cook}} {{token|raw}} {{");
        assert_eq!(
            sent[2].field("content-type"),
            Some("text/plain; charset=utf-8")
        );
    }
    // The second request fails: the third is not sent.
    let (url, log) = server(|request| match request.line() {
        "POST /login" => response(201, "etag: x\r\n", r#"{"a": [{"t/": 1}]}"#),
        _ => response(200, "", "n=1"),
    });
    let measurement = round(&params, &url, "sync", 3);
    assert_eq!(
        failure(&measurement),
        (
            "wrong-content",
            "log in: nothing to capture as `cook`: expected a cookie `c`, got none"
        )
    );
    assert_eq!(
        requests(&log, 0).len(),
        4,
        "only the first request of each flow"
    );
}

/// Two sessions log in as two users and never see each other; a jar lives for an operation, or for the session.
#[test]
fn cookies_belong_to_one_session() {
    let params = |life: Value| {
        json!({
            "http": { "cookies": life },
            "flow": [{ "request": [
                { "send": "POST /login", "json": { "user": "{{session}}.{{op}}" } },
                { "send": "GET /me", "expect": { "json": { "/me": "{{session}}.{{op}}", "/elsewhere": "" } } },
                { "send": "GET /elsewhere/me", "expect": { "json": { "/me": "", "/elsewhere": "{{session}}.{{op}}" } } },
            ] }],
        })
    };
    let answer = |request: &Received| {
        let cookie = |name: &str| {
            let all = request.field("cookie").unwrap_or_default();
            let mut pairs = all.split("; ").filter_map(|pair| pair.split_once('='));
            pairs
                .find(|(other, _)| *other == name)
                .map_or("", |(_, value)| value)
                .to_owned()
        };
        if request.line() != "POST /login" {
            let body = json!({ "me": cookie("me"), "elsewhere": cookie("elsewhere"), "old": cookie("old") });
            return response(200, "", &body.to_string());
        }
        let user = serde_json::from_str::<Value>(&request.body).expect("JSON")["user"].clone();
        let user = user.as_str().expect("a name");
        let fields = format!(
            "set-cookie: old=1; Path=/\r\nset-cookie: me={user}; Path=/me\r\nset-cookie: elsewhere={user}; Path=/elsewhere\r\n\
             set-cookie: old=; Max-Age=0; Path=/\r\nset-cookie: foreign=1; Domain=other.test\r\n"
        );
        response(200, &fields, "")
    };
    for runtime in DESCRIPTORS {
        for life in [json!(true), json!("session")] {
            let (url, log) = server(answer);
            let mut plan = planned(&params(life), &url, runtime.name, 20);
            plan.load = Load::Closed {
                concurrency: NonZeroU32::new(4).expect("some"),
            };
            let measurement = measured(&plan, work(&plan).result);
            assert!(
                measurement.errors.is_empty(),
                "{}: {:?}",
                runtime.name,
                measurement.errors
            );
            assert_eq!(measurement.ops, 20);
            let sent = requests(&log, 0);
            let logins = sent
                .iter()
                .filter(|request| request.line() == "POST /login");
            let with_cookies = logins
                .filter(|request| request.field("cookie").is_some())
                .count();
            assert_eq!(with_cookies, 0, "their paths are others");
            let again = sent.iter().filter(|request| {
                request.head.contains("old=") || request.head.contains("foreign=")
            });
            assert_eq!(again.count(), 0, "deleted, or of another domain");
        }
    }
    let (url, log) = server(|_| response(200, "set-cookie: a=1\r\n", ""));
    for (life, expected) in [(json!(false), 0), (json!(true), 0), (json!("session"), 3)] {
        log.lock().expect("no panic").clear();
        let params = json!({ "http": { "cookies": life }, "request": [{ "send": "GET /" }] });
        succeeded(&round(&params, &url, "sync", 3), 3, 4, "sync");
        let with = requests(&log, 1)
            .iter()
            .filter(|request| request.field("cookie") == Some("a=1"))
            .count();
        assert_eq!(with, expected, "{life}");
    }
}

#[test]
fn redirects_are_followed_up_to_a_number_and_each_is_a_request() {
    let params = |redirects: u32| {
        json!({
            "http": { "redirects": redirects },
            "request": [{ "name": "r", "send": "POST /a/start", "json": 1, "expect": { "text": "end" } }],
        })
    };
    for runtime in DESCRIPTORS {
        let (url, log) = server(|request| match request.line() {
            "POST /a/start" => response(307, "location: next?x=1\r\n", ""),
            "POST /a/next?x=1" => response(303, "Location: /end\r\n", ""),
            "GET /end" => response(200, "", "the end"),
            line => panic!("{line}"),
        });
        succeeded(
            &round(&params(2), &url, runtime.name, 2),
            2,
            9,
            runtime.name,
        );
        let sent = requests(&log, 3);
        let bodies: Vec<_> = sent[..3]
            .iter()
            .map(|one| (one.body.as_str(), one.field("content-type")))
            .collect();
        assert_eq!(
            bodies,
            [
                ("1", Some("application/json")),
                ("1", Some("application/json")),
                ("", None)
            ]
        );
        let measurement = round(&params(2), &url, runtime.name, 2);
        assert_eq!(
            parts(&measurement),
            [("r", 6, 0, "{200:2,303:2,307:2}".to_owned())]
        );
        let limited = round(&params(1), &url, runtime.name, 2);
        assert_eq!(
            failure(&limited),
            (
                "status",
                "r: expected status 2xx, got 303, which redirects to `/end`"
            )
        );
        assert_eq!(limited.traffic["http"].requests, 6);
    }
}

#[test]
fn a_redirect_knows_its_server_by_the_host_field_and_never_regains_a_body() {
    let params = json!({
        "http": { "redirects": 5, "cookies": true, "headers": { "host": "shop.{{op}}.test" } },
        "request": [{ "name": "r", "send": "POST /a", "json": 1 }],
    });
    let (url, log) = server(|request| {
        let host = request.field("host").expect("a host");
        let found =
            format!("location: http://{host}/c\r\nset-cookie: a=1; domain={host}; path=/\r\n");
        match request.line() {
            "POST /a" => response(303, "location: /b\r\n", ""),
            "GET /b" => response(302, &found, ""),
            _ => response(200, "", ""),
        }
    });
    succeeded(&round(&params, &url, "tokio", 2), 2, 9, "tokio");
    let sent = requests(&log, 3);
    let last = &sent[2];
    assert_eq!(last.line(), "GET /c");
    assert_eq!(last.field("cookie"), Some("a=1"));
    assert_eq!(
        (last.body.as_str(), last.field("content-length")),
        ("", None)
    );
    let secure = |request: &Received| {
        let host = request.field("host").expect("a host");
        response(301, &format!("location: https://{host}/a\r\n"), "")
    };
    let refused = round(&params, &server(secure).0, "tokio", 1);
    let (kind, detail) = failure(&refused);
    assert_eq!(kind, "status");
    assert!(detail.contains("is another server"), "{detail}");
    assert_eq!(refused.traffic["http"].requests, 2);
}

/// Goal: no message has a value from the environment or from a response that a request sends on.
#[test]
fn a_failure_conceals_environment_variables_and_captures() {
    let secret = std::env::var("CARGO_MANIFEST_DIR").expect("cargo sets it");
    let token = "a+token/of=the-server";
    let (url, _) = server(move |request| match request.line() {
        "POST /login" => response(200, "", &json!({ "token": token }).to_string()),
        line if line.contains("/moved") => {
            response(302, &format!("location: //other{}\r\n", &line[4..]), "")
        }
        _ => response(200, "", &json!({ "echo": request.head }).to_string()),
    });
    for (send, expect, message) in [
        (
            "GET /",
            json!({ "text": "no {{env.CARGO_MANIFEST_DIR}} {{token}}" }),
            "expected a body with the text `no *** ***`",
        ),
        (
            "GET /",
            json!({ "json": { "/echo": "x" } }),
            "expected \"x\" at `/echo`, got ",
        ),
        (
            "GET /moved?{{env.CARGO_MANIFEST_DIR}}&{{token}}",
            json!({}),
            "redirected to `//other/moved?***&***`",
        ),
    ] {
        let params = json!({
            "http": { "redirects": 1, "headers": { "authorization": "{{env.CARGO_MANIFEST_DIR}}" } },
            "flow": [{ "request": [
                { "name": "log in", "send": "POST /login", "capture": { "token": "json /token" } },
                { "name": "use", "send": send, "headers": { "x-token": "{{token}}" }, "expect": expect },
            ] }],
        });
        let measurement = round(&params, &url, "tokio", 1);
        let (_, detail) = failure(&measurement);
        assert!(detail.contains(message), "{detail}");
        let all = serde_json::to_string(&measurement).expect("plain data");
        for part in [&secret[..12], &token[..12], "%2Btoken", "a%2B"] {
            assert!(!all.contains(part), "{part}: {detail}");
        }
    }
}

#[test]
fn a_request_is_retried_up_to_a_limit() {
    let params = |tries: u32| json!({ "http": { "tries": tries }, "request": [{ "name": "r", "send": "POST /" }] });
    let flaky = || {
        let count = Mutex::new(0);
        server(move |_| {
            let mut count = count.lock().expect("no panic");
            *count += 1;
            match *count % 3 {
                1 => response(503, "", "busy"),
                2 => String::new(),
                _ => response(200, "", ""),
            }
        })
    };
    for runtime in DESCRIPTORS {
        let (url, log) = flaky();
        let measurement = round(&params(3), &url, runtime.name, 4);
        assert!(
            measurement.errors.is_empty(),
            "{}: {:?}",
            runtime.name,
            measurement.errors
        );
        assert_eq!((measurement.ops, requests(&log, 0).len()), (4, 15));
        assert_eq!(
            parts(&measurement),
            [("r", 4, 8, "{200:4,503:4}".to_owned())]
        );
        assert_eq!(measurement.violations, [""; 0]);
        let (url, _) = flaky();
        let measurement = round(&params(1), &url, runtime.name, 5);
        assert_eq!(
            (measurement.ops, measurement.failed_ops()),
            (2, 3),
            "{}",
            runtime.name
        );
    }
}

#[test]
fn a_deadline_ends_a_request_or_operation_and_the_next_one_works() {
    for runtime in DESCRIPTORS {
        for http in [
            json!({ "timeout": "150ms" }),
            json!({ "operation_timeout": "150ms" }),
        ] {
            let (url, _) = server(|request| {
                if request.line() == "GET /1" {
                    std::thread::sleep(Duration::from_secs(2));
                }
                response(200, "", "")
            });
            let params = json!({ "http": http, "request": [{ "send": "GET /{{op}}" }] });
            let measurement = round(&params, &url, runtime.name, 4);
            assert_eq!(
                measurement.ops, 3,
                "{} {http}: {:?}",
                runtime.name, measurement.errors
            );
            assert_eq!(failure(&measurement).0, "timeout");
            assert_eq!(measurement.traffic["http"].abandoned, 1);
            assert_eq!(measurement.violations, [""; 0]);
        }
    }
}

#[test]
fn keep_alive_policies_are_followed() {
    let params = |keep_alive: Value| json!({ "http": { "keep_alive": keep_alive }, "request": [{ "send": "GET /" }] });
    for runtime in DESCRIPTORS {
        for (keep_alive, connections) in [
            (json!(true), 1),
            (json!(false), 10),
            (json!({ "requests": 3 }), 4),
        ] {
            let (url, _) = server(|_| response(200, "", ""));
            let measurement = round(&params(keep_alive.clone()), &url, runtime.name, 9);
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

#[test]
fn a_failed_check_reports_expected_and_actual_values() {
    let body = r#"{"currency": "USD", "n": 1.0, "list": [1]}"#;
    for (expect, kind, detail) in [
        (
            json!({ "status": [201, "3xx"] }),
            "status",
            "expected status 201 or 3xx, got 200",
        ),
        (
            json!({ "header": { "x-y": true } }),
            "wrong-content",
            "expected a header `x-y`, got none",
        ),
        (
            json!({ "header": { "x-z": false } }),
            "wrong-content",
            "expected no header `x-z`, got one",
        ),
        (
            json!({ "header": { "x-z": "{{op}}" } }),
            "wrong-content",
            "expected a header `x-z` that begins with `0`, got `zz`",
        ),
        (
            json!({ "json": { "/currency": "EUR" } }),
            "wrong-content",
            "expected \"EUR\" at `/currency`, got \"USD\"",
        ),
        (
            json!({ "json": { "/n": 2 } }),
            "wrong-content",
            "expected 2 at `/n`, got 1.0",
        ),
        (
            json!({ "json": { "/n": "1.0" } }),
            "wrong-content",
            "expected \"1.0\" at `/n`, got 1.0",
        ),
        (
            json!({ "json": { "/list": [2] } }),
            "wrong-content",
            "expected [2] at `/list`, got [1]",
        ),
        (
            json!({ "json": { "/list/1": 1 } }),
            "wrong-content",
            "expected a value at `/list/1`, got an array without `1` at `/list`",
        ),
        (
            json!({ "bytes": 3 }),
            "wrong-content",
            "expected a body of 3 bytes, got 42",
        ),
        (
            json!({ "text": "GBP" }),
            "wrong-content",
            "expected a body with the text `GBP`, got 42 bytes without it",
        ),
    ] {
        let (url, _) = server(move |_| response(200, "x-z: zz\r\n", body));
        let params = json!({ "request": [{ "name": "r", "send": "GET /", "expect": expect }] });
        let measurement = round(&params, &url, "sync", 1);
        assert_eq!(
            failure(&measurement),
            (kind, format!("r: {detail}").as_str())
        );
        // Wrong content is reported as such, whatever the error budget; the counts agree.
        let mut violations = measurement.violations.iter();
        assert!(
            violations.all(|violation| violation.starts_with("operation 0")),
            "{:?}",
            measurement.violations
        );
    }
    for (expect, right) in [
        (
            json!({ "json": { "/n": 1, "/list": [1], "/currency": "USD" }, "text": "\"USD\"", "header": { "x-z": "z" }, "bytes": 42 }),
            body,
        ),
        (json!({ "body": "any" }), "not JSON"),
        (json!({ "body": "same" }), "the same"),
    ] {
        let (url, _) = server(move |_| response(200, "x-z: zz\r\n", right));
        let params = json!({ "request": [{ "name": "r", "send": "GET /", "expect": expect }] });
        let measurement = round(&params, &url, "sync", 2);
        assert!(measurement.errors.is_empty(), "{:?}", measurement.errors);
    }
    let (url, _) = server(|_| response(200, "", "<html>"));
    let params =
        json!({ "request": [{ "name": "r", "send": "GET /", "expect": { "json": { "/a": 1 } } }] });
    let measurement = round(&params, &url, "sync", 1);
    assert_eq!(
        failure(&measurement),
        ("wrong-content", "r: expected JSON, got something else")
    );
}

/// Every response has the body of the first one; a server whose first two differ is reported before anything is
/// measured.
#[test]
fn a_changing_body_fails_the_same_check() {
    let params =
        json!({ "request": [{ "name": "r", "send": "GET /", "expect": { "body": "same" } }] });
    let counting = |from: u32| {
        let count = Mutex::new(0);
        server(move |_| {
            let mut count = count.lock().expect("no panic");
            *count += 1;
            response(200, "", if *count < from { "one" } else { "two" })
        })
    };
    // Two for the set-up, one for the warm-up.
    let (url, _) = counting(5);
    let measurement = round(&params, &url, "sync", 3);
    assert_eq!((measurement.ops, measurement.failed_ops()), (1, 2));
    let expected =
        "r: expected the body of the first response (3 bytes), got 3 bytes, different at byte 0";
    assert_eq!(failure(&measurement), ("wrong-content", expected));
    let (url, _) = counting(2);
    let plan = planned(&params, &url, "sync", 3);
    let result = serde_json::to_string(&work(&plan).result).expect("JSON");
    assert!(
        result.contains("\"status\":\"wrong\"")
            && result.contains("expected the body of the first"),
        "{result}"
    );
}

#[test]
fn pauses_are_in_the_time_of_the_operation() {
    let params = json!({ "flow": [{ "request": [{ "send": "GET /", "pause": "30ms" }, { "send": "GET /" }] }] });
    for runtime in DESCRIPTORS {
        let (url, _) = server(|_| response(200, "", ""));
        let measurement = round(&params, &url, runtime.name, 2);
        succeeded(&measurement, 2, 6, runtime.name);
        let mean = measurement.service.mean_ns().expect("operations");
        assert!(mean >= 30_000_000.0, "{}: {mean}", runtime.name);
    }
}

#[test]
fn a_wrong_parameter_is_refused_at_its_key() {
    let check = workload("http").expect("it ships").check;
    let request = |change: Value| {
        let mut request = json!({ "send": "GET /" });
        request
            .as_object_mut()
            .expect("a table")
            .extend(change.as_object().expect("a table").clone());
        json!({ "request": [request] })
    };
    for (params, place, message) in [
        (
            request(json!({ "send": "GET" })),
            "request.0.send",
            "expected a method and a path such as `GET /items/7`, got `GET`",
        ),
        (
            request(json!({ "send": "get /" })),
            "request.0.send",
            "expected a method and a path",
        ),
        (
            request(json!({ "send": "GET items" })),
            "request.0.send",
            "expected a path that starts with `/`, got `items`",
        ),
        (
            request(json!({ "send": "GET http://h/x" })),
            "request.0.send",
            "name the server with --target http=URL",
        ),
        (
            request(json!({ "send": "GET /a b" })),
            "request.0.send",
            "write it as `%20`",
        ),
        (
            request(json!({ "send": "GET /{{nmae}}" })),
            "request.0.send",
            "got `nmae`",
        ),
        (
            request(json!({ "send": "GET /{{a" })),
            "request.0.send",
            "expected `}}`",
        ),
        (
            request(json!({ "headers": { "expect": "100-continue" } })),
            "request.0.headers.expect",
            "`expect: 100-continue` is not supported",
        ),
        (
            request(json!({ "headers": { "x-a": "1\r\nx-b: 2" } })),
            "request.0.headers.x-a",
            "expected a header without line breaks and other control characters, got \"1\\r\\nx-b: 2\"",
        ),
        (
            request(json!({ "headers": { "Content-Length": "1" } })),
            "request.0.headers.Content-Length",
            "cannot be set",
        ),
        (
            request(json!({ "headers": { "a b": "1" } })),
            "request.0.headers.a b",
            "expected the name of a header",
        ),
        (
            request(json!({ "json": 1, "form": {} })),
            "request.0.form",
            "expected one of `json`, `body` and `form`",
        ),
        (
            request(json!({ "body": {} })),
            "request.0.body",
            "expected `text` or `file`, got neither",
        ),
        (
            request(json!({ "capture": { "a": "json /a" } })),
            "request.0.capture",
            "expected a request of a `[[flow]]`",
        ),
        (
            request(json!({ "weight": 0 })),
            "request",
            "expected a `weight` above 0",
        ),
        (
            request(json!({ "expect": { "json": { "a": 1 } } })),
            "request.0.expect.json.a",
            "expected a JSON pointer",
        ),
        (
            request(json!({ "expect": { "body": { "sha256": "12" } } })),
            "request.0.expect.body",
            "64 hexadecimal digits",
        ),
        (
            request(json!({ "send": "GET /{{op}}", "expect": { "body": "same" } })),
            "request.0.expect.body",
            "without slots for `same`",
        ),
        (
            request(json!({ "name": "ä".repeat(101) })),
            "request.0.name",
            "expected a name of 1 to 100 characters",
        ),
        (
            json!({ "request": [{ "name": "a", "send": "GET /" }, { "name": "a", "send": "GET /b" }] }),
            "request.1.name",
            "got `a` again",
        ),
        (
            json!({ "flow": [{ "request": [] }] }),
            "flow.0.request",
            "at least one request",
        ),
        (
            json!({ "flow": [{ "request": [{ "send": "GET /", "weight": 2 }] }] }),
            "flow.0.request.0.weight",
            "expected the weight at the `[[flow]]`",
        ),
        (
            json!({ "flow": [{ "request": [{ "send": "GET /", "capture": { "a": "xml /" } }] }] }),
            "flow.0.request.0.capture.a",
            "expected `json /POINTER`",
        ),
        (
            json!({ "flow": [{ "request": [{ "send": "GET /", "capture": { "a": "regex (" } }] }] }),
            "flow.0.request.0.capture.a",
            "expected a regular expression",
        ),
        (
            json!({ "flow": [{ "request": [{ "send": "GET /{{t}}", "capture": { "t": "json /t" } }] }] }),
            "flow.0.request.0.send",
            "got `t`",
        ),
    ] {
        match check(&params, Duration::from_millis(20)) {
            Err(photofinish_scenarios::registry::ParamsError::Invalid { path, message: got }) => {
                assert_eq!(path.join("."), place, "{params}: {got}");
                assert!(got.contains(message), "{params}: {got}");
            }
            other => panic!("{params}: {other:?}"),
        }
    }
}

#[test]
fn writes_that_every_round_repeats_are_named() {
    let check = workload("http").expect("it ships").check;
    let params = json!({ "request": [
        { "send": "GET /" },
        { "send": "POST /a?x={{op}}" },
        { "name": "unique", "send": "PUT /b", "json": { "n": ["{{ round }}"] } },
        { "name": "b", "send": "DELETE /c" },
        { "name": "b2", "send": "PATCH /c", "headers": { "x-id": "{{run}}-{{round|raw}}" } },
    ] });
    let checked = check(&params, Duration::from_millis(20)).expect("sound");
    assert_eq!(checked.repeated_writes, ["POST /a", "b"]);
    let params = json!({
        "http": { "headers": { "idempotency-key": "{{run}}-{{round}}-{{op}}" } },
        "request": [{ "send": "POST /a" }],
    });
    let checked = check(&params, Duration::from_millis(20)).expect("sound");
    assert_eq!(checked.repeated_writes, [""; 0]);
}

/// Goal: no row is sent twice, across sessions and phases, under any runtime. Method: a closed load that only time would end.
#[test]
fn a_phase_ends_when_a_once_feed_runs_out() {
    let directory = tempfile::tempdir().expect("a directory");
    let rows: String = (0..20).map(|row| format!("\"u{row:02}\"\r\n")).collect();
    std::fs::write(
        directory.path().join("users.csv"),
        format!("\u{feff}name\r\n{rows}\r\n"),
    )
    .expect("written");
    let params = json!({
        "feed": { "user": { "file": "users.csv", "order": "once", "columns": ["name"], "rows": 20 } },
        "request": [{ "send": "GET /{{user.name}}" }],
    });
    for runtime in DESCRIPTORS {
        let (url, log) = server(|_| response(200, "", ""));
        let mut plan = planned(&params, &url, runtime.name, 1);
        plan.load = Load::Closed {
            concurrency: NonZeroU32::new(4).expect("some"),
        };
        plan.directory = directory.path().to_owned();
        plan.stop = Stop::after(Duration::from_secs(60));
        plan.warmup = Stop::Ops(NonZeroU64::new(4).expect("some"));
        let measurement = measured(&plan, work(&plan).result);
        succeeded(&measurement, 16, 20, runtime.name);
        let mut lines: Vec<String> = requests(&log, 0)
            .iter()
            .map(|it| it.line().to_owned())
            .collect();
        // The warm-up takes the last rows.
        lines[..4].sort_unstable();
        lines[4..].sort_unstable();
        let expected = (16..20).chain(0..16).map(|row| format!("GET /u{row:02}"));
        assert!(
            lines.iter().eq(&expected.collect::<Vec<_>>()),
            "{}: {lines:?}",
            runtime.name
        );
    }
}
