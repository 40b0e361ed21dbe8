//! An existing PostgreSQL: logged in to once, before anything is measured.
//!
//! Its URL may contain a password; without one, `PGPASSWORD` is taken from the environment. The password goes into the
//! worker's plan and nowhere else. Its counts are not read: other clients may be using it.

use photofinish_record::{PeerAddress, TlsSettings};
use photofinish_workloads::protocol::postgres::PgTarget;
use url::Url;

use super::postgres_client::Client;
use super::tls::{self, Tls};
use super::{Target, TargetServer, forms, loopback};
use crate::exit::Failure;
use crate::interrupt::Interrupt;

/// Reads a URL that names a host, a user and a database, for scenarios with the `section` `[tls]`.
pub(super) fn parse(text: &str, section: Option<&TlsSettings>) -> Result<Database, Failure> {
    // Neither message repeats the input, which may contain a password.
    let wrong = |message: String| Failure::usage(format!("--target db: {message}")).hint(forms());
    let mut url = PgTarget::url(text).map_err(|error| wrong(error.to_string()))?;
    if url.password().is_none()
        && let Ok(password) = std::env::var("PGPASSWORD")
    {
        // Fails only for URLs without a host, which the next line rejects as well.
        let _ = url.set_password(Some(&password));
    }
    loopback::name_address(&mut url);
    let target = PgTarget::parse(url.as_str()).map_err(|error| wrong(error.to_string()))?;
    let tls = tls::of_database(&target, section)?;
    Ok(Database { url, target, tls })
}

/// The location of a database, and the credentials for it.
#[derive(Debug)]
pub struct Database {
    url: Url,
    target: PgTarget,
    tls: Option<Tls>,
}

impl Database {
    /// Logs in to another database of the same server.
    pub fn connect_to(&self, database: &str, interrupt: &Interrupt) -> Result<Client, Failure> {
        let mut target = self.target.clone();
        database.clone_into(&mut target.config.database);
        Client::connect(&target, self.tls.as_ref(), interrupt)
    }
}

impl Target for Database {
    fn urls(&self) -> Vec<&Url> {
        vec![&self.url]
    }

    fn safe_url(&self) -> String {
        self.target.to_string()
    }

    fn start(
        self: Box<Self>,
        _: &[usize],
        interrupt: &Interrupt,
    ) -> Result<Box<dyn TargetServer>, Failure> {
        Ok(Box::new(Postgres::probe(*self, interrupt)?))
    }
}

/// A server that accepted the login.
pub struct Postgres {
    pub(super) database: Database,
    software: Option<String>,
    address: PeerAddress,
}

impl Postgres {
    /// Logs in.
    pub fn probe(database: Database, interrupt: &Interrupt) -> Result<Self, Failure> {
        let client = Client::connect(&database.target, database.tls.as_ref(), interrupt)?;
        // Distributions append the name of their own build.
        let version = client
            .server_version()
            .and_then(|version| version.split(' ').next());
        let software = version.map(|version| format!("PostgreSQL {version}"));
        Ok(Self {
            database,
            software,
            address: client.address().clone(),
        })
    }
}

impl TargetServer for Postgres {
    fn url(&self) -> &str {
        self.database.url.as_str()
    }

    fn software(&self) -> Option<String> {
        self.software.clone()
    }

    fn address(&self) -> PeerAddress {
        self.address.clone()
    }

    fn tls(&self) -> Option<&TlsSettings> {
        self.database.tls.as_ref().map(|tls| &tls.settings)
    }
}
