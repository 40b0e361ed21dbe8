//! A WebSocket server's handshake and frames: no panic, and the same messages for any division of the bytes.
//!
//! The first byte selects whether the handshake is among the fuzzed bytes, the second where they are divided.

#![no_main]

use libfuzzer_sys::fuzz_target;
use photofinish_workloads::protocol::websocket::{Client, WebSocketError};
use tungstenite::handshake::derive_accept_key;

fuzz_target!(|data: &[u8]| {
    let Some((&[with_handshake, cut], bytes)) = data.split_first_chunk::<2>() else {
        return;
    };
    let accept = with_handshake % 4 != 0;
    let (start, end) = bytes.split_at(usize::from(cut) * bytes.len() / 256);
    // Which error comes first may depend on how much of the head has come.
    let kinds = |pieces: &[&[u8]]| {
        let (messages, end) = hear(accept, pieces);
        (messages, end.is_err())
    };
    assert_eq!(kinds(&[bytes]), kinds(&[start, end]));
});

/// The messages of a server that first accepts the connection, if `accept` is true, and the client's last error.
fn hear(accept: bool, pieces: &[&[u8]]) -> (Vec<String>, Result<(), WebSocketError>) {
    let mut client = Client::new("ws://127.0.0.1:1/").expect("a sound address");
    if accept {
        let accepted = accepted(&client.outgoing()[..]);
        client.feed(&accepted);
    }
    client.outgoing().clear();
    let mut messages = Vec::new();
    let mut end = Ok(());
    for piece in pieces {
        client.feed(piece);
        end = end.and_then(|()| listen(&mut client, &mut messages));
    }
    client.end_of_input();
    end = end.and_then(|()| listen(&mut client, &mut messages));
    (messages, end)
}

fn listen(client: &mut Client, messages: &mut Vec<String>) -> Result<(), WebSocketError> {
    if client.open()? {
        while let Some(text) = client.receive()? {
            messages.push(text.to_string());
        }
    }
    Ok(())
}

fn accepted(request: &[u8]) -> Vec<u8> {
    const NAME: &[u8] = b"Sec-WebSocket-Key: ";
    let at = request
        .windows(NAME.len())
        .position(|window| window == NAME);
    let key = &request[at.expect("a key") + NAME.len()..][..24];
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {}\r\n\r\n",
        derive_accept_key(key)
    )
    .into_bytes()
}
