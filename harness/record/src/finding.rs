//! Findings about the machine's fitness for measuring.
//!
//! The harness makes them in `fitness.rs`, from facts that it reads through `os.rs`.

use serde::{Deserialize, Serialize};

/// The result of one check of the machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// Name of the check: `governor`, `clock-source`, `open-files`.
    pub check: String,
    pub level: FindingLevel,
    /// One sentence with numbers.
    pub evidence: String,
    /// Remedy, if there is one.
    pub remedy: Option<String>,
}

/// True if a measurement is worth making: no finding says that numbers would mislead.
pub fn is_fit(findings: &[Finding]) -> bool {
    findings
        .iter()
        .all(|finding| finding.level != FindingLevel::Bad)
}

/// Fitness of the machine in one respect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FindingLevel {
    /// As it should be.
    Good,
    /// Numbers will be noisier or lower than they could be.
    Caution,
    /// Numbers would mislead.
    Bad,
    /// Cannot be determined on this system.
    Unknown,
}
