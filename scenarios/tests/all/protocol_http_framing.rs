//! The HTTP reader on literal responses: statuses, framings, persistence, limits and errors.

use photofinish_workloads::protocol::http::{HttpError, Limits, Method, ResponseReader};

use crate::support::http_responses::{Read, read};

/// Small enough to be exceeded by literals.
const LIMITS: Limits = Limits {
    max_head_bytes: 100,
    max_headers: 3,
    max_body_bytes: 10,
};

/// `expected` is status, persistence and body, or the kind and text of the error.
fn check_as(method: Method, response: &str, expected: &str) {
    let actual = match read(LIMITS, method, [response.as_bytes()]) {
        Read::Error(error) => format!("{}: {error}", error.kind()),
        Read::Response {
            status,
            body,
            keep_alive,
            ..
        } => {
            let then = if keep_alive { "keeps" } else { "closes" };
            format!("{status} {then} {}", body.escape_ascii())
        }
    };
    assert_eq!(actual.trim_end(), expected, "{method:?} {response:?}");
}

fn check(response: &str, expected: &str) {
    check_as(Method::Get, response, expected);
}

#[test]
fn the_body_ends_where_its_framing_says() {
    check(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi",
        "200 keeps hi",
    );
    check(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi there",
        "200 keeps hi",
    );
    check(
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nhi",
        "200 keeps hi",
    );
    check("HTTP/1.1 200\r\n\r\nall", "200 closes all");
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    check(&format!("{chunked}0\r\n\r\n"), "200 keeps");
    check(&format!("{chunked}2\r\nhi\r\n00\r\n\r\n"), "200 keeps hi");
    check(
        &format!("{chunked}1;x=\"y\"\r\nh\r\n1 \r\ni\r\n0\r\na: b\r\n\r\n"),
        "200 keeps hi",
    );
    check(
        &format!("{chunked}a\r\n0123456789\r\n0\r\n\r\n"),
        "200 keeps 0123456789",
    );
}

/// The bytes between the chunks exceed a head's limit together, but not each by itself.
#[test]
fn the_overhead_of_many_chunks_may_exceed_the_limit_of_a_head() {
    let chunks = "0000000000000001\r\n.\r\n".repeat(8);
    check(
        &format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"),
        "200 keeps ........",
    );
}

#[test]
fn some_responses_never_have_a_body() {
    check(
        "HTTP/1.1 204 No Content\r\ncontent-length: 2\r\n\r\n",
        "204 keeps",
    );
    check(
        "HTTP/1.1 304 Not Modified\r\ncontent-length: 99\r\n\r\n",
        "304 keeps",
    );
    check(
        "HTTP/1.1 304 Not Modified\r\ntransfer-encoding: chunked\r\n\r\n",
        "304 keeps",
    );
    check_as(
        Method::Head,
        "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n",
        "200 keeps",
    );
    check_as(Method::Head, "HTTP/1.1 200 OK\r\n\r\n", "200 keeps");
}

#[test]
fn persistence_follows_version_and_connection_field() {
    let tell = |version, connection| {
        format!("HTTP/{version} 200 OK\r\n{connection}content-length: 0\r\n\r\n")
    };
    check(&tell("1.1", ""), "200 keeps");
    check(&tell("1.1", "connection: close\r\n"), "200 closes");
    check(&tell("1.1", "Connection: x ,CLOSE\r\n"), "200 closes");
    check(
        &tell("1.1", "connection: keep-alive\r\nconnection: close\r\n"),
        "200 closes",
    );
    check(&tell("1.0", ""), "200 closes");
    check(&tell("1.0", "connection: Keep-Alive\r\n"), "200 keeps");
}

#[test]
fn interim_responses_are_skipped_and_upgrades_refused() {
    let last = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n!";
    check(
        &format!("HTTP/1.1 100 Continue\r\n\r\n{last}"),
        "200 keeps !",
    );
    check(
        &format!("HTTP/1.1 103 Hints\r\nlink: <a>\r\n\r\n{last}"),
        "200 keeps !",
    );
    check(
        "HTTP/1.1 101 Switching\r\n\r\n",
        "status: server switched protocols (status 101) without a request for it",
    );
    let endless = "HTTP/1.1 100 Continue\r\n\r\n".repeat(5);
    check(
        &endless,
        "too-large: response head is larger than 100 bytes",
    );
}

#[test]
fn a_close_before_the_end_is_short_with_its_position() {
    check("", "short: connection closed before the response began");
    check(
        "HTTP/1.1 2",
        "short: connection closed inside the response head, after 10 bytes of it",
    );
    check(
        "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhi",
        "short: connection closed inside the body, after 2 bytes of 9",
    );
    check(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n",
        "short: connection closed inside the body, after 2 bytes",
    );
}

#[test]
fn contradictory_or_malformed_framing_is_an_error() {
    let framed = |fields: &str| format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n0\r\n\r\n");
    check(
        &framed("content-length: 3\r\ntransfer-encoding: chunked"),
        "malformed: response has both content-length and transfer-encoding",
    );
    check(
        &framed("content-length: 3\r\ncontent-length: 4"),
        "malformed: bad content-length: given twice with different values",
    );
    for number in ["+3", "-3", "3.0", "0x3", "", "3,"] {
        check(
            &framed(&format!("content-length: {number}")),
            "malformed: bad content-length: not a decimal number",
        );
    }
    check(
        &framed("content-length: 99999999999999999999"),
        "malformed: bad content-length: larger than 64 bits",
    );
    check(
        &framed("transfer-encoding: gzip"),
        "malformed: bad transfer-encoding: a coding other than chunked",
    );
    check(
        &framed("transfer-encoding: chunked\r\ntransfer-encoding: chunked"),
        "malformed: bad transfer-encoding: more than one coding",
    );
}

#[test]
fn a_broken_chunk_is_an_error() {
    let bad = |chunks: &str, after_body_bytes: u64, reason: &str| {
        check(
            &format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}"),
            &format!("malformed: bad chunk after {after_body_bytes} bytes of body: {reason}"),
        );
    };
    bad("g\r\n", 0, "no hexadecimal size");
    bad("-1\r\n", 0, "no hexadecimal size");
    bad("2\nhi", 0, "size followed by neither extension nor CRLF");
    bad(
        "2 2\r\nhi",
        0,
        "size followed by neither extension nor CRLF",
    );
    bad("2\rhi", 0, "CR without LF after the size");
    bad("2\r\nhi!\r\n", 2, "data not followed by CRLF");
    bad("2;\0\r\nhi", 0, "control character in an extension");
    bad("10000000000000000\r\n", 0, "size larger than 64 bits");
    bad("0\r\nno colon\r\n\r\n", 0, "malformed name of a trailer");
    bad("0\r\n folded\r\n\r\n", 0, "malformed name of a trailer");
    let endless = "0".repeat(101);
    bad(
        &endless,
        0,
        "size line or trailers larger than a head may be",
    );
}

#[test]
fn a_broken_head_is_an_error() {
    check(
        "HTTP/2 200 OK\r\n\r\n",
        "malformed: malformed response head: invalid HTTP version",
    );
    check(
        "HTTP/1.1 2xx OK\r\n\r\n",
        "malformed: malformed response head: invalid response status",
    );
    check(
        "HTTP/1.1 042 OK\r\n\r\n",
        "malformed: impossible status code 042",
    );
    let field = |fields: &str, expected: &str| {
        let head = format!("HTTP/1.1 200 OK\r\nx: y\r\n{fields}\r\n\r\n");
        let message = format!("malformed: malformed response head: invalid header {expected}");
        check(&head, &message);
    };
    field("a : b", "name (`a` is followed by a space)");
    field("a b: c", "name (`a` is followed by a space)");
    field("a\u{e9}: c", "name (`a` is followed by byte 0xc3)");
    field("no", "name (`no` is followed by byte 0x0d)");
    field("a: \u{1}", "value (`a` is followed by byte 0x01)");
    field("a: b\r\n c\0", "value (`a` is followed by byte 0x00)");
    check(
        "HTTP/1.1 200 OK\r\n folded: first\r\n\r\n",
        "malformed: malformed response head: invalid header name",
    );
}

/// RFC 9112, section 5.2: a user agent joins the lines of a folded value with a space.
#[test]
fn a_folded_header_is_joined_with_a_space() {
    let mut reader = ResponseReader::new(Limits::default());
    let mut value = |fields: &str| {
        let head = format!("HTTP/1.1 200 OK\r\n{fields}\r\ncontent-length: 2\r\n\r\nok");
        reader.begin(Method::Get);
        let mut body = Vec::new();
        let advance = reader.advance(head.as_bytes(), &mut body).expect("valid");
        assert!(advance.done && body == b"ok");
        String::from_utf8_lossy(reader.content_type().expect("a type")).into_owned()
    };
    let joined = "text/html; charset=utf-8";
    assert_eq!(value("content-type: text/html;\r\n  charset=utf-8"), joined);
    assert_eq!(
        value("content-type:\r\n\ttext/html; \n \r\n charset=utf-8"),
        joined
    );
    check(
        "HTTP/1.1 200 OK\r\ncontent-length:\r\n 2\r\n\r\nhi",
        "200 keeps hi",
    );
    check(
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n 2\r\n\r\nhi",
        "malformed: bad content-length: not a decimal number",
    );
}

#[test]
fn a_response_above_its_limits_is_too_large() {
    check(
        "HTTP/1.1 200 OK\r\na: 1\r\nb: 2\r\nc: 3\r\nd: 4\r\n\r\n",
        "too-large: response has more than 3 header fields",
    );
    check(
        &format!("HTTP/1.1 200 OK\r\na: {}", "x".repeat(100)),
        "too-large: response head is larger than 100 bytes",
    );
    let body = |more: &str| {
        format!(
            "too-large: response body of {more} bytes or more is larger than the fixed limit of 10 bytes"
        )
    };
    check("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n", &body("11"));
    check("HTTP/1.1 200 OK\r\n\r\n0123456789abc", &body("11"));
    check(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n01234567\r\n3\r\n",
        &body("11"),
    );
}

/// A head of exactly the limit is accepted; with a limit one byte lower it is not.
#[test]
fn limits_are_inclusive() {
    let head = b"HTTP/1.1 204 No Content\r\n\r\n";
    let limits = |max_head_bytes| Limits {
        max_head_bytes,
        ..LIMITS
    };
    let status = |max_head_bytes| read(limits(max_head_bytes), Method::Get, [&head[..]]);
    assert!(matches!(
        status(head.len()),
        Read::Response { status: 204, .. }
    ));
    let limit_bytes = head.len() - 1;
    assert_eq!(
        status(limit_bytes),
        Read::Error(HttpError::HeadTooLarge { limit_bytes })
    );
}

#[test]
fn accessors_are_valid_as_soon_as_the_head_is_complete() {
    let mut reader = ResponseReader::new(Limits::default());
    let mut body = Vec::new();
    reader.begin(Method::Get);
    let advance = reader.advance(
        b"HTTP/1.1 302 Found\r\nLocation: /next\r\nCONTENT-TYPE: text/html\r\n",
        &mut body,
    );
    assert!(!advance.unwrap().done && !reader.keep_alive());
    let advance = reader.advance(b"Content-Length: 7\r\n\r\n", &mut body);
    assert!(!advance.unwrap().done && reader.keep_alive());
    assert_eq!(reader.status(), 302);
    assert_eq!(reader.location(), Some(&b"/next"[..]));
    assert_eq!(reader.content_type(), Some(&b"text/html"[..]));
    reader.begin(Method::Get);
    assert!(!reader.keep_alive());
    assert_eq!(
        (reader.status(), reader.location(), reader.content_type()),
        (0, None, None)
    );
}

#[test]
fn bytes_after_the_response_are_left_to_the_caller_and_can_be_refused() {
    let mut reader = ResponseReader::new(Limits::default());
    reader.begin(Method::Get);
    let input = b"HTTP/1.1 204 No Content\r\n\r\nHTTP";
    let advance = reader.advance(input, &mut Vec::new()).unwrap();
    assert!(advance.done);
    let error = reader
        .expect_no_more(&input[advance.consumed..])
        .unwrap_err();
    assert_eq!(
        (error.kind(), error),
        ("extra", HttpError::ExtraBytes { extra_bytes: 4 })
    );
    assert_eq!(reader.expect_no_more(b""), Ok(()));
}

#[test]
#[should_panic(expected = "expected max_headers <= 128, got 129")]
fn more_headers_than_fit_on_the_stack_are_a_bug_of_the_caller() {
    let limits = Limits {
        max_headers: 129,
        ..Limits::default()
    };
    let _reader = ResponseReader::new(limits);
}

/// After the first responses nothing is allocated, in one piece or in many.
#[test]
fn steady_state_allocates_nothing() {
    let length: &[u8] =
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nhello";
    let chunked: &[u8] =
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    let mut reader = ResponseReader::new(Limits::default());
    let mut body = Vec::new();
    let mut round = || {
        for response in [length, chunked] {
            for piece_bytes in [response.len(), 7] {
                reader.begin(Method::Get);
                body.clear();
                for piece in response.chunks(piece_bytes) {
                    let _ = reader.advance(piece, &mut body).unwrap();
                }
                assert_eq!(body, b"hello");
            }
        }
    };
    round();
    let allocations = allocation_counter::measure(|| (0..100).for_each(|_| round()));
    assert_eq!(allocations.count_total, 0);
}
