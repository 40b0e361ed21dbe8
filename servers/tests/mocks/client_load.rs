//! The server `client`, which loads others: here a server that is scripted by hand.
//!
//! What each test holds against it is what the client says in the end. `client.rs` is something else: what the tests of
//! the other servers ask with.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;

use serde_json::{Value, json};

use crate::driver::{PATIENCE, Server};

/// The control line to the client.
struct Line(BufReader<TcpStream>);

impl Line {
    fn to(client: &Server) -> Self {
        let stream = TcpStream::connect(client.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Line(BufReader::new(stream))
    }

    fn say(&mut self, command: &Value) {
        writeln!(self.0.get_mut(), "{command}").unwrap();
    }

    fn ask(&mut self, command: &Value) -> Value {
        self.say(command);
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }
}

fn listening() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// Serves one connection with `answers`, one for each request, and then to its end with `last`; gives what was asked.
fn serve(mut stream: TcpStream, answers: &[&str], last: &str) -> Vec<String> {
    let mut asked = Vec::new();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    while let Some(Ok(line)) = lines.next() {
        while lines.next().unwrap().unwrap() != "" {}
        let answer = answers.get(asked.len()).unwrap_or(&last);
        asked.push(line);
        if answer.is_empty() || stream.write_all(answer.as_bytes()).is_err() {
            break;
        }
    }
    asked
}

const FINE: &str = "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine";

fn requests() -> Value {
    json!({"requests": [{"path": "/a", "body": "fine"}, {"path": "/b", "status": 404}]})
}

#[test]
fn every_wrong_answer_is_counted_and_an_example_reported() {
    let client = Server::start("client", requests());
    let (listener, address) = listening();
    let served = thread::spawn(move || {
        let not_found = "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n";
        let wrong = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nwrong";
        let answers = [FINE, not_found, wrong, FINE, FINE, ""];
        let first = serve(listener.accept().unwrap().0, &answers, "");
        drop(listener);
        first
    });
    let mut line = Line::to(&client);
    let loading = line.ask(&json!({"load": {"address": address, "connections": 1}}));
    assert_eq!(loading, json!({"loading": 1}));
    let asked = served.join().unwrap();
    assert_eq!(
        asked[..3],
        ["GET /a HTTP/1.1", "GET /b HTTP/1.1", "GET /a HTTP/1.1"]
    );
    let report = line.ask(&json!("report"))["report"].take();
    assert_eq!(report["wrong"]["count"], 2);
    let example = "GET /a was answered with \"wrong\", not \"fine\"";
    assert_eq!(report["wrong"]["example"], example);
    assert!(report["broken"]["count"].as_u64() >= Some(1), "{report}");
    client.stop().unwrap();
}

#[test]
fn at_the_end_both_sides_have_the_same_counts() {
    let mut client = Server::start("client", requests());
    let (listener, address) = listening();
    let mut line = Line::to(&client);
    line.ask(&json!({"load": {"address": address, "connections": 3}}));
    line.say(&json!("measure"));
    line.say(&json!("end"));
    // Only what has an answer tells that what was said before was heard.
    line.ask(&json!("?"));
    // Nobody was answered so far, and all are before the report comes.
    let served = thread::spawn(move || {
        let serve_next = || serve(listener.accept().unwrap().0, &[], FINE).len();
        [serve_next(), serve_next(), serve_next()]
    });
    let report = line.ask(&json!("report"))["report"].take();
    assert_eq!(served.join().unwrap(), [1, 1, 1]);
    assert_eq!(report["left_waiting"], 3);
    assert_eq!(report["broken"]["count"], 0);
    // Every second request expects a 404.
    assert_eq!(report["wrong"]["count"], 1);
    drop(line);
    let counts = client.counts_when(|counts| counts.open_connections == Some(0));
    assert_eq!(counts.requests, Some(3));
    // Those of the load, and the line.
    assert_eq!(counts.connections, Some(4));
    client.stop().unwrap();
}

#[test]
fn a_load_ends_with_its_control_connection() {
    let client = Server::start("client", requests());
    let (listener, address) = listening();
    let mut line = Line::to(&client);
    line.ask(&json!({"load": {"address": address, "connections": 1}}));
    let (mut connection, _) = listener.accept().unwrap();
    drop(line);
    connection.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut asked = String::new();
    connection.read_to_string(&mut asked).unwrap();
    assert!(asked.starts_with("GET /a HTTP/1.1\r\n"), "{asked}");
    client.stop().unwrap();
}

#[test]
fn invalid_settings_are_explained() {
    let client = Server::start("client", json!({}));
    let mut line = Line::to(&client);
    let mut check = |command: Value, expected: &str| {
        let error = line.ask(&command)["error"].take();
        assert!(error.as_str().unwrap().contains(expected), "{error}");
    };
    check(json!("report"), "nothing is loaded yet");
    check(json!("begin"), "not a command");
    let (listener, address) = listening();
    drop(listener);
    let load = json!({"load": {"address": address, "connections": 1}});
    check(load, "cannot be loaded");
    client.stop().unwrap();
}
