//! Allocations of an operation once its buffers have grown: none, with slots, checks, captures and cookies.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use serde_json::json;

use super::Http;
use crate::workloads::allocation_count::allocations;
use crate::workloads::http_connection::TARGET;

/// Answers each request with a token and a cookie, always the same.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || while answer(&client).is_some() {});
        }
    });
    format!("http://{address}")
}

fn answer(mut client: &TcpStream) -> Option<()> {
    let mut reader = BufReader::new(client);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        match line.trim_end().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok()?,
            None if line == "\r\n" => break,
            _ => {}
        }
    }
    reader.read_exact(&mut vec![0; length]).ok()?;
    let body = r#"{"token": "a \"b\"", "n": [1, 2.5]}"#;
    let head = format!(
        "set-cookie: sid=1; Path=/\r\netag: x\r\ncontent-length: {}",
        body.len()
    );
    client
        .write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").as_bytes())
        .ok()
}

#[test]
fn an_operation_with_slots_checks_captures_and_cookies_allocates_nothing() {
    let params = json!({
        "http": { "cookies": true, "headers": { "x-run": "{{run}}-{{round}}-{{op}}" } },
        "draw": { "id": { "distribution": "zipf", "from": 1, "to": 1000, "exponent": 1.1 }, "note": { "text": 64 } },
        "request": [{ "send": "GET /fixed" }],
        "flow": [{ "weight": 3, "request": [
            { "send": "PUT /{{id}}?n={{note}}", "json": { "note": "{{note}}", "id": "{{id|raw}}" },
              "expect": { "json": { "/n/0": 1, "/token": "a \"b\"" }, "header": { "etag": "x" }, "text": "2.5" },
              "capture": { "token": "json /token", "tag": "header etag", "sid": "cookie sid" } },
            { "send": "POST /x", "headers": { "if-match": "{{tag}}" }, "form": { "t": "{{token}} {{sid}}" }, "expect": { "bytes": 35 } },
        ] }],
    });
    let counted = allocations::<Http>(params, TARGET, &server());
    assert_eq!(counted, [0, 0]);
}
