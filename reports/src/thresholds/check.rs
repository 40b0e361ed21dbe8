//! A threshold judged in a cell, as data.

use photofinish_record::load::Load;
use photofinish_record::{Requirement, SourceLocation};
use serde::{Deserialize, Serialize};

/// A threshold in a cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ThresholdCheck {
    pub scenario: String,
    pub runtime: String,
    pub load: Load,
    /// Name of the part of the operation, such as a request; `null` of the whole operation.
    pub part: Option<String>,
    /// The metric, with its unit; `errors`, `retries` and `reconnects` are shares of operations.
    pub metric: String,
    /// The metric's unit; empty of a share.
    pub unit: String,
    pub requirement: Requirement,
    /// The threshold as it was written.
    pub text: String,
    /// The line it was written on; `null` if it came from the command line.
    pub place: Option<SourceLocation>,
    pub verdict: ThresholdVerdict,
    /// The reason why it cannot be judged, in one sentence.
    pub reason: Option<String>,
    /// The median over rounds, in the metric's unit; `null` if no round has a value.
    pub value: Option<f64>,
    /// The median's interval; `null` with fewer than five rounds.
    pub interval: Option<ValueInterval>,
    /// Rounds whose own value meets the threshold.
    pub rounds_met: usize,
    /// Rounds whose own value misses it.
    pub rounds_missed: usize,
    /// Rounds planned, or measured up to the look at which the run ended.
    pub rounds: usize,
}

/// The verdict on a threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdVerdict {
    Missed,
    CannotTell,
    Met,
}

impl ThresholdVerdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::Missed => "missed",
            Self::CannotTell => "cannot tell",
            Self::Met => "met",
        }
    }
}

/// The exact interval of a median.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ValueInterval {
    pub low: f64,
    pub high: f64,
    /// Its confidence, 0..=1: 0.9375 for five rounds, 0.95 or more for six and above.
    pub confidence: f64,
}
