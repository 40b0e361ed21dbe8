//! Failed checks, deadlines and retries, with what they tell and conceal.

use std::sync::Mutex;
use std::time::Duration;

use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_workloads::worker::work;
use serde_json::json;

use super::{failure, parts, planned, requests, response, round, server};

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
