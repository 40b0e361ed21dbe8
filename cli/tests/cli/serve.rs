//! Servers on their own: a ready line, a port that is taken, an end when asked to.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};

use photofinish_servers::SERVERS;
use serde_json::Value;

use crate::support::{Sandbox, Started};

/// Starts a server, and gives it back with its address.
pub fn served(sandbox: &Sandbox, arguments: &[&str]) -> (Started, String) {
    ready(sandbox.start(&[&["serve"], arguments].concat()))
}

/// A started server with its address.
pub fn ready(mut server: Started) -> (Started, String) {
    let mut stdout = BufReader::new(server.child().stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("a ready line");
    let ready: Value = serde_json::from_str(&line).expect("JSON");
    let address = ready["address"].as_str().expect("an address").to_owned();
    (server, address)
}

#[test]
fn every_server_says_where_it_listens_and_ends_when_asked_to() {
    let sandbox = Sandbox::new();
    for name in SERVERS.iter().map(|kind| kind.name) {
        let (mut server, address) = served(&sandbox, &[name]);
        TcpStream::connect(&address).unwrap_or_else(|error| panic!("{name} at {address}: {error}"));
        server.signal("TERM");
        server.finish().check(0, &[]);
    }
}

#[test]
fn the_http_server_answers() {
    let sandbox = Sandbox::new();
    let (_server, address) = served(&sandbox, &["http"]);
    let mut stream = TcpStream::connect(&address).expect("connected");
    stream
        .write_all(b"GET /bytes/5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .expect("asked");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

#[test]
fn a_port_in_use_is_reported() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let port = taken.local_addr().expect("an address").port().to_string();
    for name in SERVERS.iter().map(|kind| kind.name) {
        Sandbox::new()
            .run(&["serve", name, "--listen", &address])
            .check(1, &[&address, "in use", &port, "hint:"]);
    }
}

#[test]
fn an_unservable_setting_is_a_usage_error() {
    let sandbox = Sandbox::new();
    sandbox.run(&["serve", "htp"]).check(2, &["htp", "http"]);
    sandbox
        .run(&["serve", "http", "--behaviour", "{"])
        .check(2, &["not JSON"]);
    for behaviour in ["[]", "null"] {
        sandbox
            .run(&["serve", "http", "--with-parent", "--behaviour", behaviour])
            .check(2, &["--behaviour is not a JSON object", "hint: such as"]);
    }
    sandbox
        .run(&["serve", "http", "--behaviour", "{\"dellay\": 1}"])
        .check(2, &["dellay", "hint: did you mean `delay`?"]);
    sandbox
        .run(&["serve", "wiremock", "--threads", "2"])
        .check(2, &["thread"]);
    sandbox
        .run(&["serve", "http", "--behaviour-file", "nowhere.json"])
        .check(2, &["nowhere.json"]);
}

#[test]
fn a_server_with_parent_ends_when_stdin_closes() {
    let sandbox = Sandbox::new();
    // The sandbox gives it an empty stdin, which is over at once.
    sandbox
        .run(&["serve", "http", "--with-parent"])
        .check(0, &[]);
}
