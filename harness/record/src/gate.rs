//! What a gate asks: two arms to be told apart, and what of the second one must hold.
//!
//! A part of the plan, so that a record alone is enough to recompute the verdict. What terms mean, and when a number
//! decides one, is said in `reports`; how arms are started is the business of `cli`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Two arms to be told apart, and what of the second one must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Gate {
    /// What was there before.
    pub base: ArmSource,
    /// What is to take its place.
    pub head: ArmSource,
    /// The slowdown that does not matter yet, as a share: 0.02 is 2 %.
    pub floor: f64,
    /// What must hold; a gate without any holds for nothing.
    pub terms: Vec<GateTerm>,
    /// Whether the arms may answer with different content.
    #[serde(default)]
    pub content_may_differ: bool,
}

/// One of the two sides of a gate.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// What was there before.
    Base,
    /// What is to take its place.
    Head,
}

impl Arm {
    /// Its name: `base` or `head`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Head => "head",
        }
    }
}

/// What an arm consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ArmSource {
    /// What differs between the arms.
    pub kind: ArmKind,
    /// The command, the executable's path, or the record's place, as given, passwords removed.
    pub what: String,
    /// What it is exactly, where that can be told: `SHA-256 …` of an executable, `commit …` of a revision.
    pub identity: Option<String>,
}

/// What differs between the arms of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ArmKind {
    /// The server: a command, started anew for each round.
    Server,
    /// The worker: an executable with the user's own workloads.
    Executable,
    /// Nothing but the time: a record that was measured before.
    Record,
    /// What is measured now, beside a record.
    Now,
}

/// Something that must hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct GateTerm {
    /// The scenario it is about.
    pub scenario: String,
    /// The metric, with its unit: `response_p99_ns`; `errors` for the share of failed operations.
    pub metric: String,
    /// What must hold of it.
    pub requirement: Requirement,
    /// The same as it was written: `throughput = "5%"`.
    pub text: String,
    /// Where it was written; `None` of what came from the command line.
    pub place: Option<TextPlace>,
}

/// A line of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TextPlace {
    /// The file as it was named.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
}

/// What must hold of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Requirement {
    /// The head may be slower than the base by less than this.
    Slowdown {
        /// As a share: 0.1 is 10 %.
        limit: f64,
    },
    /// The head's own value is below this.
    Below {
        /// In the metric's unit.
        value: f64,
    },
    /// The head's own value is above this.
    Above {
        /// In the metric's unit.
        value: f64,
    },
    /// No greater share of the head's operations fails.
    Errors {
        /// As a share: 0 for none at all.
        most: f64,
    },
}
