//! The HTTP reader agrees with `ureq-proto`, an independent implementation of HTTP/1.1.
//!
//! Both must read valid responses equally. Ours may be stricter with invalid ones, but the oracle must accept whatever it
//! accepts, with the same status, body, length and persistence.

use photofinish_workloads::protocol::http::{Limits, Method};
use proptest::prelude::*;
use ureq_proto::client::state::{RecvBody, RecvResponse};
use ureq_proto::client::{Call, RecvBodyResult, RecvResponseResult, SendRequestResult};
use ureq_proto::http;

use crate::support::http_responses::{CORPUS, Read, mutants, read, samples};

/// Reads `bytes`, followed by a close, with the oracle; `None` without a complete response. The oracle knows no folded
/// values, so it gets those that it refuses unfolded, at the same length.
fn oracle(method: Method, bytes: &[u8]) -> Option<Read> {
    oracle_of(method, bytes).or_else(|| oracle_of(method, &unfolded(bytes)))
}

/// The head with spaces for the line ends of folded values.
fn unfolded(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut lines = 0;
    for at in 0..bytes.len() {
        let (blank, next) = (at == 0 || bytes[at - 1] == b'\n', bytes.get(at + 1));
        match (bytes[at], next) {
            (b'\r', Some(b'\n')) if blank && lines > 0 => lines = 0,
            (b'\n', _) if blank => lines = 0,
            (b'\n', Some(b' ' | b'\t')) if lines > 0 => {
                bytes[at] = b' ';
                if bytes[at - 1] == b'\r' {
                    bytes[at - 1] = b' ';
                }
            }
            (b'\n', _) => lines += 1,
            _ => {}
        }
    }
    bytes
}

fn oracle_of(method: Method, bytes: &[u8]) -> Option<Read> {
    let mut call = send_request(method);
    let mut consumed = 0;
    let status = loop {
        let (used, response) = match call.try_response(&bytes[consumed..], false) {
            // The oracle's own rule; RFC 9110, section 15.2, allows fields in interim responses.
            Err(ureq_proto::Error::HeadersWith100) => return Some(ours(method, bytes)),
            read => read.ok()?,
        };
        consumed += used;
        match response {
            Some(response) => break response.status().as_u16(),
            None if used == 0 => return None,
            None => {}
        }
    };
    let mut body = Vec::new();
    let keep_alive = match call.proceed()? {
        RecvResponseResult::RecvBody(call) => !read_body(call, bytes, &mut consumed, &mut body)?,
        RecvResponseResult::Redirect(call) => !call.must_close_connection(),
        RecvResponseResult::Cleanup(call) => !call.must_close_connection(),
    };
    Some(Read::Response {
        status,
        body,
        keep_alive,
        consumed,
    })
}

/// Brings the oracle to the state in which it expects a response.
fn send_request(method: Method) -> Call<RecvResponse> {
    let request = http::Request::builder()
        .method(method.as_str())
        .uri("http://a.test/")
        .header("content-length", "0");
    let mut call = Call::new(request.body(()).unwrap()).unwrap();
    call.force_send_body();
    let mut call = call.proceed();
    call.write(&mut [0; 1024]).unwrap();
    match call.proceed().unwrap().unwrap() {
        SendRequestResult::RecvResponse(call) => call,
        SendRequestResult::SendBody(mut call) => {
            call.write(&[], &mut [0; 16]).unwrap();
            call.proceed().unwrap()
        }
        SendRequestResult::Await100(_) => unreachable!("no expectation was sent"),
    }
}

/// Reads the body and returns true if the connection must close; `None` if the body is invalid or truncated.
fn read_body(
    mut call: Call<RecvBody>,
    bytes: &[u8],
    consumed: &mut usize,
    body: &mut Vec<u8>,
) -> Option<bool> {
    let mut output = [0; 64];
    loop {
        let (used, written) = call.read(&bytes[*consumed..], &mut output).ok()?;
        *consumed += used;
        body.extend(&output[..written]);
        if used == 0 && written == 0 {
            break;
        }
    }
    match call.proceed()? {
        RecvBodyResult::Redirect(call) => Some(call.must_close_connection()),
        RecvBodyResult::Cleanup(call) => Some(call.must_close_connection()),
    }
}

fn ours(method: Method, bytes: &[u8]) -> Read {
    read(Limits::default(), method, [bytes])
}

/// Streams that the oracle accepts and our reader rejects, each with the reason.
const STRICTER: &[(&[u8], &str)] = &[
    (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\n",
        "both framings at once",
    ),
    (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "a coding nobody would decode",
    ),
    (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "chunked twice",
    ),
    (
        b"HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        "a coding HTTP/1.0 does not have",
    ),
    (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n0\r\n bad: trailer\r\n\r\n",
        "a malformed trailer",
    ),
    (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\n\r\n",
        "an upgrade nobody asked for",
    ),
];

#[test]
fn the_corpus_is_read_as_by_the_oracle_with_listed_exceptions() {
    let mut stricter = Vec::new();
    for bytes in CORPUS {
        match (ours(Method::Get, bytes), oracle(Method::Get, bytes)) {
            (Read::Error(_), None) => {}
            (Read::Error(_), Some(_)) => stricter.push(*bytes),
            (ours, theirs) => assert_eq!(Some(ours), theirs, "{}", bytes.escape_ascii()),
        }
    }
    stricter.sort_unstable();
    let mut meant: Vec<_> = STRICTER.iter().map(|(bytes, _why)| *bytes).collect();
    meant.sort_unstable();
    assert_eq!(stricter, meant);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn valid_responses_are_read_as_made_and_as_by_the_oracle(sample in samples()) {
        let ours = ours(sample.method, &sample.bytes);
        let made = Read::Response {
            status: sample.status,
            body: sample.body.clone(),
            keep_alive: sample.keep_alive,
            consumed: sample.bytes.len(),
        };
        prop_assert_eq!(&ours, &made);
        prop_assert_eq!(Some(ours), oracle(sample.method, &sample.bytes));
    }

    #[test]
    fn accepted_malformed_responses_are_read_as_by_the_oracle(sample in mutants()) {
        let ours = ours(sample.method, &sample.bytes);
        if !matches!(ours, Read::Error(_)) {
            prop_assert_eq!(Some(ours), oracle(sample.method, &sample.bytes));
        }
    }
}
