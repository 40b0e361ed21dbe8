//! A PostgreSQL connection over a [`Wire`], for all database workloads.
//!
//! It combines the sans-IO client with the wire and logs in again after an exchange that left the connection unusable.
//! Every round works in its own schema (`db_schema.rs`), so that it starts from nothing on an existing server.

use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::buffer::Buffer;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{Failure, RoundEnv};

use super::census::Census;
use super::connection_pool::Connect;
use super::db_errors;
use super::secured::Preface;
use super::wire::{CONNECTING, Dialer, Route, Transfer, Wire, invalid, within};
use crate::protocol::postgres::{
    EncodeError, Outcome, Parameter, PgError, PgTarget, ResponseReader, Row, Startup, TLS_REQUEST,
    TransactionStatus, accept_tls, encode,
};

/// Name of the target of database workloads.
pub(super) const TARGET: &str = "db";

/// The protocol cannot encode a request.
const ENCODE: &str = "encode";

/// The TLS request.
const PREFACE: Preface = Preface {
    request: &TLS_REQUEST,
    accept: |answer| accept_tls(answer).map_err(|error| db_errors::broken(&error)),
};

const BUFFER_BYTES: usize = 16 * 1024;
/// Deadline for the response to a statement outside the measurement.
const RESPONDING: Duration = Duration::from_secs(10);

/// Characters of a statement that a message quotes.
const LONGEST_QUOTE: usize = 60;

const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// A statement that a session prepares when it logs in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    /// Its name on the server.
    pub(super) name: &'static str,
    /// Its text, with `{schema}` as a placeholder.
    pub(super) sql: &'static str,
    /// Types of its parameters, by OID; 0 lets the server decide.
    pub(super) parameter_oids: &'static [u32],
}

/// OID of `int4`, for [`Statement::parameter_oids`].
pub(super) const INT4: u32 = 23;
/// OID of `text`.
pub(super) const TEXT: u32 = 25;

/// Everything that connections have in common: the target, the schema, the statements they prepare.
#[derive(Clone)]
pub struct Connector<R> {
    dialer: Dialer<R>,
    target: Arc<PgTarget>,
    schema: Arc<str>,
    statements: &'static [Statement],
}

impl<R: Runtime> Connector<R> {
    /// A connector whose connections prepare `statements` for the named schema, counted by `census`.
    pub(super) fn new(
        env: &RoundEnv<R>,
        schema: &Arc<str>,
        statements: &'static [Statement],
        census: &Census,
    ) -> Result<Self, Failure> {
        let target = PgTarget::parse(&env.targets[TARGET].url).map_err(invalid)?;
        let route = Route::secured_if(target.tls.is_some(), env, TARGET, &target.location)?;
        let route = route.with_preface(PREFACE);
        Ok(Self {
            dialer: Dialer::new(env, TARGET, route).counted_by(census),
            target: Arc::new(target),
            schema: Arc::clone(schema),
            statements,
        })
    }

    /// A connection that is not open yet.
    pub(super) fn connection(&self) -> Connection<R> {
        Connection {
            wire: self.dialer.wire(BUFFER_BYTES),
            connector: self.clone(),
            message: Vec::new(),
            reader: ResponseReader::new(MAX_MESSAGE_BYTES),
        }
    }
}

impl<R: Runtime> Connect for Connector<R> {
    type Connection = Connection<R>;

    async fn connect(&self) -> Result<Connection<R>, Failure> {
        let mut connection = self.connection();
        connection.connect().await?;
        Ok(connection)
    }

    fn is_usable(connection: &Connection<R>) -> bool {
        connection.is_usable()
    }

    async fn close(mut connection: Connection<R>) {
        connection.close().await;
    }
}

/// A connection that logs in at the first exchange, and again after one that broke it.
pub struct Connection<R: Runtime> {
    connector: Connector<R>,
    wire: Wire<R>,
    message: Vec<u8>,
    reader: ResponseReader,
}

impl<R: Runtime> Connection<R> {
    /// A connection that is not open yet, and prepares `statements` for `schema` once it is.
    pub(super) fn new(
        env: &RoundEnv<R>,
        schema: &Arc<str>,
        statements: &'static [Statement],
    ) -> Result<Self, Failure> {
        Ok(Connector::new(env, schema, statements, &Census::default())?.connection())
    }

    /// A ready connection: logged in, with `statements` for `schema` prepared.
    pub(super) async fn open(
        env: &RoundEnv<R>,
        schema: &Arc<str>,
        statements: &'static [Statement],
    ) -> Result<Self, Failure> {
        let mut connection = Self::new(env, schema, statements)?;
        connection.connect().await?;
        Ok(connection)
    }

    /// Connects, logs in and prepares the statements.
    pub(super) async fn connect(&mut self) -> Result<(), Failure> {
        let runtime = self.connector.dialer.runtime().clone();
        let what = "connecting, logging in and preparing statements";
        let connecting = within(&runtime, CONNECTING, what, self.log_in_and_prepare()).await;
        connecting.map_err(db_errors::unserved)
    }

    async fn log_in_and_prepare(&mut self) -> Result<(), Failure> {
        self.log_in().await?;
        // One cycle: one transaction for the server and one exchange for both sides' counts.
        let Connector {
            schema, statements, ..
        } = &self.connector;
        if statements.is_empty() {
            self.reader.begin(&[]);
            return Ok(());
        }
        encode_statements(schema, statements, &mut self.message).map_err(Failure::from)?;
        // Preparing is part of the login, and not a request.
        self.cycle(false, &mut |_| ()).await.map(drop)
    }

    /// Only connects and logs in, with nothing prepared.
    pub(super) async fn log_in(&mut self) -> Result<(), Failure> {
        let Connector { dialer, target, .. } = &self.connector;
        self.wire.open(dialer).await?;
        let message = &mut self.message;
        message.clear();
        let mut startup = Startup::begin(&target.config, message).map_err(Failure::from)?;
        let mut login = self.wire.transfer();
        loop {
            if !message.is_empty() {
                match login.write(message).await {
                    // A server that refuses has closed; its reason may still be readable.
                    Err(broken) if broken.kind == Failure::RESET => {}
                    written => written?,
                }
                message.clear();
            }
            if !login.read().await? {
                return startup
                    .end_of_input()
                    .map_err(|error| failure(&error, target));
            }
            let received = login.received();
            let advance = startup.advance(received.unread(), message);
            let advance = advance.map_err(|error| failure(&error, target))?;
            received.consume(advance.consumed);
            if advance.done {
                login.end();
                return Ok(());
            }
        }
    }

    /// Runs statements without parameters, and ignores their rows.
    pub(super) async fn run(&mut self, sql: &str) -> Result<&Outcome, Failure> {
        self.query(sql, &mut |_| ()).await
    }

    /// Runs statements outside the measurement, and waits for the response no longer than [`RESPONDING`].
    pub(super) async fn set_up(
        &mut self,
        sql: &str,
        sink: &mut (dyn FnMut(Row<'_>) + Send),
    ) -> Result<(), Failure> {
        let runtime = self.connector.dialer.runtime().clone();
        let beginning: String = sql.chars().take(LONGEST_QUOTE).collect();
        let what = format!("the response of the target `{TARGET}` to `{beginning}`");
        let running = async { self.query(sql, sink).await.map(drop) };
        let responded = within(&runtime, RESPONDING, &what, running).await;
        responded.map_err(db_errors::silent)
    }

    /// Runs statements without parameters.
    pub(super) async fn query(
        &mut self,
        sql: &str,
        sink: &mut (dyn FnMut(Row<'_>) + Send),
    ) -> Result<&Outcome, Failure> {
        self.message.clear();
        encode::simple(sql, &mut self.message).map_err(Failure::from)?;
        self.cycle(true, sink).await
    }

    /// Runs a prepared statement; its rows come as text.
    pub(super) async fn execute(
        &mut self,
        statement: &Statement,
        parameters: &[Parameter<'_>],
        sink: &mut (dyn FnMut(Row<'_>) + Send),
    ) -> Result<&Outcome, Failure> {
        self.message.clear();
        encode::bind_execute(statement.name, parameters, &mut self.message)
            .map_err(Failure::from)?;
        self.cycle(true, sink).await
    }

    /// Sends the messages that `write` appends as one request, and ignores the rows.
    pub(super) async fn exchange(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Failure> + Send,
    ) -> Result<&Outcome, Failure> {
        self.message.clear();
        write(&mut self.message)?;
        self.cycle(true, &mut |_| ()).await
    }

    /// Sends the messages that `write` appends, outside the measurement and not as a request, and returns the types of the
    /// parameters of each statement that they describe.
    pub(super) async fn describe(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), EncodeError> + Send,
    ) -> Result<&[Vec<u32>], Failure> {
        self.message.clear();
        write(&mut self.message).map_err(Failure::from)?;
        let runtime = self.connector.dialer.runtime().clone();
        let what = format!("preparing statements on the target `{TARGET}`");
        let described = async { self.cycle(false, &mut |_| ()).await.map(drop) };
        let described = within(&runtime, RESPONDING, &what, described).await;
        described.map_err(db_errors::silent)?;
        Ok(self.reader.described())
    }

    /// SQLSTATE of the last exchange, if the server reported an error.
    pub(super) fn error_code(&self) -> Option<&str> {
        let error = self.reader.outcome().error.as_ref();
        error.map(|error| error.code.as_str())
    }

    /// True if the last exchange left a transaction open, failed or not.
    pub(super) fn is_in_transaction(&self) -> bool {
        let status = self.reader.outcome().transaction_status;
        self.wire.is_open() && status != TransactionStatus::Idle
    }

    /// Terminates the session, and waits until the server has closed the connection: by then its counts are complete. The
    /// next exchange logs in again.
    pub(super) async fn close(&mut self) {
        if !self.wire.is_open() {
            return;
        }
        self.message.clear();
        encode::terminate(&mut self.message);
        let mut goodbye = self.wire.transfer();
        if goodbye.write(&mut self.message).await.is_ok() {
            while let Ok(true) = goodbye.read().await {
                goodbye.received().clear();
            }
        }
    }

    /// Closes the connection without telling the server.
    pub(super) fn abandon(&mut self) {
        self.wire.close();
    }

    /// The schema of its statements.
    pub(super) fn schema(&self) -> &str {
        &self.connector.schema
    }

    /// True if another exchange may follow: the last one ended well, and outside of a transaction.
    pub(super) fn is_usable(&self) -> bool {
        let status = self.reader.outcome().transaction_status;
        self.wire.is_open() && status == TransactionStatus::Idle
    }

    /// Sends the message and reads until the server is ready again.
    async fn cycle(
        &mut self,
        is_request: bool,
        sink: &mut (dyn FnMut(Row<'_>) + Send),
    ) -> Result<&Outcome, Failure> {
        let target = &self.connector.target;
        let reader = &mut self.reader;
        reader.begin(&self.message);
        let mut cycle = if is_request {
            self.wire.request()
        } else {
            self.wire.transfer()
        };
        let message = &mut self.message;
        if let Err(broken) = converse(reader, &mut cycle, message, sink, target).await {
            return Err(last_words(reader, &mut cycle, broken, target).await);
        }
        // Counted even if the statement fails on the server.
        cycle.end();
        let outcome = self.reader.outcome();
        // A cycle that leaves no transaction open has ended one: its own, or one that was started earlier.
        if outcome.transaction_status == TransactionStatus::Idle {
            self.wire.traffic().ended_transaction();
        }
        match &outcome.error {
            Some(error) => Err(db_errors::statement(error, &target.config)),
            None => Ok(outcome),
        }
    }

    /// Connects if the last exchange broke the connection, or left a transaction open on it.
    pub(super) async fn ensure_connected(&mut self) -> Result<(), Failure> {
        if self.is_usable() {
            return Ok(());
        }
        self.connect().await
    }
}

/// Sends the messages of one cycle and reads the response to its end.
async fn converse<R: Runtime>(
    reader: &mut ResponseReader,
    cycle: &mut Transfer<'_, R>,
    message: &mut Vec<u8>,
    sink: &mut (dyn FnMut(Row<'_>) + Send),
    target: &PgTarget,
) -> Result<(), Failure> {
    cycle.write(message).await?;
    loop {
        let more = cycle.read().await?;
        let advanced = advance(reader, cycle.received(), more, sink);
        if advanced.map_err(|error| failure(&error, target))? {
            return Ok(());
        }
    }
}

/// The failure of a cycle whose connection has `broken`: the server's reason, if it gave one before it closed.
#[cold]
async fn last_words<R: Runtime>(
    reader: &mut ResponseReader,
    cycle: &mut Transfer<'_, R>,
    broken: Failure,
    target: &PgTarget,
) -> Failure {
    if broken.kind != Failure::RESET {
        return broken;
    }
    // Anything received with an earlier response is in the buffer.
    while advance(reader, cycle.received(), true, &mut |_| ()).is_ok()
        && reader.outcome().error.is_none()
        && let Ok(true) = cycle.read().await
    {}
    let server_error = reader.outcome().error.clone().map(PgError::Server);
    server_error.map_or(broken, |error| failure(&error, target))
}

/// Processes the bytes in `received`, or the end of input unless there is `more`; true at the end of the cycle.
fn advance(
    reader: &mut ResponseReader,
    received: &mut Buffer,
    more: bool,
    sink: &mut dyn FnMut(Row<'_>),
) -> Result<bool, PgError> {
    if !more {
        reader.end_of_input()?;
        return Ok(true);
    }
    let advance = reader.advance(received.unread(), sink)?;
    received.consume(advance.consumed);
    Ok(advance.done)
}

/// Messages that prepare statements, in one cycle.
fn encode_statements(
    schema: &str,
    statements: &[Statement],
    message: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    message.clear();
    for statement in statements {
        let Statement {
            name,
            sql,
            parameter_oids,
        } = statement;
        encode::parse(name, &qualified(sql, schema), parameter_oids, message)?;
    }
    encode::sync(message);
    Ok(())
}

/// A statement with the name of a schema in place of `{schema}`.
pub(super) fn qualified(sql: &str, schema: &str) -> String {
    sql.replace("{schema}", schema)
}

fn failure(error: &PgError, target: &PgTarget) -> Failure {
    db_errors::exchange(error, &target.config)
}

impl From<EncodeError> for Failure {
    fn from(error: EncodeError) -> Self {
        Self::new(ENCODE, error.to_string())
    }
}
