//! Encoding of requests, and parsing of targets. `httparse` reads the requests back, independently of the encoder.

use photofinish_workloads::protocol::ServerLocation;
use photofinish_workloads::protocol::http::{HttpTarget, Method, Request};
use proptest::prelude::*;

const PLAIN: Request<'static> = Request {
    method: Method::Get,
    target: "/",
    host: "a.test",
    headers: &[],
    body: None,
};

/// `expected` is the request, or the text of the error.
fn check(request: Request<'_>, expected: &str) {
    let mut out = b"before".to_vec();
    let actual = match request.encode(&mut out) {
        Ok(()) => String::from_utf8(out.split_off(6)).unwrap(),
        Err(error) => error.to_string(),
    };
    assert_eq!(actual, expected);
    assert_eq!(out, b"before", "a request is appended whole or not at all");
}

#[test]
fn a_request_is_written_with_its_framing() {
    check(PLAIN, "GET / HTTP/1.1\r\nhost: a.test\r\n\r\n");
    check(
        Request {
            target: "/a%20b?c=d",
            host: "[::1]:80",
            headers: &[("x-y", ""), ("z", "ü\t1")],
            ..PLAIN
        },
        "GET /a%20b?c=d HTTP/1.1\r\nhost: [::1]:80\r\nx-y: \r\nz: ü\t1\r\n\r\n",
    );
    check(
        Request {
            method: Method::Post,
            body: Some(b"hi"),
            ..PLAIN
        },
        "POST / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 2\r\n\r\nhi",
    );
    check(
        Request {
            method: Method::Put,
            ..PLAIN
        },
        "PUT / HTTP/1.1\r\nhost: a.test\r\ncontent-length: 0\r\n\r\n",
    );
    check(
        Request {
            method: Method::Options,
            target: "*",
            ..PLAIN
        },
        "OPTIONS * HTTP/1.1\r\nhost: a.test\r\n\r\n",
    );
}

#[test]
fn injected_lines_and_framing_fields_are_refused() {
    for target in ["", "a", "*", "/a b", "/a\r\nx: y", "/ü", "http://b.test/"] {
        let expected = format!(
            "expected a path of visible ASCII characters that begins with `/`, got {target:?}"
        );
        check(Request { target, ..PLAIN }, &expected);
    }
    for host in ["", "a b", "a\r\nx: y", "u@a", "a/b"] {
        let expected =
            format!("expected a host name or address with an optional port, got {host:?}");
        check(Request { host, ..PLAIN }, &expected);
    }
    for name in ["", "x y", "x:", "x\r\ny", "ü"] {
        let expected = format!("header name {name:?} is not a token");
        check(
            Request {
                headers: &[(name, "v")],
                ..PLAIN
            },
            &expected,
        );
    }
    for value in ["secret\r\nx: y", "secret\n", "secret\0", "secret\u{7f}"] {
        let expected = "value of header `x` contains a control character";
        check(
            Request {
                headers: &[("x", value)],
                ..PLAIN
            },
            expected,
        );
    }
    for name in ["Host", "content-length", "Transfer-Encoding"] {
        let expected = format!("header `{name}` is written by the client itself and cannot be set");
        check(
            Request {
                headers: &[(name, "1")],
                ..PLAIN
            },
            &expected,
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Any request is either refused, or parsed as exactly one request with the same parts.
    #[test]
    fn an_independent_parser_reads_back_what_was_written(
        target in "/?[ -~\r\n]{0,12}", host in "[a-z:\r\n@]{0,8}",
        name in "[a-z\r\n :-]{1,8}", value in "[a-z\r\n\t]{0,8}", body in prop::option::of("[a-z\r\n]{0,20}"),
    ) {
        let headers = [(name.as_str(), value.as_str())];
        let body = body.as_ref().map(|body| body.as_bytes());
        let request = Request { method: Method::Patch, target: &target, host: &host, headers: &headers, body };
        let mut out = Vec::new();
        if request.encode(&mut out).is_ok() {
            let mut fields = [httparse::EMPTY_HEADER; 8];
            let mut parsed = httparse::Request::new(&mut fields);
            let head_bytes = parsed.parse(&out).unwrap().unwrap();
            prop_assert_eq!((parsed.method, parsed.path), (Some("PATCH"), Some(target.as_str())));
            let read: Vec<_> = parsed.headers.iter().map(|field| (field.name, field.value)).collect();
            let length = body.map_or(0, <[u8]>::len).to_string();
            prop_assert_eq!(read, vec![
                ("host", host.as_bytes()),
                (name.as_str(), value.trim_matches([' ', '\t']).as_bytes()),
                ("content-length", length.as_bytes()),
            ]);
            prop_assert_eq!(&out[head_bytes..], body.unwrap_or_default());
        }
    }
}

#[test]
fn writing_into_a_used_buffer_allocates_nothing() {
    let request = Request {
        method: Method::Post,
        headers: &[("a", "b")],
        body: Some(b"hi"),
        ..PLAIN
    };
    let mut out = Vec::new();
    request.encode(&mut out).unwrap();
    let allocations = allocation_counter::measure(|| {
        out.clear();
        request.encode(&mut out).unwrap();
    });
    assert_eq!(allocations.count_total, 0);
}

/// `expected` is authority, host, port and path, or the text of the error.
fn check_target(text: &str, expected: &str) {
    let actual = match HttpTarget::parse(text) {
        Ok(target) => {
            let path = target.path_and_query.unwrap_or_default();
            let place = match target.location {
                ServerLocation::Host(host, port) => format!("{host} {port}"),
                ServerLocation::Socket(file) => file.display().to_string(),
            };
            format!("{} {place} {path}", target.authority)
        }
        Err(error) => error.to_string(),
    };
    assert_eq!(actual.trim_end(), expected, "{text}");
}

#[test]
fn a_target_is_split_into_its_parts() {
    check_target("http://127.0.0.1:8080", "127.0.0.1:8080 127.0.0.1 8080");
    check_target("http://localhost/", "localhost localhost 80 /");
    check_target(
        "http://localhost:80/a/b?c=d",
        "localhost localhost 80 /a/b?c=d",
    );
    check_target("http://a.test/?q", "a.test a.test 80 /?q");
    check_target("http://[::1]:81/a b", "[::1]:81 ::1 81 /a%20b");
    check_target("unix:/run/a.sock", "localhost /run/a.sock");
    check_target("unix:/run/a.sock:/b?c", "localhost /run/a.sock /b?c");
}

#[test]
fn an_unusable_target_is_refused_without_repeating_it() {
    check_target("localhost:8080", "expected the scheme http or https");
    check_target(
        "not a url",
        "expected a URL of the form http://host:port/path",
    );
    check_target(
        "http://u:hunter2@a.test:port/",
        "expected a URL of the form http://host:port/path",
    );
    check_target("ftp://a.test/", "expected the scheme http or https");
    for socket in ["unix:", "unix:a.sock", "unix:/run/a.sock:/a b"] {
        check_target(
            socket,
            "expected a Unix socket such as unix:/run/app.sock or unix:/run/app.sock:/path",
        );
    }
    check_target(
        "http://u:hunter2@a.test/",
        "user name and password in a URL are not supported; set an `authorization` header instead",
    );
    check_target(
        "http://a.test/#b",
        "a fragment (`#…`) is never sent to a server; omit it",
    );
    check_target("http://a.test:0/", "expected a host and a port above 0");
}
