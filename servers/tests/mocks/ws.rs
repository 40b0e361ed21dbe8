//! The server `ws`, met by clients of other languages and by bytes written by hand.
//!
//! Where a language or its library is not installed the test says so aloud and passes; with `CI=true` in the
//! environment it fails instead, because there everything has to be there.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Instant;

use photofinish_servers::CountsSnapshot;
use serde_json::json;

use crate::driver::{PATIENCE, Server};

fn skip(what: &str) {
    assert!(
        std::env::var("CI").as_deref() != Ok("true"),
        "{what} is not installed, and CI has to have it"
    );
    // Around the test harness's capture of output, so that it is seen.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {what} is not installed");
}

fn exists(program: &str, arguments: &[&str]) -> bool {
    let mut probe = Command::new(program);
    probe.args(arguments).stdin(Stdio::null());
    probe.output().is_ok_and(|output| output.status.success())
}

/// Runs `program` against a fresh server, which it finds in its arguments, and gives what the server counted.
#[track_caller]
fn counts_after(program: &str, option: &str, source: &str) -> CountsSnapshot {
    let mut server = Server::start("ws", json!({}));
    let url = format!("ws://{}", server.address());
    let output = Command::new(program)
        .args([option, source, &url])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success() && said.trim() == "fine",
        "{said}{complaint}"
    );
    let counts = settled(&mut server);
    server.stop().unwrap();
    counts
}

/// The counts once everybody has left.
fn settled(server: &mut Server) -> CountsSnapshot {
    let begun = Instant::now();
    loop {
        let counts = server.counts();
        if counts.open_connections == Some(0) {
            return counts;
        }
        assert!(begun.elapsed() < PATIENCE, "{counts:?}");
    }
}

/// Echo with text, bytes and a long message; a room of twenty in which each speaks, one leaves politely and one breaks
/// off, and the others hear everything once and in order; another room that hears nothing of it; and a path that is not
/// there.
const PYTHON: &str = r#"
import asyncio, sys, websockets
from websockets.asyncio.client import connect
url = sys.argv[1]
async def main():
    async with connect(url + '/echo') as ws:
        for message in ['one', '', b'\x00\xff', 'Straße', 'x' * 70000]:
            await ws.send(message)
            assert await ws.recv() == message
        await asyncio.wait_for(await ws.ping(), 10)
    members = [await connect(url + '/chat/a') for _ in range(20)]
    other = await connect(url + '/chat/b')
    async def said_and_heard(texts):
        for member, text in zip(members, texts):
            await member.send(text)
        heard = [[await m.recv() for _ in texts] for m in members]
        assert all(h == heard[0] for h in heard), 'one order for all'
        assert sorted(heard[0]) == sorted(texts), heard[0]
    await said_and_heard([f'm{i}' for i in range(20)])
    await members.pop(0).close()
    members.pop(0).transport.abort()
    await said_and_heard([f'n{i}' for i in range(18)])
    await other.send('here')
    assert await other.recv() == 'here'
    for ws in members + [other]:
        await ws.close()
    try:
        await connect(url + '/nowhere')
    except websockets.exceptions.InvalidStatus as error:
        assert error.response.status_code == 404
    else:
        raise AssertionError('a path that is not there was accepted')
    print('fine')
asyncio.run(asyncio.wait_for(main(), 30))
"#;

#[test]
fn python_websockets_exchanges_messages() {
    if !exists("python3", &["-c", "import websockets.asyncio.client"]) {
        return skip("python3 with websockets");
    }
    let counts = counts_after("python3", "-c", PYTHON);
    assert_eq!(counts.requests, Some(5 + 20 + 18 + 1));
    assert_eq!(counts.connections, Some(1 + 21 + 1));
}

/// The same in short, and each speaks at once with all others.
const NODE: &str = r#"
const WebSocket = require('ws');
const assert = require('assert');
const url = process.argv[1];
const opened = path => new Promise((resolve, reject) => {
  const ws = new WebSocket(url + path);
  ws.heard = [];
  ws.on('message', data => ws.heard.push(data.toString()));
  ws.on('open', () => resolve(ws)).on('error', reject);
});
const closed = ws => new Promise(resolve => ws.on('close', resolve).close());
const until = async (holds, what) => {
  for (let i = 0; !holds(); i++) { assert(i < 2000, what); await new Promise(r => setTimeout(r, 5)); }
};
(async () => {
  const echo = await opened('/echo');
  const texts = ['one', 'Straße', 'x'.repeat(70000)];
  texts.forEach(text => echo.send(text));
  await until(() => echo.heard.length === 3, 'echoes');
  assert.deepStrictEqual(echo.heard, texts);
  await closed(echo);
  const members = await Promise.all(Array.from({ length: 20 }, () => opened('/chat/a')));
  members.forEach((member, i) => member.send('m' + i));
  await until(() => members.every(m => m.heard.length === 20), 'a message each');
  members.forEach(m => assert.deepStrictEqual(m.heard, members[0].heard));
  assert.strictEqual(new Set(members[0].heard).size, 20);
  await closed(members.shift());
  members.shift().terminate();
  members[0].send('last');
  await until(() => members.every(m => m.heard.length === 21), 'the last one');
  assert(members.every(m => m.heard[20] === 'last'));
  await Promise.all(members.map(closed));
  await assert.rejects(opened('/nowhere'), /404/);
  console.log('fine');
})().catch(e => { console.error(e); process.exit(1); });
"#;

#[test]
fn node_ws_exchanges_messages() {
    if !exists("node", &["-e", "require('ws')"]) {
        return skip("node with ws (found through NODE_PATH)");
    }
    let counts = counts_after("node", "-e", NODE);
    assert_eq!(counts.requests, Some(3 + 20 + 1));
    assert_eq!(counts.connections, Some(1 + 20 + 1));
}

/// A client's handshake, with the example key of RFC 6455.
fn handshake(server: &Server, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.extend(byte);
    }
    String::from_utf8(head).unwrap().to_lowercase()
}

/// A masked frame of a client, with a mask that changes nothing.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let length = 0x80 | u8::try_from(payload.len()).unwrap();
    [&[0x80 | opcode, length, 0, 0, 0, 0], payload].concat()
}

#[test]
fn every_byte_and_message_is_counted_and_a_close_is_answered_before_the_end() {
    let mut server = Server::start("ws", json!({}));
    let mut stream = handshake(&server, "/chat/a");
    let head = head(&mut stream);
    assert!(head.starts_with("http/1.1 101 "), "{head}");
    assert!(
        head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
        "{head}"
    );
    let sent = [frame(1, b"hi"), frame(9, b"?"), frame(8, b"")].concat();
    stream.write_all(&sent).unwrap();
    let mut answers = Vec::new();
    stream.read_to_end(&mut answers).unwrap();
    // What was said just before the close may or may not be heard any more; the close is always answered, last.
    assert!(answers.ends_with(&[0x88, 0]), "{answers:?}");
    let counts = settled(&mut server);
    assert_eq!(counts.requests, Some(1));
    assert_eq!(counts.connections, Some(1));
    assert_eq!(counts.bytes_out, Some((head.len() + answers.len()) as u64));
    server.stop().unwrap();
}

#[test]
fn a_misbehaving_client_harms_only_itself() {
    let mut server = Server::start("ws", json!({}));
    let mut stays = handshake(&server, "/chat/a");
    head(&mut stays);
    for bytes in [&b"\xff\xff\xff"[..], &[0x81, 0x05, b'h'], &[]] {
        let mut goes = handshake(&server, "/chat/a");
        head(&mut goes);
        goes.write_all(bytes).unwrap();
    }
    stays.write_all(&frame(1, b"hi")).unwrap();
    let mut heard = [0; 4];
    stays.read_exact(&mut heard).unwrap();
    assert_eq!(heard, [0x81, 2, b'h', b'i']);
    drop(stays);
    assert_eq!(settled(&mut server).requests, Some(1));
    server.stop().unwrap();
}
