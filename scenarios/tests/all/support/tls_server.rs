//! The server's side of TLS for tests: certificates, a rustls connection, and records that rustls would not send.

use std::sync::{Arc, LazyLock};

use photofinish_record::TlsSettings;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::cipher::{MessageEncrypter, OutboundChunks, OutboundPlainMessage};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{
    ConnectionTrafficSecrets, ContentType, ProtocolVersion, RootCertStore, ServerConfig,
    ServerConnection, SupportedCipherSuite,
};

/// An authority, a certificate of it for `localhost`, one that has expired, one for a client, and an authority for
/// `localhost` itself.
pub(crate) struct Certificates {
    pub(crate) authority: CertifiedIssuer<'static, KeyPair>,
    pub(crate) server: Leaf,
    pub(crate) expired: Leaf,
    pub(crate) client: Leaf,
    pub(crate) authority_for_itself: Leaf,
}

pub(crate) struct Leaf {
    pub(crate) certificate: CertificateDer<'static>,
    pub(crate) key: KeyPair,
}

pub(crate) static CERTIFICATES: LazyLock<Certificates> = LazyLock::new(|| {
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    // The others have the same name by default, and an authority is looked up by name.
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
    let names = vec!["localhost".to_owned()];
    let mut params = CertificateParams::new(names).expect("a name");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("signed");
    Certificates {
        authority_for_itself: Leaf {
            certificate: certificate.der().clone(),
            key,
        },
        server: leaf("localhost", 4096),
        expired: leaf("localhost", 2001),
        client: leaf("client", 4096),
        authority,
    }
});

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    use base64::Engine as _;
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")
}

pub(crate) fn authority() -> TlsSettings {
    let der = CERTIFICATES.authority.der();
    TlsSettings {
        ca: Some(pem("CERTIFICATE", der)),
        ..TlsSettings::default()
    }
}

pub(crate) fn server_config(leaf: &Leaf, needs_client: bool) -> Arc<ServerConfig> {
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
    let mut config = config.expect("fitting");
    // For records that rustls would not send.
    config.enable_secret_extraction = true;
    Arc::new(config)
}

pub(crate) fn server(leaf: &Leaf, needs_client: bool) -> ServerConnection {
    ServerConnection::new(server_config(leaf, needs_client)).expect("a connection")
}

/// Encrypts records of a server's connection, version 1.3, after its handshake.
pub(crate) struct Records {
    encrypter: Box<dyn MessageEncrypter>,
    sequence: u64,
}

impl Records {
    /// The records after those that `server` has sent.
    pub(crate) fn after(server: ServerConnection) -> Self {
        let Some(SupportedCipherSuite::Tls13(suite)) = server.negotiated_cipher_suite() else {
            panic!("expected version 1.3");
        };
        let (sequence, secrets) = server.dangerous_extract_secrets().expect("secrets").tx;
        let (ConnectionTrafficSecrets::Aes128Gcm { key, iv }
        | ConnectionTrafficSecrets::Aes256Gcm { key, iv }
        | ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv }) = secrets
        else {
            panic!("unknown secrets");
        };
        Self {
            encrypter: suite.aead_alg.encrypter(key, iv),
            sequence,
        }
    }

    pub(crate) fn encrypt(&mut self, kind: ContentType, content: &[u8]) -> Vec<u8> {
        let message = OutboundPlainMessage {
            typ: kind,
            version: ProtocolVersion::TLSv1_2,
            payload: OutboundChunks::Single(content),
        };
        let sequence = self.sequence;
        self.sequence += 1;
        let record = self.encrypter.encrypt(message, sequence);
        record.expect("encrypted").encode()
    }
}
