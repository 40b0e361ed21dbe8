//! The section `[sqlite]` of a scenario file.
//!
//! The doc comments are the format's documentation: `photofinish schema scenario` prints them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Time;
use crate::workloads::sql::Statements;

/// The database, and how sessions call it.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqliteSpec {
    /// Your own database, relative to the scenario file. By default, each round creates a database and removes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub file: Option<String>,
    /// Thread on which a session calls the library.
    pub access: Access,
    /// Journal mode of the database. That of your own file is kept, and is its default.
    pub journal: Journal,
    /// Waits for the storage device.
    pub synchronous: Synchronous,
    /// Time that the library waits for a lock, blocking its thread, before a statement fails as `busy`; `5s` by default.
    pub busy_timeout: Time,
    /// Kind of transaction that BEGIN starts. `immediate` (the default) takes the write lock at once.
    pub begin: Begin,
    /// Maximum number of tries of a transaction, 1 by default: it is retried if the database is busy.
    pub tries: NonZeroU32,
    /// Statements, or a file of them, that fill the database before each round.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Statements")]
    pub setup: Option<Statements>,
    /// Statements, or a file of them, that run after a round that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Statements")]
    pub teardown: Option<Statements>,
    /// A query that must return no rows after a round, such as a comparison of sums.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub check: Option<String>,
    /// SHA-256 of these files, in hexadecimal. Computed from the files, or compared with them if given.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub sha256: BTreeMap<String, String>,
}

impl Default for SqliteSpec {
    fn default() -> Self {
        Self {
            file: None,
            access: Access::default(),
            journal: Journal::default(),
            synchronous: Synchronous::default(),
            busy_timeout: Time(Duration::from_secs(5)),
            begin: Begin::default(),
            tries: NonZeroU32::MIN,
            setup: None,
            teardown: None,
            check: None,
            sha256: BTreeMap::new(),
        }
    }
}

/// Thread on which a session calls the library. One call is a whole transaction.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// A thread that the runtime keeps for blocking work; under blocking runtimes, the session's own thread.
    #[default]
    Offload,
    /// The session's own thread, which blocks: no other session on it can run.
    Inline,
    /// A thread per connection, which receives calls through a channel.
    Dedicated,
}

/// Journal modes.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Journal {
    /// A write-ahead log: readers do not block the writer.
    #[default]
    Wal,
    /// A rollback journal, deleted at the end of a transaction.
    Delete,
    /// A rollback journal, truncated at the end of a transaction.
    Truncate,
}

/// Waits for the storage device.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Synchronous {
    /// Never.
    Off,
    /// With the journal `wal`, only at checkpoints: a loss of power may undo the last transactions.
    Normal,
    /// At every commit: SQLite's default.
    #[default]
    Full,
    /// At every commit, and also for the directory.
    Extra,
}

/// Kinds of BEGIN.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Begin {
    /// Takes a lock when a statement needs it.
    Deferred,
    /// Takes the write lock.
    #[default]
    Immediate,
    /// Also keeps readers out, unless the journal is `wal`.
    Exclusive,
}

impl Begin {
    pub(super) fn sql(self) -> &'static str {
        match self {
            Self::Deferred => "BEGIN",
            Self::Immediate => "BEGIN IMMEDIATE",
            Self::Exclusive => "BEGIN EXCLUSIVE",
        }
    }
}

impl Journal {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Wal => "wal",
            Self::Delete => "delete",
            Self::Truncate => "truncate",
        }
    }
}

impl Synchronous {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Normal => "normal",
            Self::Full => "full",
            Self::Extra => "extra",
        }
    }
}
