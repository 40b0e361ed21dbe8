//! A session's transaction: its status, and when it is alone with the engine.
//!
//! Under READ COMMITTED, the default, a read takes the engine for one statement, and the first change (or FOR UPDATE, or
//! LOCK TABLE) keeps it until the end. Under REPEATABLE READ and SERIALIZABLE the first statement keeps it. BEGIN alone
//! keeps nothing, so an idle transaction holds up nobody. A transaction that is dropped is undone.

use tokio::sync::OwnedMutexGuard;

use super::database::{Database, Engine};
use super::error::{SqlError, SqlResult};
use super::names::quote;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Status {
    /// Each statement is a transaction.
    #[default]
    Idle,
    /// The statements of one message, or up to the next Sync, are a transaction.
    Implicit,
    /// Between BEGIN and COMMIT.
    Open,
    /// After an error in an open transaction.
    Failed,
}

/// What BEGIN and SET TRANSACTION may ask for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Modes {
    pub(crate) level: Option<&'static str>,
    pub(crate) is_read_only: Option<bool>,
}

#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) status: Status,
    lease: Option<OwnedMutexGuard<Engine>>,
    /// True if all its statements see one state.
    is_strict: bool,
    pub(crate) is_read_only: bool,
    savepoints: Vec<String>,
}

/// True for the levels under which all statements see one state.
pub(crate) fn is_strict(level: &str) -> bool {
    matches!(level, "repeatable read" | "serializable")
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(mut engine) = self.lease.take() {
            // An engine that cannot undo a transaction refuses the next BEGIN, whose session is told.
            let _ = engine.rollback();
        }
    }
}

impl Transaction {
    /// The engine, if this transaction has it.
    pub(crate) fn leased(&mut self) -> Option<&mut Engine> {
        self.lease.as_deref_mut()
    }

    /// Takes the engine until the end of the transaction, if a statement that may need it does.
    pub(crate) async fn lease_for(
        &mut self,
        database: &Database,
        takes_lease: bool,
    ) -> SqlResult<()> {
        if self.status == Status::Idle || self.lease.is_some() || !(takes_lease || self.is_strict) {
            return Ok(());
        }
        let engine = self.lease.insert(database.lease().await?);
        engine.execute("BEGIN")?;
        self.savepoints
            .iter()
            .try_for_each(|name| engine.execute(&format!("SAVEPOINT {}", quote(name))))
    }

    pub(crate) fn begin(&mut self, status: Status, modes: Modes, default_level: &str) {
        self.status = status;
        self.is_strict = is_strict(default_level);
        self.set_modes(modes);
    }

    pub(crate) fn set_modes(&mut self, modes: Modes) {
        self.is_strict = modes.level.map_or(self.is_strict, is_strict);
        self.is_read_only = modes.is_read_only.unwrap_or(self.is_read_only);
    }

    /// Ends the transaction; a failure to commit undoes it.
    pub(crate) fn commit(&mut self) -> SqlResult<()> {
        let Some(engine) = self.lease.as_deref_mut() else {
            *self = Transaction::default();
            return Ok(());
        };
        let result = engine.execute("COMMIT");
        if result.is_ok() {
            self.lease = None;
        }
        // What is left of the lease is undone as it is dropped.
        *self = Transaction::default();
        result
    }

    /// Undoes the transaction and ends it.
    pub(crate) fn rollback(&mut self) {
        *self = Transaction::default();
    }

    /// Marks an open transaction as failed. Without a savepoint to go back to nothing can be saved, so the engine is given
    /// back at once.
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

    fn check_open(&self, command: &str) -> SqlResult<()> {
        match self.status {
            Status::Open | Status::Failed => Ok(()),
            _ => Err(SqlError::new(
                "25P01",
                format!("{command} can only be used in transaction blocks"),
            )),
        }
    }

    fn position(&self, name: &str) -> SqlResult<usize> {
        let found = self.savepoints.iter().rposition(|known| known == name);
        found.ok_or_else(|| SqlError::new("3B001", format!("savepoint \"{name}\" does not exist")))
    }

    fn execute(&mut self, command: &str, name: &str) -> SqlResult<()> {
        match self.lease.as_deref_mut() {
            Some(engine) => engine.execute(&format!("{command} {}", quote(name))),
            None => Ok(()),
        }
    }

    pub(crate) fn savepoint(&mut self, name: &str) -> SqlResult<()> {
        self.check_open("SAVEPOINT")?;
        self.execute("SAVEPOINT", name)?;
        self.savepoints.push(name.to_owned());
        Ok(())
    }

    pub(crate) fn release(&mut self, name: &str) -> SqlResult<()> {
        self.check_open("RELEASE SAVEPOINT")?;
        let at = self.position(name)?;
        self.execute("RELEASE", name)?;
        self.savepoints.truncate(at);
        Ok(())
    }

    /// Goes back to a savepoint, after which the transaction is no longer failed.
    pub(crate) fn rollback_to(&mut self, name: &str) -> SqlResult<()> {
        self.check_open("ROLLBACK TO SAVEPOINT")?;
        let at = self.position(name)?;
        self.execute("ROLLBACK TO", name)?;
        if let Some(engine) = self.leased() {
            engine.definitions_changed();
        }
        self.savepoints.truncate(at + 1);
        self.status = Status::Open;
        Ok(())
    }
}
