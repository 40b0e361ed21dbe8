//! `sql`: a weighted mix of user-defined transactions from a scenario file.
//!
//! An operation is one transaction. Which one it is, and all its values, follow from the operation's number, so every runtime
//! sends the same. A failed transaction is rolled back; after a serialization failure or a deadlock it is tried again, if
//! `tries` allows. This file connects, sends and waits, once for each runtime; everything else is compiled once.

#[cfg(test)]
mod allocations;
mod compile;
mod literal;
mod scripts;
mod spec;
mod statement;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use photofinish_harness::parts::{PartOutcome, PartRecorder};
use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};

pub(crate) use self::compile::{Engine, Script, Transaction};
pub use self::scripts::survey as survey_scripts;
use self::spec::{Protocol, SqlSpec};
pub(crate) use self::spec::{Statements, TransactionSpec};
pub(crate) use self::statement::Statement;
pub use self::text::Text;
use super::db_connection::{Connection, TARGET};
use super::db_schema::{Schema, check_sessions};
use super::params::params;
use super::request_count::unequal_requests;
use super::wire::within;
use crate::data::{DataSpec, DrawSpec, FeedSpec, RoundData, Values};
use crate::protocol::postgres::{Row, encode};

/// SQLSTATEs after which another try may succeed: a serialization failure and a deadlock.
const TRANSIENT: [&str; 2] = ["40001", "40P01"];

const SIMPLE_PIPELINE: &str =
    "expected `sql.protocol` \"extended\" or \"prepared\" with a pipeline, got \"simple\"";

/// SQLSTATEs whose remedy concerns the schema of a round: a missing privilege, and a read-only server.
const OF_SCHEMAS: [&str; 2] = ["42501", "25006"];

/// Mean number of retries of an operation.
pub(crate) const RETRIES: &str = "retries_per_operation";

/// Deadline for a set-up or tear-down file.
const SCRIPT: Duration = Duration::from_mins(5);

#[derive(Debug)]
pub struct Sql {
    script: Script,
    sql: SqlSpec,
    /// The round's own, if a set-up file fills one.
    schema: Option<Schema>,
}

params! {
    /// Transactions of a mix: each operation is one of them, by weight. Without any, `SELECT 1`.
    transaction: Vec<TransactionSpec> = Vec::new(),
    /// Settings of all transactions.
    sql: SqlSpec = SqlSpec::default(),
    /// Rows of files, by name: `:user.email` is the column `email` of the feed `user`.
    feed: BTreeMap<String, FeedSpec> = BTreeMap::new(),
    /// Values drawn by operation number, by name.
    draw: BTreeMap<String, DrawSpec> = BTreeMap::new(),
}

impl Params {
    fn data(&self) -> DataSpec {
        DataSpec {
            feed: self.feed.clone(),
            draw: self.draw.clone(),
        }
    }
}

/// State of a round.
pub struct Shared {
    data: Arc<RoundData>,
    /// Exchanges begun by sessions.
    begun: AtomicU64,
}

/// One client: a connection, its prepared statements, and its values.
pub struct Session<R: Runtime> {
    connection: Connection<R>,
    values: Values,
    part: PartRecorder,
    /// Types of the parameters of each statement, by its number.
    types: Vec<Vec<u32>>,
}

impl Workload for Sql {
    const ABOUT: About = About {
        name: "sql",
        class: "database",
        operation: "a transaction of a mix, from a scenario file; rows counted",
        targets: &[TARGET],
        needs: &[],
    };
    type Params = Params;
    type Shared<R: Runtime> = Shared;
    type Session<R: Runtime> = Session<R>;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let schema = params.sql.setup.as_ref().map(|_| Schema::for_script());
        let engine = Engine {
            begin: "BEGIN",
            no_pipeline: (params.sql.protocol == Protocol::Simple).then_some(SIMPLE_PIPELINE),
            keeps_changes: schema.is_none(),
        };
        let script = Script::compile(&params.transaction, &params.data(), engine)?;
        let sql = params.sql;
        Ok(Self {
            script,
            sql,
            schema,
        })
    }

    fn parts(&self) -> Vec<String> {
        self.script.parts.clone()
    }

    fn repeated_writes(&self) -> Vec<String> {
        self.script.repeated_writes.clone()
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Shared, Failure> {
        let data = self.script.data.load(env)?;
        let sql = &self.sql;
        if let Some(schema) = &self.schema {
            schema.create(env, &[] as &[&str]).await?;
        } else if sql.protocol == Protocol::Prepared || self.script.needs_session() {
            check_sessions(env).await?;
        }
        self.run_unmeasured(env, "setup", sql.setup.as_ref())
            .await?;
        Ok(Shared {
            data,
            begun: AtomicU64::new(0),
        })
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        index: u32,
    ) -> Result<Session<R>, Failure> {
        let mut session = Session {
            connection: self.connection(env)?,
            values: Values::new(&env.shared.data, index)?,
            part: env.parts.recorder(index),
            types: Vec::new(),
        };
        self.log_in(env, &mut session).await?;
        Ok(session)
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        session: &mut Session<R>,
        op: u64,
    ) -> Result<(), Failure> {
        session.values.begin(op)?;
        let transaction = self.script.choose(env.seed, op);
        let result = self.try_repeatedly(env, session, transaction).await;
        session.part.mark_whole(transaction.part, None);
        result.map_err(|failure| {
            let detail = session.values.conceal(&failure.detail);
            failure.described(detail)
        })
    }

    async fn close<R: Runtime>(&self, _: &Env<R, Shared>, session: &mut Session<R>) {
        session.connection.close().await;
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        totals: &Totals,
    ) -> Result<Vec<String>, Failure> {
        let broken = self.check(env).await?;
        self.run_unmeasured(env, "teardown", self.sql.teardown.as_ref())
            .await?;
        if let Some(schema) = &self.schema {
            schema.remove(env).await?;
        }
        let begun = env.shared.begun.load(Ordering::Relaxed);
        let mut violations = unequal_requests(totals, TARGET, begun);
        violations.extend(broken);
        Ok(violations)
    }

    async fn abandon<R: Runtime>(&self, env: &RoundEnv<R>) {
        if let Some(schema) = &self.schema {
            schema.abandon(env).await;
        }
    }
}

impl Sql {
    fn connection<R: Runtime>(&self, env: &RoundEnv<R>) -> Result<Connection<R>, Failure> {
        let name = self
            .schema
            .as_ref()
            .map_or_else(|| "".into(), |schema| Arc::clone(schema.name()));
        Connection::new(env, &name, &[])
    }

    /// Makes the round's schema the only one whose tables need no schema in front of them. Returns the number of exchanges.
    async fn enter_schema<R: Runtime>(
        &self,
        connection: &mut Connection<R>,
    ) -> Result<u64, Failure> {
        let Some(schema) = &self.schema else {
            return Ok(0);
        };
        let enter = schema.qualify("SET search_path TO {schema}");
        connection.set_up(&enter, &mut |_| ()).await?;
        Ok(1)
    }

    /// A connection for statements outside of the measurement.
    async fn unmeasured_connection<R: Runtime>(
        &self,
        env: &RoundEnv<R>,
    ) -> Result<Connection<R>, Failure> {
        let mut connection = self.connection(env)?;
        connection.connect().await?;
        self.enter_schema(&mut connection).await?;
        Ok(connection)
    }

    /// Runs the statements of `key`.
    async fn run_unmeasured<R: Runtime>(
        &self,
        env: &RoundEnv<R>,
        key: &str,
        statements: Option<&Statements>,
    ) -> Result<(), Failure> {
        let Some(statements) = statements else {
            return Ok(());
        };
        let text = statements.read(&self.sql.sha256, &env.directory)?;
        let name = statements.name(key);
        let mut connection = self.unmeasured_connection(env).await?;
        let running = async { connection.run(&text).await.map(drop) };
        let run = within(&env.runtime, SCRIPT, &format!("`{name}`"), running).await;
        run.map_err(|failure| about(name, failure))?;
        connection.close().await;
        Ok(())
    }

    /// The violation found by the round's check.
    async fn check<R: Runtime>(&self, env: &RoundEnv<R>) -> Result<Option<String>, Failure> {
        let Some(check) = &self.sql.check else {
            return Ok(None);
        };
        let mut connection = self.unmeasured_connection(env).await?;
        let mut rows = 0;
        let mut count = |_: Row<'_>| rows += 1;
        let running = async { connection.query(check, &mut count).await.map(drop) };
        let run = within(&env.runtime, SCRIPT, "`check`", running).await;
        run.map_err(|failure| about("check", failure))?;
        connection.close().await;
        Ok(violated_check(rows))
    }

    async fn log_in<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        session: &mut Session<R>,
    ) -> Result<(), Failure> {
        let Session {
            connection, types, ..
        } = session;
        connection.connect().await?;
        let exchanges = self.enter_schema(connection).await?;
        env.shared.begun.fetch_add(exchanges, Ordering::Relaxed);
        let statements = self.script.statements();
        types.clear();
        types.resize(statements.len(), Vec::new());
        let protocol = self.sql.protocol;
        if protocol == Protocol::Simple {
            return Ok(());
        }
        let described = connection.describe(|out| {
            for statement in statements {
                statement.write_describe(protocol, out)?;
            }
            encode::sync(out);
            Ok(())
        });
        types.clone_from_slice(
            described
                .await
                .map_err(|failure| self.without_hint(failure))?,
        );
        Ok(())
    }

    async fn try_repeatedly<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        session: &mut Session<R>,
        transaction: &Transaction,
    ) -> Result<(), Failure> {
        let most = self.sql.tries.get();
        let mut tries = 1;
        let result = loop {
            let Err(failure) = self.run(env, session, transaction).await else {
                break Ok(());
            };
            let connection = &mut session.connection;
            let code = connection.error_code();
            let again = tries < most && code.is_some_and(|code| TRANSIENT.contains(&code));
            if connection.is_in_transaction() {
                env.shared.begun.fetch_add(1, Ordering::Relaxed);
                if connection.run("ROLLBACK").await.is_err() {
                    connection.abandon();
                }
            }
            if !again {
                break Err(failure);
            }
            tries += 1;
        };
        if most > 1 {
            env.observed.number(RETRIES, f64::from(tries - 1));
        }
        result
    }

    /// Runs a transaction once.
    async fn run<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        session: &mut Session<R>,
        transaction: &Transaction,
    ) -> Result<(), Failure> {
        if !session.connection.is_usable() {
            self.log_in(env, session).await?;
        }
        let statements = &transaction.statements;
        if transaction.pipeline {
            let result = self.exchange(env, session, statements).await;
            return result.map_err(|failure| about(&transaction.name, failure));
        }
        for (index, statement) in statements.iter().enumerate() {
            let start = session.part.start();
            let result = self
                .exchange(env, session, &statements[index..=index])
                .await;
            if let Some(first) = transaction.statement_parts {
                session.part.end(first + index, start, outcome(&result));
            }
            result.map_err(|failure| {
                about(
                    &format!("{}: {}", transaction.name, statement.label),
                    failure,
                )
            })?;
        }
        Ok(())
    }

    /// Sends statements at once, and checks the numbers of their rows.
    async fn exchange<R: Runtime>(
        &self,
        env: &Env<R, Shared>,
        session: &mut Session<R>,
        statements: &[Statement],
    ) -> Result<(), Failure> {
        let Session {
            connection,
            values,
            types,
            ..
        } = session;
        let protocol = self.sql.protocol;
        let begun = &env.shared.begun;
        let exchange = connection.exchange(|out| {
            for statement in statements {
                statement.write(protocol, &types[statement.number], values, out)?;
            }
            if protocol != Protocol::Simple {
                encode::sync(out);
            }
            begun.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
        match exchange.await {
            Ok(outcome) => check_rows(statements, &outcome.rows_of_statements),
            Err(failure) => Err(self.without_hint(failure)),
        }
    }

    /// The failure of a user's statement, without advice about the round's schema if there is none.
    #[cold]
    fn without_hint(&self, failure: Failure) -> Failure {
        let of_schema = OF_SCHEMAS.iter().any(|code| failure.detail.contains(code));
        if self.schema.is_none() && of_schema {
            return failure.without_hint();
        }
        failure
    }
}

/// Compares the numbers of rows that statements returned or changed with the expected ones.
fn check_rows(statements: &[Statement], rows: &[u64]) -> Result<(), Failure> {
    let mut pairs = statements.iter().zip(rows);
    pairs.try_for_each(|(statement, got)| statement.check_rows(*got))
}

/// The violation if a check returned rows.
pub(crate) fn violated_check(rows: u64) -> Option<String> {
    (rows > 0).then(|| format!("`check` returned {rows} rows after the round, expected none"))
}

pub(crate) fn outcome(result: &Result<(), Failure>) -> PartOutcome {
    PartOutcome {
        failure: result.as_ref().err().map(|failure| failure.kind),
        status: None,
    }
}

/// A failure prefixed with the name of its transaction or key.
#[cold]
pub(crate) fn about(name: &str, failure: Failure) -> Failure {
    let detail = format!("{name}: {}", failure.detail);
    failure.described(detail)
}
