//! Sends a few queries to a PostgreSQL over plain blocking I/O: its version, its counts.
//!
//! The orchestrator's own connection, never on a measured path: the same sans-IO client that workloads use, driven by a
//! standard socket with deadlines.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use photofinish_scenarios::protocol::postgres::{PgTarget, ResponseReader, Row, Startup, encode};

use super::loopback;
use crate::exit::Failure;

/// Timeout for each step.
const PATIENCE: Duration = Duration::from_secs(10);

/// Maximum length of an answer.
const LONGEST_ANSWER: usize = 64 * 1024;

/// A connection that is logged in.
pub struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    server_version: Option<String>,
}

impl Client {
    /// Connects and logs in.
    pub fn connect(target: &PgTarget) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| broken(target).caused_by(error);
        let stream = reach(target)?;
        stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
        let mut client = Self {
            stream,
            received: Vec::new(),
            server_version: None,
        };
        client.log_in(target)?;
        Ok(client)
    }

    /// The server's name for its version.
    pub fn server_version(&self) -> Option<&str> {
        self.server_version.as_deref()
    }

    fn log_in(&mut self, target: &PgTarget) -> Result<(), Failure> {
        let mut message = Vec::new();
        let mut startup = Startup::begin(&target.config, &mut message)
            .map_err(|error| broken(target).caused_by(error))?;
        loop {
            self.exchange(&message)
                .map_err(|error| broken(target).caused_by(error))?;
            message.clear();
            let advance = startup
                .advance(&self.received, &mut message)
                .map_err(|error| refused(target).caused_by(error))?;
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
        let mut number = None;
        let mut sink = |row: Row<'_>| {
            let text = row
                .get(0)
                .flatten()
                .and_then(|cell| std::str::from_utf8(cell).ok());
            number = text.and_then(|text| text.parse().ok());
        };
        loop {
            self.exchange(&message)
                .map_err(|error| failed().caused_by(error))?;
            message.clear();
            let advance = reader
                .advance(&self.received, &mut sink)
                .map_err(|error| failed().caused_by(error))?;
            self.received.drain(..advance.consumed);
            if advance.done {
                return Ok(number);
            }
        }
    }

    /// Sends `message`, which may be empty, and reads the response.
    fn exchange(&mut self, message: &[u8]) -> std::io::Result<()> {
        self.stream.write_all(message)?;
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk)? {
            0 => Err(std::io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.received.extend_from_slice(&chunk[..count]);
                Ok(())
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let mut leave = Vec::new();
        encode::terminate(&mut leave);
        // A courtesy only; a server that is gone does not need it.
        let _ = self.stream.write_all(&leave);
    }
}

fn reach(target: &PgTarget) -> Result<TcpStream, Failure> {
    let addresses = loopback::resolve(&target.host, target.port)?;
    let connect = |address: &SocketAddr| TcpStream::connect_timeout(address, PATIENCE);
    match addresses.iter().map(connect).reduce(Result::or) {
        Some(Ok(stream)) => Ok(stream),
        Some(Err(error)) => Err(broken(target)
            .caused_by(error)
            .hint("start the server; or use --target db=local, which starts one for this run")),
        None => Err(broken(target)),
    }
}

fn broken(target: &PgTarget) -> Failure {
    Failure::could_not_run(format!("no answer from {target}"))
}

fn refused(target: &PgTarget) -> Failure {
    Failure::could_not_run(format!("cannot log in to {target}"))
        .hint("check user, password and database; the password can also be given in PGPASSWORD")
}
