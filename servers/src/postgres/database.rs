//! The database: one SQLite in memory, one connection, one user at a time.
//!
//! The holder of the engine's lock has exclusive access: for one statement, or from the first change of a transaction
//! to its end. That makes transactions serializable, at the price of waiting. Waiting is in turn, and bounded. A
//! statement takes microseconds, so it runs on the thread of its connection.

use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::BufMut;
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::vtab::series::load_module;
use rusqlite::{Connection, Error, Statement as Prepared};
use tokio::sync::{Mutex, MutexGuard, OwnedMutexGuard};

use super::error::{DIVISION_BY_ZERO, SqlError, SqlResult};
use super::names::{Query, Scope};
use super::rewrite::is_lock;
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

/// Counts changes of definitions and settings in this process; a plan from before the last of them is outdated.
static GENERATION: AtomicU64 = AtomicU64::new(0);

pub(crate) fn generation() -> u64 {
    GENERATION.load(Relaxed)
}

/// Marks plans as outdated.
pub(crate) fn plans_outdated() {
    GENERATION.fetch_add(1, Relaxed);
}

/// The database, shared by all sessions.
pub(crate) type Database = Arc<Mutex<Engine>>;

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) connection: Connection,
    /// Time limit of the running statement, in microseconds after `start`.
    deadline: Arc<AtomicU64>,
    start: Instant,
}

/// A statement that reads or changes rows, ready to be run.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The first word of its tag.
    pub(crate) verb: &'static str,
    /// True if it changes rows.
    pub(crate) is_change: bool,
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
            plans_outdated();
            // SQLite may have rolled it back after an error; an engine that cannot roll back rejects the next BEGIN.
            let _ = engine.execute("ROLLBACK");
        }
    }
}

impl Transaction {
    /// The engine for one statement, if this transaction does not have it yet, or to the end of the transaction, if the
    /// statement requires that.
    pub(crate) async fn engine<'t>(
        &'t mut self,
        database: &'t Database,
        takes_lease: bool,
    ) -> SqlResult<Turn<'t>> {
        let is_kept = self.status != Status::Idle && (takes_lease || self.is_strict);
        if is_kept && self.lease.is_none() {
            let engine = in_turn(database.clone().lock_owned()).await?;
            engine.execute("BEGIN")?;
            self.lease = Some(engine);
        }
        Ok(match &self.lease {
            Some(engine) => Turn::Leased(engine),
            None => Turn::Own(in_turn(database.lock()).await?),
        })
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

/// Access to the engine.
pub(crate) enum Turn<'t> {
    Leased(&'t Engine),
    Own(MutexGuard<'t, Engine>),
}

impl Deref for Turn<'_> {
    type Target = Engine;

    fn deref(&self) -> &Engine {
        match self {
            Turn::Leased(engine) => engine,
            Turn::Own(engine) => engine,
        }
    }
}

async fn in_turn<T>(waiting: impl Future<Output = T>) -> SqlResult<T> {
    let message = || format!("waited {LONGEST_WAIT:?} for the transaction of another session");
    let turn = tokio::time::timeout(LONGEST_WAIT, waiting).await;
    turn.map_err(|_| SqlError::new("55P03", message()))
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
        load_module(&connection)?;
        let (start, deadline) = (Instant::now(), Arc::new(AtomicU64::new(u64::MAX)));
        let clock = deadline.clone();
        let is_late = move || start.elapsed().as_micros() as u64 > clock.load(Relaxed);
        connection.progress_handler(STEPS_PER_LOOK, Some(is_late))?;
        Ok(Engine {
            connection,
            deadline,
            start,
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
        statement: &Statement,
        verb: &'static str,
        scope: &Scope,
        declared: &[u32],
    ) -> SqlResult<Plan> {
        let generation = generation();
        let mut query = Query::new(statement, &self.connection, scope);
        query.rewrite(declared)?;
        let columns = self.with_prepared(&query.sql, |prepared| Ok(query.columns(prepared)))?;
        let parameter = |(at, ty): (usize, &Option<Type>)| {
            let ty = ty.unwrap_or(Type::Text);
            let oid = declared.get(at).filter(|oid| Type::of_oid(**oid).is_some());
            (ty, oid.copied().unwrap_or(ty.oid()))
        };
        let is_change = verb != "SELECT";
        Ok(Plan {
            verb,
            is_change,
            takes_lease: is_change || (0..statement.len()).any(|at| is_lock(statement, at)),
            columns,
            parameters: query.parameters.iter().enumerate().map(parameter).collect(),
            sql: query.sql,
            generation,
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
        let gives_rows = plan.is_change && !plan.columns.is_empty();
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
    pub(crate) fn define(&self, sql: &str) -> SqlResult<()> {
        self.execute("SAVEPOINT definition")?;
        let result = self.connection.execute_batch(sql);
        if result.is_err() {
            self.execute("ROLLBACK TO definition")?;
        }
        self.execute("RELEASE definition")?;
        plans_outdated();
        Ok(result?)
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
        if count > max_rows && !plan.is_change {
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
