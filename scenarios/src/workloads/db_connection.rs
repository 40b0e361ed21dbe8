//! A PostgreSQL connection over whichever runtime's TCP: what all database workloads talk through.
//!
//! It joins the sans-IO client with the runtime's stream, counts what goes over the wire, and logs in anew when the last
//! exchange left the connection unusable. Every round works in a [`Schema`] of its own, so that it starts from nothing on a
//! server that is already there, disturbs nothing on it, and leaves nothing behind.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use photofinish_harness::buffer::Buffer;
use photofinish_harness::runtime::{Runtime, Stream as _};
use photofinish_harness::traffic::TrafficCounter;
use photofinish_harness::workload::{Failure, RoundEnv};

use super::census::{Census, Presence};
use super::connection_pool::Connect;
use crate::protocol::postgres::{
    Discard, EncodeError, Format, Outcome, Parameter, PgError, PgTarget, ResponseReader, RowSink,
    Startup, TransactionStatus, encode,
};

/// Name of the target that database workloads talk to.
pub(super) const TARGET: &str = "db";

/// The server reported an error about a statement; the detail has its SQLSTATE.
const SQL: &str = "sql";

/// The client was asked to say something the protocol cannot.
const ENCODE: &str = "encode";

const BUFFER_BYTES: usize = 16 * 1024;
const MAX_MESSAGE_BYTES: usize = 64 << 20;

/// A statement that a session prepares when it logs in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Statement {
    /// Its name on the server.
    pub(super) name: &'static str,
    /// Its text.
    pub(super) sql: &'static str,
    /// Types of its parameters, by OID; 0 lets the server decide.
    pub(super) parameter_oids: &'static [u32],
}

/// OID of `int4`, for [`Statement::parameter_oids`].
pub(super) const INT4: u32 = 23;
/// OID of `text`.
pub(super) const TEXT: u32 = 25;

/// Where connections lead, what they prepare and by whom they are counted: found out once for all that are made of it.
#[derive(Clone)]
pub struct Connector<R> {
    runtime: R,
    target: Arc<PgTarget>,
    address: SocketAddr,
    schema: Arc<str>,
    statements: &'static [Statement],
    traffic: TrafficCounter,
    census: Census,
}

impl<R: Runtime> Connector<R> {
    /// A connector whose connections work in `schema`, prepare `statements` and are counted by `census`.
    pub(super) fn new(
        env: &RoundEnv<R>,
        schema: &Schema,
        statements: &'static [Statement],
        census: &Census,
    ) -> Result<Self, Failure> {
        let cannot = |detail: String| Failure::new(Failure::IO, detail);
        let target =
            PgTarget::parse(&env.targets[TARGET].url).map_err(|error| cannot(error.to_string()))?;
        let address = (target.host.as_str(), target.port)
            .to_socket_addrs()?
            .next()
            .ok_or_else(|| cannot(format!("`{}` has no address", target.host)))?;
        Ok(Self {
            runtime: env.runtime.clone(),
            target: Arc::new(target),
            address,
            schema: Arc::clone(&schema.name),
            statements,
            traffic: env.traffic[TARGET].clone(),
            census: census.clone(),
        })
    }

    /// A connection that is not open yet.
    pub(super) fn connection(&self) -> Connection<R> {
        Connection {
            connector: self.clone(),
            stream: None,
            received: Buffer::with_capacity(BUFFER_BYTES),
            message: Vec::new(),
            reader: ResponseReader::new(MAX_MESSAGE_BYTES),
        }
    }

    async fn open_stream(&self) -> Result<Open<R::Stream>, Failure> {
        let stream = self.runtime.connect(self.address).await?;
        self.traffic.connected();
        Ok(Open {
            stream,
            _counted: self.census.enter(),
        })
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

/// A stream, counted as long as it is open: fields are dropped in their order, so it is closed before it is counted.
struct Open<S> {
    stream: S,
    _counted: Presence,
}

/// A connection that logs in at the first exchange, and again after one that broke it.
pub struct Connection<R: Runtime> {
    connector: Connector<R>,
    stream: Option<Open<R::Stream>>,
    received: Buffer,
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

    /// One that is ready: logged in, in `schema`, with `statements` prepared.
    pub(super) async fn open(
        env: &RoundEnv<R>,
        schema: &Schema,
        statements: &'static [Statement],
    ) -> Result<Self, Failure> {
        let mut connection = Self::new(env, schema, statements)?;
        connection.connect().await?;
        Ok(connection)
    }

    /// Connects, logs in, enters this round's schema and prepares the statements.
    pub(super) async fn connect(&mut self) -> Result<(), Failure> {
        self.log_in().await?;
        self.enter_schema_and_prepare().await
    }

    /// Connects and logs in, and no more: outside of this round's schema, with nothing prepared.
    pub(super) async fn log_in(&mut self) -> Result<(), Failure> {
        self.abandon();
        self.received.clear();
        let mut open = self.connector.open_stream().await?;
        self.start_up(&mut open.stream).await?;
        self.stream = Some(open);
        Ok(())
    }

    /// Runs statements without parameters.
    pub(super) async fn simple<S: RowSink + Send>(
        &mut self,
        sql: &str,
        sink: &mut S,
    ) -> Result<&Outcome, Failure> {
        self.message.clear();
        encode::simple(sql, &mut self.message).map_err(encode_failure)?;
        self.cycle(sink).await?;
        self.executed()
    }

    /// Runs a prepared statement; its rows come as text.
    pub(super) async fn execute<S: RowSink + Send>(
        &mut self,
        statement: &Statement,
        parameters: &[Parameter<'_>],
        sink: &mut S,
    ) -> Result<&Outcome, Failure> {
        self.message.clear();
        encode::bind_execute(statement.name, parameters, Format::Text, &mut self.message)
            .map_err(encode_failure)?;
        self.cycle(sink).await?;
        self.executed()
    }

    /// Takes leave, and waits until the server has gone: then it has counted all there was.
    pub(super) async fn close(mut self) {
        self.disconnect().await;
    }

    /// As [`close`](Self::close), but its buffers serve the next login.
    pub(super) async fn disconnect(&mut self) {
        let Some(Open {
            mut stream,
            _counted,
        }) = self.stream.take()
        else {
            return;
        };
        self.message.clear();
        encode::terminate(&mut self.message);
        if stream.write_all(&mut self.message).await.is_err() {
            return;
        }
        self.connector.traffic.wrote(self.message.len());
        while let Ok(count @ 1..) = stream.read(&mut self.received).await {
            self.connector.traffic.read(count);
            self.received.clear();
        }
    }

    /// Closes it where it stands, without a word to the server.
    pub(super) fn abandon(&mut self) {
        self.stream = None;
    }

    /// Whether another exchange may follow: the last one ended well, and outside of a transaction.
    pub(super) fn is_usable(&self) -> bool {
        let status = self.reader.outcome().transaction_status;
        self.stream.is_some() && status == TransactionStatus::Idle
    }

    async fn start_up(&mut self, stream: &mut R::Stream) -> Result<(), Failure> {
        self.message.clear();
        let config = &self.connector.target.config;
        let mut startup = Startup::begin(config, &mut self.message).map_err(encode_failure)?;
        loop {
            if !self.message.is_empty() {
                stream.write_all(&mut self.message).await?;
                self.connector.traffic.wrote(self.message.len());
                self.message.clear();
            }
            let count = stream.read(&mut self.received).await?;
            if count == 0 {
                return startup.end_of_input().map_err(failure);
            }
            self.connector.traffic.read(count);
            let advance = startup
                .advance(self.received.unread(), &mut self.message)
                .map_err(failure)?;
            self.received.consume(advance.consumed);
            if advance.done {
                return Ok(());
            }
        }
    }

    /// Enters this round's schema and prepares the statements, in one cycle: one transaction for the server and one
    /// exchange for both sides' counts.
    async fn enter_schema_and_prepare(&mut self) -> Result<(), Failure> {
        self.message.clear();
        self.encode_entering().map_err(encode_failure)?;
        self.cycle(&mut Discard).await?;
        self.executed().map(drop)
    }

    fn encode_entering(&mut self) -> Result<(), EncodeError> {
        const UNNAMED: &str = "";
        let enter = format!("SET search_path TO {}", self.connector.schema);
        encode::parse(UNNAMED, &enter, &[], &mut self.message)?;
        encode::bind_execute_unsynced(UNNAMED, &[], Format::Text, &mut self.message)?;
        for statement in self.connector.statements {
            let Statement {
                name,
                sql,
                parameter_oids,
            } = statement;
            encode::parse(name, sql, parameter_oids, &mut self.message)?;
        }
        encode::sync(&mut self.message);
        Ok(())
    }

    /// Sends the message and reads until the server is ready again.
    async fn cycle<S: RowSink + Send>(&mut self, sink: &mut S) -> Result<(), Failure> {
        // Out of its place while in use: a failed or cancelled exchange leaves a connection nobody may use again.
        let mut open = self
            .stream
            .take()
            .ok_or_else(|| Failure::new(Failure::IO, "the connection is not open"))?;
        let stream = &mut open.stream;
        self.reader.begin();
        stream.write_all(&mut self.message).await?;
        self.connector.traffic.wrote(self.message.len());
        loop {
            let count = stream.read(&mut self.received).await?;
            if count == 0 {
                return self.reader.end_of_input().map_err(failure);
            }
            self.connector.traffic.read(count);
            let advance = self
                .reader
                .advance(self.received.unread(), sink)
                .map_err(failure)?;
            self.received.consume(advance.consumed);
            if advance.done {
                self.stream = Some(open);
                return Ok(());
            }
        }
    }

    /// Counts a cycle that executed something, whatever came of it. Outside of a transaction afterwards, it ended one:
    /// its own, or the one that it was the last part of.
    fn executed(&self) -> Result<&Outcome, Failure> {
        self.connector.traffic.answered();
        if self.reader.outcome().transaction_status == TransactionStatus::Idle {
            self.connector.traffic.ended_transaction();
        }
        self.outcome()
    }

    fn outcome(&self) -> Result<&Outcome, Failure> {
        let outcome = self.reader.outcome();
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

/// A round's own schema, under a name that nobody else has.
///
/// `CREATE SCHEMA` refuses a name that is taken, so a schema that was there before is neither used nor dropped.
#[derive(Debug)]
pub(super) struct Schema {
    name: Arc<str>,
    /// True while it exists because this round has created it: the only licence to drop it.
    created: AtomicBool,
}

/// Time for dropping the schema of a round that failed: whatever failed may fail here as well.
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

    /// Creates it, and gives a connection in it.
    pub(super) async fn create<R: Runtime>(
        &self,
        env: &RoundEnv<R>,
    ) -> Result<Connection<R>, Failure> {
        let mut connection = Connection::open(env, self, &[]).await?;
        let create = format!("CREATE SCHEMA {}", self.name);
        connection.simple(&create, &mut Discard).await?;
        self.created.store(true, Ordering::Relaxed);
        Ok(connection)
    }

    /// Drops it with all that is in it, over `connection`, and closes that.
    pub(super) async fn drop<R: Runtime>(
        &self,
        mut connection: Connection<R>,
    ) -> Result<(), Failure> {
        if self.created.load(Ordering::Relaxed) {
            let drop = format!("DROP SCHEMA {} CASCADE", self.name);
            connection.simple(&drop, &mut Discard).await?;
            self.created.store(false, Ordering::Relaxed);
        }
        connection.close().await;
        Ok(())
    }

    /// Drops it after a failure, if it is there and the server still answers.
    pub(super) async fn abandon<R: Runtime>(&self, env: &RoundEnv<R>) {
        if self.created.load(Ordering::Relaxed) {
            let dropping = async { self.drop(Connection::open(env, self, &[]).await?).await };
            let _ = env.runtime.timeout(DROPPING, dropping).await;
        }
    }
}

fn failure(error: PgError) -> Failure {
    Failure::new(error.kind(), error.to_string())
}

fn encode_failure(error: EncodeError) -> Failure {
    Failure::new(ENCODE, error.to_string())
}
