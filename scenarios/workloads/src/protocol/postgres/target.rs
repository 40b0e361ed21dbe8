//! The URL of `--target db=postgres://user:pw@host:port/db`.
//!
//! Only parsing; the caller resolves the host and decides whether it is local. No error repeats any part of the URL,
//! because an unescaped character can turn a piece of the password into any other part.

use std::fmt;

use percent_encoding::percent_decode_str;
use photofinish_record::Verification;
use thiserror::Error;
use url::Url;

use super::config::{PgConfig, Secret};
use crate::protocol::{ServerLocation, host};

/// Address and login of a PostgreSQL server. `Display` omits the password.
///
/// `?host=/run/postgresql` names the directory of a Unix socket, and `port` the number in its file's name, as in libpq.
/// Query parameters: `sslmode`, `sslrootcert`, `sslcert` and `sslkey` as in libpq, except that `allow` and `prefer` mean no TLS;
/// `application_name` is passed on. Any other is an error, because ignoring it would measure something else.
///
/// ```
/// use photofinish_workloads::protocol::ServerLocation;
/// use photofinish_workloads::protocol::postgres::PgTarget;
///
/// let target = PgTarget::parse("postgres://ann:p%40ss@127.0.0.1:5433/shop?sslmode=prefer")?;
/// assert_eq!(target.location, ServerLocation::Host("127.0.0.1".to_owned(), 5433));
/// assert_eq!((target.config.user.as_str(), target.config.database.as_str()), ("ann", "shop"));
/// assert_eq!(target.to_string(), "postgres://ann@127.0.0.1:5433/shop");
/// let target = PgTarget::parse("postgres://ann@/shop?host=/run/postgresql")?;
/// assert_eq!(target.location, ServerLocation::Socket("/run/postgresql/.s.PGSQL.5432".into()));
/// # Ok::<(), photofinish_workloads::protocol::postgres::PgTargetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgTarget {
    /// The port is 5432 by default.
    pub location: ServerLocation,
    pub config: PgConfig,
    /// TLS mode and files; `None` without TLS.
    pub tls: Option<PgTls>,
}

/// TLS mode, with the names of files in PEM format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgTls {
    pub verification: Verification,
    /// File with the accepted authorities; `None` for the system's.
    pub root_cert: Option<String>,
    /// Files of the client certificate and its key.
    pub cert: Option<String>,
    pub key: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PgTargetError {
    #[error(
        "expected a URL of the form postgres://user:password@host:port/database (in user and password, write \
         `@ : / ? # %` as %40 %3A %2F %3F %23 %25)"
    )]
    Syntax,
    #[error("expected the scheme postgres or postgresql")]
    Scheme,
    #[error("expected a user: postgres://user@host:port/database")]
    User,
    /// No host, several, a relative socket directory, or the port 0.
    #[error(
        "expected a single host and a port above 0, or a socket's directory: postgres://user@/database?host=/run/postgresql"
    )]
    Address,
    /// A part that is not UTF-8 after percent-decoding, or contains NUL.
    #[error("user, password or database is not UTF-8 text")]
    Encoding,
    #[error("expected sslmode=disable, allow, prefer (no TLS), require, verify-ca or verify-full")]
    SslMode,
    #[error("sslrootcert, sslcert and sslkey need sslmode=require, verify-ca or verify-full")]
    UnusedFile,
    #[error("TLS is not available on a Unix socket: leave out sslmode, or name a host")]
    SocketTls,
    #[error(
        "expected no query parameters but `host`, `port`, `sslmode`, `sslrootcert`, `sslcert`, `sslkey` and \
         `application_name`"
    )]
    QueryParameter,
}

/// The parameters of a query.
#[derive(Default)]
struct Query {
    directory: Option<String>,
    port: Option<u16>,
    application_name: Option<String>,
    ssl_mode: Option<String>,
    root_cert: Option<String>,
    cert: Option<String>,
    key: Option<String>,
}

impl PgTarget {
    pub fn parse(text: &str) -> Result<Self, PgTargetError> {
        let url = Self::url(text)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(PgTargetError::Scheme);
        }
        refuse_misplaced_password(&url)?;
        let mut query = Query::default();
        for (key, value) in url.query_pairs() {
            query.apply(&key, &value)?;
        }
        let location = location(&url, &query).ok_or(PgTargetError::Address)?;
        let tls = query.tls()?;
        if tls.is_some() && matches!(location, ServerLocation::Socket(_)) {
            return Err(PgTargetError::SocketTls);
        }
        Ok(PgTarget {
            config: login(&url, query)?,
            location,
            tls,
        })
    }

    /// The URL, with `localhost` as its host if a socket's directory replaces the host.
    pub fn url(text: &str) -> Result<Url, PgTargetError> {
        let parse = |text: &str| Url::parse(text).map_err(|_| PgTargetError::Syntax);
        let (start, end) = authority(text);
        let hostless = start == end || text[start..end].ends_with('@');
        if hostless && text[end..].contains("host=") {
            return parse(&format!("{}localhost{}", &text[..end], &text[end..]));
        }
        parse(text)
    }
}

/// Start and end of the part of a URL that names user and host.
fn authority(text: &str) -> (usize, usize) {
    let start = text.find("://").map_or(text.len(), |colon| colon + 3);
    let length = text[start..].find(['/', '?', '#']);
    (start, length.map_or(text.len(), |length| start + length))
}

impl fmt::Display for PgTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PgConfig { user, database, .. } = &self.config;
        match &self.location {
            ServerLocation::Host(host, port) if host.contains(':') => {
                write!(f, "postgres://{user}@[{host}]:{port}/{database}")
            }
            ServerLocation::Host(host, port) => {
                write!(f, "postgres://{user}@{host}:{port}/{database}")
            }
            ServerLocation::Socket(file) => {
                let directory = file.parent().unwrap_or(file).display();
                let port = file.extension().unwrap_or_default().display();
                write!(
                    f,
                    "postgres://{user}@/{database}?host={directory}&port={port}"
                )
            }
        }
    }
}

/// An unescaped `/`, `?` or `#` ends the authority, and the rest of the password becomes path, query or fragment. The `@`
/// after the password reveals that; otherwise it would be shown as the name of the database.
fn refuse_misplaced_password(url: &Url) -> Result<(), PgTargetError> {
    let after_authority = [url.path(), url.query().unwrap_or_default()];
    if url.fragment().is_some() || after_authority.iter().any(|part| part.contains('@')) {
        return Err(PgTargetError::Syntax);
    }
    Ok(())
}

fn location(url: &Url, query: &Query) -> Option<ServerLocation> {
    let port = query.port.or(url.port()).unwrap_or(5432);
    if port == 0 {
        return None;
    }
    if let Some(directory) = &query.directory {
        let file = format!("{directory}/.s.PGSQL.{port}");
        return directory
            .starts_with('/')
            .then(|| ServerLocation::Socket(file.into()));
    }
    let host = host(url).filter(|host| !host.is_empty() && !host.contains(['%', ',']))?;
    Some(ServerLocation::Host(host, port))
}

fn login(url: &Url, query: Query) -> Result<PgConfig, PgTargetError> {
    let user = decode(url.username())?;
    if user.is_empty() {
        return Err(PgTargetError::User);
    }
    let mut config = PgConfig::new(user);
    if let Some(name) = query.application_name {
        config.application_name = name;
    }
    config.password = url.password().map(decode).transpose()?.map(Secret::new);
    match url.path().strip_prefix('/').unwrap_or_default() {
        "" => {}
        path if path.contains('/') => return Err(PgTargetError::Syntax),
        path => config.database = decode(path)?,
    }
    Ok(config)
}

/// Value of `sslrootcert` for the system's authorities.
const SYSTEM_ROOTS: &str = "system";

impl Query {
    fn apply(&mut self, key: &str, value: &str) -> Result<(), PgTargetError> {
        match (key, value) {
            ("host", directory) => self.directory = Some(directory.to_owned()),
            ("port", port) => {
                self.port = Some(port.parse().map_err(|_| PgTargetError::Address)?);
            }
            ("sslmode", mode) => self.ssl_mode = Some(mode.to_owned()),
            ("sslrootcert", file) => self.root_cert = Some(file.to_owned()),
            ("sslcert", file) => self.cert = Some(file.to_owned()),
            ("sslkey", file) => self.key = Some(file.to_owned()),
            ("application_name", name) => self.application_name = Some(name.to_owned()),
            _ => return Err(PgTargetError::QueryParameter),
        }
        Ok(())
    }

    fn tls(&self) -> Result<Option<PgTls>, PgTargetError> {
        let verification = match self.ssl_mode.as_deref() {
            None | Some("disable" | "allow" | "prefer") => {
                let files = [&self.root_cert, &self.cert, &self.key];
                return match files.into_iter().flatten().next() {
                    None => Ok(None),
                    Some(_) => Err(PgTargetError::UnusedFile),
                };
            }
            // As in libpq, naming an authority implies verification.
            Some("require") if self.root_cert.is_some() => Verification::Authority,
            Some("require") => Verification::Nothing,
            Some("verify-ca") => Verification::Authority,
            Some("verify-full") => Verification::Full,
            Some(_) => return Err(PgTargetError::SslMode),
        };
        Ok(Some(PgTls {
            verification,
            root_cert: self.root_cert.clone().filter(|file| file != SYSTEM_ROOTS),
            cert: self.cert.clone(),
            key: self.key.clone(),
        }))
    }
}

/// Decodes a part. The protocol ends its strings with NUL, so there must be none.
fn decode(part: &str) -> Result<String, PgTargetError> {
    let text = percent_decode_str(part)
        .decode_utf8()
        .map_err(|_| PgTargetError::Encoding)?;
    if text.contains('\0') {
        return Err(PgTargetError::Encoding);
    }
    Ok(text.into_owned())
}
