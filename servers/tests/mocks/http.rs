//! The server `http` over real sockets: every endpoint, the framing, the counts, the draws and the faults.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::{Client, Response};
use crate::driver::Server;

fn alphabet(length: usize) -> Vec<u8> {
    (0..length).map(|index| b'a' + (index % 26) as u8).collect()
}

/// Asks a server without a behaviour for `target`.
fn check(
    method: &str,
    target: &str,
    status: u16,
    content_type: Option<&str>,
    body: &[u8],
) -> Response {
    let server = Server::start("http", json!({}));
    let response = Client::connect(server.address()).request(method, target, "", b"");
    assert_eq!(response.status, status, "{target}: {response:?}");
    assert_eq!(response.header("content-type"), content_type, "{target}");
    assert_eq!(response.body, body, "{target}");
    server.stop().unwrap();
    response
}

/// Asks for something that is refused, with a body that says how to ask.
fn check_refused(method: &str, target: &str, status: u16, hint: &str) -> Response {
    let server = Server::start("http", json!({}));
    let response = Client::connect(server.address()).request(method, target, "", b"");
    assert_eq!(response.status, status, "{target}");
    assert!(
        response.text().contains(hint),
        "{target}: {}",
        response.text()
    );
    server.stop().unwrap();
    response
}

const TEXT: Option<&str> = Some("text/plain; charset=utf-8");
const PLAIN: Option<&str> = Some("text/plain");

#[test]
fn every_endpoint_answers_as_its_description_says() {
    check("GET", "/health", 200, TEXT, b"ok");
    check("GET", "/bytes/64", 200, PLAIN, &alphabet(64));
    check("GET", "/bytes/0", 200, PLAIN, b"");
    check(
        "GET",
        "/text/hello/you%20there",
        200,
        TEXT,
        b"text: hello/you%20there",
    );
    check("GET", "/text/", 200, TEXT, b"text: ");
    check("GET", "/status/418", 418, TEXT, b"418 I'm a teapot\n");
    check("GET", "/status/204", 204, None, b"");
    check("GET", "/status/304", 304, None, b"");
    check("GET", "/favicon.ico", 204, None, b"");
    check("POST", "/echo", 200, Some("application/octet-stream"), b"");
}

#[test]
fn the_front_page_lists_the_endpoints() {
    let server = Server::start("http", json!({}));
    let page = Client::connect(server.address()).get("/");
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    for endpoint in ["/bytes/{n}", "/echo", "/counts", "href=\"/delay/20ms\""] {
        assert!(
            page.text().contains(endpoint),
            "{endpoint} is not on the page"
        );
    }
    server.stop().unwrap();
}

#[test]
fn unsupported_statements_are_explained() {
    check_refused("GET", "/nowhere", 404, "try one of / /health");
    check_refused("GET", "/bytes/many", 400, "not a number of bytes");
    check_refused("GET", "/status/99", 400, "from 200 to 599");
    check_refused("GET", "/delay/20", 400, "a number and its unit");
    check_refused("GET", "/health?op=first", 400, "is not a number");
    assert_eq!(
        check_refused("GET", "/echo", 405, "takes POST, PUT").header("allow"),
        Some("POST, PUT")
    );
    assert_eq!(
        check_refused("DELETE", "/bytes/1", 405, "takes GET").header("allow"),
        Some("GET, HEAD")
    );
}

#[test]
fn large_bodies_are_whole_with_and_without_a_length() {
    // One block is 65,520 bytes: lengths around its multiples are where a seam would show.
    let server = Server::start("http", json!({}));
    let mut client = Client::connect(server.address());
    for length in [0, 1, 65_519, 65_520, 65_521, 131_040, 3_000_001] {
        let sized = client.get(&format!("/bytes/{length}"));
        assert_eq!(
            sized.header("content-length"),
            Some(length.to_string().as_str())
        );
        assert!(sized.body == alphabet(length), "{length} bytes differ");
        let chunked = client.get(&format!("/bytes/{length}?chunked"));
        assert_eq!(chunked.header("transfer-encoding"), Some("chunked"));
        assert!(
            chunked.body == alphabet(length),
            "{length} bytes in chunks differ"
        );
    }
    server.stop().unwrap();
}

#[test]
fn head_answers_the_length_and_leaves_the_connection_usable() {
    let server = Server::start("http", json!({}));
    let mut client = Client::connect(server.address());
    for (target, length) in [
        ("/bytes/64", "64"),
        ("/bytes/67108864", "67108864"),
        ("/health", "2"),
        ("/text/x", "7"),
    ] {
        let head = client.request("HEAD", target, "", b"");
        assert_eq!(
            (head.status, head.header("content-length")),
            (200, Some(length)),
            "{target}"
        );
    }
    assert_eq!(client.get("/health").text(), "ok");
    server.stop().unwrap();
}

#[test]
fn a_body_is_echoed_with_its_content_type() {
    let server = Server::start("http", json!({}));
    let mut client = Client::connect(server.address());
    for length in [1, 100, 1 << 20] {
        for method in ["POST", "PUT"] {
            let echoed =
                client.request(method, "/echo", "content-type: x/y\r\n", &alphabet(length));
            assert_eq!(
                (echoed.status, echoed.header("content-type")),
                (200, Some("x/y"))
            );
            assert!(echoed.body == alphabet(length), "{length} bytes differ");
        }
    }
    client.send(b"POST /echo HTTP/1.1\r\nhost: test\r\ntransfer-encoding: chunked\r\n\r\n");
    client.send(b"3\r\nabc\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n");
    assert_eq!(client.receive("POST").text(), "abcdef");
    server.stop().unwrap();
}

#[test]
fn a_body_beyond_the_limit_is_refused_before_it_is_sent() {
    let server = Server::start("http", json!({}));
    let mut client = Client::connect(server.address());
    client.send(b"POST /echo HTTP/1.1\r\nhost: test\r\ncontent-length: 67108865\r\n\r\n");
    let response = client.receive("POST");
    assert_eq!(response.status, 413);
    assert!(response.text().contains("67108864"), "{}", response.text());
    server.stop().unwrap();
}

#[test]
fn a_client_that_expects_100_continue_gets_it() {
    let server = Server::start("http", json!({}));
    let mut client = Client::connect(server.address());
    client.send(
        b"POST /echo HTTP/1.1\r\nhost: test\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n",
    );
    client.send(b"");
    let interim = client.interim();
    assert_eq!(interim, "HTTP/1.1 100 Continue");
    client.send(b"hi");
    assert_eq!(client.receive("POST").text(), "hi");
    server.stop().unwrap();
}

#[test]
fn http_1_0_and_connection_close_end_the_connection() {
    let server = Server::start("http", json!({}));
    for request in [
        "GET /health HTTP/1.0\r\n\r\n",
        "GET /health HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n",
    ] {
        let mut client = Client::connect(server.address());
        client.send(request.as_bytes());
        assert_eq!(client.receive("GET").text(), "ok");
        assert_eq!(client.rest().unwrap(), b"");
    }
    server.stop().unwrap();
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    // More requests than hyper answers in one turn, and more than one read buffer holds.
    let mut server = Server::start("http", json!({}));
    let mut client = Client::connect(server.address());
    let requests: String = (0..500)
        .map(|i| format!("GET /text/{i} HTTP/1.1\r\nhost: test\r\n\r\n"))
        .collect();
    client.send(requests.as_bytes());
    for i in 0..500 {
        assert_eq!(client.receive("GET").text(), format!("text: {i}"));
    }
    let counts = server.counts();
    assert_eq!((counts.requests, counts.connections), (Some(500), Some(1)));
    server.stop().unwrap();
}

#[test]
fn a_response_does_not_wait_for_a_partial_request_behind_it() {
    let server = Server::start("http", json!({}));
    let mut client = Client::connect(server.address());
    client.send(b"GET /health HTTP/1.1\r\nhost: test\r\n\r\nGET /text/x HT");
    assert_eq!(client.receive("GET").text(), "ok");
    client.send(b"TP/1.1\r\nhost: test\r\n\r\n");
    assert_eq!(client.receive("GET").text(), "text: x");
    server.stop().unwrap();
}

#[test]
fn counts_agree_with_the_client_to_the_byte() {
    let mut server = Server::start("http", json!({}));
    let (mut first, mut second) = (
        Client::connect(server.address()),
        Client::connect(server.address()),
    );
    for length in [0, 10, 70_000] {
        first.get(&format!("/bytes/{length}"));
        second.get(&format!("/bytes/{length}?chunked"));
        second.request("POST", "/echo", "content-type: a/b\r\n", &alphabet(length));
    }
    first.get("/status/404");
    first.request("HEAD", "/bytes/100", "", b"");
    let counts = server.counts();
    assert_eq!(counts.requests, Some(11));
    assert_eq!(
        counts.bytes_in,
        Some(first.written_bytes + second.written_bytes)
    );
    assert_eq!(counts.bytes_out, Some(first.read_bytes + second.read_bytes));
    assert_eq!(
        (counts.connections, counts.open_connections),
        (Some(2), Some(2))
    );
    assert_eq!(
        (counts.peak_in_flight, counts.faults, counts.abandoned),
        (Some(1), Some(0), Some(0))
    );
    assert_eq!(counts.statements, None);
    drop(first);
    server.counts_when(|counts| counts.open_connections == Some(1));
    server.stop().unwrap();
}

#[test]
fn the_counts_endpoint_says_the_same_as_the_control_channel() {
    let mut server = Server::start("http", json!({}));
    let mut client = Client::connect(server.address());
    client.get("/health");
    let served: Value = serde_json::from_str(client.get("/counts").text()).unwrap();
    assert_eq!(
        (served["requests"].as_u64(), served["statements"].as_u64()),
        (Some(1), None)
    );
    assert_eq!(server.counts().requests, Some(2));
    server.stop().unwrap();
}

#[test]
fn a_malformed_request_gets_400_and_is_not_counted() {
    let mut server = Server::start("http", json!({}));
    let mut client = Client::connect(server.address());
    client.send(b"this is no http\r\n\r\n");
    assert_eq!(client.receive("GET").status, 400);
    assert_eq!(client.rest().unwrap(), b"");
    assert_eq!(server.counts().requests, Some(0));
    server.stop().unwrap();
}

#[test]
fn requests_in_flight_and_clients_that_leave_are_counted() {
    // Goal: peak and abandoned; method: requests that would take an hour, so that all are surely in flight together.
    let mut server = Server::start("http", json!({}));
    let mut clients: Vec<_> = (0..5).map(|_| Client::connect(server.address())).collect();
    for client in &mut clients {
        client.send(b"GET /delay/60m HTTP/1.1\r\nhost: test\r\n\r\n");
    }
    server.counts_when(|counts| counts.peak_in_flight == Some(5));
    drop(clients);
    let counts = server.counts_when(|counts| counts.open_connections == Some(0));
    assert_eq!(
        (counts.abandoned, counts.requests, counts.peak_in_flight),
        (Some(5), Some(0), Some(5))
    );
    server.stop().unwrap();
}

#[test]
fn a_delayed_answer_is_never_early() {
    let server = Server::start("http", json!({"delay": "30ms"}));
    let mut client = Client::connect(server.address());
    for (method, target, at_least_ms) in [
        ("GET", "/delay/20ms", 20),
        ("GET", "/bytes/1", 30),
        ("GET", "/text/x", 30),
        ("POST", "/echo", 30),
    ] {
        let begin = Instant::now();
        assert_eq!(client.request(method, target, "", b"").status, 200);
        let took = begin.elapsed();
        assert!(
            took >= Duration::from_millis(at_least_ms),
            "{target} took {took:?}"
        );
    }
    server.stop().unwrap();
}

fn mixed() -> Value {
    json!({"seed": 3, "status": [{"code": 503, "share": 0.3}, {"code": 404, "share": 0.2}]})
}

#[test]
fn draws_do_not_depend_on_arrival_order() {
    let statuses = |ops: Vec<u64>| {
        let server = Server::start("http", mixed());
        let mut client = Client::connect(server.address());
        let mut met: Vec<_> = ops
            .iter()
            .map(|op| (*op, client.get(&format!("/bytes/8?op={op}")).status))
            .collect();
        server.stop().unwrap();
        met.sort_unstable();
        met
    };
    let ascending = statuses((0..200).collect());
    // 77 and 200 have no common divisor, so this is each number once, far out of order.
    let shuffled = statuses((0..200).map(|index| index * 77 % 200).collect());
    assert_eq!(ascending, shuffled);
    let with_status = |status| ascending.iter().filter(|(_, met)| *met == status).count();
    assert!(
        with_status(200) > 50 && with_status(503) > 20 && with_status(404) > 10,
        "{ascending:?}"
    );
}

#[test]
fn operations_without_a_number_are_numbered_by_arrival() {
    let server = Server::start("http", mixed());
    let mut client = Client::connect(server.address());
    let numbered: Vec<_> = (0..50)
        .map(|op| client.get(&format!("/text/x?op={op}")).status)
        .collect();
    let arriving: Vec<_> = (0..50).map(|_| client.get("/text/x").status).collect();
    assert_eq!(numbered, arriving);
    server.stop().unwrap();
}

/// Sends two pipelined requests of which the second meets `fault`, and returns what came after the first answer.
fn after_fault(fault: &str, target: &str) -> (Result<Vec<u8>, ErrorKind>, Option<u64>) {
    let mut server = Server::start("http", json!({"faults": [{"fault": fault, "share": 1.0}]}));
    let mut client = Client::connect(server.address());
    client.send(
        format!("GET /health HTTP/1.1\r\nhost: t\r\n\r\nGET {target} HTTP/1.1\r\nhost: t\r\n\r\n")
            .as_bytes(),
    );
    assert_eq!(client.receive("GET").text(), "ok");
    let rest = client.rest().map_err(|error| error.kind());
    let counts = server.counts_when(|counts| counts.open_connections == Some(0));
    assert_eq!(counts.requests, Some(2));
    server.stop().unwrap();
    (rest, counts.faults)
}

#[test]
fn each_fault_ends_the_connection_in_its_own_way() {
    assert_eq!(after_fault("close", "/bytes/64"), (Ok(Vec::new()), Some(1)));

    let (rest, faults) = after_fault("garbage", "/bytes/64");
    let rest = rest.unwrap();
    assert!(
        !rest.is_empty() && !rest.starts_with(b"HTTP") && std::str::from_utf8(&rest).is_err(),
        "{rest:?}"
    );
    assert_eq!(faults, Some(1));

    for (target, promised, sent) in [
        ("/bytes/64", "content-length: 64", 32),
        ("/bytes/0", "content-length: 1", 0),
    ] {
        let (rest, faults) = after_fault("truncate", target);
        let rest = String::from_utf8(rest.unwrap()).unwrap();
        let (head, body) = rest.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 200") && head.contains(promised),
            "{head}"
        );
        assert_eq!((body.as_bytes(), faults), (&*alphabet(sent), Some(1)));
    }
}

#[test]
fn a_reset_reaches_the_client_as_a_reset() {
    let mut server = Server::start(
        "http",
        json!({"faults": [{"fault": "reset", "share": 1.0}]}),
    );
    let mut client = Client::connect(server.address());
    client.send(b"GET /bytes/64 HTTP/1.1\r\nhost: t\r\n\r\n");
    assert_eq!(
        client.rest().unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    assert_eq!(server.counts().faults, Some(1));
    server.stop().unwrap();
}

#[test]
fn faults_can_be_requested_by_path() {
    let mut server = Server::start("http", json!({}));
    let mut client = Client::connect(server.address());
    client.send(b"GET /fault/reset HTTP/1.1\r\nhost: t\r\n\r\n");
    assert_eq!(
        client.rest().unwrap_err().kind(),
        ErrorKind::ConnectionReset
    );
    assert_eq!(
        Client::connect(server.address()).get("/text/x").text(),
        "text: x"
    );
    let counts = server.counts();
    assert_eq!((counts.requests, counts.faults), (Some(2), Some(1)));
    server.stop().unwrap();
}
