//! The tables and rows that a new server starts with: those that scenarios and `pgbench` read, and a behaviour's own.
//!
//! Rows are a function of their key, so that a client can check them.

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

use super::Behaviour;
use super::database::{Bound, Engine};
use super::error::{SqlError, SqlResult};
use super::query::Scope;
use super::rewrite::verb;
use super::session::check_command;
use super::token::statements;

/// A set of tables that a server can start with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Preload {
    /// `items`: 10,000 rows; row `id` is called `item <id>` and its quantity is `id * 7 % 100`.
    Items,
    /// The four tables of `pgbench -i`.
    Pgbench,
}

const ITEMS: &str = "
    CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, quantity int NOT NULL, price float8, created timestamptz);
    INSERT INTO items SELECT id, 'item ' || id, id * 7 % 100, id / 4.0,
        strftime('%Y-%m-%d %H:%M:%S+00', '2026-01-01', id || ' seconds') FROM generate_series(1, 10000) AS id";

const PGBENCH: &str = "
    CREATE TABLE pgbench_branches (bid int NOT NULL PRIMARY KEY, bbalance int, filler char(88));
    CREATE TABLE pgbench_tellers (tid int NOT NULL PRIMARY KEY, bid int, tbalance int, filler char(84));
    CREATE TABLE pgbench_accounts (aid int NOT NULL PRIMARY KEY, bid int, abalance int, filler char(84));
    CREATE TABLE pgbench_history (tid int, bid int, aid int, delta int, mtime timestamp, filler char(22));
    INSERT INTO pgbench_branches SELECT bid, 0, NULL FROM generate_series(1, SCALE) AS bid;
    INSERT INTO pgbench_tellers SELECT tid, (tid - 1) / 10 + 1, 0, NULL FROM generate_series(1, SCALE * 10) AS tid;
    INSERT INTO pgbench_accounts SELECT aid, (aid - 1) / 100000 + 1, 0, printf('%84s', '')
        FROM generate_series(1, SCALE * 100000) AS aid";

/// Creates the initial contents of a new database.
pub(crate) fn fill(engine: &Engine, behaviour: &Behaviour) -> SqlResult<()> {
    engine.execute("BEGIN")?;
    let scale = behaviour.pgbench_scale.map_or(1, NonZeroU32::get);
    let preloads = behaviour.preload.iter().map(|preload| match preload {
        Preload::Items => ITEMS.to_owned(),
        Preload::Pgbench => PGBENCH.replace("SCALE", &scale.to_string()),
    });
    for sql in preloads.chain(behaviour.seed_sql.iter().cloned()) {
        let within = |error: SqlError| SqlError::new(error.state, format!("in `{sql}`: {error}"));
        run(engine, &sql).map_err(within)?;
    }
    engine.execute("COMMIT")
}

/// Checks a script as far as possible before it runs.
pub(crate) fn check_script(sql: &str) -> SqlResult<()> {
    for statement in statements(sql)? {
        if verb(&statement).is_none() {
            check_command(&statement)?;
        }
    }
    Ok(())
}

fn run(engine: &Engine, sql: &str) -> SqlResult<()> {
    let scope = Scope::default();
    for statement in statements(sql)? {
        if let Some(verb) = verb(&statement) {
            let plan = engine.plan(&statement, verb, &scope, &[])?;
            engine.run(&plan, &Bound::default(), 0, &mut Vec::new())?;
        } else {
            engine.define(&statement, &scope)?;
        }
    }
    Ok(())
}
