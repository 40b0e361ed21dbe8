//! `report --serve`: a page of all runs for the browser on this machine, and nothing else for anybody else.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use crate::support::{Sandbox, Started, TINY};

/// A server of the runs, and its address.
fn serve(sandbox: &Sandbox) -> (Started, String) {
    let mut server = sandbox.start(&["report", "--serve"]);
    let stdout = server.child().stdout.as_mut().expect("a pipe");
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    let address = line.trim().strip_prefix("http://").expect("a URL");
    (server, address.trim_end_matches('/').to_owned())
}

/// Status and body of the answer to a request, as it is.
fn answer(address: &str, request: &str) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.write_all(request.as_bytes()).expect("written");
    let mut received = Vec::new();
    stream.read_to_end(&mut received).expect("an answer");
    let end = received.windows(4).position(|it| it == b"\r\n\r\n");
    let body = received.split_off(end.expect("a head") + 4);
    let head = String::from_utf8(received).expect("text");
    let status = head.split(' ').nth(1).expect("a status");
    (status.parse().expect("a number"), head, body)
}

fn get(address: &str, target: &str) -> (u16, String) {
    let request = format!("GET {target} HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let (status, _, body) = answer(address, &request);
    (status, String::from_utf8(body).expect("text"))
}

/// Goal: all runs can be read and compared, and nothing else. Method: two runs, one with a hostile name, and requests by hand.
#[test]
fn runs_are_served_and_compared_and_nothing_else_is() {
    let sandbox = Sandbox::new();
    let null = ["run", "null", "--runtimes", "sync"];
    let mut ids = Vec::new();
    for _ in 0..2 {
        sandbox.run(&[&null[..], &TINY[..]].concat()).check(0, &[]);
        ids.push(sandbox.record().id);
    }
    let runs = sandbox.path().join("photofinish-runs");
    let file = runs.join(&ids[0]).join("record.json");
    let hostile = fs::read_to_string(&file).expect("a record");
    fs::write(&file, hostile.replace("\"null\"", "\"<b>null\"")).expect("written");
    sandbox.write("secret.json", "s3cret");
    std::os::unix::fs::symlink(sandbox.path(), runs.join("20260101T000000Z-000001"))
        .expect("linked");
    let (mut server, address) = serve(&sandbox);
    let (status, index) = get(&address, "/");
    assert_eq!(status, 200);
    assert!(
        ids.iter()
            .all(|id| index.contains(&format!("href=\"/runs/{id}/\""))),
        "{index}"
    );
    assert!(
        index.contains("&lt;b&gt;null") && !index.contains("<b>null"),
        "{index}"
    );
    assert!(!index.contains("000001"), "a link is no run");
    let (status, page) = get(&address, &format!("/runs/{}", ids[1]));
    assert!(status == 200 && page.contains("</html>") && page.contains(&ids[1]));
    let (status, comparison) = get(&address, &format!("/compare?a={}&b={}", ids[1], ids[1]));
    assert!(
        status == 200 && comparison.contains("throughput"),
        "{comparison}"
    );
    for name in ["record.json", "rounds.hlog"] {
        let target = format!(
            "GET /runs/{}/{name} HTTP/1.1\r\nHost: {address}\r\n\r\n",
            ids[1]
        );
        let (status, head, file) = answer(&address, &target);
        assert!(
            status == 200 && head.contains("attachment; filename="),
            "{head}"
        );
        let stored = fs::read(sandbox.latest().join(name)).expect("a file");
        assert_eq!(file, stored, "{name}");
    }
    for target in [
        "/runs/../../secret.json",
        "/runs/%2e%2e/secret.json",
        "/runs/..",
        "/runs/latest",
        "/runs/20260101T000000Z-000001",
        "/runs/20260101T000000Z-000001/record.json",
        &format!("/runs/{}/report.html", ids[1]),
        &format!("/runs/{}/../../../secret.json", ids[1]),
        "/compare",
        &format!("/compare?a={}&b=../secret.json", ids[1]),
        "//etc/passwd",
    ] {
        let (status, body) = get(&address, target);
        assert!(
            status == 404 && !body.contains("s3cret"),
            "{target}: {status}"
        );
    }
    for (request, expected) in [
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403),
        ("GET / HTTP/1.1\r\n\r\n", 400),
        ("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", 405),
        ("GET / HTTP/1.1\r\nHost: localhost:1\r\n\r\n", 200),
        ("\r\n\r\n", 400),
        (&format!("GET /{} HTTP/1.1\r\n", "x".repeat(9000)), 431),
    ] {
        let (status, _, body) = answer(&address, request);
        assert_eq!(status, expected, "{request:.40}");
        assert_eq!(expected == 200, body.starts_with(b"<!DOCTYPE html>"));
    }
    let (_, head, body) = answer(&address, "HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(head.contains("nosniff") && body.is_empty(), "{head}");
    server.signal("INT");
    server.finish().check(0, &["Ctrl-C ends it"]);
}

#[test]
fn a_page_for_other_machines_needs_permission() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("photofinish-runs")).expect("made");
    let expected = ["other machines can reach 0.0.0.0", "--allow-remote"];
    sandbox
        .run(&["report", "--serve", "0.0.0.0:0"])
        .check(2, &expected);
    let expected = ["no directory at nowhere", "hint: "];
    sandbox
        .run(&["report", "nowhere", "--serve"])
        .check(2, &expected);
    sandbox.run(&["report"]).check(2, &["RUN", "hint: "]);
}
