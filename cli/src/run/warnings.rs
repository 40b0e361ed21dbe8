//! Warnings about the tool and the machine: the bad findings, in sentences printed before the run and kept in the record.
//!
//! Less severe findings are only in the record and on the page; `reports::checks` finds reasons for doubt in the
//! rounds.

use photofinish_record::{Finding, FindingLevel};

/// The build profile of this program.
pub const PROFILE: &str = if cfg!(debug_assertions) {
    "debug"
} else {
    "release"
};

/// A sentence for each bad finding, with its remedy.
pub fn of(findings: &[Finding]) -> Vec<String> {
    let bad = findings
        .iter()
        .filter(|finding| finding.level == FindingLevel::Bad);
    bad.map(|finding| match &finding.remedy {
        Some(remedy) => format!("{}; {remedy}", finding.evidence),
        None => finding.evidence.clone(),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use photofinish_harness::fitness::{Background, Readings, findings};

    #[test]
    fn a_debug_build_and_a_busy_machine_cause_warnings_and_an_idle_one_does_not() {
        let warnings = |debug_build, busy_share| {
            let background = Background {
                busy_share: Some(busy_share),
                ..Background::default()
            };
            of(&findings(&Readings {
                debug_build,
                background,
                ..Readings::default()
            }))
        };
        assert_eq!(warnings(false, 0.02), [""; 0]);
        assert_eq!(
            warnings(true, 0.02),
            ["this is a debug build: its numbers mislead; build with `cargo build --release`"]
        );
        assert!(
            warnings(false, 0.34)
                .iter()
                .any(|warning| warning.contains("34%"))
        );
    }
}
