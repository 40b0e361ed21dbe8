//! The address of a peer: a TCP or a Unix socket.
//!
//! Written as text in plans and records: `127.0.0.1:80`, `unix:/run/app.sock`.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// `127.0.0.1:80` or `unix:/run/app.sock`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "String")
)]
#[serde(into = "String", try_from = "String")]
pub enum PeerAddress {
    Tcp(SocketAddr),
    /// A path of UTF-8 text.
    Unix(PathBuf),
}

impl PeerAddress {
    /// Beginning of the text of a Unix socket.
    pub const UNIX: &'static str = "unix:";
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "{}{}", Self::UNIX, path.display()),
        }
    }
}

/// A text is not an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected an address such as 127.0.0.1:80 or unix:/run/app.sock")]
pub struct NotAnAddress;

impl FromStr for PeerAddress {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        match text.strip_prefix(Self::UNIX) {
            Some("") => Err(NotAnAddress),
            Some(path) => Ok(Self::Unix(path.into())),
            None => text.parse().map(Self::Tcp).map_err(|_| NotAnAddress),
        }
    }
}

impl TryFrom<String> for PeerAddress {
    type Error = NotAnAddress;

    fn try_from(text: String) -> Result<Self, NotAnAddress> {
        text.parse()
    }
}

impl From<PeerAddress> for String {
    fn from(address: PeerAddress) -> Self {
        address.to_string()
    }
}

impl From<SocketAddr> for PeerAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Tcp(address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_as_it_is_written() {
        for text in ["127.0.0.1:80", "[::1]:5432", "unix:/run/app.sock"] {
            let address: PeerAddress = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
            let json = serde_json::to_string(&address).expect("text");
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(
                serde_json::from_str::<PeerAddress>(&json).expect(text),
                address
            );
        }
        for wrong in ["", "unix:", "localhost:80", "/run/app.sock"] {
            assert_eq!(wrong.parse::<PeerAddress>(), Err(NotAnAddress), "{wrong}");
        }
    }
}
