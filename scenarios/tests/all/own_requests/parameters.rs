//! Parameters that are refused, warned about, or end a phase.

use std::num::{NonZeroU32, NonZeroU64};
use std::time::Duration;

use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_record::load::{Load, Stop};
use photofinish_workloads::registry::workload;
use photofinish_workloads::worker::work;
use serde_json::{Value, json};

use super::{planned, requests, response, server, succeeded};
use crate::support::rounds::measured;

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
            Err(photofinish_workloads::registry::ParamsError::Invalid { path, message: got }) => {
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
