//! A round's own schema on a PostgreSQL server: nothing outside it is created, changed or dropped.
//!
//! Its name is random, and `CREATE SCHEMA` refuses a name that exists. Statements name the schema (`{schema}` in their
//! text) instead of relying on `search_path`, which a pooling proxy may set on one session and forget on the next. Its
//! tables, and then the schema, are dropped by name and without CASCADE: whatever somebody else has put into it, or
//! made depend on it, stays. Only a schema for a user's own script, whose contents are unknown, is dropped with CASCADE.
//!
//! A round that is killed leaves its schema behind, and the next one on the same database drops it. An interrupted run
//! drops it itself (`db_leftovers.rs`). Two things prove that it is abandoned: a comment that repeats the schema's name, and
//! an advisory lock keyed by the name, which the connection that created it holds as long as it is open. That connection
//! does nothing else: a lock held by measured connections would make all of them contend for it at the end of each
//! transaction.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{Failure, RoundEnv};

use super::db_connection::{Connection, qualified};
use super::db_errors::{SQL, pooled};
use crate::protocol::postgres::Row;

/// Tables of all database workloads.
const TABLES: [&str; 6] = [
    "accounts",
    "customers",
    "entries",
    "items",
    "orders",
    "products",
];

const PREFIX: &str = "photofinish_";

/// The part of a schema's comment after its name.
const MARK: &str = ": made by photofinish for one round, and dropped after it";

/// The end of the comment on a schema that a user's script has filled: it is dropped with everything in it.
const WHOLE: &str = " with all that is in it";

/// Timeout for dropping the schema of a failed round: the cause of the failure may also affect this.
const DROPPING: Duration = Duration::from_secs(5);

/// Settings of the connection that creates and drops the schema: a limit of the user's must not keep it from cleaning
/// up, and another reader of the tables must not block it forever.
const SETTINGS: &str = "SET statement_timeout = 0; SET lock_timeout = '1s'";

/// A round's own schema, under a unique name.
#[derive(Debug)]
pub(super) struct Schema {
    name: Arc<str>,
    /// True if it is dropped with everything in it.
    is_whole: bool,
    /// True while it exists, or may exist, because this round has created it; only then may it be dropped.
    created: AtomicBool,
    /// The [`Connection`] that holds its lock.
    keeper: Mutex<Option<Box<dyn Any + Send>>>,
}

impl Schema {
    pub(super) fn new() -> Self {
        let mut random = [0; 16];
        getrandom::fill(&mut random).expect("the system gives random bytes");
        Self {
            name: format!("{PREFIX}{:032x}", u128::from_ne_bytes(random)).into(),
            is_whole: false,
            created: AtomicBool::new(false),
            keeper: Mutex::default(),
        }
    }

    /// A schema for a user's own script.
    pub(super) fn for_script() -> Self {
        Self {
            is_whole: true,
            ..Self::new()
        }
    }

    /// Its name, for connections.
    pub(super) fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// A statement with its name in place of `{schema}`.
    pub(super) fn qualify(&self, sql: &str) -> String {
        qualified(sql, &self.name)
    }

    /// Creates it, drops leftovers of killed rounds, and runs `statements`.
    pub(super) async fn create<R: Runtime>(
        &self,
        env: &RoundEnv<R>,
        statements: &[impl AsRef<str> + Sync],
    ) -> Result<(), Failure> {
        let mut keeper = Connection::open(env, &self.name, &[]).await?;
        let mut connection = Connection::open(env, &self.name, &[]).await?;
        require_sessions(&mut keeper, &mut connection).await?;
        keeper.set_up(SETTINGS, &mut |_| ()).await?;
        let locks = try_lock(&mut keeper, &self.name).await?;
        self.create_marked(&mut keeper, locks).await?;
        if locks {
            // An error here does not concern this round.
            let _ = drop_leftovers(&mut keeper).await;
        }
        *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = Some(Box::new(keeper));
        for statement in statements {
            let statement = self.qualify(statement.as_ref());
            connection.set_up(&statement, &mut |_| ()).await?;
        }
        connection.close().await;
        Ok(())
    }

    /// Creates it; with the mark if its lock is held, since a marked schema without an owner may be dropped by anybody.
    async fn create_marked<R: Runtime>(
        &self,
        keeper: &mut Connection<R>,
        marked: bool,
    ) -> Result<(), Failure> {
        let name = &self.name;
        let mut create = format!("CREATE SCHEMA {name}");
        if marked {
            let end = if self.is_whole { WHOLE } else { "" };
            create += &format!("; COMMENT ON SCHEMA {name} IS '{name}{MARK}{end}'");
        }
        // It may exist from the moment the statement is sent, unless the server refuses.
        self.created.store(true, Ordering::Relaxed);
        let created = keeper.set_up(&create, &mut |_| ()).await;
        let refused = matches!(&created, Err(failure) if failure.kind == SQL);
        self.created.store(!refused, Ordering::Relaxed);
        created
    }

    /// Drops it with its tables.
    pub(super) async fn remove<R: Runtime>(&self, env: &RoundEnv<R>) -> Result<(), Failure> {
        if !self.created.load(Ordering::Relaxed) {
            return Ok(());
        }
        let keeper = self
            .keeper
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(mut keeper) = keeper.and_then(|kept| kept.downcast::<Connection<R>>().ok())
            && drop_schema(&mut keeper, &self.name, self.is_whole)
                .await
                .is_ok()
        {
            keeper.close().await;
        } else {
            let mut connection = Connection::open(env, &self.name, &[]).await?;
            drop_schema(&mut connection, &self.name, self.is_whole).await?;
            connection.close().await;
        }
        self.created.store(false, Ordering::Relaxed);
        Ok(())
    }

    /// Drops it after a failure, if it exists and the server still answers.
    pub(super) async fn abandon<R: Runtime>(&self, env: &RoundEnv<R>) {
        let _ = env.runtime.timeout(DROPPING, self.remove(env)).await;
    }
}

/// Refuses a proxy that does not keep sessions, where no schema is created.
pub(super) async fn check_sessions<R: Runtime>(env: &RoundEnv<R>) -> Result<(), Failure> {
    let none: Arc<str> = "".into();
    let mut one = Connection::open(env, &none, &[]).await?;
    let mut other = Connection::open(env, &none, &[]).await?;
    require_sessions(&mut one, &mut other).await?;
    one.close().await;
    other.close().await;
    Ok(())
}

/// Refuses a proxy behind which the two connections are not one session each.
///
/// Such a proxy lends a session of the server for one transaction: two connections at a time are served by the same
/// process, or one of them by two.
async fn require_sessions<R: Runtime>(
    one: &mut Connection<R>,
    other: &mut Connection<R>,
) -> Result<(), Failure> {
    let first = process(one).await?;
    let second = process(other).await?;
    if first.is_some() && (first == second || first != process(one).await?) {
        return Err(pooled());
    }
    Ok(())
}

/// The server's process for a connection; `None` if the server does not report it.
async fn process<R: Runtime>(connection: &mut Connection<R>) -> Result<Option<u32>, Failure> {
    let mut pid = None;
    let mut keep = |row: Row<'_>| pid = row.number(0);
    unless_refused(
        connection
            .set_up("SELECT pg_backend_pid()", &mut keep)
            .await,
    )?;
    Ok(pid)
}

/// Takes the lock of the schema `name`; false if somebody else holds it, or the server has no such locks.
async fn try_lock<R: Runtime>(connection: &mut Connection<R>, name: &str) -> Result<bool, Failure> {
    let key = lock_key(name);
    // A server that ends idle sessions would end this one in the middle of the round.
    let sql = format!(
        "SELECT pg_try_advisory_lock({key}), \
         (SELECT count(set_config(name, '0', false)) FROM pg_settings WHERE name = 'idle_session_timeout')"
    );
    let mut locked = false;
    let mut keep = |row: Row<'_>| locked = row.get(0) == Some(Some(b"t"));
    unless_refused(connection.set_up(&sql, &mut keep).await)?;
    Ok(locked)
}

/// The key of a schema's lock: the first 64 bits of its random name.
fn lock_key(name: &str) -> i64 {
    let digits = name
        .strip_prefix(PREFIX)
        .and_then(|random| random.get(..16));
    let key = digits.and_then(|digits| u64::from_str_radix(digits, 16).ok());
    key.expect("a name that was checked").cast_signed()
}

/// Drops leftovers of killed rounds, and nothing else.
pub(super) async fn clean<R: Runtime>(env: &RoundEnv<R>) -> Result<(), Failure> {
    let none: Arc<str> = "".into();
    let mut one = Connection::open(env, &none, &[]).await?;
    let mut other = Connection::open(env, &none, &[]).await?;
    require_sessions(&mut one, &mut other).await?;
    one.set_up(SETTINGS, &mut |_| ()).await?;
    drop_leftovers(&mut one).await?;
    one.close().await;
    other.close().await;
    Ok(())
}

/// Drops schemas of rounds that were killed: up to ten, and any of them, since some may have to stay.
async fn drop_leftovers<R: Runtime>(connection: &mut Connection<R>) -> Result<(), Failure> {
    let list = format!(
        "SELECT nspname, obj_description(oid, 'pg_namespace') LIKE '%{WHOLE}' FROM pg_namespace \
         WHERE nspname ~ '^{PREFIX}[0-9a-f]{{32}}$' \
         AND obj_description(oid, 'pg_namespace') IN (nspname || '{MARK}', nspname || '{MARK}{WHOLE}') \
         AND pg_get_userbyid(nspowner) = current_user ORDER BY random() LIMIT 10"
    );
    let mut found: Vec<(String, bool)> = Vec::new();
    let mut keep = |row: Row<'_>| {
        let is_whole = row.get(1) == Some(Some(b"t"));
        found.extend(row.number(0).map(|name| (name, is_whole)));
    };
    connection.set_up(&list, &mut keep).await?;
    for (name, is_whole) in found {
        // Its own is among them, and the lock is held; this would take it once more.
        if name != connection.schema() && try_lock(connection, &name).await? {
            unless_refused(drop_schema(connection, &name, is_whole).await)?;
            let unlock = format!("SELECT pg_advisory_unlock({})", lock_key(&name));
            connection.set_up(&unlock, &mut |_| ()).await?;
        }
    }
    Ok(())
}

/// Drops the tables of a round and their schema in one transaction, or nothing if anything else is in it; a whole one
/// with everything.
async fn drop_schema<R: Runtime>(
    connection: &mut Connection<R>,
    name: &str,
    is_whole: bool,
) -> Result<(), Failure> {
    if is_whole {
        let sql = format!("DROP SCHEMA {name} CASCADE");
        return connection.set_up(&sql, &mut |_| ()).await;
    }
    let tables = TABLES.map(|table| format!("{name}.{table}")).join(", ");
    let sql = format!("DROP TABLE IF EXISTS {tables}; DROP SCHEMA {name}");
    connection.set_up(&sql, &mut |_| ()).await
}

/// Ignores a refused statement: the server may lack some of PostgreSQL's functions.
fn unless_refused(result: Result<(), Failure>) -> Result<(), Failure> {
    match result {
        Err(failure) if failure.kind != SQL => Err(failure),
        _ => Ok(()),
    }
}
