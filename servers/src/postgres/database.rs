//! The database: one SQLite in memory, one connection, one user at a time.
//!
//! Whoever holds the engine's lock is alone with it: for one statement, or from the first change of a transaction to its
//! end. That makes transactions serializable, at the price that others wait. Waiting is in turn, and bounded. A statement
//! takes microseconds, so it runs on the thread of its connection. Who holds the lock is decided in `transaction.rs`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use bytes::BufMut;
use rusqlite::config::DbConfig;
use rusqlite::functions::FunctionFlags;
use rusqlite::limits::Limit;
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Statement as Prepared};
use tokio::sync::{MutexGuard, OwnedMutexGuard};

use super::error::{DIVISION_BY_ZERO, SqlError, SqlResult};
use super::names::Scope;
use super::rewrite::{Parameter, ResultColumn, Rewritten, Verb, rewrite, takes_lease};
use super::token::Statement;
use super::types::{Type, write_value};

/// How long a session waits for the transaction of another one.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How long a statement runs at most: it holds up every session of its thread.
const LONGEST_STATEMENT: Duration = Duration::from_secs(60);

/// Instructions of SQLite between two looks at the clock.
const STEPS_PER_LOOK: i32 = 20_000;

/// Statements that are kept prepared, and plans that are kept.
const KEPT: usize = 512;

/// Longest text of a statement that is kept.
const KEPT_BYTES: usize = 4096;

/// Longest value.
const MAX_VALUE_BYTES: i32 = 64 << 20;

/// Longest result of one statement.
const MAX_RESULT_BYTES: usize = 256 << 20;

/// The database as all sessions share it.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    engine: Arc<tokio::sync::Mutex<Engine>>,
    /// The engine's, read without it.
    generation: Arc<AtomicU64>,
}

#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) connection: Connection,
    /// When the statement that runs has to end, in microseconds after `start`.
    deadline: Arc<AtomicU64>,
    start: Instant,
    /// Counts changes of definitions, after which plans no longer hold.
    generation: Arc<AtomicU64>,
    plans: HashMap<String, Arc<Plan>>,
}

/// A statement that reads or changes rows, ready to be run.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) verb: Verb,
    /// In SQLite's SQL.
    sql: String,
    pub(crate) parameters: Vec<Parameter>,
    pub(crate) columns: Vec<Column>,
    /// True if a transaction that runs it must be alone from then on.
    pub(crate) takes_lease: bool,
    /// What it holds for.
    generation: u64,
    path: Vec<String>,
    declared: Vec<u32>,
    is_private: bool,
}

#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) ty: Type,
}

/// The formats of values: none means text, one is for all, or there is one for each.
pub(crate) fn is_binary(formats: &[bool], at: usize) -> bool {
    match formats {
        [] => false,
        [all] => *all,
        each => each.get(at).copied().unwrap_or(false),
    }
}

/// Where the rows of a result go.
pub(crate) struct Sink<'s> {
    pub(crate) out: &'s mut Vec<u8>,
    /// Filled with the end of each row, if wanted.
    pub(crate) ends: Option<&'s mut Vec<usize>>,
    pub(crate) formats: &'s [bool],
}

impl Database {
    pub(crate) fn new(engine: Engine) -> Self {
        let generation = engine.generation.clone();
        Database {
            engine: Arc::new(tokio::sync::Mutex::new(engine)),
            generation,
        }
    }

    /// True if a plan means the same as when it was made.
    pub(crate) fn holds(&self, plan: &Plan, scope: &Scope) -> bool {
        !plan.is_private
            && plan.generation == self.generation.load(Relaxed)
            && plan.path == scope.path
    }

    /// The engine for one statement, in turn.
    pub(crate) async fn turn(&self) -> SqlResult<MutexGuard<'_, Engine>> {
        match self.engine.try_lock() {
            Ok(engine) => Ok(engine),
            Err(_) => tokio::time::timeout(LONGEST_WAIT, self.engine.lock())
                .await
                .map_err(|_| waited()),
        }
    }

    /// The engine until the guard is dropped.
    pub(crate) async fn lease(&self) -> SqlResult<OwnedMutexGuard<Engine>> {
        tokio::time::timeout(LONGEST_WAIT, self.engine.clone().lock_owned())
            .await
            .map_err(|_| waited())
    }
}

fn waited() -> SqlError {
    SqlError::new(
        "55P03",
        format!("waited {LONGEST_WAIT:?} for the transaction of another session to end"),
    )
}

impl Engine {
    pub(crate) fn new() -> SqlResult<Self> {
        let mut connection = Connection::open_in_memory()?;
        connection.execute_batch(
            "PRAGMA foreign_keys = ON; PRAGMA case_sensitive_like = ON; PRAGMA temp_store = MEMORY",
        )?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE_BYTES)?;
        connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
        connection.set_prepared_statement_cache_capacity(KEPT);
        let flags = FunctionFlags::SQLITE_UTF8
            | FunctionFlags::SQLITE_DETERMINISTIC
            | FunctionFlags::SQLITE_INNOCUOUS;
        connection.create_scalar_function("divisor", 1, flags, |context| {
            match context.get_raw(0) {
                ValueRef::Integer(0) => {
                    Err(rusqlite::Error::UserFunctionError(DIVISION_BY_ZERO.into()))
                }
                ValueRef::Real(0.0) => {
                    Err(rusqlite::Error::UserFunctionError(DIVISION_BY_ZERO.into()))
                }
                other => Ok(Value::try_from(other)?),
            }
        })?;
        let start = Instant::now();
        let deadline = Arc::new(AtomicU64::new(u64::MAX));
        let clock = deadline.clone();
        let is_late = move || start.elapsed().as_micros() as u64 > clock.load(Relaxed);
        connection.progress_handler(STEPS_PER_LOOK, Some(is_late))?;
        Ok(Engine {
            connection,
            deadline,
            start,
            generation: Arc::default(),
            plans: HashMap::new(),
        })
    }

    /// Starts the clock for a statement.
    pub(crate) fn enter(&self, timeout: Option<Duration>) {
        let timeout = timeout.map_or(LONGEST_STATEMENT, |timeout| timeout.min(LONGEST_STATEMENT));
        self.deadline
            .store((self.start.elapsed() + timeout).as_micros() as u64, Relaxed);
    }

    /// Marks plans as outdated.
    pub(crate) fn definitions_changed(&mut self) {
        self.generation.fetch_add(1, Relaxed);
        self.plans.clear();
    }

    /// Plans a statement that will be run once, and runs `use_it` with it.
    pub(crate) fn once<T>(
        &self,
        statement: &Statement<'_>,
        verb: Verb,
        scope: &Scope,
        use_it: impl FnOnce(&Plan, &mut Prepared<'_>) -> SqlResult<T>,
    ) -> SqlResult<T> {
        let rewritten = rewrite(statement, verb, &self.connection, scope, &[])?;
        let mut prepared = self.connection.prepare(&rewritten.sql)?;
        let plan = self.plan_of(statement, rewritten, &prepared, scope, &[]);
        use_it(&plan, &mut prepared)
    }

    /// The plan of a text of one statement, new or known.
    pub(crate) fn plan(
        &mut self,
        sql: &str,
        statement: &Statement<'_>,
        verb: Verb,
        scope: &Scope,
        declared: &[u32],
    ) -> SqlResult<Arc<Plan>> {
        if let Some(plan) = self.known_plan(sql, scope, declared) {
            return Ok(plan);
        }
        let rewritten = rewrite(statement, verb, &self.connection, scope, declared)?;
        let text = rewritten.sql.clone();
        let plan = self.with_prepared(&text, |prepared| {
            Ok(self.plan_of(statement, rewritten, prepared, scope, declared))
        })?;
        let plan = Arc::new(plan);
        if !plan.is_private && sql.len() <= KEPT_BYTES {
            if self.plans.len() >= KEPT {
                self.plans.clear();
            }
            self.plans.insert(sql.to_owned(), plan.clone());
        }
        Ok(plan)
    }

    pub(crate) fn known_plan(
        &self,
        sql: &str,
        scope: &Scope,
        declared: &[u32],
    ) -> Option<Arc<Plan>> {
        let plan = self.plans.get(sql)?;
        // Plans of another generation are gone.
        (plan.declared == declared && plan.path == scope.path).then(|| plan.clone())
    }

    fn plan_of(
        &self,
        statement: &Statement<'_>,
        rewritten: Rewritten,
        prepared: &Prepared<'_>,
        scope: &Scope,
        declared: &[u32],
    ) -> Plan {
        Plan {
            verb: rewritten.verb,
            columns: columns(prepared, &rewritten.results),
            takes_lease: takes_lease(statement, rewritten.verb),
            sql: rewritten.sql,
            parameters: rewritten.parameters,
            generation: self.generation.load(Relaxed),
            path: scope.path.clone(),
            declared: declared.to_vec(),
            is_private: rewritten.is_private,
        }
    }

    /// Runs `use_it` with a prepared statement, which is kept unless it is long.
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

    /// Runs a plan, and returns how many rows it gave or changed.
    pub(crate) fn run(&self, plan: &Plan, values: &[Value], sink: &mut Sink<'_>) -> SqlResult<u64> {
        self.with_prepared(&plan.sql, |prepared| {
            self.step(plan, prepared, values, sink)
        })
    }

    /// Runs a prepared plan, and returns how many rows it gave or changed.
    pub(crate) fn step(
        &self,
        plan: &Plan,
        prepared: &mut Prepared<'_>,
        values: &[Value],
        sink: &mut Sink<'_>,
    ) -> SqlResult<u64> {
        // A change that gives rows must be undone if one of them cannot be sent.
        let is_alone = plan.verb != Verb::Select
            && !plan.columns.is_empty()
            && self.connection.is_autocommit();
        if !is_alone {
            return step(plan, prepared, values, sink);
        }
        self.execute("BEGIN")?;
        let result = step(plan, prepared, values, sink);
        self.execute(if result.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
        result
    }

    /// Runs a statement of this server's own.
    pub(crate) fn execute(&self, sql: &str) -> SqlResult<()> {
        self.connection.prepare_cached(sql)?.raw_execute()?;
        Ok(())
    }

    /// Runs the statements of a definition, all or none.
    pub(crate) fn define(&mut self, sql: &[String]) -> SqlResult<()> {
        self.execute("SAVEPOINT definition")?;
        let result = sql
            .iter()
            .try_for_each(|sql| self.connection.execute_batch(sql));
        if result.is_err() && !self.connection.is_autocommit() {
            self.execute("ROLLBACK TO definition")?;
        }
        if !self.connection.is_autocommit() {
            self.execute("RELEASE definition")?;
        }
        self.definitions_changed();
        Ok(result?)
    }

    /// Undoes the transaction, if SQLite has not done so after an error.
    pub(crate) fn rollback(&mut self) -> SqlResult<()> {
        self.definitions_changed();
        if self.connection.is_autocommit() {
            Ok(())
        } else {
            self.execute("ROLLBACK")
        }
    }
}

fn step(
    plan: &Plan,
    prepared: &mut Prepared<'_>,
    values: &[Value],
    sink: &mut Sink<'_>,
) -> SqlResult<u64> {
    let wanted = prepared.parameter_count();
    for (at, value) in values.iter().enumerate().take(wanted) {
        prepared.raw_bind_parameter(at + 1, value)?;
    }
    if plan.columns.is_empty() {
        return Ok(prepared.raw_execute()? as u64);
    }
    let mut rows = prepared.raw_query();
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let start = sink.out.len();
        sink.out.put_slice(b"D\0\0\0\0");
        sink.out.put_i16(plan.columns.len() as i16);
        for (at, column) in plan.columns.iter().enumerate() {
            let value = row.get_ref(at).unwrap_or(ValueRef::Null);
            if let Err(error) = write_value(sink.out, value, column.ty, is_binary(sink.formats, at))
            {
                sink.out.truncate(start);
                return Err(error);
            }
        }
        let length = (sink.out.len() - start - 1) as u32;
        sink.out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
        if let Some(ends) = &mut sink.ends {
            ends.push(sink.out.len());
        }
        if sink.out.len() > MAX_RESULT_BYTES {
            let message = format!("a result is longer than {MAX_RESULT_BYTES} bytes");
            return Err(SqlError::new("54000", message).with_hint());
        }
        count += 1;
    }
    Ok(count)
}

/// The columns of a result: named and typed by SQLite where they are columns of tables, else as they are written.
fn columns(prepared: &Prepared<'_>, results: &[ResultColumn]) -> Vec<Column> {
    let count = prepared.column_count();
    let stars = || {
        results
            .iter()
            .enumerate()
            .filter(|(_, result)| matches!(result, ResultColumn::Star))
            .map(|(at, _)| at)
    };
    let (first_star, last_star) = (stars().next(), stars().last());
    let written = |at: usize| match (first_star, last_star) {
        (Some(first), _) if at < first => results.get(at),
        (Some(first), Some(last)) => (at + results.len())
            .checked_sub(count)
            .filter(|&from| from > last.max(first))
            .and_then(|from| results.get(from)),
        _ => results.get(at),
    };
    let column = |at: usize| {
        let (label, inferred) = match written(at) {
            Some(ResultColumn::Named(label, ty)) => (Some(label.clone()), *ty),
            _ => (None, None),
        };
        let metadata = prepared.column_metadata(at).ok().flatten();
        let declared = metadata.and_then(|(_, _, _, declaration, collation, ..)| {
            Type::of_declaration(
                declaration?.to_str().ok()?,
                collation.and_then(|name| name.to_str().ok()),
            )
        });
        Column {
            name: label
                .unwrap_or_else(|| prepared.column_name(at).unwrap_or("?column?").to_owned()),
            ty: declared.or(inferred).unwrap_or(Type::Text),
        }
    };
    (0..count).map(column).collect()
}
