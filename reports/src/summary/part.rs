//! A part in numbers: one named request, transaction or statement of a cell's operations.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::MetricSummary;

/// A named part of a cell's operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PartSummary {
    pub name: String,
    /// Number of times that it ended, over all rounds.
    pub count: u64,
    /// Number of failures among them.
    pub failed: u64,
    /// Its share of all completed parts of the cell, 0..=1; 0 if there are none.
    pub share: f64,
    /// Answers by status, over all rounds.
    pub statuses: BTreeMap<String, u64>,
    /// Failures by kind, over all rounds.
    pub errors_by_kind: BTreeMap<String, u64>,
    /// Numbers over rounds, by metric; units close the names. Its throughput is that of successes over the whole phase. Of
    /// an `invalid` cell only counts remain.
    pub metrics: BTreeMap<String, MetricSummary>,
}

impl PartSummary {
    /// A metric by name; `None` if unknown.
    pub fn metric(&self, name: &str) -> Option<&MetricSummary> {
        self.metrics.get(name)
    }
}
