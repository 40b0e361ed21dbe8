//! Allocations of an operation once its buffers have grown: none with slots, checks, captures and cookies; over TLS, those of
//! rustls per record; with HTTP/2, those of h2 per request.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

use rcgen::CertifiedKey;
use rustls::crypto::ring;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::Http;
use crate::workloads::allocation_count::allocations;
use crate::workloads::http_connection::TARGET;

/// Allocations of rustls for a request and a response of one record each.
const RECORDS: u64 = 2;

/// Answers each request with a token and a cookie, always the same.
fn server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut reader = BufReader::new(client);
                while answer(&mut reader).is_some() {}
            });
        }
    });
    format!("http://{address}")
}

/// The same over TLS.
fn tls_server() -> String {
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(signing_key.serialize_der()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key);
    let config = Arc::new(config.expect("fitting"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            let mut reader = BufReader::new(StreamOwned::new(connection, client));
            std::thread::spawn(move || while answer(&mut reader).is_some() {});
        }
    });
    format!("https://{address}")
}

fn answer(reader: &mut BufReader<impl Read + Write>) -> Option<()> {
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
    reader
        .get_mut()
        .write_all(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{body}").as_bytes())
        .ok()
}

/// A request that never changes, and a flow that uses every feature.
fn params() -> Value {
    json!({
        "http": { "cookies": true, "headers": { "x-run": "{{run}}-{{round}}-{{op}}" } },
        "draw": { "id": { "distribution": "zipf", "from": 1, "to": 1000, "exponent": 1.1 }, "note": { "text": 64 } },
        "request": [{ "send": "GET /fixed" }],
        "flow": [{ "weight": 3, "request": [
            { "send": "PUT /{{id}}?n={{note}}", "json": { "note": "{{note}}", "id": "{{id|raw}}" },
              "expect": { "json": { "/n/0": 1, "/token": "a \"b\"" }, "header": { "etag": "x" }, "text": "2.5" },
              "capture": { "token": "json /token", "tag": "header etag", "sid": "cookie sid" } },
            { "send": "POST /x", "headers": { "if-match": "{{tag}}" }, "form": { "t": "{{token}} {{sid}}" }, "expect": { "bytes": 35 } },
        ] }],
    })
}

#[test]
fn an_operation_with_slots_checks_captures_and_cookies_allocates_nothing() {
    let counted = allocations::<Http>(params(), TARGET, &server());
    assert_eq!(counted, [0, 0]);
}

/// Goal: with TLS, only rustls allocates, per record, and the workload does not. Method: one record in each direction.
#[test]
fn an_operation_over_tls_allocates_only_for_its_records() {
    let one_request = json!({ "request": [{ "send": "GET /{{op}}" }] });
    let [_, hundred] = allocations::<Http>(one_request, TARGET, &tls_server());
    assert_eq!(hundred, 100 * RECORDS);
}

/// Answers each HTTP/2 request with the same few fields and body.
fn http2_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || serve_http2(&client));
        }
    });
    format!("http://{address}")
}

fn serve_http2(mut client: &TcpStream) -> Option<()> {
    const SETTINGS: &[u8] = b"\0\0\0\x04\0\0\0\0\0";
    const ACKNOWLEDGEMENT: &[u8] = b"\0\0\0\x04\x01\0\0\0\0";
    // Status 200, and two fields without indexing.
    const FIELDS: &[u8] = b"\x88\0\x04etag\x01x\0\x0ccontent-type\x0atext/plain";
    const BODY: &[u8] = b"hello";
    client.read_exact(&mut [0; 24]).ok()?;
    client.write_all(SETTINGS).ok()?;
    loop {
        let mut head = [0; 9];
        client.read_exact(&mut head).ok()?;
        let [_, _, length, kind, flags, stream @ ..] = head;
        client.read_exact(&mut vec![0; length.into()]).ok()?;
        let answer = match (kind, flags & 1) {
            (4, 0) => ACKNOWLEDGEMENT.to_vec(),
            (0 | 1, 1) => [
                &[0, 0, FIELDS.len() as u8, 1, 4],
                &stream[..],
                FIELDS,
                &[0, 0, BODY.len() as u8, 0, 1],
                &stream[..],
                BODY,
            ]
            .concat(),
            _ => continue,
        };
        client.write_all(&answer).ok()?;
    }
}

/// The numbers in docs/SERVICES.md. With several streams, a read may end within a frame, and h2 then needs another buffer.
#[test]
fn http2_allocates_a_fixed_number_of_times_for_each_request() {
    let get =
        json!({ "send": "GET /fixed", "expect": { "header": { "etag": "x" }, "text": "hello" } });
    let counted = |streams: u64| {
        let params = json!({ "http": { "version": "2", "streams": streams }, "request": [get] });
        allocations::<Http>(params, TARGET, &http2_server())
    };
    assert_eq!(counted(1), [7, 700]);
    let [_, hundred] = counted(8);
    assert!(
        (5600..5700).contains(&hundred),
        "{hundred} for 800 requests"
    );
}
