//! `db-pool`: COUNT(*) on three tables concurrently, through a connection pool shared by all sessions.
//!
//! Each of the three waits for its own connection and returns it; waiting is the price of a bounded pool with more
//! sessions than connections. The pool is in `connection_pool.rs`. Open connections are counted at the sockets and
//! checked at the end of the round.

use std::num::NonZeroU32;
use std::time::Duration;

use photofinish_harness::no_session;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};

use super::census::{Census, Counts};
use super::connection_pool::{self, Bounds};
use super::db_connection::{Connector, Statement, TARGET};
use super::db_schema::Schema;
use super::params::{count, params, require, require_at_most};
use super::parts::{self, joined};
use super::request_count::wrong_requests;
use super::tallies::{ensure, exactly};
use crate::protocol::postgres::Row;

/// Timeout for acquiring one of the pool's connections; if none becomes free in that time, some were lost.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub struct DbPool {
    params: Params,
    census: Census,
    schema: Schema,
}

params! {
    /// Connections that the pool opens before the clock starts.
    minimum: NonZeroU32 = count(5),
    /// Connections that it opens at most, 1,000 or fewer.
    maximum: NonZeroU32 = count(20),
    /// Rows of the first table, 100,000 at most; the second one has twice as many, the third one three times.
    rows: NonZeroU32 = count(100),
}

/// A statement for each table.
const COUNTS: &[Statement] = &[
    Statement {
        name: "count_customers",
        sql: "SELECT COUNT(*) FROM {schema}.customers",
        parameter_oids: &[],
    },
    Statement {
        name: "count_products",
        sql: "SELECT COUNT(*) FROM {schema}.products",
        parameter_oids: &[],
    },
    Statement {
        name: "count_orders",
        sql: "SELECT COUNT(*) FROM {schema}.orders",
        parameter_oids: &[],
    },
];

const TABLES: [&str; 3] = ["customers", "products", "orders"];

type Pool<R> = connection_pool::Pool<R, Connector<R>>;

impl Workload for DbPool {
    const ABOUT: About = About {
        name: "db-pool",
        class: "database",
        operation: "COUNT(*) on 3 tables concurrently, through a connection pool",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Pool<R>;
    no_session!();

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let Params {
            minimum,
            maximum,
            rows,
        } = params;
        require_at_most("maximum", maximum.get(), 1_000)?;
        require(minimum <= maximum, "minimum", || {
            format!("{minimum} is more than the maximum of {maximum}")
        })?;
        require_at_most("rows", rows.get(), 100_000)?;
        Ok(Self {
            params,
            census: Census::default(),
            schema: Schema::new(),
        })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Pool<R>, Failure> {
        let mut statements = Vec::new();
        for (table, rows) in TABLES.into_iter().zip(self.rows()) {
            statements.extend([
                format!("CREATE TABLE {{schema}}.{table} (id INTEGER PRIMARY KEY)"),
                format!(
                    "INSERT INTO {{schema}}.{table} (id) SELECT * FROM generate_series(1, {rows})"
                ),
            ]);
        }
        self.schema.create(env, &statements).await?;
        let connector = Connector::new(env, self.schema.name(), COUNTS, &self.census)?;
        let pool = Pool::open(&env.runtime, connector, self.bounds()).await?;
        self.census.watch_fewest();
        Ok(pool)
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Pool<R>>,
        _: &mut (),
        _: u64,
    ) -> Result<(), Failure> {
        let mut tasks = Vec::with_capacity(COUNTS.len());
        for statement in COUNTS {
            let pool = env.shared.clone();
            let counting = async move { count_rows(&pool, statement).await };
            tasks.push(parts::start(&env.runtime, counting));
        }
        let counted = joined(tasks).await?;
        exactly(COUNTS.len(), counted.len(), "counts of tables")?;
        for ((table, rows), counted) in TABLES.iter().zip(self.rows()).zip(counted) {
            ensure(counted == Some(rows), || {
                format!("expected {rows} rows in `{table}`, got {counted:?}")
            })?;
        }
        Ok(())
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        wrong_requests(totals, TARGET, COUNTS.len() as u64)
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R, Pool<R>>,
        totals: &Totals,
    ) -> Result<Vec<String>, Failure> {
        let in_use = self.census.counts();
        env.shared.close().await;
        let left = self.census.counts().open();
        let violations = judge(in_use, left, self.bounds(), totals);
        match self.schema.remove(env).await {
            // Connections that were never returned may be all that the server has.
            Err(failure) if violations.is_empty() => Err(failure),
            _ => Ok(violations),
        }
    }

    async fn abandon<R: Runtime>(&self, env: &RoundEnv<R>) {
        self.schema.abandon(env).await;
    }
}

impl DbPool {
    fn bounds(&self) -> Bounds {
        Bounds {
            minimum: self.params.minimum,
            maximum: self.params.maximum,
            patience: PATIENCE,
        }
    }

    /// The number of rows in each table.
    fn rows(&self) -> [u32; 3] {
        [1, 2, 3].map(|times| times * self.params.rows.get())
    }
}

/// The count that `statement` returns; `None` if it is not a number.
async fn count_rows<R: Runtime>(
    pool: &Pool<R>,
    statement: &Statement,
) -> Result<Option<u32>, Failure> {
    let mut connection = pool.acquire().await?;
    let mut counted = None;
    let mut keep = |row: Row<'_>| counted = row.number(0);
    connection.execute(statement, &[], &mut keep).await?;
    Ok(counted)
}

/// Violations by a pool with these counts while it was `in_use`, and connections `left` open after it was closed.
fn judge(in_use: Counts, left: u64, bounds: Bounds, totals: &Totals) -> Vec<String> {
    let Counts {
        closed,
        most,
        fewest,
        ..
    } = in_use;
    let Bounds {
        minimum, maximum, ..
    } = bounds;
    let mut violations = Vec::new();
    if most > u64::from(maximum.get()) {
        violations.push(format!(
            "expected at most {maximum} open connections, got {most}"
        ));
    }
    // A broken connection is closed at once, and replaced when needed.
    if fewest + closed < u64::from(minimum.get()) {
        violations.push(format!(
            "expected at least {minimum} open connections, got {fewest}"
        ));
    }
    if totals.failed == 0 && closed > 0 {
        violations.push(format!(
            "the pool gave up {closed} connections, and nothing had failed"
        ));
    }
    if left > 0 {
        violations.push(format!("{left} connections were never given back"));
    }
    violations
}

#[cfg(test)]
mod tests {
    use photofinish_record::Traffic;

    use super::super::tallies::totals;
    use super::*;

    const BOUNDS: Bounds = Bounds {
        minimum: NonZeroU32::new(5).unwrap(),
        maximum: NonZeroU32::new(20).unwrap(),
        patience: PATIENCE,
    };

    #[track_caller]
    fn check([closed, most, fewest, left]: [u64; 4], failed: u64, expected: &[&str]) {
        let in_use = Counts {
            opened: most + closed,
            closed,
            most,
            fewest,
        };
        let totals = totals(1_000, failed, TARGET, Traffic::default());
        assert_eq!(judge(in_use, left, BOUNDS, &totals), expected);
    }

    #[test]
    fn a_pool_outside_its_bounds_is_caught() {
        check([0, 5, 5, 0], 0, &[]);
        check([0, 20, 5, 0], 0, &[]);
        let too_many = "expected at most 20 open connections, got 21";
        check([0, 21, 5, 0], 0, &[too_many]);
        check([2, 21, 5, 0], 2, &[too_many]);
        let too_few = "expected at least 5 open connections, got 4";
        check([0, 20, 4, 0], 0, &[too_few]);
        // A broken connection may be missing until it is needed.
        check([1, 20, 4, 0], 1, &[]);
        let given_up = "the pool gave up 3 connections, and nothing had failed";
        check([3, 20, 5, 0], 0, &[given_up]);
        check([3, 20, 5, 0], 1, &[]);
        check([0, 20, 5, 1], 0, &["1 connections were never given back"]);
    }
}
