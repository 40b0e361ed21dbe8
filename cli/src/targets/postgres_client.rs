//! Sends a few queries to a PostgreSQL over plain blocking I/O: its version, its counts.
//!
//! The orchestrator's own connection, never on a measured path: the same sans-IO client that workloads use, driven by a
//! standard socket with deadlines.

use photofinish_record::PeerAddress;
use photofinish_workloads::protocol::postgres::{
    PgTarget, ResponseReader, Row, Startup, TLS_REQUEST, accept_tls, encode,
};

use super::connection::{Connection, Peer};
use super::loopback;
use super::tls::Tls;
use crate::exit::Failure;
use crate::interrupt::Interrupt;

/// Maximum length of an answer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// A connection that is logged in.
pub struct Client {
    connection: Connection,
    received: Vec<u8>,
    server_version: Option<String>,
}

impl Client {
    /// Connects, performs the handshake of `tls`, and logs in.
    pub fn connect(
        target: &PgTarget,
        tls: Option<&Tls>,
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let peer = Peer {
            name: target.to_string(),
            protocol: "PostgreSQL's protocol",
            hint: "start the server; or use --target db=local, which starts one for this run",
        };
        let addresses = loopback::locations(&target.location)?;
        let mut connection = Connection::open(peer, &addresses, interrupt)?;
        if let Some(tls) = tls {
            connection = secure(connection, target, tls)?;
        }
        let mut client = Self {
            connection,
            received: Vec::new(),
            server_version: None,
        };
        client.log_in(target)?;
        Ok(client)
    }

    /// The server's version string.
    pub fn server_version(&self) -> Option<&str> {
        self.server_version.as_deref()
    }

    /// The address that accepted the connection.
    pub fn address(&self) -> &PeerAddress {
        self.connection.address()
    }

    fn log_in(&mut self, target: &PgTarget) -> Result<(), Failure> {
        let mut message = Vec::new();
        let mut startup = Startup::begin(&target.config, &mut message)
            .map_err(|error| refused(target).caused_by(error))?;
        loop {
            let more = self.exchange(&message)?;
            if self.received.starts_with(b"HTTP/") {
                return Err(speaks_http(target));
            }
            message.clear();
            let refused = |error| refused(target).caused_by(error);
            if !more {
                return startup.end_of_input().map_err(refused);
            }
            let advance = startup
                .advance(&self.received, &mut message)
                .map_err(refused)?;
            self.received.drain(..advance.consumed);
            if advance.done {
                self.server_version = startup.server_version().map(str::to_owned);
                return Ok(());
            }
        }
    }

    /// The single number selected by `sql`; `None` if the server does not know it.
    pub fn number(&mut self, sql: &str) -> Result<Option<u64>, Failure> {
        let failed = || Failure::could_not_run("cannot read PostgreSQL's counts");
        let mut message = Vec::new();
        encode::simple(sql, &mut message).map_err(|error| failed().caused_by(error))?;
        let mut reader = ResponseReader::new(LONGEST_ANSWER);
        reader.begin(&message);
        self.connection.renew();
        let mut number = None;
        let mut sink = |row: Row<'_>| {
            let text = row
                .get(0)
                .flatten()
                .and_then(|cell| std::str::from_utf8(cell).ok());
            number = text.and_then(|text| text.parse().ok());
        };
        loop {
            let more = self.exchange(&message)?;
            message.clear();
            if !more {
                reader
                    .end_of_input()
                    .map_err(|error| failed().caused_by(error))?;
            }
            let advance = reader
                .advance(&self.received, &mut sink)
                .map_err(|error| failed().caused_by(error))?;
            self.received.drain(..advance.consumed);
            if advance.done {
                return Ok(number);
            }
        }
    }

    /// Sends `message`, which may be empty, and reads a part of the response; false at the end of input.
    fn exchange(&mut self, message: &[u8]) -> Result<bool, Failure> {
        self.connection.write(message)?;
        let mut chunk = [0; 4096];
        let count = self.connection.read(&mut chunk)?;
        self.received.extend_from_slice(&chunk[..count]);
        Ok(count > 0)
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut leave = Vec::new();
        encode::terminate(&mut leave);
        // Only a courtesy: a server that is gone does not need it.
        let _ = self.connection.write(&leave);
    }
}

/// Requests TLS, and performs the handshake.
fn secure(mut connection: Connection, target: &PgTarget, tls: &Tls) -> Result<Connection, Failure> {
    connection.write(&TLS_REQUEST)?;
    let mut answer = [0; 64];
    let count = connection.read(&mut answer)?;
    if answer.starts_with(b"HTTP/") {
        return Err(speaks_http(target));
    }
    accept_tls(&answer[..count]).map_err(|error| {
        let hint = error.hint().unwrap_or("is this a PostgreSQL server?");
        Failure::could_not_run(format!("no TLS connection to {target}"))
            .hint(hint)
            .caused_by(error)
    })?;
    connection.secure(&tls.config)
}

fn speaks_http(target: &PgTarget) -> Failure {
    Failure::could_not_run(format!("{target} speaks HTTP, not PostgreSQL's protocol"))
        .hint("--target db=… needs the address of a PostgreSQL server; HTTP servers go to --target http=…")
}

fn refused(target: &PgTarget) -> Failure {
    Failure::could_not_run(format!("cannot log in to {target}"))
        .hint("check user, password and database; the password can also be given in PGPASSWORD")
}
