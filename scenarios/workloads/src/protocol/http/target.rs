//! The URL of `--target http=http[s]://host:port[/path]`.
//!
//! Only parsing; the caller resolves the name and decides whether it is local. Errors never repeat the URL, because it
//! may contain a password.

use photofinish_record::{PeerAddress, percent_encoded};
use thiserror::Error;
use url::{Position, Url};

use crate::protocol::{ServerLocation, host};

/// The parts of an `http://` or `https://` URL, or of a Unix socket with a path: `unix:/run/app.sock:/items`.
///
/// ```
/// use photofinish_workloads::protocol::ServerLocation;
/// use photofinish_workloads::protocol::http::HttpTarget;
///
/// let target = HttpTarget::parse("http://[::1]:8080/items?limit=5")?;
/// assert_eq!(target.authority, "[::1]:8080");
/// assert_eq!(target.location, ServerLocation::Host("::1".to_owned(), 8080));
/// assert_eq!(target.path_and_query.as_deref(), Some("/items?limit=5"));
/// # Ok::<(), photofinish_workloads::protocol::http::TargetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpTarget {
    /// Value of the Host field: the host, with the port unless it is the scheme's own; `localhost` for a Unix socket.
    pub authority: String,
    pub location: ServerLocation,
    /// Path and query, percent-encoded; `None` if the URL ends with host and port.
    pub path_and_query: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TargetError {
    #[error("expected a URL of the form http://host:port/path")]
    Syntax(#[source] url::ParseError),
    #[error("expected the scheme http or https")]
    Scheme,
    #[error(
        "user name and password in a URL are not supported; set an `authorization` header instead"
    )]
    Userinfo,
    #[error("a fragment (`#…`) is never sent to a server; omit it")]
    Fragment,
    #[error("expected a host and a port above 0")]
    Address,
    #[error("expected a Unix socket such as unix:/run/app.sock or unix:/run/app.sock:/path")]
    Socket,
}

impl HttpTarget {
    /// Parses an `http://` or `https://` URL, or a Unix socket.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if let Some(socket) = text.strip_prefix(PeerAddress::UNIX) {
            return unix(socket);
        }
        let url = Url::parse(text).map_err(TargetError::Syntax)?;
        if !["http", "https"].contains(&url.scheme()) {
            return Err(TargetError::Scheme);
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
            location: host(&url)
                .zip(port)
                .map_or(Err(TargetError::Address), |(host, port)| {
                    Ok(ServerLocation::Host(host, port))
                })?,
            path_and_query: path_and_query(&url, text),
        })
    }
}

/// The target of `unix:` followed by `text`: the socket's path, optionally with a colon and the path of requests.
fn unix(text: &str) -> Result<HttpTarget, TargetError> {
    let (socket, path) = match text.split_once(":/") {
        Some((socket, path)) => (socket, Some(format!("/{path}"))),
        None => (text, None),
    };
    if !socket.starts_with('/')
        || path
            .as_deref()
            .is_some_and(|path| unaskable(path).is_some())
    {
        return Err(TargetError::Socket);
    }
    Ok(HttpTarget {
        authority: "localhost".to_owned(),
        location: ServerLocation::Socket(socket.into()),
        path_and_query: path,
    })
}

/// The reason a path with its query cannot be requested as written; `None` if it can.
pub fn unaskable(path: &str) -> Option<String> {
    match path
        .chars()
        .find(|letter| *letter == '#' || !letter.is_ascii_graphic())?
    {
        '#' => Some("a fragment (`#…`) is never sent to a server; omit it".to_owned()),
        letter => {
            let coded = percent_encoded(letter.encode_utf8(&mut [0; 4]), |_| false);
            Some(format!(
                "`{}` is not allowed in a path; write it as `{coded}`",
                letter.escape_debug()
            ))
        }
    }
}

/// Path and query of a URL that was written as `text`; `None` if it ends with host and port.
///
/// The difference between `http://host` and `http://host/` is only in the text: parsing makes them the same.
pub(crate) fn path_and_query(url: &Url, text: &str) -> Option<String> {
    let path = &url[Position::BeforePath..Position::AfterQuery];
    let server_only = path == "/" && !text.trim_end().ends_with('/');
    (!server_only).then(|| path.to_owned())
}
