//! The server's side of TLS: a certificate generated at startup, and the handshake of an accepted connection.
//!
//! `connections.rs` performs the handshake before a server gets the connection; `postgres`, where a client asks for it first,
//! does so itself.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

/// Names of this machine in the certificate.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A server's certificate with its key.
#[derive(Clone)]
pub struct Identity {
    acceptor: TlsAcceptor,
    /// The self-signed certificate in PEM.
    pub certificate: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

impl Identity {
    /// Generates a certificate for this machine; connections may choose one of the protocols `alpn`, or none.
    pub(crate) fn new(alpn: &[&str]) -> io::Result<Self> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(NAMES.map(str::to_owned)).map_err(io::Error::other)?;
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())
            .map_err(io::Error::other)?;
        config.alpn_protocols = alpn.iter().map(|name| Vec::from(*name)).collect();
        let body = STANDARD.encode(cert.der());
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            certificate: format!(
                "-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
            ),
        })
    }

    pub(crate) fn acceptor(&self) -> &TlsAcceptor {
        &self.acceptor
    }
}
