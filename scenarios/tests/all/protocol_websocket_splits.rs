//! The WebSocket client receives the same messages for any split of its input, and reports errors.
//!
//! The server's bytes follow RFC 6455 by hand, so that the client is not compared with its own parser.

use photofinish_workloads::protocol::websocket::{Client, WebSocketError};
use proptest::prelude::*;
use tungstenite::handshake::derive_accept_key;

const TEXT: u8 = 1;
const CONTINUATION: u8 = 0;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const LAST: u8 = 0x80;

/// An unmasked frame, as sent by servers.
fn frame(first_byte: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first_byte];
    match u8::try_from(payload.len()) {
        Ok(length) if length < 126 => bytes.push(length),
        _ => {
            let length = u16::try_from(payload.len()).expect("no such payload here");
            bytes.push(126);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(payload);
    bytes
}

/// The response to `client`'s request.
fn accepted(client: &mut Client) -> Vec<u8> {
    let request = String::from_utf8(std::mem::take(client.outgoing())).expect("a head is text");
    assert!(request.starts_with("GET /echo HTTP/1.1\r\n"), "{request}");
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
    let accept = derive_accept_key(key.expect("a key").as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

fn client() -> Client {
    Client::new("ws://127.0.0.1:1/echo").expect("a sound URI")
}

/// The messages a client received, in order, and its final error.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    messages: Vec<String>,
    /// Number of bytes of the pongs and the close; their content is masked.
    answered_bytes: usize,
    end: Result<(), WebSocketError>,
}

/// Feeds a new client the server's response and `frames`, split at `cuts`, and then the end.
fn hear(frames: &[u8], cuts: &[usize]) -> Heard {
    let mut client = client();
    let bytes = [&accepted(&mut client), frames].concat();
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    cuts.extend([0, bytes.len()]);
    cuts.sort_unstable();
    let mut messages = Vec::new();
    let mut end = Ok(());
    for pair in cuts.windows(2) {
        client.feed(&bytes[pair[0]..pair[1]]);
        end = end.and_then(|()| listen(&mut client, &mut messages));
    }
    client.end_of_input();
    end = end.and_then(|()| listen(&mut client, &mut messages));
    let answered_bytes = client.outgoing().len();
    Heard {
        messages,
        answered_bytes,
        end,
    }
}

fn listen(client: &mut Client, messages: &mut Vec<String>) -> Result<(), WebSocketError> {
    if client.open()? {
        while let Some(text) = client.receive()? {
            messages.push(text.to_string());
        }
    }
    Ok(())
}

/// Three messages: a short one, a long one in three fragments around a ping, an empty one; then the close.
fn conversation() -> Vec<u8> {
    let long = "x".repeat(300);
    [
        frame(LAST | TEXT, b"short"),
        frame(TEXT, "Stra\u{df}e ".as_bytes()),
        frame(CONTINUATION, long.as_bytes()),
        frame(LAST | PING, b"there?"),
        frame(LAST | CONTINUATION, b" end"),
        frame(LAST | TEXT, b""),
        frame(LAST | CLOSE, &1000_u16.to_be_bytes()),
    ]
    .concat()
}

/// RFC 6455, 4.1: the field holds a list with the option `Upgrade` in it.
#[test]
fn a_server_may_name_other_connection_options() {
    for options in ["keep-alive, Upgrade", "upgrade,keep-alive"] {
        let mut client = client();
        let head = String::from_utf8(accepted(&mut client)).expect("a head is text");
        let head = head.replace("Connection: Upgrade\r\n", "");
        let field = format!("\r\nconnection: {options}\r\n\r\n");
        client.feed(head.replace("\r\n\r\n", &field).as_bytes());
        assert_eq!(client.open(), Ok(true), "{options}");
    }
    let mut client = client();
    let head = String::from_utf8(accepted(&mut client)).expect("a head is text");
    client.feed(
        head.replace("Connection: Upgrade", "Connection: close")
            .as_bytes(),
    );
    assert!(client.open().is_err());
}

#[test]
fn messages_are_received_in_order_with_replies_to_pings_and_the_close() {
    let heard = hear(&conversation(), &[]);
    let long = format!("Stra\u{df}e {} end", "x".repeat(300));
    assert_eq!(heard.messages, ["short", &long, ""]);
    let closed = WebSocketError::ClosedByServer("1000".to_owned());
    assert_eq!(heard.end, Err(closed));
    // A pong and a close, each with two bytes of head and four of mask.
    assert_eq!(heard.answered_bytes, (2 + 4 + 6) + (2 + 4 + 2));
}

#[test]
fn a_split_anywhere_changes_nothing() {
    let whole = hear(&conversation(), &[]);
    let everywhere: Vec<usize> = (0..2_000).collect();
    assert_eq!(hear(&conversation(), &everywhere), whole, "byte by byte");
    for place in 0..conversation().len() + 200 {
        assert_eq!(hear(&conversation(), &[place]), whole, "cut at {place}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_division_changes_nothing(cuts in prop::collection::vec(any::<usize>(), 0..12)) {
        prop_assert_eq!(hear(&conversation(), &cuts), hear(&conversation(), &[]));
    }

    #[test]
    fn no_input_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..64), cuts in prop::collection::vec(any::<usize>(), 0..4)) {
        hear(&bytes, &cuts);
    }
}

#[test]
fn a_sent_message_is_a_masked_frame() {
    let mut client = client();
    let answer = accepted(&mut client);
    assert_eq!(client.send("early"), Err(WebSocketError::NotOpen));
    client.feed(&answer);
    assert_eq!(client.open(), Ok(true));
    client.send("hello").expect("it is open");
    let sent = std::mem::take(client.outgoing());
    let (head, rest) = sent.split_at(2);
    let (mask, payload) = rest.split_at(4);
    let said: Vec<u8> = payload
        .iter()
        .zip(mask.iter().cycle())
        .map(|(byte, mask)| byte ^ mask)
        .collect();
    assert_eq!(
        (head, &said[..]),
        (&[LAST | TEXT, LAST | 5][..], &b"hello"[..])
    );
}

#[test]
fn each_violation_has_its_error() {
    let end = |frames: &[u8]| hear(frames, &[]).end.unwrap_err();
    assert_eq!(end(&frame(LAST | TEXT, b"x")), WebSocketError::Aborted);
    assert_eq!(end(&frame(LAST | BINARY, b"x")), WebSocketError::Binary);
    let kind = |frames: &[u8]| end(frames).kind();
    assert_eq!(kind(&frame(LAST | TEXT, b"\xff")), "malformed");
    assert_eq!(kind(&frame(LAST | CONTINUATION, b"x")), "malformed");
    let huge = [&[LAST | TEXT, 127][..], &(2_u64 << 20).to_be_bytes()].concat();
    assert_eq!(kind(&huge), "too-large");
}

#[test]
fn a_refused_handshake_has_its_status_and_a_missing_one_is_short() {
    let mut refused = client();
    refused.feed(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
    assert_eq!(refused.open(), Err(WebSocketError::Refused { status: 404 }));
    assert_eq!(refused.open(), Ok(false), "and it stays that way");
    let mut silent = client();
    silent.feed(b"HTTP/1.1 101");
    assert_eq!(silent.open(), Ok(false));
    silent.end_of_input();
    assert_eq!(silent.open().unwrap_err().kind(), "short");
}
