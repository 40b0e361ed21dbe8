//! What a user writes as `--target db=postgres://user:pw@host:port/db`.
//!
//! Only parsing; resolving the host and judging whether it is local are left to who connects. No error repeats any part
//! of what was written, because an unescaped character can turn a piece of the password into any other part of the URL.
//! Read next: `startup.rs`.

use std::fmt;

use percent_encoding::percent_decode_str;
use thiserror::Error;
use url::{Host, Url};

use super::config::{PgConfig, Secret};

/// Where a PostgreSQL server is, and how to log in there. `Display` shows it without the password.
///
/// Query parameters: `sslmode` may be `disable`, `allow` or `prefer` (all mean no TLS here), `application_name` is
/// passed on, any other is an error, because ignoring it would measure something else than was asked for.
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
    /// Name or address to connect to; an IPv6 address without its brackets.
    pub host: String,
    /// Port to connect to; 5432 if none was given.
    pub port: u16,
    /// How to log in.
    pub config: PgConfig,
}

/// Why a URL is no target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PgTargetError {
    /// It does not parse.
    #[error(
        "not a URL of the form postgres://user:password@host:port/database (in user and password, write \
         `@ : / ? # %` as %40 %3A %2F %3F %23 %25)"
    )]
    Syntax,
    /// It is of another scheme.
    #[error("scheme is neither postgres nor postgresql")]
    Scheme,
    /// It names no user.
    #[error("no user: write postgres://user@host:port/database")]
    User,
    /// It names no host, several, a socket directory, or the port 0.
    #[error("no single host and TCP port to connect to (Unix sockets are not supported)")]
    Address,
    /// Something in it is not UTF-8 after percent-decoding.
    #[error("user, password or database is not UTF-8 text")]
    Encoding,
    /// It demands TLS.
    #[error(
        "this sslmode demands TLS, which would be measured along with the runtime; use sslmode=disable or prefer"
    )]
    Tls,
    /// It has a query parameter that means nothing here.
    #[error(
        "unsupported query parameter or value; only `sslmode` and `application_name` are known"
    )]
    QueryParameter,
}

impl PgTarget {
    /// Takes `text` apart.
    ///
    /// # Errors
    ///
    /// A [`PgTargetError`], which never shows what was written.
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
        match self.host.contains(':') {
            true => write!(
                f,
                "postgres://{user}@[{}]:{}/{database}",
                self.host, self.port
            ),
            false => write!(
                f,
                "postgres://{user}@{}:{}/{database}",
                self.host, self.port
            ),
        }
    }
}

/// An unescaped `/`, `?` or `#` ends the authority, and the rest of the password becomes path, query or fragment. The
/// `@` that followed the password tells; without this, it would be shown as the name of the database.
fn refuse_misplaced_password(url: &Url) -> Result<(), PgTargetError> {
    let after_authority = [url.path(), url.query().unwrap_or_default()];
    if url.fragment().is_some() || after_authority.iter().any(|part| part.contains('@')) {
        return Err(PgTargetError::Syntax);
    }
    Ok(())
}

fn address(url: &Url) -> Option<(String, u16)> {
    let host = match url.host()? {
        Host::Domain(name) if name.is_empty() || name.contains(['%', ',']) => return None,
        Host::Domain(name) => name.to_owned(),
        Host::Ipv4(address) => address.to_string(),
        Host::Ipv6(address) => address.to_string(),
    };
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

/// Decodes a part, which must also be free of NUL: the protocol ends its strings with it.
fn decode(part: &str) -> Result<String, PgTargetError> {
    let text = percent_decode_str(part)
        .decode_utf8()
        .map_err(|_| PgTargetError::Encoding)?;
    if text.contains('\0') {
        return Err(PgTargetError::Encoding);
    }
    Ok(text.into_owned())
}
