//! The database: one SQLite in memory, one connection, one user at a time.
//!
//! Whoever holds the engine's lock is alone with it: for one statement, or from the first change of a transaction to its
//! end. That makes transactions serializable, at the price that others wait. Waiting is in turn, and bounded. A statement
//! takes microseconds, so it runs on the thread of its connection. Who holds the lock is decided in `transaction.rs`.

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
use super::rewrite::{Rewritten, Verb, rewrite};
use super::token::Statement;
use super::types::{Type, write_value};
use super::wire::is_binary;

/// How long a session waits for the transaction of another one.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How long a statement runs at most: it holds up every session of its thread.
const LONGEST_STATEMENT: Duration = Duration::from_secs(60);

/// Instructions of SQLite between two looks at the clock.
const STEPS_PER_LOOK: i32 = 20_000;

/// Statements that SQLite keeps prepared, and the longest text of one.
const KEPT: usize = 512;
const KEPT_BYTES: usize = 4096;

const MAX_VALUE_BYTES: i32 = 64 << 20;

/// Longest result of one statement.
const MAX_RESULT_BYTES: usize = 256 << 20;

/// The database as all sessions share it.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    engine: Arc<Mutex<Engine>>,
    /// The engine's, read without it.
    pub(crate) generation: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) connection: Connection,
    /// When the statement that runs has to end, in microseconds after `start`.
    deadline: Arc<AtomicU64>,
    start: Instant,
    /// Counts changes of definitions, after which plans no longer hold.
    generation: Arc<AtomicU64>,
}

/// A statement that reads or changes rows, ready to be run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) verb: Verb,
    /// True if a transaction that runs it must be alone from then on.
    pub(crate) takes_lease: bool,
    /// In SQLite's SQL.
    sql: String,
    /// Types and oids.
    pub(crate) parameters: Vec<(Type, u32)>,
    pub(crate) columns: Vec<(String, Type)>,
    /// The state of definitions, and the search path, for which it holds.
    pub(crate) generation: u64,
    pub(crate) path: Vec<String>,
}

impl Database {
    pub(crate) fn new(engine: Engine) -> Self {
        let generation = engine.generation.clone();
        let engine = Arc::new(Mutex::new(engine));
        Database { engine, generation }
    }

    /// The engine for one statement, if nobody has it.
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

    /// The engine until the guard is dropped, in turn.
    pub(crate) async fn lease(&self) -> SqlResult<OwnedMutexGuard<Engine>> {
        let waiting = tokio::time::timeout(LONGEST_WAIT, self.engine.clone().lock_owned());
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

    /// Plans a statement, and runs `use_it` with it, prepared. It stays prepared if it is `kept`.
    pub(crate) fn plan<T>(
        &self,
        statement: &Statement<'_>,
        verb: Verb,
        scope: &Scope,
        declared: &[u32],
        kept: bool,
        use_it: impl FnOnce(Plan, &mut Prepared<'_>) -> SqlResult<T>,
    ) -> SqlResult<T> {
        let Rewritten {
            sql,
            parameters,
            results,
        } = rewrite(statement, &self.connection, scope, declared)?;
        let plan = |prepared: &Prepared<'_>| Plan {
            verb,
            takes_lease: verb.takes_lease(statement),
            sql: sql.clone(),
            parameters,
            columns: columns(prepared, &results),
            generation: self.generation.load(Relaxed),
            path: scope.path.clone(),
        };
        self.with_prepared(&sql, kept, |prepared| use_it(plan(prepared), prepared))
    }

    fn with_prepared<T>(
        &self,
        sql: &str,
        kept: bool,
        use_it: impl FnOnce(&mut Prepared<'_>) -> SqlResult<T>,
    ) -> SqlResult<T> {
        if kept && sql.len() <= KEPT_BYTES {
            use_it(&mut *self.connection.prepare_cached(sql)?)
        } else {
            use_it(&mut self.connection.prepare(sql)?)
        }
    }

    /// Runs a plan, appends its rows, and returns how many it gave or changed.
    pub(crate) fn run(
        &self,
        plan: &Plan,
        values: &[Value],
        formats: &[bool],
        max_rows: usize,
        out: &mut Vec<u8>,
    ) -> SqlResult<usize> {
        self.with_prepared(&plan.sql, true, |prepared| {
            self.step(plan, prepared, values, formats, max_rows, out)
        })
    }

    /// Runs a prepared plan, appends its rows, and returns how many it gave or changed.
    pub(crate) fn step(
        &self,
        plan: &Plan,
        prepared: &mut Prepared<'_>,
        values: &[Value],
        formats: &[bool],
        max_rows: usize,
        out: &mut Vec<u8>,
    ) -> SqlResult<usize> {
        // A change that gives rows must be undone if one of them cannot be sent.
        let gives_rows = plan.verb != Verb::Select && !plan.columns.is_empty();
        if !gives_rows || !self.connection.is_autocommit() {
            return step(plan, prepared, values, formats, max_rows, out);
        }
        self.execute("BEGIN")?;
        let result = step(plan, prepared, values, formats, max_rows, out);
        self.execute(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        result
    }

    /// Runs a statement of this server's own.
    pub(crate) fn execute(&self, sql: &str) -> SqlResult<()> {
        self.connection.prepare_cached(sql)?.raw_execute()?;
        Ok(())
    }

    /// Runs the statements of a definition, all or none.
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
    values: &[Value],
    formats: &[bool],
    max_rows: usize,
    out: &mut Vec<u8>,
) -> SqlResult<usize> {
    let wanted = prepared.parameter_count();
    for (at, value) in values.iter().enumerate().take(wanted) {
        prepared.raw_bind_parameter(at + 1, value)?;
    }
    if plan.columns.is_empty() {
        return Ok(prepared.raw_execute()?);
    }
    let mut rows = prepared.raw_query();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        if count > max_rows {
            // Nobody asked for it, but a change goes on to its end.
            continue;
        }
        let start = out.len();
        out.put_slice(b"D\0\0\0\0");
        out.put_i16(plan.columns.len() as i16);
        for (at, (_, ty)) in plan.columns.iter().enumerate() {
            write_value(out, row.get_ref(at)?, *ty, is_binary(formats, at))
                .inspect_err(|_| out.truncate(start))?;
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

/// The columns of a result with their types, which SQLite tells if they are columns of tables.
fn columns(prepared: &Prepared<'_>, results: &[Option<Option<Type>>]) -> Vec<(String, Type)> {
    let count = prepared.column_count();
    // Results after the last `*` count from the end.
    let stars = results.iter().filter(|result| result.is_none()).count();
    let star = results
        .iter()
        .rposition(Option::is_none)
        .filter(|_| stars > 0);
    let inferred = |at: usize| {
        let from_end = (at + results.len())
            .checked_sub(count)
            .filter(|&from| star.is_some_and(|star| from > star));
        results
            .get(from_end.unwrap_or(at))
            .copied()
            .flatten()
            .flatten()
    };
    let column = |at: usize| {
        let metadata = prepared.column_metadata(at).ok().flatten();
        let declared = metadata.and_then(|column| Type::of_column((column.3, column.4)));
        let name = prepared.column_name(at).unwrap_or_default();
        (
            label(name),
            declared.or_else(|| inferred(at)).unwrap_or(Type::Text),
        )
    };
    (0..count).map(column).collect()
}

/// The name of a result: where SQLite shows the expression, PostgreSQL shows the function, or nothing.
fn label(name: &str) -> String {
    let function = name.split(['(', ' ']).next().unwrap_or_default();
    let is_word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphabetic() || byte == b'_')
    };
    match name {
        _ if name.contains('(') && is_word(function) => function.to_ascii_lowercase(),
        _ if name.starts_with(['(', '\'', '?', '-'])
            || name.starts_with(|first: char| first.is_ascii_digit()) =>
        {
            "?column?".to_owned()
        }
        _ => name.to_owned(),
    }
}
