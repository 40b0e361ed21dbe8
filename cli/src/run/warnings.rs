//! What a reader must know about the tool and the machine before believing a number.
//!
//! What was found bad about the machine, in sentences that are printed before the run and kept in the record; lesser
//! findings are in the record and on the page only. What the rounds themselves say against believing them is found by
//! `reports::checks`.

use photofinish_record::{Finding, FindingLevel};

/// How the tool was built.
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
    use photofinish_harness::fitness::{Readings, Watched, findings};

    #[test]
    fn a_debug_build_and_a_busy_machine_are_told_and_a_quiet_one_is_not() {
        let told = |debug_build, busy_share| {
            let watched = Watched {
                busy_share: Some(busy_share),
                ..Watched::default()
            };
            of(&findings(&Readings {
                debug_build,
                watched,
                ..Readings::default()
            }))
        };
        assert_eq!(told(false, 0.02), [""; 0]);
        assert_eq!(
            told(true, 0.02),
            ["this is a debug build: its numbers mislead; build with `cargo build --release`"]
        );
        assert!(told(false, 0.34).iter().any(|told| told.contains("34%")));
    }
}
