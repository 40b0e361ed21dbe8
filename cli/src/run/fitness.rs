//! Looking at the machine before anything is measured on it: what `doctor` shows and every record keeps.
//!
//! Which CPUs and which directory a run uses is known here; reading is the business of `harness::os`, judging that of
//! `harness::fitness`.

use std::path::Path;
use std::time::Duration;

use photofinish_harness::fitness;
use photofinish_harness::os::fitness::{Look, readings};
use photofinish_record::{Finding, Placement};

/// What is found about the CPUs of `placement` and the place for a run's files, after watching for `watch`.
pub fn examine(placement: &Placement, directory: &Path, watch: Duration) -> Vec<Finding> {
    let cpus = cpus(placement);
    fitness::findings(&readings(&Look {
        cpus: &cpus,
        directory,
        watch,
    }))
}

/// Every CPU that a run uses, each once, ascending.
fn cpus(placement: &Placement) -> Vec<usize> {
    let servers_and_worker = placement
        .server_cpus
        .iter()
        .chain(&placement.worker_cpus)
        .copied();
    let mut cpus: Vec<usize> = servers_and_worker.chain(placement.pacer_cpu).collect();
    cpus.sort_unstable();
    cpus.dedup();
    cpus
}

#[cfg(test)]
mod tests {
    use super::*;
    use photofinish_record::PlacementKind;

    #[test]
    fn cpus_that_server_and_worker_share_are_looked_at_once() {
        let placement = Placement {
            kind: PlacementKind::Shared,
            server_cpus: vec![2, 0],
            worker_cpus: vec![0, 2],
            pacer_cpu: Some(1),
        };
        assert_eq!(cpus(&placement), [0, 1, 2]);
    }
}
