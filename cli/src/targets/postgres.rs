//! A PostgreSQL that is already there: looked up and reached before anything is measured.
//!
//! Its URL may hold a password; without one, `PGPASSWORD` is taken from the environment. The password goes into the
//! worker's plan and nowhere else.

use std::net::TcpStream;
use std::time::Duration;

use photofinish_harness::record::ServerCounts;
use url::Url;

use super::{External, FORMS, loopback};
use crate::exit::Failure;
use crate::redact;

/// How long a server may take to accept the probe.
const PATIENCE: Duration = Duration::from_secs(10);

/// Reads a URL that names a host, a user and a database.
pub fn parse(text: &str) -> Result<Url, Failure> {
    // The parser's own message names no part of the text, which may hold a password.
    let wrong = |message: &str| Failure::usage(format!("--target db: {message}")).hint(FORMS);
    let mut url = Url::parse(text).map_err(|error| wrong(&format!("not a URL: {error}")))?;
    match url.scheme() {
        "postgres" | "postgresql" => {}
        _ => return Err(wrong("the URL must begin with postgres://")),
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("the URL names no host"));
    }
    if url.username().is_empty() {
        return Err(wrong("the URL names no user"));
    }
    if url.password().is_none()
        && let Ok(password) = std::env::var("PGPASSWORD")
    {
        // Refused only for URLs without a host.
        let _ = url.set_password(Some(&password));
    }
    Ok(url)
}

/// A server that accepts connections.
pub struct Postgres {
    url: Url,
}

impl Postgres {
    /// Finds out whether it is there.
    pub fn probe(url: Url) -> Result<Self, Failure> {
        let reached = loopback::addresses(&url)?
            .iter()
            .map(|address| TcpStream::connect_timeout(address, PATIENCE))
            .reduce(Result::or);
        match reached {
            Some(Ok(_)) => Ok(Self { url }),
            Some(Err(error)) => Err(Failure::could_not_run(format!(
                "no answer from {}",
                redact::url(&url)
            ))
            .caused_by(error)
            .hint("start the server; or use --target db=local, which starts one for this run")),
            None => Err(Failure::could_not_run(format!(
                "{} has no address",
                redact::url(&url)
            ))),
        }
    }
}

impl External for Postgres {
    fn url(&self) -> &str {
        self.url.as_str()
    }

    fn safe_url(&self) -> String {
        redact::url(&self.url)
    }

    fn software(&self) -> Option<String> {
        None
    }

    fn counts(&mut self) -> Result<Option<ServerCounts>, Failure> {
        Ok(None)
    }
}
