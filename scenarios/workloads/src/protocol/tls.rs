//! A TLS client: plaintext on one side, ciphertext on the other, no socket.
//!
//! rustls with ring, in this file alone. [`TlsConfig`] is made once for all connections of a worker, so that they resume
//! each other's sessions; [`TlsClient`] is one connection. It allocates for each record, since rustls does.

use std::fmt;
use std::io::{ErrorKind, Read as _, Write as _};
use std::sync::Arc;

use photofinish_record::{TlsSettings, TlsVersion, Verification};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::crypto::{ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, HandshakeKind,
    PeerIncompatible, RootCertStore, SignatureScheme, SupportedProtocolVersion,
};
use thiserror::Error as ThisError;

/// Largest plaintext of one record.
pub const RECORD_BYTES: usize = 16 * 1024;

/// Settings that make no connection possible.
#[derive(Debug, ThisError)]
pub enum SettingsError {
    #[error("expected a PEM file with certificates in `{0}`")]
    Certificates(&'static str),
    #[error("expected a PEM file with an unencrypted private key in `key`")]
    Key,
    #[error("`cert` and `key` belong together: expected both or neither")]
    Pair,
    #[error("the client certificate and its key do not fit")]
    ClientCertificate(#[source] Error),
    #[error("the system has no certificate authorities; name a file with yours in `ca`")]
    NoRoots,
    #[error("`{0}` is neither a host name nor an address")]
    ServerName(String),
    #[error("cannot verify certificates")]
    Verifier(#[source] rustls::client::VerifierBuilderError),
    #[error("expected versions among 1.2 and 1.3")]
    Versions(#[source] Error),
}

impl SettingsError {
    /// The setting that is wrong, if it is one alone.
    pub fn key(&self) -> Option<&'static str> {
        match self {
            Self::Certificates(key) => Some(key),
            Self::Key => Some("key"),
            Self::ServerName(_) => Some("server_name"),
            Self::Versions(_) => Some("versions"),
            Self::NoRoots => Some("ca"),
            Self::Pair | Self::ClientCertificate(_) | Self::Verifier(_) => None,
        }
    }
}

/// A connection failed.
#[derive(Debug, Clone, PartialEq, ThisError)]
#[error(transparent)]
pub struct TlsError(#[from] Error);

impl TlsError {
    /// Advice on the failure, if there is any.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match &self.0 {
            Error::InvalidCertificate(error) => match error {
                // An authority of the same name with another key is another authority.
                CertificateError::UnknownIssuer
                | CertificateError::BadSignature
                | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                    "name the server's authority with `ca` in `[tls]`, --target http-ca=FILE or a database's \
                     sslrootcert=FILE, or accept any server with `insecure` or sslmode=require"
                }
                CertificateError::NotValidForName
                | CertificateError::NotValidForNameContext { .. } => {
                    "name the host that the certificate is for with `server_name` in `[tls]` or --target \
                     http-server-name=NAME, or accept any of the authority's with a database's sslmode=verify-ca"
                }
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                    "renew the server's certificate, or check the clock of this machine"
                }
                CertificateError::Other(other) if other.0.to_string() == "CaUsedAsEndEntity" => {
                    "the server's certificate is that of an authority, as `openssl req -x509` makes it: add \
                     `-addext basicConstraints=critical,CA:FALSE`, or accept any server with `insecure` or sslmode=require"
                }
                _ => return None,
            },
            Error::AlertReceived(alert) if is_about_certificate(*alert) => {
                "the server expects a client certificate: name it with `cert` and `key` in `[tls]`, --target http-cert=FILE \
                 and http-key=FILE, or a database's sslcert=FILE and sslkey=FILE"
            }
            Error::AlertReceived(rustls::AlertDescription::ProtocolVersion)
            | Error::PeerIncompatible(
                PeerIncompatible::ServerDoesNotSupportTls12Or13
                | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
                | PeerIncompatible::Tls12NotOfferedOrEnabled,
            ) => {
                "the server must accept TLS 1.2 or 1.3; if the scenario has `versions` in `[tls]`, one of those"
            }
            Error::InvalidMessage(_) => "does the server speak TLS at this port?",
            _ => return None,
        })
    }
}

fn is_about_certificate(alert: rustls::AlertDescription) -> bool {
    use rustls::AlertDescription as Alert;
    matches!(
        alert,
        Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::HandshakeFailure
            | Alert::UnknownCA
    )
}

/// Settings that all connections to a server share, with the sessions that they can resume.
#[derive(Clone)]
pub struct TlsConfig {
    config: Arc<ClientConfig>,
    server_name: ServerName<'static>,
}

impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsConfig")
            .field("server_name", &self.server_name)
            .finish_non_exhaustive()
    }
}

impl TlsConfig {
    /// Connections to `host` with these settings; `system_roots` are asked for if the settings name no authority.
    pub fn new(
        settings: &TlsSettings,
        host: &str,
        system_roots: impl FnOnce() -> Vec<CertificateDer<'static>>,
    ) -> Result<Self, SettingsError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = verifier(settings, &provider, system_roots)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&versions(&settings.versions))
            .map_err(SettingsError::Versions)?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match (&settings.cert, &settings.key) {
            (None, None) => builder.with_no_client_auth(),
            (Some(cert), Some(key)) => {
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes());
                let key = key.map_err(|_| SettingsError::Key)?;
                builder
                    .with_client_auth_cert(certificates("cert", cert)?, key)
                    .map_err(SettingsError::ClientCertificate)?
            }
            _ => return Err(SettingsError::Pair),
        };
        if settings.full_handshakes {
            config.resumption = Resumption::disabled();
        }
        let name = settings.server_name.as_deref().unwrap_or(host);
        let server_name = ServerName::try_from(name.to_owned())
            .map_err(|_| SettingsError::ServerName(name.to_owned()))?;
        Ok(Self {
            config: Arc::new(config),
            server_name,
        })
    }
}

impl TlsConfig {
    /// The same settings, with these protocols offered in the handshake (ALPN), the preferred one first.
    #[must_use]
    pub fn with_protocols(&self, protocols: &[&str]) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|name| Vec::from(*name)).collect();
        Self {
            config: Arc::new(config),
            server_name: self.server_name.clone(),
        }
    }
}

/// The authorities that this system trusts.
pub fn system_roots() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}

fn versions(accepted: &[TlsVersion]) -> Vec<&'static SupportedProtocolVersion> {
    if accepted.is_empty() {
        return vec![&TLS12, &TLS13];
    }
    let version = |version: &TlsVersion| match version {
        TlsVersion::Tls12 => &TLS12,
        TlsVersion::Tls13 => &TLS13,
    };
    accepted.iter().map(version).collect()
}

/// The certificates in a PEM text; there is at least one.
fn certificates(
    name: &'static str,
    pem: &str,
) -> Result<Vec<CertificateDer<'static>>, SettingsError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    found
        .ok()
        .filter(|found| !found.is_empty())
        .ok_or(SettingsError::Certificates(name))
}

fn verifier(
    settings: &TlsSettings,
    provider: &Arc<CryptoProvider>,
    system_roots: impl FnOnce() -> Vec<CertificateDer<'static>>,
) -> Result<Arc<dyn ServerCertVerifier>, SettingsError> {
    let any_name = |issuers| AnyName {
        issuers,
        provider: Arc::clone(provider),
    };
    if settings.verification == Verification::Nothing {
        return Ok(Arc::new(any_name(None)));
    }
    let authorities = match &settings.ca {
        Some(pem) => certificates("ca", pem)?,
        None => system_roots(),
    };
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(authorities);
    match (&settings.ca, added) {
        (Some(_), 0) => return Err(SettingsError::Certificates("ca")),
        (None, 0) => return Err(SettingsError::NoRoots),
        _ => {}
    }
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
            .build()
            .map_err(SettingsError::Verifier)?;
    Ok(match settings.verification {
        Verification::Authority => Arc::new(any_name(Some(verifier))),
        _ => verifier,
    })
}

/// Accepts a certificate for any name; the handshake's signature still has to be the certificate's.
#[derive(Debug)]
struct AnyName {
    /// The authorities that must have issued it; `None` accepts any issuer.
    issuers: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(issuers) = &self.issuers else {
            return Ok(ServerCertVerified::assertion());
        };
        match issuers.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
        {
            // The name is verified last.
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => Ok(ServerCertVerified::assertion()),
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        let algorithms = &self.provider.signature_verification_algorithms;
        algorithms.supported_schemes()
    }
}

/// The result of a look for plaintext.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plaintext {
    /// This many bytes, at least one.
    Bytes(usize),
    /// More ciphertext is needed: what came was a part of a record, a ticket, an update of keys, or empty.
    None,
    /// The peer has announced the end.
    End,
    /// The input ended without the peer's announcement: anybody may have cut it off.
    Truncated,
}

/// A connection of a client.
#[derive(Debug)]
pub struct TlsClient {
    connection: ClientConnection,
}

impl TlsClient {
    /// A connection that has not begun; its first message is in `out`.
    pub fn begin(config: &TlsConfig, out: &mut Vec<u8>) -> Result<Self, TlsError> {
        let name = config.server_name.clone();
        let mut connection = ClientConnection::new(Arc::clone(&config.config), name)?;
        // Bounded by the callers, which write no more than a record at once.
        connection.set_buffer_limit(None);
        let mut client = Self { connection };
        client.flush(out);
        Ok(client)
    }

    /// True until the handshake has ended.
    pub fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    /// True if the handshake resumed an earlier session.
    pub fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The protocol that the server chose from those offered.
    pub fn protocol(&self) -> Option<&[u8]> {
        self.connection.alpn_protocol()
    }

    /// Takes all of `input`, of which there is nothing at its end, unless `plain` has to be taken first. Replies are
    /// appended to `out`, also those to a failure. Returns the number of bytes taken.
    pub fn feed(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, TlsError> {
        let mut rest = input;
        loop {
            // The reader is a slice: the one failure is that too much plaintext waits to be read.
            let taken = self.connection.read_tls(&mut rest);
            let processed = self.connection.process_new_packets();
            self.flush(out);
            let state = processed?;
            if taken.is_err() || rest.is_empty() || state.plaintext_bytes_to_read() > RECORD_BYTES {
                return Ok(input.len() - rest.len());
            }
        }
    }

    /// Moves plaintext that has arrived to the begin of `plain`, which has room.
    pub fn read(&mut self, plain: &mut [u8]) -> Plaintext {
        match self.connection.reader().read(plain) {
            Ok(0) => Plaintext::End,
            Ok(count) => Plaintext::Bytes(count),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Plaintext::Truncated,
            // `WouldBlock` is the only other one.
            Err(_) => Plaintext::None,
        }
    }

    /// Appends the ciphertext of `plain` to `out`.
    pub fn write(&mut self, plain: &[u8], out: &mut Vec<u8>) {
        self.connection
            .writer()
            .write_all(plain)
            .expect("its buffer has no limit");
        self.flush(out);
    }

    /// Appends the announcement of the end to `out`.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        self.connection.send_close_notify();
        self.flush(out);
    }

    fn flush(&mut self, out: &mut Vec<u8>) {
        while self.connection.wants_write() {
            self.connection
                .write_tls(out)
                .expect("a vector takes everything");
        }
    }
}
