//! Thresholds: absolute limits on the metrics of a run, each judged in every cell of its scenario.
//!
//! Part of the plan, so that a record alone suffices to judge them again. `reports` interprets and judges them.

use serde::{Deserialize, Serialize};

use crate::gate::{Requirement, SourceLocation};

/// A limit on one metric of one scenario, or of a part of its operations.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Threshold {
    pub scenario: String,
    /// Name of the part, such as a request; `None` for the whole operation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<String>,
    /// The metric, with its unit: `response_p99_ns`; `errors`, `retries` and `reconnects` are shares of operations.
    pub metric: String,
    /// Never a slowdown, which needs two arms.
    pub requirement: Requirement,
    /// The limit as written: `response_p99 = "< 50ms"`.
    pub text: String,
    /// Its source; `None` if it came from the command line.
    pub place: Option<SourceLocation>,
}
