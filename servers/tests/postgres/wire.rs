//! Bytes on the wire, where a driver would hide them: encryption declined, status after each answer, pipelines.

use std::io::{Read, Write};
use std::net::TcpStream;

use photofinish_servers::ServeOptions;
use serde_json::json;

use crate::connect::server;
use crate::driver::{PATIENCE, Server};

/// A connection without a driver.
struct Bytes(TcpStream);

impl Bytes {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Bytes(stream)
    }

    fn started(server: &Server) -> Self {
        let mut bytes = Bytes::connect(server);
        bytes.send(&untyped(196_608, b"user\0me\0\0"));
        bytes.until_ready();
        bytes
    }

    fn send(&mut self, data: &[u8]) {
        self.0.write_all(data).unwrap();
    }

    fn byte(&mut self) -> u8 {
        let mut byte = [0];
        self.0.read_exact(&mut byte).unwrap();
        byte[0]
    }

    fn message(&mut self) -> (char, Vec<u8>) {
        let kind = self.byte();
        let mut length = [0; 4];
        self.0.read_exact(&mut length).unwrap();
        let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
        self.0.read_exact(&mut body).unwrap();
        (kind.into(), body)
    }

    /// The types of the messages up to ReadyForQuery, which shows its status.
    fn until_ready(&mut self) -> String {
        let mut kinds = String::new();
        loop {
            let (kind, body) = self.message();
            kinds.push(kind);
            if kind == 'Z' {
                kinds.push(body[0].into());
                return kinds;
            }
        }
    }

    fn query(&mut self, sql: &str) -> String {
        self.send(&typed('Q', format!("{sql}\0").as_bytes()));
        self.until_ready()
    }
}

fn untyped(code: u32, body: &[u8]) -> Vec<u8> {
    [
        &(body.len() as u32 + 8).to_be_bytes()[..],
        &code.to_be_bytes(),
        body,
    ]
    .concat()
}

fn typed(kind: char, body: &[u8]) -> Vec<u8> {
    [
        &[kind as u8][..],
        &(body.len() as u32 + 4).to_be_bytes(),
        body,
    ]
    .concat()
}

/// Parse, Bind and Execute of the unnamed statement, without parameters.
fn execution(sql: &str) -> Vec<u8> {
    let parse = typed('P', format!("\0{sql}\0\0\0").as_bytes());
    let bind = typed('B', b"\0\0\0\0\0\0\0\0");
    [parse, bind, typed('E', b"\0\0\0\0\0")].concat()
}

const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

#[test]
fn encryption_is_declined_and_the_connection_goes_on() {
    let server = server(json!({}));
    let mut bytes = Bytes::connect(&server);
    for request in [GSS_REQUEST, SSL_REQUEST] {
        bytes.send(&untyped(request, b""));
        assert_eq!(bytes.byte(), b'N');
    }
    bytes.send(&untyped(196_608, b"user\0me\0\0"));
    let start = bytes.until_ready();
    assert!(start.starts_with("RS") && start.ends_with("KZI"), "{start}");
    server.stop().unwrap();
}

/// Goal: an attacker cannot inject statements before the encrypted connection begins (CVE-2021-23214).
#[test]
fn unencrypted_bytes_behind_a_request_for_tls_are_refused() {
    let options = ServeOptions {
        tls: true,
        ..ServeOptions::default()
    };
    let server = Server::start_with("postgres", options);
    let mut bytes = Bytes::connect(&server);
    bytes.send(&untyped(GSS_REQUEST, b""));
    assert_eq!(bytes.byte(), b'N');
    let injected = [untyped(SSL_REQUEST, b""), untyped(196_608, b"user\0me\0\0")];
    bytes.send(&injected.concat());
    let (kind, body) = bytes.message();
    let body = String::from_utf8_lossy(&body).into_owned();
    assert!(
        kind == 'E' && body.contains("unencrypted bytes"),
        "{kind}: {body}"
    );
    server.stop().unwrap();
}

#[test]
fn the_status_follows_the_transaction() {
    let server = server(json!({}));
    let mut bytes = Bytes::started(&server);
    for (sql, answer) in [
        ("SELECT 1", "TDCZI"),
        ("BEGIN", "CZT"),
        ("SELECT 1", "TDCZT"),
        ("SELECT 1/0", "TEZE"),
        ("SELECT 1", "EZE"),
        ("ROLLBACK", "CZI"),
        ("", "IZI"),
        ("COMMIT", "NCZI"),
        ("nonsense", "EZI"),
        ("BEGIN; CREATE TABLE t (x int); COMMIT", "CCCZI"),
    ] {
        assert_eq!(bytes.query(sql), answer, "{sql}");
    }
    server.stop().unwrap();
}

#[test]
fn a_setting_is_reported_if_its_value_changed() {
    let server = server(json!({}));
    let mut bytes = Bytes::started(&server);
    for (sql, expected) in [
        ("SET application_name = 'me'", "SCZI"),
        ("SET application_name = 'me'", "CZI"),
        ("SET statement_timeout = '5min'", "CZI"),
        ("RESET application_name", "SCZI"),
        ("RESET ALL", "CZI"),
    ] {
        assert_eq!(bytes.query(sql), expected, "{sql}");
    }
}

#[test]
fn a_pipeline_is_one_transaction_up_to_its_sync() {
    let server = server(json!({}));
    let mut bytes = Bytes::started(&server);
    assert_eq!(bytes.query("CREATE TABLE t (x int PRIMARY KEY)"), "CZI");
    let sync = typed('S', b"");
    let good = [
        execution("INSERT INTO t VALUES (1)"),
        execution("INSERT INTO t VALUES (2)"),
        sync.clone(),
    ]
    .concat();
    bytes.send(&good);
    assert_eq!(bytes.until_ready(), "12C12CZI");
    let bad = [
        execution("INSERT INTO t VALUES (3)"),
        execution("INSERT INTO t VALUES (1)"),
        execution("INSERT INTO t VALUES (4)"),
        sync,
    ]
    .concat();
    bytes.send(&bad);
    assert_eq!(
        bytes.until_ready(),
        "12C12EZI",
        "after the error all is skipped up to the Sync"
    );
    bytes.send(&typed('Q', b"SELECT count(*) FROM t\0"));
    let mut answer = Vec::new();
    while let (kind, body) = bytes.message()
        && kind != 'Z'
    {
        answer.push((kind, body));
    }
    assert_eq!(
        answer[1],
        ('D', b"\0\x01\0\0\0\x012".to_vec()),
        "the first and the third row are gone"
    );
    server.stop().unwrap();
}

#[test]
fn invalid_messages_end_only_their_connection() {
    let mut server = server(json!({}));
    let mut good = Bytes::started(&server);
    let mut bad = Bytes::started(&server);
    bad.send(&typed('?', b"what"));
    let (kind, body) = bad.message();
    assert_eq!(kind, 'E');
    assert!(
        String::from_utf8_lossy(&body).contains("C08P01"),
        "{body:?}"
    );
    assert_eq!(bad.0.read(&mut [0]).unwrap(), 0, "closed");
    // A length that promises more than there is.
    let mut cut = Bytes::started(&server);
    cut.send(&[b'Q', 0, 0, 0, 200, b'x']);
    drop(cut);
    server.counts_when(|counts| counts.open_connections == Some(1));
    assert_eq!(good.query("SELECT 1"), "TDCZI");
    server.stop().unwrap();
}

#[test]
fn a_newer_minor_version_is_negotiated_down() {
    let server = server(json!({}));
    let mut bytes = Bytes::connect(&server);
    bytes.send(&untyped(3 << 16 | 2, b"user\0me\0_pq_.later\0on\0\0"));
    let start = bytes.until_ready();
    assert!(start.starts_with('v'), "{start}");
    server.stop().unwrap();
}

#[test]
fn options_in_the_startup_packet_are_refused_with_a_hint() {
    let server = server(json!({}));
    let mut bytes = Bytes::connect(&server);
    let options = b"user\0me\0options\0-c statement_timeout=1s\0\0";
    bytes.send(&untyped(196_608, options));
    let (kind, body) = bytes.message();
    let text = String::from_utf8_lossy(&body);
    assert_eq!(kind, 'E');
    assert!(
        text.contains("C0A000") && text.contains("db=local"),
        "{text}"
    );
    assert_eq!(bytes.0.read(&mut [0]).unwrap(), 0, "closed");
    server.stop().unwrap();
}

#[test]
fn bodies_that_make_no_sense_are_refused_and_harm_nobody() {
    let server = server(json!({}));
    let lengths = [u32::MAX, 1 << 30, 3, 0];
    for length in lengths {
        let mut bytes = Bytes::connect(&server);
        bytes.send(&[&length.to_be_bytes()[..], &[0; 8]].concat());
        assert_eq!(bytes.message().0, 'E', "a startup packet of {length}");
        let mut bytes = Bytes::started(&server);
        bytes.send(&[&b"Q"[..], &length.to_be_bytes(), b"SELECT 1"].concat());
        assert_eq!(bytes.message().0, 'E', "a query of {length}");
    }
    let bodies: [&[u8]; 6] = [
        b"",
        b"\0",
        b"\xff\xff",
        b"\0\0\xff\xff",
        b"\0\0\0\x01\0\x09",
        b"S\xc3\x28\0",
    ];
    for kind in ['P', 'B', 'D', 'E', 'C', 'Q', 'F', 'p', 'd'] {
        for body in bodies {
            let mut bytes = Bytes::started(&server);
            bytes.send(&[typed(kind, body), typed('S', b""), typed('X', b"")].concat());
            // Whatever the answer is, the connection ends as it was asked to.
            bytes.0.read_to_end(&mut Vec::new()).unwrap();
        }
    }
    assert_eq!(Bytes::started(&server).query("SELECT 1"), "TDCZI");
    server.stop().unwrap();
}

#[test]
fn statements_of_random_words_are_answered() {
    // Goal: no text ends the connection. Method: 4,000 statements of up to 12 words, from a fixed seed.
    const WORDS: &str = "SELECT ( ) , 'x' $1 :: int FROM t a . * AS CASE WHEN THEN END IN VALUES INSERT INTO UPDATE \
        SET CAST BETWEEN AND NOT / 1 generate_series WITH RETURNING LIMIT CREATE TABLE serial PRIMARY KEY DROP SCHEMA \
        ALTER ADD COALESCE ON INDEX EXISTS IF ROLLBACK TO SHOW BEGIN DEFAULT - = ; sum now TIME ZONE FOR [ \"a UNION";
    let words: Vec<&str> = WORDS.split_ascii_whitespace().collect();
    let server = server(json!({}));
    let mut bytes = Bytes::started(&server);
    bytes.query("CREATE TABLE t (a int PRIMARY KEY, b text)");
    let mut state: u64 = 1;
    let mut draw = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    for _ in 0..4_000 {
        let drawn: Vec<&str> = (0..=draw(12)).map(|_| words[draw(words.len())]).collect();
        let sql = drawn.join(" ");
        bytes.send(&[execution(&sql), typed('S', b"")].concat());
        bytes.until_ready();
        bytes.query(&sql);
    }
    bytes.query("ROLLBACK");
    assert_eq!(bytes.query("SELECT 1"), "TDCZI");
    server.stop().unwrap();
}
