//! The TLS client against rustls as a server, in memory: every division of the bytes, every failure by its name.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use photofinish_record::{TlsSettings, TlsVersion, Verification};
use photofinish_workloads::protocol::tls::{Plaintext, SettingsError, TlsClient, TlsConfig};
use proptest::prelude::*;
use rustls::{ContentType, ServerConnection};

use crate::support::http_responses::cut;
use crate::support::tls_server::{
    CERTIFICATES, Certificates, Leaf, Records, authority, pem, server, server_config,
};

fn config(settings: &TlsSettings) -> Result<TlsConfig, SettingsError> {
    TlsConfig::new(settings, "localhost", Vec::new)
}

/// Both ends and the bytes between them, handed to the client in pieces.
struct Pair {
    client: TlsClient,
    server: ServerConnection,
    to_server: Vec<u8>,
    to_client: Vec<u8>,
    received: Vec<u8>,
    piece_bytes: usize,
}

impl Pair {
    fn new(config: &TlsConfig, server: ServerConnection, piece_bytes: usize) -> Self {
        let mut to_server = Vec::new();
        Self {
            client: TlsClient::begin(config, &mut to_server).expect("begun"),
            server,
            to_server,
            to_client: Vec::new(),
            received: Vec::new(),
            piece_bytes,
        }
    }

    /// Moves bytes until there are none left to move.
    fn pump(&mut self) -> Result<Plaintext, String> {
        loop {
            let mut bytes = &std::mem::take(&mut self.to_server)[..];
            while !bytes.is_empty() {
                self.server.read_tls(&mut bytes).expect("room");
                // Its alert goes out whatever it is about.
                let _told_by_the_alert = self.server.process_new_packets();
            }
            while self.server.wants_write() {
                self.server
                    .write_tls(&mut self.to_client)
                    .expect("a vector");
            }
            let answer = std::mem::take(&mut self.to_client);
            for piece in answer.chunks(self.piece_bytes) {
                let mut rest = piece;
                while !rest.is_empty() {
                    let fed = self.client.feed(rest, &mut self.to_server);
                    rest = &rest[fed.map_err(|error| error.to_string())?..];
                    self.read();
                }
            }
            if self.to_server.is_empty() && answer.is_empty() {
                return Ok(self.read());
            }
        }
    }

    /// Reads all plaintext into `received`.
    fn read(&mut self) -> Plaintext {
        let mut plain = [0; 7];
        loop {
            match self.client.read(&mut plain) {
                Plaintext::Bytes(count) => self.received.extend_from_slice(&plain[..count]),
                end => return end,
            }
        }
    }

    /// What the server reads.
    fn heard(&mut self, length: usize) -> Vec<u8> {
        let mut heard = vec![0; length];
        self.server
            .reader()
            .read_exact(&mut heard)
            .expect("arrived");
        heard
    }
}

/// The failure of a handshake, by its text and advice.
fn refusal(settings: &TlsSettings, server: ServerConnection) -> (String, Option<&'static str>) {
    let mut pair = Pair::new(&config(settings).expect("sound"), server, 1 << 20);
    let mut failed = None;
    for _ in 0..4 {
        let mut bytes = &std::mem::take(&mut pair.to_server)[..];
        while !bytes.is_empty() {
            pair.server.read_tls(&mut bytes).expect("room");
            let _told_by_the_alert = pair.server.process_new_packets();
        }
        while pair.server.wants_write() {
            pair.server
                .write_tls(&mut pair.to_client)
                .expect("a vector");
        }
        let answer = std::mem::take(&mut pair.to_client);
        if !answer.is_empty() {
            failed = failed.or(pair.client.feed(&answer, &mut pair.to_server).err());
        }
    }
    let failed = failed.expect("refused");
    (failed.to_string(), failed.hint())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Records of one byte, empty ones, tickets alone and an update of keys, in pieces of every size.
    #[test]
    fn the_same_plaintext_arrives_in_every_division(
        piece_bytes in prop_oneof![Just(1_usize), 2_usize..40, 1000_usize..20_000],
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..600), 1..6),
        version in prop_oneof![Just(TlsVersion::Tls12), Just(TlsVersion::Tls13)],
    ) {
        let settings = TlsSettings { versions: vec![version], ..authority() };
        let server = server(&CERTIFICATES.server, false);
        let mut pair = Pair::new(&config(&settings).expect("sound"), server, piece_bytes);
        // The handshake, and the tickets after it: nothing to read.
        prop_assert_eq!(pair.pump(), Ok(Plaintext::None));
        prop_assert!(!pair.client.is_handshaking() && !pair.client.is_resumed());
        for message in &messages {
            pair.client.write(message, &mut pair.to_server);
            if version == TlsVersion::Tls13 {
                pair.server.refresh_traffic_keys().expect("after the handshake");
            }
            for byte in message {
                pair.server.writer().write_all(&[*byte]).expect("room");
            }
            prop_assert_eq!(pair.pump(), Ok(Plaintext::None));
            let heard = pair.heard(message.len());
            prop_assert_eq!(&heard, message);
        }
        prop_assert_eq!(&pair.received, &messages.concat());
        pair.server.send_close_notify();
        prop_assert_eq!(pair.pump(), Ok(Plaintext::End));
    }
}

/// Ends of a connection: with close_notify, without it, and with an alert (internal error).
#[derive(Clone, Copy, Debug)]
enum Ending {
    Announced,
    Silent,
    Alert,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Records that rustls never sends: empty ones anywhere, followed by any ending.
    #[test]
    fn empty_records_and_endings_are_read_alike_however_they_are_split(
        records in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..4), 0..8),
        ending in prop_oneof![Just(Ending::Announced), Just(Ending::Silent), Just(Ending::Alert)],
        at in prop::collection::vec(any::<usize>(), 0..12),
    ) {
        let server = server(&CERTIFICATES.server, false);
        let mut pair = Pair::new(&config(&authority()).expect("sound"), server, 20_000);
        prop_assert_eq!(pair.pump(), Ok(Plaintext::None));
        let Pair { mut client, server, mut to_server, .. } = pair;
        let mut encrypted = Records::after(server);
        let mut bytes = Vec::new();
        for record in &records {
            bytes.extend(encrypted.encrypt(ContentType::ApplicationData, record));
        }
        match ending {
            Ending::Announced => bytes.extend(encrypted.encrypt(ContentType::Alert, &[1, 0])),
            Ending::Alert => bytes.extend(encrypted.encrypt(ContentType::Alert, &[2, 80])),
            Ending::Silent => {}
        }
        let mut received = Vec::new();
        let mut plain = [0; 2];
        let mut failed = None;
        // An empty one would mean the end of input.
        let pieces = cut(&bytes, &at).into_iter().filter(|piece| !piece.is_empty());
        for mut piece in pieces.chain([&[][..]]) {
            loop {
                match client.feed(piece, &mut to_server) {
                    Ok(taken) => piece = &piece[taken..],
                    Err(error) => failed = Some(error.to_string()),
                }
                while let Plaintext::Bytes(count) = client.read(&mut plain) {
                    received.extend_from_slice(&plain[..count]);
                }
                if piece.is_empty() || failed.is_some() {
                    break;
                }
            }
        }
        prop_assert_eq!(received, records.concat());
        match ending {
            Ending::Announced => prop_assert_eq!(client.read(&mut plain), Plaintext::End),
            Ending::Silent => prop_assert_eq!(client.read(&mut plain), Plaintext::Truncated),
            Ending::Alert => {
                prop_assert!(failed.is_some_and(|failed| failed.contains("InternalError")));
            }
        }
    }
}

#[test]
fn an_end_without_close_notify_is_a_truncation() {
    let server = server(&CERTIFICATES.server, false);
    let mut pair = Pair::new(&config(&authority()).expect("sound"), server, 1000);
    pair.server.writer().write_all(b"half").expect("room");
    assert_eq!(pair.pump(), Ok(Plaintext::None));
    assert_eq!(pair.received, b"half");
    assert_eq!(pair.client.feed(&[], &mut pair.to_server), Ok(0));
    assert_eq!(pair.read(), Plaintext::Truncated);
}

#[test]
fn a_mebibyte_is_sent_and_received() {
    let server = server(&CERTIFICATES.server, false);
    let mut pair = Pair::new(&config(&authority()).expect("sound"), server, 20_000);
    pair.pump().expect("a handshake");
    let content: Vec<u8> = (0..1 << 20).map(|index| (index % 251) as u8).collect();
    for part in content.chunks(16 * 1024) {
        pair.client.write(part, &mut pair.to_server);
        pair.pump().expect("moved");
        let heard = pair.heard(part.len());
        assert!(heard == part);
        pair.server.writer().write_all(&heard).expect("room");
    }
    pair.pump().expect("moved");
    assert!(pair.received == content, "{} bytes", pair.received.len());
}

#[test]
fn sessions_are_resumed_unless_that_is_off() {
    for (full_handshakes, resumed) in [(false, true), (true, false)] {
        let settings = TlsSettings {
            full_handshakes,
            ..authority()
        };
        let config = config(&settings).expect("sound");
        let server_config = server_config(&CERTIFICATES.server, false);
        for resumed in [false, resumed] {
            let server = ServerConnection::new(Arc::clone(&server_config));
            let mut pair = Pair::new(&config, server.expect("a connection"), 1000);
            pair.pump().expect("a handshake");
            assert_eq!(pair.client.is_resumed(), resumed);
        }
    }
}

#[test]
fn a_wrong_server_is_refused_by_name() {
    let check = |settings: &TlsSettings, leaf: &Leaf, expected: &str, advice: &str| {
        let (message, hint) = refusal(settings, server(leaf, false));
        assert!(message.contains(expected), "{message}");
        assert!(hint.is_some_and(|hint| hint.contains(advice)), "{hint:?}");
    };
    let Certificates {
        server: right,
        expired,
        client,
        authority_for_itself,
        ..
    } = &*CERTIFICATES;
    check(&authority(), client, "not valid for name", "`server_name`");
    check(&authority(), expired, "expired", "renew");
    let other = TlsSettings {
        ca: Some(pem("CERTIFICATE", &client.certificate)),
        ..TlsSettings::default()
    };
    check(&other, right, "UnknownIssuer", "`ca`");
    let der = authority_for_itself.certificate.clone();
    let itself = TlsSettings {
        ca: Some(pem("CERTIFICATE", &der)),
        ..TlsSettings::default()
    };
    check(
        &itself,
        authority_for_itself,
        "CaUsedAsEndEntity",
        "CA:FALSE",
    );
    let (message, hint) = refusal(&authority(), server(right, true));
    assert!(message.contains("CertificateRequired"), "{message}");
    assert!(hint.is_some_and(|hint| hint.contains("`cert` and `key`")));
}

#[test]
fn settings_decide_what_is_verified() {
    let accepted = |settings: &TlsSettings, leaf: &Leaf| {
        let mut pair = Pair::new(&config(settings).expect("sound"), server(leaf, false), 1000);
        assert_eq!(pair.pump(), Ok(Plaintext::None));
        assert!(!pair.client.is_handshaking());
    };
    let Certificates {
        expired, client, ..
    } = &*CERTIFICATES;
    let any_name = TlsSettings {
        verification: Verification::Authority,
        ..authority()
    };
    accepted(&any_name, client);
    let (message, _) = refusal(&any_name, server(expired, false));
    assert!(message.contains("expired"), "{message}");
    let anybody = TlsSettings {
        verification: Verification::Nothing,
        ..TlsSettings::default()
    };
    accepted(&anybody, expired);
    let named = TlsSettings {
        server_name: Some("client".to_owned()),
        ..authority()
    };
    accepted(&named, client);
}

#[test]
fn a_client_certificate_is_presented() {
    let client = &CERTIFICATES.client;
    let settings = TlsSettings {
        cert: Some(pem("CERTIFICATE", &client.certificate)),
        key: Some(pem("PRIVATE KEY", &client.key.serialize_der())),
        ..authority()
    };
    let server = server(&CERTIFICATES.server, true);
    let mut pair = Pair::new(&config(&settings).expect("sound"), server, 1000);
    assert_eq!(pair.pump(), Ok(Plaintext::None));
    assert_eq!(pair.server.peer_certificates().map(<[_]>::len), Some(1));
    assert!(!format!("{settings:?}").contains("PRIVATE"));
}

#[test]
fn a_server_without_tls_is_named_as_such() {
    let mut out = Vec::new();
    let config = config(&authority()).expect("sound");
    let mut client = TlsClient::begin(&config, &mut out).expect("begun");
    let failed = client.feed(b"HTTP/1.1 400 Bad Request\r\n\r\n", &mut out);
    let failed = failed.expect_err("no TLS");
    assert_eq!(
        failed.hint(),
        Some("does the server speak TLS at this port?")
    );
}

#[test]
fn a_server_with_only_older_versions_is_named_as_such() {
    let alert = b"\x15\x03\x02\x00\x02\x02\x46";
    let mut server_hello = b"\x16\x03\x02\x00\x2a\x02\x00\x00\x26\x03\x02".to_vec();
    // Random bytes, no session, TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA and no compression.
    server_hello.extend([[7; 32].as_slice(), b"\x00\xc0\x13\x00"].concat());
    for answer in [&alert[..], &server_hello] {
        let mut out = Vec::new();
        let config = config(&authority()).expect("sound");
        let mut client = TlsClient::begin(&config, &mut out).expect("begun");
        let failed = client.feed(answer, &mut out).expect_err("TLS 1.1");
        let hint = failed.hint().unwrap_or_default();
        assert!(hint.contains("must accept TLS 1.2 or 1.3"), "{failed}");
    }
}

#[test]
fn invalid_tls_settings_are_refused() {
    let check = |settings: TlsSettings, expected: &str| {
        let error = config(&settings).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    };
    let text = || Some("no PEM".to_owned());
    let none = TlsSettings::default;
    check(none(), "no certificate authorities");
    check(
        TlsSettings {
            ca: text(),
            ..none()
        },
        "certificates in `ca`",
    );
    check(
        TlsSettings {
            cert: text(),
            ..authority()
        },
        "belong together",
    );
    let both = TlsSettings {
        cert: text(),
        key: text(),
        ..authority()
    };
    check(both, "private key in `key`");
    let name = Some("a b".to_owned());
    check(
        TlsSettings {
            server_name: name,
            ..authority()
        },
        "`a b` is neither",
    );
}
