//! The parameters of the workload as they are written in a scenario file.
//!
//! The doc comments are the format's documentation: `photofinish schema scenario` prints them.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Settings of all transactions.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct SqlSpec {
    /// The way statements are sent.
    pub protocol: Protocol,
    /// Maximum number of times that a transaction is tried, 1 by default: again after a serialization failure (40001) or a
    /// deadlock (40P01).
    pub tries: NonZeroU32,
    /// Statements, or a file of them, that fill each round's own schema. Without them, the transactions use the tables of
    /// the connection's own schemas, and change them.
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

impl Default for SqlSpec {
    fn default() -> Self {
        Self {
            protocol: Protocol::default(),
            tries: NonZeroU32::MIN,
            setup: None,
            teardown: None,
            check: None,
            sha256: BTreeMap::new(),
        }
    }
}

/// Unmeasured statements.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(untagged, expecting = "the name of a file, or a list of statements")]
pub enum Statements {
    /// A file, relative to the scenario file.
    File(String),
    /// Statements in order, one per string.
    List(Vec<String>),
}

/// The way statements are sent, as in `pgbench -M`.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// As text, with the values in it, quoted.
    Simple,
    /// Parsed each time, with the values apart from it.
    Extended,
    /// Parsed once for each connection.
    #[default]
    Prepared,
}

/// A transaction of a mix.
#[derive(Clone, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionSpec {
    /// Its name in tables and limits. By default `transaction`, with a number appended from the second on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    pub name: Option<String>,
    /// Its share of the mix, relative to the other weights; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u32")]
    pub weight: Option<u32>,
    /// Its statements, in order; `:name` is a value, `:user.email` a column of a feed.
    #[schemars(length(min = 1))]
    pub statements: Vec<String>,
    /// True to send all statements at once; the server makes one transaction of them. By default false: each statement
    /// waits for the result of the last one.
    #[serde(default)]
    pub pipeline: bool,
    /// True (the default): several statements stand between BEGIN and COMMIT, unless one of them controls the transaction
    /// itself. False: each is a transaction of its own.
    #[serde(default = "yes")]
    pub transaction: bool,
    /// The expected results.
    #[serde(default, skip_serializing_if = "ExpectSpec::is_empty")]
    pub expect: ExpectSpec,
}

impl TransactionSpec {
    /// `SELECT 1`.
    pub(super) fn select_one() -> Self {
        Self {
            name: None,
            weight: None,
            statements: vec!["SELECT 1".to_owned()],
            pipeline: false,
            transaction: true,
            expect: ExpectSpec { rows: vec![1] },
        }
    }
}

fn yes() -> bool {
    true
}

/// The expected results of a transaction's statements.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExpectSpec {
    /// The number of rows that each statement returns or changes, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rows: Vec<u64>,
}

impl ExpectSpec {
    fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}
