//! A gate: two arms to compare, and the requirements on the second.
//!
//! Part of the plan, so that a record alone suffices to recompute the verdict. `reports` decides the requirements; `cli`
//! starts the arms.

use serde::{Deserialize, Serialize};

/// Two arms to compare, and the requirements on the second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Gate {
    pub base: ArmSource,
    pub head: ArmSource,
    /// Largest slowdown that does not matter, as a share: 0.02 is 2 %.
    #[serde(alias = "floor")]
    pub tolerance: f64,
    /// The requirements; a gate without any guarantees nothing.
    pub terms: Vec<GateTerm>,
    /// True if the arms may respond with different content.
    #[serde(default)]
    pub content_may_differ: bool,
}

/// A side of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// The current version.
    Base,
    /// The proposed version.
    Head,
}

impl Arm {
    /// `base` or `head`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Head => "head",
        }
    }
}

/// The program or record behind an arm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ArmSource {
    pub kind: ArmKind,
    /// The command, or the path of the executable or record, as given, passwords removed.
    pub what: String,
    /// Its exact identity, if known: `SHA-256 …` of an executable, `commit …` of a revision.
    pub identity: Option<String>,
    /// SHA-256 of the program that ran, or of the script of an interpreter, in hexadecimal; `None` if it is not a file.
    #[serde(default)]
    pub sha256: Option<String>,
}

/// The kind of difference between the arms of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ArmKind {
    /// The server: a command, started anew for each round.
    Server,
    /// The worker: an executable with the user's own workloads.
    Executable,
    /// Time only: a record measured earlier.
    Record,
    /// The present measurement, compared with a record.
    Now,
}

/// A requirement on one metric of one scenario.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct GateTerm {
    pub scenario: String,
    /// The metric, with its unit: `response_p99_ns`; `errors` for the share of failed operations.
    pub metric: String,
    pub requirement: Requirement,
    /// The requirement as written: `throughput = "5%"`.
    pub text: String,
    /// Its source; `None` if it came from the command line.
    pub place: Option<SourceLocation>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct SourceLocation {
    /// As named by the user.
    pub file: String,
    /// Counted from 1.
    pub line: u32,
}

/// A requirement on a metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Requirement {
    /// The head is slower than the base by less than `limit`.
    Slowdown {
        /// As a share: 0.1 is 10 %.
        limit: f64,
    },
    /// The value of the head, or of the run, is below `value`.
    Below {
        /// In the metric's unit; a share of operations for `errors`.
        value: f64,
    },
    /// The value of the head, or of the run, is above `value`.
    Above {
        /// In the metric's unit.
        value: f64,
    },
    /// At most this share of the head's operations, or of the run's, fails.
    Errors {
        /// As a share: 0 allows no failure.
        most: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_margin_is_read_under_its_former_name() {
        let arm = r#"{"kind": "server", "what": "server", "identity": null}"#;
        let text = format!(r#"{{"base": {arm}, "head": {arm}, "floor": 0.02, "terms": []}}"#);
        let gate: Gate = serde_json::from_str(&text).expect("a gate of an older record");
        assert_eq!(gate.tolerance, 0.02);
    }
}
