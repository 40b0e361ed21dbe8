//! The TLS client against rustls as a server, in memory: every division of the bytes, every failure by its name.

use std::io::{Read as _, Write as _};
use std::sync::{Arc, LazyLock};

use photofinish_record::{TlsSettings, TlsVersion, Verification};
use photofinish_scenarios::protocol::tls::{Plaintext, SettingsError, TlsClient, TlsConfig};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection};

/// An authority, a certificate of it for `localhost`, one that has expired, and one for a client.
struct Certificates {
    authority: CertifiedIssuer<'static, KeyPair>,
    server: Leaf,
    expired: Leaf,
    client: Leaf,
}

struct Leaf {
    certificate: CertificateDer<'static>,
    key: KeyPair,
}

static CERTIFICATES: LazyLock<Certificates> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // The others have the same name by default, and an authority is found by its name.
    params
        .distinguished_name
        .push(DnType::CommonName, "authority");
    let key = KeyPair::generate().expect("a key");
    let authority = CertifiedIssuer::self_signed(params, key).expect("signed");
    let leaf = |name: &str, last_year: i32| {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        params.not_after = date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &authority).expect("signed");
        Leaf {
            certificate: certificate.der().clone(),
            key,
        }
    };
    Certificates {
        server: leaf("localhost", 4096),
        expired: leaf("localhost", 2001),
        client: leaf("client", 4096),
        authority,
    }
});

fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

fn authority() -> TlsSettings {
    let der = CERTIFICATES.authority.der();
    TlsSettings {
        ca: Some(pem("CERTIFICATE", der)),
        ..TlsSettings::default()
    }
}

fn config(settings: &TlsSettings) -> Result<TlsConfig, SettingsError> {
    TlsConfig::new(settings, "localhost", Vec::new)
}

fn server_config(leaf: &Leaf, needs_client: bool) -> Arc<ServerConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("versions");
    let builder = if needs_client {
        let mut roots = RootCertStore::empty();
        let authority = CERTIFICATES.authority.der().clone();
        roots.add(authority).expect("an authority");
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
        builder.with_client_cert_verifier(verifier.expect("a verifier"))
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::try_from(leaf.key.serialize_der()).expect("a key");
    let config = builder.with_single_cert(vec![leaf.certificate.clone()], key);
    Arc::new(config.expect("fitting"))
}

fn server(leaf: &Leaf, needs_client: bool) -> ServerConnection {
    ServerConnection::new(server_config(leaf, needs_client)).expect("a connection")
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

#[test]
fn an_end_that_is_not_announced_is_a_truncation() {
    let server = server(&CERTIFICATES.server, false);
    let mut pair = Pair::new(&config(&authority()).expect("sound"), server, 1000);
    pair.server.writer().write_all(b"half").expect("room");
    assert_eq!(pair.pump(), Ok(Plaintext::None));
    assert_eq!(pair.received, b"half");
    assert_eq!(pair.client.feed(&[], &mut pair.to_server), Ok(0));
    assert_eq!(pair.read(), Plaintext::Truncated);
}

#[test]
fn a_mebibyte_goes_both_ways() {
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
fn a_server_that_is_not_the_one_meant_is_refused_by_name() {
    let check = |settings: &TlsSettings, leaf: &Leaf, expected: &str, advice: &str| {
        let (message, hint) = refusal(settings, server(leaf, false));
        assert!(message.contains(expected), "{message}");
        assert!(hint.is_some_and(|hint| hint.contains(advice)), "{hint:?}");
    };
    let Certificates {
        server: right,
        expired,
        client,
        ..
    } = &*CERTIFICATES;
    check(&authority(), client, "not valid for name", "`server_name`");
    check(&authority(), expired, "expired", "renew");
    let other = TlsSettings {
        ca: Some(pem("CERTIFICATE", &client.certificate)),
        ..TlsSettings::default()
    };
    check(&other, right, "UnknownIssuer", "`ca`");
    let (message, hint) = refusal(&authority(), server(right, true));
    assert!(message.contains("CertificateRequired"), "{message}");
    assert!(hint.is_some_and(|hint| hint.contains("`cert` and `key`")));
}

#[test]
fn as_much_is_verified_as_the_settings_say() {
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
fn a_server_without_tls_is_told_as_such() {
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
fn settings_that_make_no_connection_are_refused() {
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
