//! A session's transaction: its status, and when it has the engine for itself.
//!
//! Under READ COMMITTED, the default, reads take the engine one statement at a time, and the first change (or FOR
//! UPDATE, or LOCK TABLE) keeps it until the end. Under REPEATABLE READ and SERIALIZABLE the first statement keeps it.
//! BEGIN alone keeps nothing, so that an idle transaction holds up nobody. A transaction that is dropped is undone.

use tokio::sync::OwnedMutexGuard;

use super::engine::{Database, Engine, User};
use super::error::{SqlError, SqlResult};
use super::plan::Modes;

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    /// Each statement is a transaction.
    Idle,
    /// The statements of one message, or up to the next Sync, are one transaction.
    Implicit,
    /// Between BEGIN and COMMIT.
    Open,
    /// After an error in an open transaction.
    Failed,
}

/// The transaction of one session.
#[derive(Debug)]
pub(crate) struct Transaction {
    pub(crate) status: Status,
    lease: Option<OwnedMutexGuard<Engine>>,
    strict: bool,
    read_only: bool,
    savepoints: Vec<String>,
    /// When it began; `now()` stands still within it.
    pub(crate) now_micros: Option<i64>,
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(mut engine) = self.lease.take() {
            // An engine that cannot undo a transaction would refuse the next BEGIN, and say so to its user.
            let _ = engine.rollback();
        }
    }
}

impl Transaction {
    pub(crate) fn new() -> Self {
        Transaction {
            status: Status::Idle,
            lease: None,
            strict: false,
            read_only: false,
            savepoints: Vec::new(),
            now_micros: None,
        }
    }

    /// The engine, if this transaction has it.
    pub(crate) fn lease(&mut self) -> Option<&mut Engine> {
        self.lease.as_deref_mut()
    }

    /// Whether a change is forbidden.
    pub(crate) fn is_read_only(&self) -> bool {
        self.read_only
    }

    /// Whether a statement that takes the lease, or does not, needs it now.
    pub(crate) fn needs_lease(&self, takes_lease: bool) -> bool {
        self.status != Status::Idle && self.lease.is_none() && (takes_lease || self.strict)
    }

    /// Takes the engine until the end of the transaction.
    pub(crate) async fn take_lease(&mut self, database: &Database, user: &User) -> SqlResult<()> {
        let mut engine = database.engine().await?;
        engine.enter(user);
        engine.begin()?;
        // From here on the guard's owner undoes it, whatever happens.
        let engine = self.lease.insert(engine);
        self.savepoints
            .iter()
            .try_for_each(|name| engine.savepoint(name))
    }

    /// BEGIN, or what a message of several statements begins.
    pub(crate) fn begin(
        &mut self,
        status: Status,
        modes: Modes,
        strict_by_default: bool,
        now_micros: i64,
    ) {
        self.status = status;
        self.now_micros.get_or_insert(now_micros);
        self.strict = modes.strict().unwrap_or(strict_by_default);
        self.read_only = modes.read_only.unwrap_or(false);
    }

    /// SET TRANSACTION.
    pub(crate) fn set_modes(&mut self, modes: Modes) {
        self.strict = modes.strict().unwrap_or(self.strict);
        self.read_only = modes.read_only.unwrap_or(self.read_only);
    }

    /// Ends the transaction well; a failure to commit ends it too, undone.
    pub(crate) fn commit(&mut self, database: &Database) -> SqlResult<()> {
        let result = match self.lease.take() {
            None => Ok(()),
            Some(mut engine) => {
                let committed = engine.commit();
                match &committed {
                    Ok(()) => database.publish(&engine),
                    Err(_) => engine.rollback()?,
                }
                committed
            }
        };
        self.end();
        result
    }

    /// Ends the transaction as if it had never been.
    pub(crate) fn rollback(&mut self) -> SqlResult<()> {
        let result = self
            .lease
            .take()
            .map_or(Ok(()), |mut engine| engine.rollback());
        self.end();
        result
    }

    fn end(&mut self) {
        *self = Transaction::new();
    }

    /// Notes an error. Without a savepoint to go back to nothing can be saved, so the engine is given back at once.
    pub(crate) fn fail(&mut self) {
        if self.status == Status::Open {
            self.status = Status::Failed;
        }
        if self.status == Status::Failed
            && self.savepoints.is_empty()
            && let Some(mut engine) = self.lease.take()
        {
            // As in `drop`.
            let _ = engine.rollback();
        }
    }

    fn inside(&self, what: &str) -> SqlResult<()> {
        match self.status {
            Status::Open | Status::Failed => Ok(()),
            _ => Err(SqlError::new(
                "25P01",
                format!("{what} can only be used in transaction blocks"),
            )),
        }
    }

    fn position(&self, name: &str) -> SqlResult<usize> {
        let found = self.savepoints.iter().rposition(|known| known == name);
        found.ok_or_else(|| SqlError::new("3B001", format!("savepoint \"{name}\" does not exist")))
    }

    pub(crate) fn savepoint(&mut self, name: &str) -> SqlResult<()> {
        self.inside("SAVEPOINT")?;
        if let Some(engine) = self.lease.as_deref_mut() {
            engine.savepoint(name)?;
        }
        self.savepoints.push(name.to_owned());
        Ok(())
    }

    pub(crate) fn release(&mut self, name: &str) -> SqlResult<()> {
        self.inside("RELEASE SAVEPOINT")?;
        let at = self.position(name)?;
        if let Some(engine) = self.lease.as_deref_mut() {
            engine.release(name)?;
        }
        self.savepoints.truncate(at);
        Ok(())
    }

    /// Goes back to a savepoint, which also mends a transaction that has failed.
    pub(crate) fn rollback_to(&mut self, name: &str) -> SqlResult<()> {
        self.inside("ROLLBACK TO SAVEPOINT")?;
        let at = self.position(name)?;
        if let Some(engine) = self.lease.as_deref_mut() {
            engine.rollback_to(name)?;
        }
        self.savepoints.truncate(at + 1);
        self.status = Status::Open;
        Ok(())
    }
}
