//! The embedded SQL engine: one SQLite database in memory, one connection, one user at a time.
//!
//! Whoever holds the engine's lock is alone with it. A session holds it for one statement, or from the first change
//! in a transaction to its end; that makes transactions serialisable, at the price that others wait. Waiting is in
//! turn, and bounded. How sessions use it is in `transaction.rs`; this file knows nothing of the wire.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, RwLock};
use std::time::{Duration, Instant};

use bytes::{BufMut, BytesMut};
use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Statement};
use tokio::sync::OwnedMutexGuard;

use super::error::{SqlError, SqlResult};
use super::functions::{self, Shared, lock};
use super::plan::{Plan, PlanCache, Run};
use super::schema::Schema;
use super::settings::Settings;
use super::translate::{Output, quote_name};
use super::value::{Format, write_column};

/// How long a session waits for another one's transaction.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How long one statement may run: it holds up every session of its thread.
const LONGEST_STATEMENT: Duration = Duration::from_secs(60);

/// Instructions of the engine between two looks at the clock.
const STEPS_PER_LOOK: i32 = 20_000;

/// Statements kept prepared in the engine.
const PREPARED: usize = 512;

/// The database as all sessions share it.
#[derive(Debug)]
pub(crate) struct Database {
    engine: Arc<tokio::sync::Mutex<Engine>>,
    /// The definitions as last committed.
    published: RwLock<Arc<Schema>>,
    plans: Mutex<PlanCache>,
}

impl Database {
    /// An empty database.
    pub(crate) fn new() -> SqlResult<Self> {
        let engine =
            Engine::new().map_err(|error| SqlError::from_engine(&error, &Schema::default()))?;
        let published = RwLock::new(engine.schema.clone());
        Ok(Database {
            engine: Arc::new(tokio::sync::Mutex::new(engine)),
            published,
            plans: Mutex::default(),
        })
    }

    /// The definitions as last committed.
    pub(crate) fn schema(&self) -> Arc<Schema> {
        self.published
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }

    /// Makes the definitions of `engine`, which has committed, those that everyone sees.
    pub(crate) fn publish(&self, engine: &Engine) {
        let mut published = self
            .published
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if published.version != engine.schema.version {
            *published = engine.schema.clone();
        }
    }

    /// The remembered plans.
    pub(crate) fn plans(&self) -> std::sync::MutexGuard<'_, PlanCache> {
        lock(&self.plans)
    }

    /// Waits for the engine, in turn.
    pub(crate) async fn engine(&self) -> SqlResult<OwnedMutexGuard<Engine>> {
        if let Ok(engine) = self.engine.clone().try_lock_owned() {
            return Ok(engine);
        }
        tokio::time::timeout(LONGEST_WAIT, self.engine.clone().lock_owned())
            .await
            .map_err(|_| {
                let message = format!(
                    "waited {LONGEST_WAIT:?} for the transaction of another session to end"
                );
                SqlError::new("55P03", message)
            })
    }
}

/// Who uses the engine, and as of when.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) pid: i32,
    pub(crate) now_micros: i64,
    pub(crate) settings: Arc<Mutex<Settings>>,
}

/// The engine itself.
#[derive(Debug)]
pub(crate) struct Engine {
    connection: Connection,
    /// The definitions as the transaction in progress sees them.
    pub(crate) schema: Arc<Schema>,
    pub(crate) shared: Shared,
    /// The definitions to go back to: at the start of the transaction, then of each savepoint.
    before: Option<Arc<Schema>>,
    savepoints: Vec<(String, Arc<Schema>)>,
    deadline: Arc<Deadline>,
    /// The version for which the system's own tables were filled.
    pub(crate) catalog_version: u64,
}

/// When the running statement has to be interrupted, in microseconds since the engine's start.
#[derive(Debug)]
struct Deadline {
    start: Instant,
    micros: AtomicU64,
}

impl Deadline {
    fn now(&self) -> u64 {
        self.start.elapsed().as_micros() as u64
    }
}

/// Rows as they will be sent, and where each ends if that was asked for.
#[derive(Debug)]
pub(crate) struct RowSink<'a> {
    pub(crate) out: &'a mut BytesMut,
    pub(crate) ends: Option<&'a mut Vec<usize>>,
    /// One for each column, or one for all, or none for text.
    pub(crate) formats: &'a [Format],
}

impl RowSink<'_> {
    /// The format of the column at this position.
    pub(crate) fn format(&self, at: usize) -> Format {
        format_at(self.formats, at)
    }

    /// Appends one row as a DataRow message.
    pub(crate) fn row<'v>(
        &mut self,
        outputs: &[Output],
        value: impl Fn(usize) -> ValueRef<'v>,
    ) -> SqlResult<()> {
        let start = self.out.len();
        self.out.put_slice(b"D\0\0\0\0");
        self.out.put_i16(outputs.len() as i16);
        for (at, output) in outputs.iter().enumerate() {
            let format = self.format(at);
            if let Err(error) = write_column(self.out, value(at), output.ty, format) {
                self.out.truncate(start);
                return Err(error);
            }
        }
        let length = (self.out.len() - start - 1) as u32;
        self.out[start + 1..start + 5].copy_from_slice(&length.to_be_bytes());
        if let Some(ends) = &mut self.ends {
            ends.push(self.out.len());
        }
        Ok(())
    }
}

/// The format of a column under PostgreSQL's rule: none means text, one is for all.
pub(crate) fn format_at(formats: &[Format], at: usize) -> Format {
    match formats {
        [] => Format::Text,
        [all] => *all,
        each => each.get(at).copied().unwrap_or(Format::Text),
    }
}

impl Engine {
    fn new() -> rusqlite::Result<Self> {
        let mut connection = Connection::open_in_memory()?;
        let shared = Shared::default();
        functions::register(&connection, &shared)?;
        connection.execute_batch(
            "PRAGMA foreign_keys = ON; PRAGMA journal_mode = MEMORY; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA recursive_triggers = OFF",
        )?;
        connection.set_prepared_statement_cache_capacity(PREPARED);
        let deadline = Arc::new(Deadline {
            start: Instant::now(),
            micros: AtomicU64::new(u64::MAX),
        });
        let clock = deadline.clone();
        connection.progress_handler(
            STEPS_PER_LOOK,
            Some(move || clock.now() > clock.micros.load(Relaxed)),
        )?;
        let mut engine = Engine {
            connection,
            schema: Arc::default(),
            shared,
            before: None,
            savepoints: Vec::new(),
            deadline,
            catalog_version: 0,
        };
        super::catalog::create(&mut engine)?;
        Ok(engine)
    }

    /// Prepares for a statement of `user`.
    pub(crate) fn enter(&self, user: &User) {
        let timeout = lock(&user.settings)
            .statement_timeout()
            .map_or(LONGEST_STATEMENT, |timeout| timeout.min(LONGEST_STATEMENT));
        self.deadline
            .micros
            .store(self.deadline.now() + timeout.as_micros() as u64, Relaxed);
        let mut live = lock(&self.shared);
        live.pid = user.pid;
        live.now_micros = user.now_micros;
        if !Arc::ptr_eq(&live.settings, &user.settings) {
            live.settings = user.settings.clone();
        }
    }

    /// Runs statements of the engine that give no rows.
    pub(crate) fn execute(&self, sql: &str) -> SqlResult<()> {
        self.connection
            .execute_batch(sql)
            .map_err(|error| self.told(&error))
    }

    /// Makes the system's tables; there is no schema yet that could explain an error.
    pub(crate) fn create_catalog(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.execute_batch(sql)
    }

    /// Runs one statement of the engine with values.
    pub(crate) fn execute_with(&self, sql: &str, values: &[Value]) -> SqlResult<()> {
        let mut statement = self
            .connection
            .prepare_cached(sql)
            .map_err(|error| self.told(&error))?;
        statement
            .execute(rusqlite::params_from_iter(values))
            .map_err(|error| self.told(&error))?;
        Ok(())
    }

    fn told(&self, error: &rusqlite::Error) -> SqlError {
        SqlError::from_engine(error, &self.schema)
    }

    /// Runs a planned statement, and returns how many rows it gave or changed.
    pub(crate) fn run(
        &mut self,
        plan: &Plan,
        run: &Run,
        values: &[Value],
        sink: &mut RowSink<'_>,
    ) -> SqlResult<u64> {
        if run.reads_catalog {
            super::catalog::refresh(self)?;
        }
        // A change that also gives rows must be undone when one of them cannot be sent.
        let alone = run.is_change && !plan.outputs.is_empty() && self.before.is_none();
        if !alone {
            return self.run_within(plan, run, values, sink);
        }
        self.begin()?;
        let result = self.run_within(plan, run, values, sink);
        match result {
            Ok(_) => self.commit()?,
            Err(_) => self.rollback()?,
        }
        result
    }

    fn run_within(
        &self,
        plan: &Plan,
        run: &Run,
        values: &[Value],
        sink: &mut RowSink<'_>,
    ) -> SqlResult<u64> {
        if plan.ran_before() {
            let mut statement = self
                .connection
                .prepare_cached(&run.sql)
                .map_err(|error| self.told(&error))?;
            return self.step(&mut statement, plan, run, values, sink);
        }
        let mut statement = self
            .connection
            .prepare(&run.sql)
            .map_err(|error| self.told(&error))?;
        self.step(&mut statement, plan, run, values, sink)
    }

    fn step(
        &self,
        statement: &mut Statement<'_>,
        plan: &Plan,
        run: &Run,
        values: &[Value],
        sink: &mut RowSink<'_>,
    ) -> SqlResult<u64> {
        let told = |error: rusqlite::Error| self.told(&error);
        for (at, value) in values.iter().enumerate().take(statement.parameter_count()) {
            statement.raw_bind_parameter(at + 1, value).map_err(told)?;
        }
        if run.is_change && plan.outputs.is_empty() {
            return statement
                .raw_execute()
                .map(|changed| changed as u64)
                .map_err(told);
        }
        let mut rows = statement.raw_query();
        let mut count = 0;
        while let Some(row) = rows.next().map_err(told)? {
            sink.row(&plan.outputs, |at| {
                row.get_ref(at).unwrap_or(ValueRef::Null)
            })?;
            count += 1;
        }
        Ok(count)
    }

    /// The engine's plan of a statement, a line for each step.
    pub(crate) fn explain(&self, sql: &str) -> SqlResult<Vec<String>> {
        let mut statement = self
            .connection
            .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
            .map_err(|error| self.told(&error))?;
        let lines = statement
            .raw_query()
            .mapped(|row| row.get::<_, String>(3))
            .collect::<Result<Vec<_>, _>>();
        lines.map_err(|error| self.told(&error))
    }

    /// The single whole number a statement of the engine gives.
    pub(crate) fn number(&self, sql: &str) -> SqlResult<Option<i64>> {
        self.connection
            .query_row(sql, [], |row| row.get(0))
            .map_err(|error| self.told(&error))
    }

    /// The values of the single row a statement of the engine gives.
    pub(crate) fn row(&self, sql: &str) -> SqlResult<Vec<Value>> {
        let mut statement = self
            .connection
            .prepare(sql)
            .map_err(|error| self.told(&error))?;
        let width = statement.column_count();
        let values = |row: &rusqlite::Row<'_>| {
            (0..width)
                .map(|at| row.get(at))
                .collect::<Result<Vec<Value>, _>>()
        };
        statement
            .query_row([], values)
            .map_err(|error| self.told(&error))
    }

    pub(crate) fn begin(&mut self) -> SqlResult<()> {
        self.execute("BEGIN")?;
        self.before = Some(self.schema.clone());
        lock(&self.shared).transaction += 1;
        Ok(())
    }

    /// Whether a transaction of the engine is open.
    pub(crate) fn is_in_transaction(&self) -> bool {
        self.before.is_some()
    }

    pub(crate) fn commit(&mut self) -> SqlResult<()> {
        self.execute("COMMIT")?;
        self.before = None;
        self.savepoints.clear();
        Ok(())
    }

    /// Undoes the transaction; the engine may have done so itself after an error.
    pub(crate) fn rollback(&mut self) -> SqlResult<()> {
        if !self.connection.is_autocommit() {
            self.execute("ROLLBACK")?;
        }
        if let Some(before) = self.before.take() {
            self.schema = before;
        }
        self.savepoints.clear();
        Ok(())
    }

    pub(crate) fn savepoint(&mut self, name: &str) -> SqlResult<()> {
        self.execute(&format!("SAVEPOINT {}", quote_name(name)))?;
        self.savepoints.push((name.to_owned(), self.schema.clone()));
        Ok(())
    }

    pub(crate) fn release(&mut self, name: &str) -> SqlResult<()> {
        self.execute(&format!("RELEASE {}", quote_name(name)))?;
        if let Some(at) = self.savepoints.iter().rposition(|(known, _)| known == name) {
            self.savepoints.truncate(at);
        }
        Ok(())
    }

    pub(crate) fn rollback_to(&mut self, name: &str) -> SqlResult<()> {
        self.execute(&format!("ROLLBACK TO {}", quote_name(name)))?;
        if let Some(at) = self.savepoints.iter().rposition(|(known, _)| known == name) {
            self.savepoints.truncate(at + 1);
            self.schema = self.savepoints[at].1.clone();
        }
        Ok(())
    }
}
