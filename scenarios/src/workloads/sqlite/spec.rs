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

/// The database, and the way to it.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqliteSpec {
    /// A database of your own, relative to the scenario file. By default, each round has a new one, removed after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub file: Option<String>,
    /// The thread on which a session calls the library.
    pub access: Access,
    /// Journal of the database. That of a file of your own is not changed, and is the default for it.
    pub journal: Journal,
    /// Waiting for the device.
    pub synchronous: Synchronous,
    /// Time for which the library waits for a lock, blocking its thread, before a statement is `busy`. By default `5s`.
    pub busy_timeout: Time,
    /// The kind of transaction that BEGIN starts. `immediate` (the default) takes the write lock at once.
    pub begin: Begin,
    /// Maximum number of times that a transaction is tried, 1 by default: again when the database was busy.
    pub tries: NonZeroU32,
    /// Statements, or a file of them, that run before each round: they fill its database.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Statements")]
    pub setup: Option<Statements>,
    /// Statements, or a file of them, that run after a round that succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Statements")]
    pub teardown: Option<Statements>,
    /// A query that returns no row if what must hold after a round does hold: sums that agree.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub check: Option<String>,
    /// SHA-256 of these files, in hexadecimal. Read from the files, and compared with them if given.
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

/// The thread on which a session calls the library. A call is a whole transaction.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Access {
    /// A thread that the runtime keeps for blocking work; under blocking runtimes, the session's own.
    #[default]
    Offload,
    /// The session's own thread, which serves no other session meanwhile.
    Inline,
    /// A thread for each connection, which gets its calls through a channel.
    Dedicated,
}

/// Journals.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Journal {
    /// A write-ahead log: readers and one writer at the same time.
    #[default]
    Wal,
    /// A rollback journal, deleted at the end of a transaction.
    Delete,
    /// A rollback journal, truncated at the end of a transaction.
    Truncate,
}

/// Waiting for the device.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Synchronous {
    /// Never.
    Off,
    /// With the journal `wal` at checkpoints only: a loss of power may undo the last transactions.
    Normal,
    /// At every commit, as is SQLite's default.
    #[default]
    Full,
    /// Also for the directory.
    Extra,
}

/// Kinds of transactions.
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
