//! Servers that speak TLS in unusual ways, over real sockets, under every runtime.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_record::Measurement;
use photofinish_record::protocol::{TargetAddress, WorkerPlan, WorkerResult};
use photofinish_workloads::registry::workload;
use photofinish_workloads::worker::work;
use rustls::{ContentType, ServerConnection, Stream};
use serde_json::json;

use crate::support::rounds::{measured, plan};
use crate::support::tiny_server;
use crate::support::tls_server::{CERTIFICATES, Records, authority, server};

const OPERATIONS: u64 = 5;

/// A round of the workload `name` with a server that `serve`s each client.
fn round(
    name: &str,
    runtime: &str,
    serve: impl Fn(&TcpStream) + Send + Sync + 'static,
) -> (WorkerPlan, WorkerResult) {
    let directory = tempfile::tempdir().expect("a directory");
    let address = tiny_server::start(serve);
    let target = TargetAddress {
        url: format!(
            "https://localhost:{}",
            address.rsplit_once(':').expect("a port").1
        ),
        address: Some(
            address
                .parse::<std::net::SocketAddr>()
                .expect("an address")
                .into(),
        ),
        mock: false,
        tls: Some(authority()),
    };
    let entry = workload(name).expect("it ships");
    let unit = Duration::from_millis(1);
    let params = match name {
        "http-post" => json!({"size": "8MiB"}),
        _ => json!({}),
    };
    let plan = WorkerPlan {
        targets: [("http".to_owned(), target)].into(),
        ..plan(entry, &params, unit, runtime, OPERATIONS, directory.path())
    };
    let result = work(&plan).result;
    (plan, result)
}

fn measurement((plan, result): (WorkerPlan, WorkerResult)) -> Measurement {
    measured(&plan, result)
}

/// Performs the handshake and reads a request; `None` if the client has left.
fn request(client: &mut &TcpStream, tls: &mut ServerConnection) -> Option<()> {
    let mut lines = BufReader::new(Stream::new(tls, client)).lines();
    lines
        .find(|line| line.as_ref().map_or(true, String::is_empty))?
        .ok()
        .map(drop)
}

fn reset(client: &TcpStream) {
    let socket = socket2::SockRef::from(client);
    socket.set_linger(Some(Duration::ZERO)).expect("set");
    // Closing it now resets the connection.
}

const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world";

/// Goal: a body is complete however it is split into records. Method: records of one byte with empty ones between them, a key
/// update in the middle of a body on a kept connection, and a missing close_notify after a body of known length.
#[test]
fn a_body_in_odd_records_is_complete_under_every_runtime() {
    for runtime in DESCRIPTORS {
        let kept = round("http-get", runtime.name, |mut client| {
            let mut tls = server(&CERTIFICATES.server, false);
            while request(&mut client, &mut tls).is_some() {
                for (index, byte) in RESPONSE.iter().enumerate() {
                    if index % 23 == 22 {
                        tls.refresh_traffic_keys().expect("after the handshake");
                    }
                    let mut stream = Stream::new(&mut tls, &mut client);
                    stream.write_all(&[*byte]).expect("written");
                }
            }
        });
        let kept = measurement(kept);
        assert!(
            kept.errors.is_empty() && kept.ops == OPERATIONS,
            "{}: {kept:?}",
            runtime.name
        );
        let traffic = kept.traffic["http"];
        // Each connection has a new server, without earlier sessions.
        assert_eq!(traffic.full_handshakes, traffic.connections);
        let each = round("http-connect", runtime.name, |mut client| {
            let mut tls = server(&CERTIFICATES.server, false);
            if request(&mut client, &mut tls).is_none() {
                return;
            }
            let mut records = Records::after(tls);
            for byte in RESPONSE {
                let empty = records.encrypt(ContentType::ApplicationData, &[]);
                let one = records.encrypt(ContentType::ApplicationData, &[*byte]);
                client.write_all(&[empty, one].concat()).expect("written");
            }
        });
        let each = measurement(each);
        assert!(
            each.errors.is_empty() && each.ops == OPERATIONS,
            "{}: {each:?}",
            runtime.name
        );
        let traffic = each.traffic["http"];
        let handshakes = traffic.full_handshakes + traffic.resumed_handshakes;
        assert_eq!(handshakes, traffic.connections, "{}", runtime.name);
    }
}

/// Goal: the server's reason is reported, not the reset that follows it. Method: an alert and a reset instead of a handshake,
/// and instead of a response.
#[test]
fn an_alert_followed_by_a_reset_is_reported_under_every_runtime() {
    for runtime in DESCRIPTORS {
        let (_, refused) = round("http-get", runtime.name, |mut client| {
            let mut hello = [0; 5];
            client.read_exact(&mut hello).expect("a record");
            let alert = [21, 3, 3, 0, 2, 2, 40];
            client.write_all(&alert).expect("written");
            reset(client);
        });
        let refused = format!("{refused:?}");
        assert!(
            refused.contains("HandshakeFailure"),
            "{}: {refused}",
            runtime.name
        );

        // In the middle of a request that is larger than the socket buffers.
        let early = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n";
        for (kind, content, expected) in [
            (ContentType::Alert, &[2, 80][..], "InternalError"),
            (ContentType::ApplicationData, &early[..], "413"),
        ] {
            let (_, cut) = round("http-post", runtime.name, move |mut client| {
                let mut tls = server(&CERTIFICATES.server, false);
                if request(&mut client, &mut tls).is_some() {
                    let record = Records::after(tls).encrypt(kind, content);
                    client.write_all(&record).expect("written");
                    reset(client);
                }
            });
            let cut = format!("{cut:?}");
            assert!(cut.contains(expected), "{}: {cut}", runtime.name);
        }

        let requests = AtomicU64::new(0);
        let measured = measurement(round("http-get", runtime.name, move |mut client| {
            let mut tls = server(&CERTIFICATES.server, false);
            while request(&mut client, &mut tls).is_some() {
                // The response is fetched twice before the warm-up of one.
                if requests.fetch_add(1, Ordering::Relaxed) >= 3 {
                    let mut records = Records::after(tls);
                    let alert = records.encrypt(ContentType::Alert, &[2, 80]);
                    client.write_all(&alert).expect("written");
                    return reset(client);
                }
                let mut stream = Stream::new(&mut tls, &mut client);
                stream.write_all(RESPONSE).expect("written");
            }
        }));
        let failures = &measured.errors["tls"];
        assert_eq!(
            (measured.errors.len(), failures.count),
            (1, OPERATIONS),
            "{}",
            runtime.name
        );
        assert!(
            failures.example.contains("InternalError"),
            "{}",
            failures.example
        );
    }
}
