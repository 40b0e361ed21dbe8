//! The search for the highest rate that meets an objective: the objective, every step, and the result.
//!
//! `reports` chooses the next rate from these steps; the measurements at a rate are in the rounds of its cell.

use serde::{Deserialize, Serialize};

/// The search for the highest rate that meets an objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Search {
    /// As given: `response_p99 < 10ms`.
    pub objective: String,
    /// Maximum distance of the lowest failing rate from the highest passing one, as a share of the latter.
    pub precision: f64,
    /// By scenario and runtime.
    pub results: Vec<SearchResult>,
}

/// The result of a search for one runtime. The curve is in the cells of the steps' rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SearchResult {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the runtime.
    pub runtime: String,
    /// Highest rate that met the objective; `None` if none did.
    pub highest_hz: Option<f64>,
    /// Lowest rate that did not; `None` if none was reached.
    pub lowest_failing_hz: Option<f64>,
    pub steps: Vec<SearchStep>,
    /// The reason why it ended without an answer, in one sentence; `None` if it has one.
    pub unfinished: Option<String>,
}

/// A rate measured until two rounds agreed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SearchStep {
    pub rate_hz: f64,
    /// True if the rate met the objective.
    pub met: bool,
    pub rounds: Vec<SearchRound>,
}

/// One round of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SearchRound {
    /// The objective's metric in this round, in its own unit; `None` if unknown.
    pub value: Option<f64>,
    /// True if the round met the objective.
    pub met: bool,
    /// The reason for not meeting it, other than the value: the rate was not held, operations failed.
    pub reason: Option<String>,
}
