//! The search for the highest rate that meets an objective: what was asked, every step, and what was found.
//!
//! Which rate comes next is decided in `reports`, from these steps; what was measured at a rate is in the rounds of its
//! cell.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The search for the highest rate that meets an objective.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Search {
    /// The objective as asked for: `response_p99 < 10ms`.
    pub objective: String,
    /// How close the lowest rate that failed must come to the highest that held, as a share of it.
    pub precision: f64,
    /// What came of it, by scenario and runtime.
    pub results: Vec<SearchResult>,
}

/// What a search found for one runtime. The curve is in the cells of the steps' rates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchResult {
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the runtime.
    pub runtime: String,
    /// The highest rate that met the objective, in Hz; `None` where none did.
    pub highest_hz: Option<f64>,
    /// The lowest rate that did not; `None` where none was reached.
    pub lowest_failing_hz: Option<f64>,
    /// Every step, in order.
    pub steps: Vec<SearchStep>,
    /// Why it ended without an answer, in one sentence; `None` where it has one.
    pub unfinished: Option<String>,
}

/// A rate that was tried until two rounds agreed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchStep {
    /// The rate, in Hz.
    pub rate_hz: f64,
    /// Whether it met the objective.
    pub met: bool,
    /// What each of its rounds said.
    pub rounds: Vec<SearchRound>,
}

/// One round of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SearchRound {
    /// The objective's metric in this round, in its own unit; `None` where it could not be known.
    pub value: Option<f64>,
    /// Whether the round met the objective.
    pub met: bool,
    /// Why not, where it is not for the value: the rate was not held, operations failed.
    pub reason: Option<String>,
}
