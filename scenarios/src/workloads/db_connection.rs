//! A PostgreSQL connection over a [`Wire`], for all database workloads.
//!
//! It combines the sans-IO client with the wire and logs in again after an exchange that left the connection unusable.
//! Every round works in its own [`Schema`], so that it starts from nothing on an existing server, disturbs nothing and
//! leaves nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use photofinish_harness::buffer::Buffer;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{Failure, RoundEnv};

use super::census::Census;
use super::connection_pool::Connect;
use super::wire::{Dialer, Wire, invalid, resolve};
use crate::protocol::postgres::{
    EncodeError, Outcome, Parameter, PgError, PgTarget, ResponseReader, Row, Startup,
    TransactionStatus, encode,
};

/// Name of the target of database workloads.
pub(super) const TARGET: &str = "db";

/// The server reported an error about a statement; the detail has its SQLSTATE.
const SQL: &str = "sql";

/// The protocol cannot encode a request.
const ENCODE: &str = "encode";

const BUFFER_BYTES: usize = 16 * 1024;
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// A statement that a session prepares when it logs in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    /// Its name on the server.
    pub(super) name: &'static str,
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
    /// A connector for connections that work in `schema`, prepare `statements` and are counted by `census`.
    pub(super) fn new(
        env: &RoundEnv<R>,
        schema: &Schema,
        statements: &'static [Statement],
        census: &Census,
    ) -> Result<Self, Failure> {
        let target = PgTarget::parse(&env.targets[TARGET].url).map_err(invalid)?;
        let address = resolve(&target.host, target.port)?;
        Ok(Self {
            dialer: Dialer::new(env, TARGET, address).counted_by(census),
            target: Arc::new(target),
            schema: Arc::clone(&schema.name),
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

    async fn close(connection: Connection<R>) {
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
    /// A connection that is not open yet and will prepare `statements` when it is.
    pub(super) fn new(
        env: &RoundEnv<R>,
        schema: &Schema,
        statements: &'static [Statement],
    ) -> Result<Self, Failure> {
        Ok(Connector::new(env, schema, statements, &Census::default())?.connection())
    }

    /// A connection that is ready: logged in, in `schema`, with `statements` prepared.
    pub(super) async fn open(
        env: &RoundEnv<R>,
        schema: &Schema,
        statements: &'static [Statement],
    ) -> Result<Self, Failure> {
        let mut connection = Self::new(env, schema, statements)?;
        connection.connect().await?;
        Ok(connection)
    }

    /// Connects, logs in, enters the schema and prepares the statements.
    pub(super) async fn connect(&mut self) -> Result<(), Failure> {
        self.log_in().await?;
        // One cycle: one transaction for the server and one exchange for both sides' counts.
        let Connector {
            schema, statements, ..
        } = &self.connector;
        encode_entry(schema, statements, &mut self.message).map_err(encode_failure)?;
        self.cycle(&mut |_| ()).await.map(drop)
    }

    /// Only connects and logs in: outside the schema, with nothing prepared.
    pub(super) async fn log_in(&mut self) -> Result<(), Failure> {
        let Connector { dialer, target, .. } = &self.connector;
        self.wire.open(dialer).await?;
        let message = &mut self.message;
        message.clear();
        let mut startup = Startup::begin(&target.config, message).map_err(encode_failure)?;
        let mut login = self.wire.transfer();
        loop {
            if !message.is_empty() {
                login.write(message).await?;
                message.clear();
            }
            if !login.read().await? {
                return startup.end_of_input().map_err(failure);
            }
            let received = login.received();
            let advance = startup.advance(received.unread(), message);
            let advance = advance.map_err(failure)?;
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

    /// Runs statements without parameters.
    pub(super) async fn query(
        &mut self,
        sql: &str,
        sink: &mut (dyn FnMut(Row<'_>) + Send),
    ) -> Result<&Outcome, Failure> {
        self.message.clear();
        encode::simple(sql, &mut self.message).map_err(encode_failure)?;
        self.cycle(sink).await
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
            .map_err(encode_failure)?;
        self.cycle(sink).await
    }

    /// Terminates the session, and waits until the server has closed the connection: by then its counts are complete.
    pub(super) async fn close(mut self) {
        self.disconnect().await;
    }

    /// Like [`close`](Self::close), but its buffers are reused for the next login.
    pub(super) async fn disconnect(&mut self) {
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

    /// True if another exchange may follow: the last one ended well, and outside of a transaction.
    pub(super) fn is_usable(&self) -> bool {
        let status = self.reader.outcome().transaction_status;
        self.wire.is_open() && status == TransactionStatus::Idle
    }

    /// Sends the message and reads until the server is ready again.
    async fn cycle(&mut self, sink: &mut (dyn FnMut(Row<'_>) + Send)) -> Result<&Outcome, Failure> {
        self.reader.begin(&self.message);
        let mut cycle = self.wire.request();
        cycle.write(&mut self.message).await?;
        loop {
            let more = cycle.read().await?;
            if advance(&mut self.reader, cycle.received(), more, sink)? {
                break;
            }
        }
        // Counted even if the statement fails on the server.
        cycle.end();
        let outcome = self.reader.outcome();
        // A cycle that leaves no transaction open has ended one: its own, or one that was started earlier.
        if outcome.transaction_status == TransactionStatus::Idle {
            self.wire.traffic().ended_transaction();
        }
        match &outcome.error {
            Some(error) => Err(Failure::new(SQL, error.to_string())),
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

/// Processes the bytes in `received`, or the end of input unless there is `more`; true at the end of the cycle.
fn advance(
    reader: &mut ResponseReader,
    received: &mut Buffer,
    more: bool,
    sink: &mut dyn FnMut(Row<'_>),
) -> Result<bool, Failure> {
    if !more {
        reader.end_of_input().map_err(failure)?;
        return Ok(true);
    }
    let advance = reader.advance(received.unread(), sink).map_err(failure)?;
    received.consume(advance.consumed);
    Ok(advance.done)
}

/// Messages that enter a schema and prepare statements, in one cycle.
fn encode_entry(
    schema: &str,
    statements: &[Statement],
    message: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    const UNNAMED: &str = "";
    message.clear();
    encode::parse(
        UNNAMED,
        &format!("SET search_path TO {schema}"),
        &[],
        message,
    )?;
    encode::bind_execute_unsynced(UNNAMED, &[], message)?;
    for statement in statements {
        let Statement {
            name,
            sql,
            parameter_oids,
        } = statement;
        encode::parse(name, sql, parameter_oids, message)?;
    }
    encode::sync(message);
    Ok(())
}

/// A round's own schema, under a unique name.
///
/// `CREATE SCHEMA` rejects an existing name, so a schema that was there before is neither used nor dropped.
#[derive(Debug)]
pub(super) struct Schema {
    name: Arc<str>,
    /// True while it exists because this round has created it; only then may it be dropped.
    created: AtomicBool,
}

/// Timeout for dropping the schema of a failed round: the cause of the failure may also affect this.
const DROPPING: Duration = Duration::from_secs(5);

impl Schema {
    pub(super) fn new() -> Self {
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("the system gives random bytes");
        Self {
            name: format!("photofinish_{:032x}", u128::from_ne_bytes(random)).into(),
            created: AtomicBool::new(false),
        }
    }

    /// Creates it, and runs `statements` in it.
    pub(super) async fn create<R: Runtime>(
        &self,
        env: &RoundEnv<R>,
        statements: &[impl AsRef<str> + Sync],
    ) -> Result<(), Failure> {
        let mut connection = Connection::open(env, self, &[]).await?;
        let create = format!("CREATE SCHEMA {}", self.name);
        connection.run(&create).await?;
        self.created.store(true, Ordering::Relaxed);
        for statement in statements {
            connection.run(statement.as_ref()).await?;
        }
        connection.close().await;
        Ok(())
    }

    /// Drops it with all its contents over `connection`, and closes that.
    pub(super) async fn drop<R: Runtime>(
        &self,
        mut connection: Connection<R>,
    ) -> Result<(), Failure> {
        if self.created.load(Ordering::Relaxed) {
            let drop = format!("DROP SCHEMA {} CASCADE", self.name);
            connection.run(&drop).await?;
            self.created.store(false, Ordering::Relaxed);
        }
        connection.close().await;
        Ok(())
    }

    /// Drops it over a connection of its own.
    pub(super) async fn remove<R: Runtime>(&self, env: &RoundEnv<R>) -> Result<(), Failure> {
        self.drop(Connection::open(env, self, &[]).await?).await
    }

    /// Drops it after a failure, if it exists and the server still answers.
    pub(super) async fn abandon<R: Runtime>(&self, env: &RoundEnv<R>) {
        if self.created.load(Ordering::Relaxed) {
            let _ = env.runtime.timeout(DROPPING, self.remove(env)).await;
        }
    }
}

fn failure(error: PgError) -> Failure {
    Failure::new(error.kind(), error.to_string())
}

fn encode_failure(error: EncodeError) -> Failure {
    Failure::new(ENCODE, error.to_string())
}
