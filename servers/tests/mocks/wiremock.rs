//! The server `wiremock` over real sockets: matching, sequences, delays, closed connections, and its bound.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::driver::Server;

fn start(mocks: Value) -> Server {
    Server::start("wiremock", json!({"mocks": mocks}))
}

#[test]
fn a_mock_answers_its_sequence_and_repeats_the_last_response() {
    let mut server = start(json!([{"method": "GET", "path": "/flaky", "respond": [
        {"status": 503, "body": "not yet", "times": 2},
        {"json": {"ready": true}},
        {"body_bytes": 30, "content_type": "a/b"},
    ]}]));
    let mut client = Client::connect(server.address());
    let mut answer = || {
        let response = client.get("/flaky");
        (
            response.status,
            response.header("content-type").unwrap().to_owned(),
            response.text().to_owned(),
        )
    };
    let expect =
        |status, content_type: &str, body: &str| (status, content_type.to_owned(), body.to_owned());
    assert_eq!(answer(), expect(503, "text/plain", "not yet"));
    assert_eq!(answer(), expect(503, "text/plain", "not yet"));
    assert_eq!(
        answer(),
        expect(200, "application/json", r#"{"ready":true}"#)
    );
    for _ in 0..3 {
        assert_eq!(
            answer(),
            expect(200, "a/b", "abcdefghijklmnopqrstuvwxyzabcd")
        );
    }
    let counts = server.counts();
    assert_eq!(
        (counts.requests, counts.unmatched, counts.refused),
        (Some(6), Some(0), Some(0))
    );
    assert_eq!(
        (counts.bytes_in, counts.connections, counts.peak_in_flight),
        (None, None, None)
    );
    server.stop().unwrap();
}

#[test]
fn method_path_and_query_have_to_match_and_the_first_mock_wins() {
    let mut server = start(json!([
        {"method": "GET", "path": "/a", "query": {"page": "2"}, "respond": [{"body": "second page"}]},
        {"method": "GET", "path": "/a", "respond": [{"body": "any page"}]},
        {"path": "/b", "respond": [{"body": "any method"}]},
        {"path": "/empty", "respond": [{"status": 204}]},
    ]));
    let mut client = Client::connect(server.address());
    assert_eq!(client.get("/a?page=2&more=1").text(), "second page");
    assert_eq!(client.get("/a?page=3").text(), "any page");
    assert_eq!(client.request("PATCH", "/b", "", b"x").text(), "any method");
    assert_eq!(client.get("/empty").status, 204);
    let unmatched = client.request("POST", "/a", "", b"");
    assert_eq!(unmatched.status, 404);
    assert_eq!(
        unmatched.text(),
        "no mock matches POST /a; mocked here: GET /a, GET /a, any /b, any /empty\n"
    );
    let counts = server.counts();
    assert_eq!((counts.requests, counts.unmatched), (Some(5), Some(1)));
    server.stop().unwrap();
}

#[test]
fn a_delayed_response_is_never_early_and_delays_only_itself() {
    let server = start(json!([
        {"path": "/slow", "respond": [{"body": "slow", "delay": "50ms"}]},
        {"path": "/never", "respond": [{"delay": "60m"}]},
    ]));
    // A request that waits for an hour on another connection: if it held a lock, nothing else would be answered.
    Client::connect(server.address()).send(b"GET /never HTTP/1.1\r\nhost: t\r\n\r\n");
    let begin = Instant::now();
    assert_eq!(
        Client::connect(server.address()).get("/slow").text(),
        "slow"
    );
    assert!(
        begin.elapsed() >= Duration::from_millis(50),
        "{:?}",
        begin.elapsed()
    );
    server.stop().unwrap();
}

#[test]
fn a_close_fault_sends_no_response() {
    let mut server =
        start(json!([{"path": "/x", "respond": [{"fault": "close"}, {"body": "again"}]}]));
    let mut client = Client::connect(server.address());
    client.send(b"GET /x HTTP/1.1\r\nhost: t\r\n\r\n");
    assert_eq!(client.rest().unwrap(), b"");
    assert_eq!(Client::connect(server.address()).get("/x").text(), "again");
    assert_eq!(
        (server.counts().faults, server.counts().requests),
        (Some(1), Some(2))
    );
    server.stop().unwrap();
}

/// Goal: a client sees ECONNRESET, not the end of input, and answers before it arrive whole, also the last one of a
/// connection that the server closes by itself.
#[test]
fn a_reset_fault_resets_and_loses_no_response() {
    let mut server = start(json!([
        {"path": "/x", "respond": [{"body_bytes": 9_000}, {"fault": "reset"}, {"body": "again"}]},
    ]));
    let mut client = Client::connect(server.address());
    assert_eq!(client.get("/x").text().len(), 9_000);
    client.send(b"GET /x HTTP/1.1\r\nhost: t\r\n\r\n");
    let met = client.rest().map_err(|error| error.kind());
    assert_eq!(met, Err(ErrorKind::ConnectionReset));
    let mut client = Client::connect(server.address());
    let last = client.request("GET", "/x", "connection: close\r\n", b"");
    assert_eq!(last.text(), "again");
    assert_eq!(
        (server.counts().faults, server.counts().requests),
        (Some(1), Some(3))
    );
    server.stop().unwrap();
}

#[test]
fn above_its_limit_the_server_refuses_and_closes() {
    let behaviour =
        json!({"max_requests": 3, "mocks": [{"path": "/x", "respond": [{"body": "fine"}]}]});
    let mut server = Server::start("wiremock", behaviour);
    let mut client = Client::connect(server.address());
    for _ in 0..3 {
        assert_eq!(client.get("/x").text(), "fine");
    }
    for _ in 0..3 {
        let refused = client.get("/x");
        assert_eq!(refused.status, 503);
        assert!(
            refused.text().contains("after 3 requests")
                && refused.text().contains("`max_requests`")
        );
    }
    let counts = server.counts();
    assert_eq!(
        (counts.requests, counts.refused, counts.unmatched),
        (Some(6), Some(3), Some(0))
    );
    client.send(b"GET /x HTTP/1.1\r\nhost: t\r\n\r\n");
    let address = server.address();
    let begin = Instant::now();
    while TcpStream::connect(address).is_ok() {
        assert!(
            begin.elapsed() < crate::driver::PATIENCE,
            "the server still listens"
        );
    }
    assert_eq!(server.counts().refused, Some(4));
    server.stop().unwrap();
}

#[test]
fn each_path_under_a_star_goes_through_the_sequence_on_its_own() {
    let server = start(json!([
        {"path": "/flaky/*", "respond": [{"status": 503, "times": 2}, {"body": "at last"}]},
    ]));
    let mut client = Client::connect(server.address());
    let mut statuses = |path: &str| [(); 4].map(|()| client.get(path).status);
    assert_eq!(statuses("/flaky/1"), [503, 503, 200, 200]);
    assert_eq!(statuses("/flaky/2?try=1"), [503, 503, 200, 200]);
    assert_eq!(statuses("/flaky"), [404; 4]);
    server.stop().unwrap();
}

#[test]
fn an_unmatched_request_does_not_advance_the_sequence() {
    let server = start(json!([
        {"method": "GET", "path": "/x", "respond": [{"body": "a"}, {"body": "b"}]},
    ]));
    let mut client = Client::connect(server.address());
    assert_eq!(client.request("POST", "/x", "", b"").status, 404);
    assert_eq!(client.get("/x").text(), "a");
    assert_eq!(client.get("/x").text(), "b");
    server.stop().unwrap();
}

#[test]
fn head_requests_are_matched_and_get_no_body() {
    let server = start(json!([
        {"method": "HEAD", "path": "/x", "respond": [{"body": "five!"}]},
        {"method": "GET", "path": "/x", "respond": [{"body": "got"}]},
    ]));
    let mut client = Client::connect(server.address());
    let head = client.request("HEAD", "/x", "photofinish-method: GET\r\n", b"");
    assert_eq!(
        (head.status, head.header("content-length")),
        (200, Some("5"))
    );
    let claim = client.request("GET", "/x", "photofinish-method: HEAD\r\n", b"");
    assert_eq!(claim.text(), "got", "the name of a header is no method");
    assert_eq!(client.request("HEAD", "/y", "", b"").status, 404);
    server.stop().unwrap();
}

#[test]
fn many_delayed_responses_are_in_flight_at_once() {
    let server = start(json!([{"path": "/x", "respond": [{"delay": "300ms", "body": "late"}]}]));
    let begin = Instant::now();
    let mut clients: Vec<_> = (0..300)
        .map(|_| Client::connect(server.address()))
        .collect();
    for client in &mut clients {
        client.send(b"GET /x HTTP/1.1\r\nhost: t\r\n\r\n");
    }
    for client in &mut clients {
        assert_eq!(client.receive("GET").text(), "late");
    }
    // One after another they would take 90 seconds.
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "{:?}",
        begin.elapsed()
    );
    server.stop().unwrap();
}
