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
use rusqlite::{Connection, Error, Statement as Prepared};
use tokio::sync::{Mutex, MutexGuard, OwnedMutexGuard};

use super::error::{DIVISION_BY_ZERO, SqlError, SqlResult};
use super::names::Scope;
use super::rewrite::{Verb, rewrite};
use super::token::Statement;
use super::types::{Type, write_value};
use super::wire::is_binary;

/// Maximum wait for another session's transaction.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Maximum run time of a statement, which blocks every session of its thread.
const LONGEST_STATEMENT: Duration = Duration::from_secs(60);

/// SQLite instructions between checks of the clock.
const STEPS_PER_LOOK: i32 = 20_000;

/// Statements that SQLite keeps prepared, and the longest text of one.
const KEPT: usize = 512;
const KEPT_BYTES: usize = 4096;

const MAX_VALUE_BYTES: i32 = 64 << 20;

/// Maximum size of the result of a statement.
const MAX_RESULT_BYTES: usize = 256 << 20;

/// The database, shared by all sessions.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    engine: Arc<Mutex<Engine>>,
    /// The engine's, read without it.
    generation: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) connection: Connection,
    /// Time limit of the running statement, in microseconds after `start`.
    deadline: Arc<AtomicU64>,
    start: Instant,
    /// Counts changes of definitions and settings, which invalidate plans.
    generation: Arc<AtomicU64>,
}

/// A statement that reads or changes rows, ready to be run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) verb: Verb,
    /// True if a transaction that runs it needs exclusive access from then on.
    pub(crate) takes_lease: bool,
    /// In SQLite's SQL.
    sql: String,
    /// Types and oids.
    pub(crate) parameters: Vec<(Type, u32)>,
    pub(crate) columns: Vec<(String, Type)>,
    /// The state of definitions and settings for which it holds.
    pub(crate) generation: u64,
}

/// Input of a plan.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    pub(crate) values: Vec<Value>,
    /// Of the columns: true if binary.
    pub(crate) formats: Vec<bool>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Status {
    /// Each statement is a transaction.
    #[default]
    Idle,
    /// The statements of one message, or up to the next Sync, are a transaction.
    Implicit,
    /// Between BEGIN and COMMIT.
    Open,
    /// After an error in an open transaction.
    Failed,
}

/// The transaction of a session. Under READ COMMITTED, the default, a read takes the engine for one statement, and the
/// first change (or FOR UPDATE, or SAVEPOINT) keeps it until the end. BEGIN alone keeps nothing, so an idle transaction
/// blocks nobody. Dropping a transaction rolls it back.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) status: Status,
    /// True under REPEATABLE READ and SERIALIZABLE: the first statement keeps the engine.
    pub(crate) is_strict: bool,
    pub(crate) is_read_only: bool,
    lease: Option<OwnedMutexGuard<Engine>>,
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(engine) = &self.lease {
            engine.definitions_changed();
            // SQLite may have rolled it back after an error; an engine that cannot roll back rejects the next BEGIN.
            let _ = engine.execute("ROLLBACK");
        }
    }
}

impl Transaction {
    /// The engine, if this transaction has it.
    pub(crate) fn leased(&self) -> Option<&Engine> {
        self.lease.as_deref()
    }

    /// Takes the engine until the end of the transaction, if a statement needs that.
    pub(crate) async fn lease_for(&mut self, database: &Database, wants: bool) -> SqlResult<()> {
        if self.status == Status::Idle || self.lease.is_some() || !(wants || self.is_strict) {
            return Ok(());
        }
        let waiting = tokio::time::timeout(LONGEST_WAIT, database.engine.clone().lock_owned());
        let engine = waiting.await.map_err(|_| waited())?;
        engine.execute("BEGIN")?;
        self.lease = Some(engine);
        Ok(())
    }

    /// Ends the transaction; if the commit fails, it is rolled back.
    pub(crate) fn commit(&mut self) -> SqlResult<()> {
        if let Some(engine) = &self.lease {
            let committed = engine.execute("COMMIT");
            self.lease.take_if(|_| committed.is_ok());
            self.rollback();
            return committed;
        }
        self.rollback();
        Ok(())
    }

    /// Rolls the transaction back and ends it.
    pub(crate) fn rollback(&mut self) {
        *self = Transaction::default();
    }
}

impl Database {
    pub(crate) fn new(engine: Engine) -> Self {
        let generation = engine.generation.clone();
        let engine = Arc::new(Mutex::new(engine));
        Database { engine, generation }
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Relaxed)
    }

    pub(crate) fn plans_outdated(&self) {
        self.generation.fetch_add(1, Relaxed);
    }

    /// The engine for one statement, if it is free.
    pub(crate) fn try_turn(&self) -> Option<MutexGuard<'_, Engine>> {
        self.engine.try_lock().ok()
    }

    /// The engine for one statement, in turn.
    pub(crate) async fn turn(&self) -> SqlResult<MutexGuard<'_, Engine>> {
        if let Some(engine) = self.try_turn() {
            return Ok(engine);
        }
        let waiting = tokio::time::timeout(LONGEST_WAIT, self.engine.lock());
        waiting.await.map_err(|_| waited())
    }
}

fn waited() -> SqlError {
    let message = format!("waited {LONGEST_WAIT:?} for the transaction of another session");
    SqlError::new("55P03", message)
}

impl Engine {
    pub(crate) fn new() -> SqlResult<Self> {
        let mut connection = Connection::open_in_memory()?;
        connection.execute_batch("PRAGMA foreign_keys = ON; PRAGMA case_sensitive_like = ON")?;
        // A name in double quotes is never a string.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)?;
        connection.set_prepared_statement_cache_capacity(KEPT);
        let flags = FunctionFlags::SQLITE_UTF8 | FunctionFlags::SQLITE_DETERMINISTIC;
        connection.create_scalar_function("divisor", 1, flags, |call| match call.get_raw(0) {
            ValueRef::Integer(0) | ValueRef::Real(0.0) => {
                Err(Error::UserFunctionError(DIVISION_BY_ZERO.into()))
            }
            other => Ok(Value::try_from(other)?),
        })?;
        let (start, deadline) = (Instant::now(), Arc::new(AtomicU64::new(u64::MAX)));
        let clock = deadline.clone();
        let is_late = move || start.elapsed().as_micros() as u64 > clock.load(Relaxed);
        connection.progress_handler(STEPS_PER_LOOK, Some(is_late))?;
        let generation = Arc::default();
        Ok(Engine {
            connection,
            deadline,
            start,
            generation,
        })
    }

    /// Starts the clock for a statement.
    pub(crate) fn enter(&self, timeout: Option<Duration>) {
        let timeout = timeout.unwrap_or(LONGEST_STATEMENT).min(LONGEST_STATEMENT);
        let deadline = self.start.elapsed() + timeout;
        self.deadline.store(deadline.as_micros() as u64, Relaxed);
    }

    /// Plans a statement; the client may have declared the types of parameters, by oid.
    pub(crate) fn plan(
        &self,
        statement: &Statement<'_>,
        verb: Verb,
        scope: &Scope,
        declared: &[u32],
    ) -> SqlResult<Plan> {
        let rewritten = rewrite(statement, &self.connection, scope, declared)?;
        let results = &rewritten.results;
        let columns = |prepared: &mut Prepared<'_>| Ok(columns(prepared, results));
        Ok(Plan {
            verb,
            takes_lease: verb.takes_lease(statement),
            columns: self.with_prepared(&rewritten.sql, columns)?,
            sql: rewritten.sql,
            parameters: rewritten.parameters,
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
        // A change that returns rows must be rolled back if one of them cannot be sent.
        let gives_rows = plan.verb != Verb::Select && !plan.columns.is_empty();
        let is_own = gives_rows && self.connection.is_autocommit();
        if is_own {
            self.execute("BEGIN")?;
        }
        let step = |prepared: &mut Prepared<'_>| step(plan, prepared, bound, max_rows, out);
        let result = self.with_prepared(&plan.sql, step);
        if is_own {
            self.execute(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        }
        result
    }

    /// Runs one of this server's own statements.
    pub(crate) fn execute(&self, sql: &str) -> SqlResult<()> {
        self.connection.prepare_cached(sql)?.raw_execute()?;
        Ok(())
    }

    /// Runs the statements of a definition, all or nothing.
    pub(crate) fn define(&self, sql: &[String]) -> SqlResult<()> {
        self.execute("SAVEPOINT definition")?;
        let mut statements = sql.iter();
        let result = statements.try_for_each(|sql| self.connection.execute_batch(sql));
        if result.is_err() {
            self.execute("ROLLBACK TO definition")?;
        }
        self.execute("RELEASE definition")?;
        self.definitions_changed();
        Ok(result?)
    }

    /// Marks plans as outdated.
    pub(crate) fn definitions_changed(&self) {
        self.generation.fetch_add(1, Relaxed);
    }
}

fn step(
    plan: &Plan,
    prepared: &mut Prepared<'_>,
    bound: &Bound,
    max_rows: usize,
    out: &mut Vec<u8>,
) -> SqlResult<usize> {
    let wanted = prepared.parameter_count();
    for (at, value) in bound.values.iter().enumerate().take(wanted) {
        prepared.raw_bind_parameter(at + 1, value)?;
    }
    if plan.columns.is_empty() {
        return Ok(prepared.raw_execute()?);
    }
    let mut rows = prepared.raw_query();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        if count > max_rows && plan.verb == Verb::Select {
            break;
        }
        if count > max_rows {
            // The client does not want this row, but the change still has to complete.
            continue;
        }
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
            return Err(SqlError::new(
                "54000",
                "the result is too long for this mock server",
            ));
        }
    }
    Ok(count)
}

/// The columns of a result with their types, which SQLite provides if they are columns of tables.
fn columns(prepared: &Prepared<'_>, results: &[Option<Option<Type>>]) -> Vec<(String, Type)> {
    let count = prepared.column_count();
    let star = results.iter().rposition(Option::is_none);
    let column = |at: usize| {
        let metadata = prepared.column_metadata(at).ok().flatten();
        let declared = metadata.and_then(|column| Type::of_column((column.3, column.4)));
        // Results after the last `*` count from the end.
        let from_end = (at + results.len())
            .checked_sub(count)
            .filter(|&at| Some(at) > star);
        let inferred = results
            .get(from_end.unwrap_or(at))
            .copied()
            .flatten()
            .flatten();
        let name = label(prepared.column_name(at).unwrap_or_default());
        (name, declared.or(inferred).unwrap_or(Type::Text))
    };
    (0..count).map(column).collect()
}

/// The name of a result column: SQLite shows the expression, but PostgreSQL shows the function, or nothing.
fn label(name: &str) -> String {
    let (first, rest) = name.split_once('(').unwrap_or((name, ""));
    let is_word = |text: &str| {
        text.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    let is_expression =
        name.starts_with(|first: char| first.is_ascii_digit() || "('?-".contains(first));
    if is_expression {
        "?column?".to_owned()
    } else if !rest.is_empty() && is_word(first.trim_end()) {
        first.trim_end().to_ascii_lowercase()
    } else {
        name.to_owned()
    }
}
