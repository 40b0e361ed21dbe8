//! A session's connection and values, independent of the runtime: one call runs one operation and blocks its thread.

use std::sync::Arc;

use photofinish_harness::observed::Observed;
use photofinish_harness::parts::PartRecorder;
use photofinish_harness::workload::Failure;
use rusqlite::Connection;

use super::database::{BUSY, Database, SQL, failure};
use super::number::{self, Number};
use crate::data::{RoundData, Values};
use crate::workloads::sql::{RETRIES, Script, Statement, Transaction, about, outcome};

/// State that all clients of a round share.
#[derive(Debug)]
pub struct Round {
    pub(super) database: Database,
    pub(super) script: Arc<Script>,
    pub(super) data: Arc<RoundData>,
    pub(super) observed: Observed,
    pub(super) seed: u64,
    pub(super) tries: u32,
}

/// One client.
pub(super) struct Client {
    round: Arc<Round>,
    session: Session,
}

struct Session {
    connection: Connection,
    values: Values,
    part: PartRecorder,
}

impl Client {
    /// Connects session number `index`, and prepares all statements.
    pub(super) fn open(round: Arc<Round>, index: u32, part: PartRecorder) -> Result<Self, Failure> {
        let connection = round.database.connect()?;
        let statements = round.script.statements();
        connection.set_prepared_statement_cache_capacity(statements.len());
        for statement in statements {
            let prepared = connection.prepare_cached(&statement.sql);
            let prepared = prepared.map_err(|error| about(&statement.label, failure(error)))?;
            check_parameters(statement, prepared.parameter_count())?;
        }
        let session = Session {
            connection,
            values: Values::new(&round.data, index)?,
            part,
        };
        Ok(Self { round, session })
    }

    /// Runs operation `op`.
    pub(super) fn operate(&mut self, op: u64) -> Result<(), Failure> {
        let Self { round, session } = self;
        session.values.begin(op)?;
        let transaction = round.script.choose(round.seed, op);
        let start = session.part.start();
        let result = session.try_repeatedly(round, transaction);
        session.part.end(transaction.part, start, outcome(&result));
        result
    }
}

impl Session {
    fn try_repeatedly(&mut self, round: &Round, transaction: &Transaction) -> Result<(), Failure> {
        let mut tries = 1;
        let result = loop {
            let Err(failed) = self.run(transaction) else {
                break Ok(());
            };
            if !self.connection.is_autocommit() {
                self.connection.execute_batch("ROLLBACK").map_err(failure)?;
            }
            if failed.kind != BUSY || tries == round.tries {
                break Err(failed);
            }
            tries += 1;
        };
        if round.tries > 1 {
            round.observed.number(RETRIES, f64::from(tries - 1));
        }
        result
    }

    fn run(&mut self, transaction: &Transaction) -> Result<(), Failure> {
        for (index, statement) in transaction.statements.iter().enumerate() {
            let start = self.part.start();
            let rows = run_statement(&self.connection, statement, &mut self.values);
            let result = rows.and_then(|rows| statement.check_rows(rows));
            if let Some(first) = transaction.statement_parts {
                self.part.end(first + index, start, outcome(&result));
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
}

/// Refuses a parameter that gets no value, which SQLite takes for NULL: `?`, `@id`, or a `:id` behind something that
/// only PostgreSQL takes for the beginning of a string or comment.
fn check_parameters(statement: &Statement, found: usize) -> Result<(), Failure> {
    let values = statement.values.len();
    if found == values {
        return Ok(());
    }
    let detail = format!(
        "{}: expected {values} parameters, got {found} in SQLite",
        statement.label
    );
    Err(Failure::new(SQL, detail)
        .hint("write each value as `:name`, outside of quotes and comments"))
}

/// Runs a statement and reads all its rows; returns the number of rows returned, or else changed.
fn run_statement(
    connection: &Connection,
    statement: &Statement,
    values: &mut Values,
) -> Result<u64, Failure> {
    let mut prepared = connection.prepare_cached(&statement.sql).map_err(failure)?;
    for (index, value) in statement.values.iter().enumerate() {
        let text = values.get(value.slot)?;
        let bound = match number::parse(text) {
            Some(Number::Integer(integer)) => prepared.raw_bind_parameter(index + 1, integer),
            Some(Number::Real(real)) => prepared.raw_bind_parameter(index + 1, real),
            None => {
                let text = std::str::from_utf8(text).map_err(|_| {
                    Failure::new(
                        crate::data::UNFIT,
                        format!("`:{}`: got bytes that are not UTF-8", value.name),
                    )
                })?;
                prepared.raw_bind_parameter(index + 1, text)
            }
        };
        bound.map_err(failure)?;
    }
    let columns = prepared.column_count();
    let before = connection.total_changes();
    let mut rows = prepared.raw_query();
    let mut returned = 0;
    while let Some(row) = rows.next().map_err(failure)? {
        for column in 0..columns {
            std::hint::black_box(row.get_ref(column).map_err(failure)?);
        }
        returned += 1;
    }
    drop(rows);
    // After a statement that changes nothing, SQLite still reports the changes of an earlier one.
    if columns > 0 || connection.total_changes() == before {
        return Ok(returned);
    }
    Ok(connection.changes())
}
