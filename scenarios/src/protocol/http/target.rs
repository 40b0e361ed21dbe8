//! Where requests go: what a user writes as `--target http=http://host:port[/path]`.
//!
//! Only parsing; resolving the name and judging whether it is local are left to who connects. Errors never repeat
//! what was written, because a password may be in it. Read next: `request.rs`.

use thiserror::Error;
use url::{Host, Url};

/// An `http://` URL, taken apart.
///
/// ```
/// use photofinish_scenarios::protocol::http::HttpTarget;
///
/// let target = HttpTarget::parse("http://[::1]:8080/items?limit=5")?;
/// assert_eq!((target.authority.as_str(), target.host.as_str(), target.port), ("[::1]:8080", "::1", 8080));
/// assert_eq!(target.path_and_query.as_deref(), Some("/items?limit=5"));
/// # Ok::<(), photofinish_scenarios::protocol::http::TargetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTarget {
    /// What belongs in the Host field: the host, with the port unless it is 80.
    pub authority: String,
    /// Name or address to connect to; an IPv6 address without its brackets.
    pub host: String,
    /// Port to connect to.
    pub port: u16,
    /// Path and query, percent-encoded; `None` if the URL names the server only.
    pub path_and_query: Option<String>,
}

/// Why a URL is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TargetError {
    /// It does not parse.
    #[error("not a URL of the form http://host:port/path")]
    Syntax(#[source] url::ParseError),
    /// It asks for TLS.
    #[error("https is not supported: TLS would be measured along with the runtime; use http")]
    Https,
    /// It is of another scheme.
    #[error("scheme is not http")]
    Scheme,
    /// It holds a user name or password.
    #[error(
        "user name and password in a URL are not supported; set an `authorization` header instead"
    )]
    Userinfo,
    /// It has a fragment, which is never sent.
    #[error("a fragment (`#…`) is never sent to a server; leave it out")]
    Fragment,
    /// It names no host or the port 0.
    #[error("no host and port to connect to")]
    Address,
}

impl HttpTarget {
    /// Takes `text` apart.
    ///
    /// # Errors
    ///
    /// A [`TargetError`] if it is not a plain `http://` URL.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let url = Url::parse(text).map_err(TargetError::Syntax)?;
        match url.scheme() {
            "http" => {}
            "https" => return Err(TargetError::Https),
            _ => return Err(TargetError::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::Userinfo);
        }
        if url.fragment().is_some() {
            return Err(TargetError::Fragment);
        }
        let port = url.port_or_known_default().filter(|&port| port != 0);
        Ok(HttpTarget {
            authority: url.authority().to_owned(),
            host: host(&url).ok_or(TargetError::Address)?,
            port: port.ok_or(TargetError::Address)?,
            path_and_query: path_and_query(&url),
        })
    }
}

fn host(url: &Url) -> Option<String> {
    url.host().map(|host| match host {
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    })
}

fn path_and_query(url: &Url) -> Option<String> {
    match (url.path(), url.query()) {
        ("/" | "", None) => None,
        (path, None) => Some(path.to_owned()),
        (path, Some(query)) => Some(format!("{path}?{query}")),
    }
}
