//! The examination of the machine, shown by `doctor` and stored in every record; bad findings become warnings.
//!
//! `harness::os` reads the machine and `harness::fitness` judges it, for the CPUs and the directory of the run;
//! `reports::report` finds reasons for doubt in the rounds.

use std::path::Path;
use std::time::Duration;

use photofinish_harness::fitness;
use photofinish_harness::os::fitness::{Look, readings};
use photofinish_record::{Finding, FindingLevel, Placement};

/// The build profile of this program.
pub const PROFILE: &str = if cfg!(debug_assertions) {
    "debug"
} else {
    "release"
};

/// Findings about the CPUs of `placement` and the file system of `directory`, after observing them for `watch`.
pub fn examine(placement: &Placement, directory: &Path, watch: Duration) -> Vec<Finding> {
    fitness::findings(&readings(&Look {
        cpus: &placement.cpus(),
        directory,
        watch,
    }))
}

/// A sentence for each bad finding, with its remedy.
pub fn warnings(findings: &[Finding]) -> impl Iterator<Item = String> {
    let bad = findings
        .iter()
        .filter(|finding| finding.level == FindingLevel::Bad);
    bad.map(|finding| match &finding.remedy {
        Some(remedy) => format!("{}; {remedy}", finding.evidence),
        None => finding.evidence.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use photofinish_harness::fitness::{Readings, findings};

    #[test]
    fn a_bad_finding_causes_a_warning_with_its_remedy() {
        let of_build = |debug_build| {
            let readings = Readings {
                debug_build,
                ..Readings::default()
            };
            Vec::from_iter(warnings(&findings(&readings)))
        };
        assert_eq!(of_build(false), [""; 0]);
        let debug =
            "this is a debug build: its numbers mislead; build with `cargo build --release`";
        assert_eq!(of_build(true), [debug]);
    }
}
