//! TLS of every server that supports it: the certificate in the ready line, ALPN, and counts of ciphertext.

use std::io::{Read, Write, empty, sink};
use std::net::TcpStream;
use std::sync::Arc;

use photofinish_servers::{SERVERS, ServeOptions, serve};
use serde_json::{Value, json};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::driver::{PATIENCE, Server};

fn start(kind: &'static str) -> Server {
    let options = ServeOptions {
        tls: true,
        ..ServeOptions::default()
    };
    Server::start_with(kind, options)
}

/// A stream that counts its bytes.
#[derive(Debug)]
struct CountingStream {
    stream: TcpStream,
    written_bytes: u64,
    read_bytes: u64,
}

impl CountingStream {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self {
            stream,
            written_bytes: 0,
            read_bytes: 0,
        }
    }
}

impl Read for CountingStream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.stream.read(buffer)?;
        self.read_bytes += count as u64;
        Ok(count)
    }
}

impl Write for CountingStream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.stream.write(bytes)?;
        self.written_bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

type TlsStream = StreamOwned<ClientConnection, CountingStream>;

/// Connects to `server` as `name` and performs the handshake; only its certificate is accepted.
fn connect_tls(server: &Server, name: &'static str, alpn: &[&str]) -> std::io::Result<TlsStream> {
    let mut stream = CountingStream::connect(server);
    if server.ready.ready == "postgres" {
        // PostgreSQL needs a TLS request first.
        stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47])?;
        let mut reply = [0];
        stream.read_exact(&mut reply)?;
        assert_eq!(&reply, b"S");
    }
    let pem = server.ready.certificate.as_deref().expect("a certificate");
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap())
        .unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| Vec::from(*name)).collect();
    let name = ServerName::try_from(name).unwrap();
    let client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut secured = StreamOwned::new(client, stream);
    while secured.conn.is_handshaking() {
        secured.conn.complete_io(&mut secured.sock)?;
    }
    // The server's refusal arrives after the client's handshake has ended.
    secured.flush()?;
    Ok(secured)
}

/// Goal: every server has a certificate for all names of this machine and its list of protocols; a client without TLS
/// disturbs nobody.
#[test]
fn every_server_that_speaks_tls_is_verified_and_chooses_its_protocol() {
    let mut certificates = Vec::new();
    for kind in SERVERS.iter().filter(|kind| kind.alpn.is_some()) {
        let server = start(kind.name);
        let offered = kind.alpn.unwrap();
        // Neither TLS nor the server's plain protocol.
        let mut plain = CountingStream::connect(&server);
        plain.write_all(b"\x16\x03 no TLS\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        let _may_be_reset = plain.read_to_end(&mut answer);
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
        for name in ["localhost", "127.0.0.1", "::1"] {
            let stream = connect_tls(&server, name, &[offered[0], "other"]).unwrap();
            let chosen = stream.conn.alpn_protocol();
            assert_eq!(chosen, Some(offered[0].as_bytes()), "{}", kind.name);
        }
        connect_tls(&server, "example.org", &[]).expect_err("another name");
        connect_tls(&server, "localhost", &["other"]).expect_err("another protocol");
        assert_eq!(
            connect_tls(&server, "localhost", &[])
                .unwrap()
                .conn
                .alpn_protocol(),
            None
        );
        certificates.push(server.ready.certificate.clone());
        server.stop().unwrap();
    }
    let all = certificates.len();
    certificates.sort();
    certificates.dedup();
    assert!(
        all >= 5 && certificates.len() == all,
        "generated at each start"
    );
}

/// Goal: the counts are bytes on the wire. Method: a client that counts its own ciphertext.
#[test]
fn bytes_are_counted_as_ciphertext() {
    let mut server = start("http");
    let mut stream = connect_tls(&server, "localhost", &[]).unwrap();
    let request = "GET /bytes/100000 HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream
        .read_to_end(&mut answer)
        .expect("an announced end of the connection");
    assert!(answer.starts_with(b"HTTP/1.1 200 OK") && answer.len() > 100_000);
    let (written_bytes, read_bytes) = (stream.sock.written_bytes, stream.sock.read_bytes);
    drop(stream);
    let counts = server.counts_when(|counts| counts.open_connections == Some(0));
    assert!(read_bytes > answer.len() as u64 + 1000, "{read_bytes}");
    assert_eq!(counts.bytes_in, Some(written_bytes));
    assert_eq!(counts.bytes_out, Some(read_bytes));
    assert_eq!((counts.requests, counts.connections), (Some(1), Some(1)));
    server.stop().unwrap();
}

#[test]
fn a_server_without_tls_refuses_it_before_it_starts() {
    let options = ServeOptions {
        tls: true,
        behaviour: json!({}),
        ..ServeOptions::default()
    };
    let error = serve("client", options, empty(), sink()).expect_err("refused");
    assert!(
        error.to_string().contains("`client` does not speak TLS"),
        "{error}"
    );
    assert!(error.hint().is_some());
    let mut plain = Server::start("http", Value::Null);
    assert_eq!(plain.ready.certificate, None);
    assert!(plain.ask("counts").contains("counts"));
    plain.stop().unwrap();
}
