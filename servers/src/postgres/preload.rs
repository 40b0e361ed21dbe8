//! What a new server already holds: the tables that scenarios and `pgbench` read, and the behaviour's own statements.
//!
//! Rows are a function of their key, so that a client can check what it gets.

use rusqlite::types::Value;
use serde::{Deserialize, Serialize};

use super::datetime;
use super::ddl::{self, Definer};
use super::engine::{Database, Engine, User};
use super::error::{SqlError, SqlResult};
use super::plan::{self, Action};
use super::schema::PUBLIC;
use super::translate::Names;

/// A set of tables that a server can start with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Preload {
    /// `items`: 10,000 rows; row `id` is called `item <id>` and its quantity is `id * 7 % 100`.
    Items,
    /// The four tables of `pgbench -i`.
    Pgbench,
}

/// Rows of `items`.
const ITEMS: i64 = 10_000;

/// Accounts, tellers and branches per unit of pgbench's scale.
const ACCOUNTS: i64 = 100_000;
const TELLERS: i64 = 10;

const ITEMS_TABLE: &str = "CREATE TABLE items (id integer PRIMARY KEY, name text NOT NULL, quantity integer NOT NULL, price double precision, created timestamptz)";

const PGBENCH_TABLES: &str = "
    CREATE TABLE pgbench_branches (bid int NOT NULL PRIMARY KEY, bbalance int, filler char(88));
    CREATE TABLE pgbench_tellers (tid int NOT NULL PRIMARY KEY, bid int, tbalance int, filler char(84));
    CREATE TABLE pgbench_accounts (aid int NOT NULL PRIMARY KEY, bid int, abalance int, filler char(84));
    CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22))";

/// Fills a new database.
pub(crate) async fn fill(
    database: &Database,
    what: &[Preload],
    pgbench_scale: u32,
    seed_sql: &[String],
) -> SqlResult<()> {
    let mut engine = database.engine().await?;
    engine.enter(&User {
        pid: 0,
        now_micros: datetime::now_micros(),
        settings: Default::default(),
    });
    engine.begin()?;
    for preload in what {
        match preload {
            Preload::Items => items(&mut engine)?,
            Preload::Pgbench => pgbench(&mut engine, i64::from(pgbench_scale))?,
        }
    }
    for sql in seed_sql {
        run_script(&mut engine, sql)
            .map_err(|error| SqlError::new(error.state(), format!("in `{sql}`: {error}")))?;
    }
    engine.commit()?;
    database.publish(&engine);
    Ok(())
}

/// Whether a script could be read; what it means is known only when it runs.
pub(crate) fn check_script(sql: &str) -> SqlResult<()> {
    plan::parse(sql).map(|_| ())
}

fn run_script(engine: &mut Engine, sql: &str) -> SqlResult<()> {
    let names = Names {
        path: vec![PUBLIC.into()],
        user: "postgres".into(),
        database: "postgres".into(),
    };
    let definer = Definer {
        names: &names,
        temporary: "pg_temp_0",
    };
    for statement in plan::parse(sql)? {
        let plan = plan::plan(statement.into(), &engine.schema.clone(), &names, Vec::new())?;
        match &plan.action {
            Action::Define => drop(ddl::define(engine, &definer, plan.statement())?),
            Action::Run(run) if plan.parameters.is_empty() => engine.execute(&run.sql)?,
            _ => return Err(SqlError::unsupported("this statement in a seed")),
        }
    }
    Ok(())
}

fn items(engine: &mut Engine) -> SqlResult<()> {
    run_script(engine, ITEMS_TABLE)?;
    let start = datetime::parse_timestamp("2026-01-01 00:00:00+00", true)?;
    for id in 1..=ITEMS {
        let values = [
            Value::Integer(id),
            Value::Text(format!("item {id}")),
            Value::Integer(id * 7 % 100),
            Value::Real(id as f64 / 4.0),
            Value::Integer(start + id * datetime::MICROS_PER_SECOND),
        ];
        engine.execute_with("INSERT INTO items VALUES (?1,?2,?3,?4,?5)", &values)?;
    }
    Ok(())
}

fn pgbench(engine: &mut Engine, scale: i64) -> SqlResult<()> {
    run_script(engine, PGBENCH_TABLES)?;
    for branch in 1..=scale {
        engine.execute_with(
            "INSERT INTO pgbench_branches (bid, bbalance) VALUES (?1, 0)",
            &[Value::Integer(branch)],
        )?;
    }
    for teller in 1..=TELLERS * scale {
        let values = [
            Value::Integer(teller),
            Value::Integer((teller - 1) / TELLERS + 1),
        ];
        engine.execute_with(
            "INSERT INTO pgbench_tellers (tid, bid, tbalance) VALUES (?1, ?2, 0)",
            &values,
        )?;
    }
    let filler = Value::Text(" ".repeat(84));
    for account in 1..=ACCOUNTS * scale {
        let values = [
            Value::Integer(account),
            Value::Integer((account - 1) / ACCOUNTS + 1),
            filler.clone(),
        ];
        engine.execute_with(
            "INSERT INTO pgbench_accounts VALUES (?1, ?2, 0, ?3)",
            &values,
        )?;
    }
    Ok(())
}
