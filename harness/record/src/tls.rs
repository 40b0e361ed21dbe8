//! TLS settings for a target, as they go to a worker.

use std::fmt;

use serde::{Deserialize, Serialize};

/// TLS settings for a target. Certificates and keys are PEM text.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct TlsSettings {
    /// Accepted authorities; `None` for the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
    /// Client certificate, with the chain that leads to an authority.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cert: Option<String>,
    /// Private key of the client certificate: never log or record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Name to send and to verify; `None` for the host of the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_name: Option<String>,
    /// Extent of the verification of the server's certificate.
    #[serde(default)]
    pub verification: Verification,
    /// True if new connections do without resuming a session.
    #[serde(default)]
    pub full_handshakes: bool,
    /// Accepted versions, `1.2` and `1.3`; both if there are none.
    #[serde(default)]
    pub versions: Vec<TlsVersion>,
}

impl TlsSettings {
    /// The settings without certificates and keys, for records.
    pub fn without_files(&self) -> Self {
        Self {
            ca: None,
            cert: None,
            key: None,
            ..self.clone()
        }
    }
}

/// Everything but certificates and keys.
impl fmt::Debug for TlsSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSettings")
            .field("server_name", &self.server_name)
            .field("verification", &self.verification)
            .field("full_handshakes", &self.full_handshakes)
            .field("versions", &self.versions)
            .finish_non_exhaustive()
    }
}

/// Extent of the verification of a server's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verification {
    /// Authority, dates and name.
    #[default]
    Full,
    /// Authority and dates, as PostgreSQL's `verify-ca`.
    Authority,
    /// Nothing: the server may be anybody.
    Nothing,
}

/// A TLS version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub enum TlsVersion {
    #[serde(rename = "1.2")]
    Tls12,
    #[serde(rename = "1.3")]
    Tls13,
}
