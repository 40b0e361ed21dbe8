//! A session's transaction: its status, and when it is alone with the engine.
//!
//! Under READ COMMITTED, the default, a read takes the engine for one statement, and the first change (or FOR UPDATE, or
//! SAVEPOINT) keeps it until the end. Under REPEATABLE READ and SERIALIZABLE the first statement keeps it. BEGIN alone
//! keeps nothing, so an idle transaction holds up nobody. A transaction that is dropped is undone.

use tokio::sync::OwnedMutexGuard;

use super::database::{Database, Engine};
use super::error::SqlResult;

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

#[derive(Debug, Default)]
pub(crate) struct Transaction {
    pub(crate) status: Status,
    /// True if all its statements see one state.
    pub(crate) is_strict: bool,
    pub(crate) is_read_only: bool,
    lease: Option<OwnedMutexGuard<Engine>>,
}

impl Drop for Transaction {
    fn drop(&mut self) {
        if let Some(engine) = &self.lease {
            engine.definitions_changed();
            // SQLite may have undone it after an error; an engine that cannot refuses the next BEGIN.
            let _ = engine.execute("ROLLBACK");
        }
    }
}

impl Transaction {
    /// The engine, if this transaction has it.
    pub(crate) fn leased(&self) -> Option<&Engine> {
        self.lease.as_deref()
    }

    /// Takes the engine until the end of the transaction, if a statement needs that.
    pub(crate) async fn lease_for(
        &mut self,
        database: &Database,
        takes_lease: bool,
    ) -> SqlResult<()> {
        let is_wanted = takes_lease || self.is_strict;
        if self.status != Status::Idle && self.lease.is_none() && is_wanted {
            let engine = database.lease().await?;
            engine.execute("BEGIN")?;
            self.lease = Some(engine);
        }
        Ok(())
    }

    /// Ends the transaction; a failure to commit undoes it.
    pub(crate) fn commit(&mut self) -> SqlResult<()> {
        let result = self
            .leased()
            .map_or(Ok(()), |engine| engine.execute("COMMIT"));
        if result.is_ok() {
            self.lease = None;
        }
        self.rollback();
        result
    }

    /// Undoes the transaction and ends it.
    pub(crate) fn rollback(&mut self) {
        *self = Transaction::default();
    }
}
