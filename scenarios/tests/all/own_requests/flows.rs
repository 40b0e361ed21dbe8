//! Mixes and flows: what is sent in which order, with captures, cookies and redirects.

use std::num::NonZeroU32;

use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_record::load::Load;
use photofinish_workloads::worker::work;
use serde_json::{Value, json};

use super::{Received, failure, parts, planned, requests, response, round, server, succeeded};
use crate::support::rounds::measured;

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
