//! The URL of `--target db=postgres://user:pw@host:port/db`.
//!
//! Only parsing; the caller resolves the host and decides whether it is local. No error repeats any part of the URL,
//! because an unescaped character can turn a piece of the password into any other part.

use std::fmt;

use percent_encoding::percent_decode_str;
use thiserror::Error;
use url::Url;

use super::config::{PgConfig, Secret};
use crate::protocol::host;

/// Address and login of a PostgreSQL server. `Display` omits the password.
///
/// Query parameters: `sslmode` may be `disable`, `allow` or `prefer` (all mean no TLS here), `application_name` is
/// passed on, any other is an error, because ignoring it would measure something else.
///
/// ```
/// use photofinish_scenarios::protocol::postgres::PgTarget;
///
/// let target = PgTarget::parse("postgres://ann:p%40ss@127.0.0.1:5433/shop?sslmode=prefer")?;
/// assert_eq!((target.host.as_str(), target.port), ("127.0.0.1", 5433));
/// assert_eq!((target.config.user.as_str(), target.config.database.as_str()), ("ann", "shop"));
/// assert_eq!(target.to_string(), "postgres://ann@127.0.0.1:5433/shop");
/// # Ok::<(), photofinish_scenarios::protocol::postgres::PgTargetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgTarget {
    /// Name or address; an IPv6 address without brackets.
    pub host: String,
    /// 5432 by default.
    pub port: u16,
    pub config: PgConfig,
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
    /// No host, several, a socket directory, or the port 0.
    #[error("expected a single host and a TCP port above 0 (Unix sockets are not supported)")]
    Address,
    /// A part that is not UTF-8 after percent-decoding, or contains NUL.
    #[error("user, password or database is not UTF-8 text")]
    Encoding,
    #[error(
        "this sslmode requires TLS, which would be measured along with the runtime; use sslmode=disable or prefer"
    )]
    Tls,
    #[error("expected no query parameters but `sslmode` and `application_name`")]
    QueryParameter,
}

impl PgTarget {
    pub fn parse(text: &str) -> Result<Self, PgTargetError> {
        let url = Url::parse(text).map_err(|_| PgTargetError::Syntax)?;
        if !matches!(url.scheme(), "postgres" | "postgresql") {
            return Err(PgTargetError::Scheme);
        }
        refuse_misplaced_password(&url)?;
        let (host, port) = address(&url).ok_or(PgTargetError::Address)?;
        let mut config = login(&url)?;
        for (key, value) in url.query_pairs() {
            apply(&key, &value, &mut config)?;
        }
        Ok(PgTarget { host, port, config })
    }
}

impl fmt::Display for PgTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PgConfig { user, database, .. } = &self.config;
        let (host, port) = (&self.host, self.port);
        let [open, close] = if host.contains(':') {
            ["[", "]"]
        } else {
            ["", ""]
        };
        write!(f, "postgres://{user}@{open}{host}{close}:{port}/{database}")
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

fn address(url: &Url) -> Option<(String, u16)> {
    let host = host(url).filter(|host| !host.is_empty() && !host.contains(['%', ',']))?;
    let port = url.port().unwrap_or(5432);
    (port != 0).then_some((host, port))
}

fn login(url: &Url) -> Result<PgConfig, PgTargetError> {
    let user = decode(url.username())?;
    if user.is_empty() {
        return Err(PgTargetError::User);
    }
    let mut config = PgConfig::new(user);
    config.password = url.password().map(decode).transpose()?.map(Secret::new);
    match url.path().strip_prefix('/').unwrap_or_default() {
        "" => {}
        path if path.contains('/') => return Err(PgTargetError::Syntax),
        path => config.database = decode(path)?,
    }
    Ok(config)
}

fn apply(key: &str, value: &str, config: &mut PgConfig) -> Result<(), PgTargetError> {
    match (key, value) {
        ("sslmode", "disable" | "allow" | "prefer") => {}
        ("sslmode", "require" | "verify-ca" | "verify-full") => return Err(PgTargetError::Tls),
        ("application_name", name) => name.clone_into(&mut config.application_name),
        _ => return Err(PgTargetError::QueryParameter),
    }
    Ok(())
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
