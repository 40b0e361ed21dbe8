//! What was found where the machine was looked at: whether it is fit to measure on, and in which respect not.
//!
//! The checks that find it are in `fitness.rs`; what they read off the machine is behind `os.rs`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What one look at the machine found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What was looked at: `governor`, `clock-source`, `open-files`.
    pub check: String,
    /// How it is.
    pub level: FindingLevel,
    /// What was seen, in one sentence with numbers.
    pub evidence: String,
    /// What to do about it, where there is something.
    pub remedy: Option<String>,
}

/// True if a measurement is worth making: no finding says that numbers would mislead.
pub fn is_fit(findings: &[Finding]) -> bool {
    findings
        .iter()
        .all(|finding| finding.level != FindingLevel::Bad)
}

/// How fit a machine is in one respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FindingLevel {
    /// As it should be.
    Good,
    /// Numbers will be noisier or lower than they could be.
    Caution,
    /// Numbers would mislead.
    Bad,
    /// It cannot be known here.
    Unknown,
}
