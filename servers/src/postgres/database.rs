//! The database: one SQLite in memory, one connection, one user at a time.
//!
//! The holder of the engine's lock has exclusive access: for one statement, or from the first change of a transaction
//! to its end. That makes transactions serializable, at the price of waiting. Waiting is in turn, and bounded. A
//! statement takes microseconds, so it runs on the thread of its connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::BufMut;
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::vtab::series::load_module;
use rusqlite::{Connection, Error, Row, Statement as Prepared};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::ddl::define;
use super::error::{SqlError, SqlResult};
use super::query::{Query, Scope};
use super::rewrite::is_lock;
use super::token::Statement;
use super::types::{Type, write_value};
use super::wire::is_binary;
use crate::Stop;

/// Maximum wait for another session's transaction.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
const OTHERS_TAKE_TOO_LONG: &str = "waited 10 s for the transaction of another session";

/// Maximum run time of a statement, which blocks every session of its thread; shorter than the time that others wait.
const LONGEST_STATEMENT: Duration = Duration::from_secs(5);

/// SQLite instructions between checks of the clock.
const STEPS_PER_LOOK: i32 = 20_000;

/// Statements that SQLite keeps prepared, and the longest text of one.
const KEPT: usize = 512;
const KEPT_BYTES: usize = 4096;

const START: &str =
    "PRAGMA foreign_keys = ON; PRAGMA case_sensitive_like = ON; CREATE TABLE \"public.\" (marker)";

const MAX_VALUE_BYTES: i32 = 16 << 20;

/// Maximum size of the result of a statement.
const MAX_RESULT_BYTES: usize = 64 << 20;
const TOO_LONG: &str = "the result is too long for this mock server";

/// The database, shared by all sessions.
pub(crate) type Database = Arc<Mutex<Engine>>;

#[derive(Debug)]
pub(crate) struct Engine {
    connection: Connection,
    /// Counts changes of definitions; a plan from before the last of them is outdated.
    pub(crate) generation: Arc<AtomicU64>,
    /// Interrupts the running statement when sent.
    stop: Stop,
}

/// A statement that reads or changes rows, ready to be run; or a command, which has no verb.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    /// The first word of its tag.
    pub(crate) verb: &'static str,
    /// True if it changes or locks rows: its transaction has exclusive access from then on.
    pub(crate) takes_lease: bool,
    /// In SQLite's SQL, unless it is a command.
    pub(crate) sql: String,
    /// Oids: as the client declared them, or as inferred.
    pub(crate) parameters: Vec<u32>,
    pub(crate) columns: Vec<(String, Type)>,
    /// The version of the definitions that it is valid for.
    pub(crate) generation: u64,
}

/// Input of a plan.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    pub(crate) values: Vec<Value>,
    /// Of the columns: true if binary.
    pub(crate) formats: Vec<bool>,
}

/// The state of a transaction, with its letter in ReadyForQuery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    /// An implicit transaction: the statements of one Query message, or up to the next Sync.
    #[default]
    Implicit = b'I',
    /// Between BEGIN and COMMIT.
    Open = b'T',
    /// After an error in an open transaction.
    Failed = b'E',
}

/// The transaction of a session. Under READ COMMITTED, the default, a read takes the engine for one message, and the
/// first change (or FOR UPDATE, or SAVEPOINT) keeps it until the end. BEGIN alone keeps nothing, so an idle transaction
/// blocks nobody. Dropping a transaction rolls it back.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) status: Status,
    /// True under REPEATABLE READ and SERIALIZABLE: the first statement keeps the engine.
    pub(crate) is_strict: bool,
    pub(crate) is_read_only: bool,
    lease: Option<OwnedMutexGuard<Engine>>,
    /// True if the engine is kept to the end.
    is_kept: bool,
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(engine) = self.lease.take_if(|_| self.is_kept) {
            engine.outdate_plans();
            // SQLite may have rolled it back after an error; an engine that cannot roll back rejects the next BEGIN.
            let _ = engine.execute("ROLLBACK");
        }
    }
}

impl Transaction {
    /// The engine, for a statement limited to this time: up to the next `release`, or to the end of the transaction if
    /// the statement requires that.
    pub(crate) async fn engine(
        &mut self,
        database: &Database,
        takes_lease: bool,
        timeout: Option<Duration>,
    ) -> SqlResult<&Engine> {
        let lease = match self.lease.take() {
            Some(lease) => lease,
            None => tokio::time::timeout(LONGEST_WAIT, database.clone().lock_owned())
                .await
                .map_err(|_| SqlError::new("55P03", OTHERS_TAKE_TOO_LONG))?,
        };
        let engine = self.lease.insert(lease);
        engine.start_clock(timeout)?;
        if !self.is_kept && (takes_lease || self.is_strict) {
            engine.execute("BEGIN")?;
            self.is_kept = true;
        }
        Ok(engine)
    }

    /// Releases the engine, unless it is kept.
    pub(crate) fn release(&mut self) {
        self.lease.take_if(|_| !self.is_kept);
    }

    /// Ends the transaction; if the commit fails, it is rolled back.
    pub(crate) fn commit(&mut self) -> SqlResult<()> {
        let kept = self.lease.as_ref().filter(|_| self.is_kept);
        let committed = kept.map_or(Ok(()), |engine| engine.execute("COMMIT"));
        self.is_kept &= committed.is_err();
        self.rollback();
        committed
    }

    /// Rolls the transaction back and ends it.
    pub(crate) fn rollback(&mut self) {
        *self = Transaction::default();
    }
}

impl Engine {
    pub(crate) fn new(stop: Stop) -> SqlResult<Self> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(START)?;
        // A name in double quotes is never a string.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)?;
        connection.set_prepared_statement_cache_capacity(KEPT);
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        connection.create_scalar_function("divisor", 1, flags, |call| match call.get_raw(0) {
            ValueRef::Integer(0) | ValueRef::Real(0.0) => {
                Err(Error::UserFunctionError("division by zero".into()))
            }
            other => Ok(Value::try_from(other)?),
        })?;
        load_module(&connection)?;
        Ok(Engine {
            connection,
            generation: Arc::default(),
            stop,
        })
    }

    /// Sets a time limit for the following statements.
    fn start_clock(&mut self, timeout: Option<Duration>) -> SqlResult<()> {
        let end = Instant::now() + timeout.unwrap_or(LONGEST_STATEMENT).min(LONGEST_STATEMENT);
        let stop = self.stop.clone();
        let is_late = move || Instant::now() > end || stop.is_sent();
        Ok(self
            .connection
            .progress_handler(STEPS_PER_LOOK, Some(is_late))?)
    }

    pub(crate) fn outdate_plans(&self) {
        self.generation.fetch_add(1, Relaxed);
    }

    /// Plans a statement; the client may have declared the types of parameters, by oid.
    pub(crate) fn plan(
        &self,
        statement: &Statement<'_>,
        verb: &'static str,
        scope: &Scope,
        declared: &[u32],
    ) -> SqlResult<Plan> {
        let mut query = Query::new(statement, &self.connection, scope)?;
        query.rewrite(declared)?;
        let columns = self.with_prepared(&query.sql, |prepared| Ok(query.columns(prepared)))?;
        let parameter = |(at, ty): (usize, &Option<Type>)| {
            let oid = declared.get(at).filter(|oid| Type::of_oid(**oid).is_some());
            oid.copied().unwrap_or(ty.unwrap_or(Type::Text) as u32)
        };
        Ok(Plan {
            verb,
            takes_lease: verb != "SELECT" || (0..statement.len()).any(|at| is_lock(statement, at)),
            columns,
            parameters: query.parameters.iter().enumerate().map(parameter).collect(),
            sql: query.sql,
            generation: self.generation.load(Relaxed),
        })
    }

    fn with_prepared<T>(
        &self,
        sql: &str,
        use_it: impl FnOnce(&mut Prepared<'_>) -> SqlResult<T>,
    ) -> SqlResult<T> {
        if sql.len() > KEPT_BYTES {
            return use_it(&mut self.connection.prepare(sql)?);
        }
        use_it(&mut *self.connection.prepare_cached(sql)?)
    }

    /// Runs a plan, appends its rows up to `max_rows`, and returns how many it returned or changed.
    pub(crate) fn run(
        &self,
        plan: &Plan,
        bound: &Bound,
        max_rows: usize,
        out: &mut Vec<u8>,
    ) -> SqlResult<usize> {
        self.with_prepared(&plan.sql, |prepared| {
            let parameters = prepared.parameter_count();
            for (at, value) in bound.values.iter().enumerate().take(parameters) {
                prepared.raw_bind_parameter(at + 1, value)?;
            }
            if plan.columns.is_empty() {
                return Ok(prepared.raw_execute()?);
            }
            let mut rows = prepared.raw_query();
            let mut count = 0;
            while let Some(row) = rows.next()? {
                count += 1;
                if count <= max_rows {
                    write_row(plan, row, bound, out)?;
                } else if !plan.takes_lease {
                    // A change must still run to completion.
                    break;
                }
            }
            Ok(count)
        })
    }

    /// Runs one of this server's own statements.
    pub(crate) fn execute(&self, sql: &str) -> SqlResult<()> {
        self.connection.prepare_cached(sql)?.raw_execute()?;
        Ok(())
    }

    /// Runs a definition in a transaction, all or nothing.
    pub(crate) fn define(&self, statement: &Statement<'_>, scope: &Scope) -> SqlResult<()> {
        self.outdate_plans();
        let sql = define(Query::new(statement, &self.connection, scope)?)?;
        Ok(self.connection.execute_batch(&sql)?)
    }
}

fn write_row(plan: &Plan, row: &Row<'_>, bound: &Bound, out: &mut Vec<u8>) -> SqlResult<()> {
    let start = out.len();
    out.put_slice(b"D\0\0\0\0");
    out.put_i16(plan.columns.len() as i16);
    for (at, (_, ty)) in plan.columns.iter().enumerate() {
        let written = write_value(out, row.get_ref(at)?, *ty, is_binary(&bound.formats, at));
        written.inspect_err(|_| out.truncate(start))?;
    }
    let length = (out.len() - start - 1) as u32;
    out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
    if out.len() > MAX_RESULT_BYTES {
        return Err(SqlError::new("54000", TOO_LONG));
    }
    Ok(())
}
