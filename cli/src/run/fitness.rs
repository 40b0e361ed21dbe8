//! The examination of the machine, shown by `doctor` and stored in every record.
//!
//! `harness::os` reads the machine and `harness::fitness` judges it, for the CPUs and the directory of the run.

use std::path::Path;
use std::time::Duration;

use photofinish_harness::fitness;
use photofinish_harness::os::fitness::{Look, readings};
use photofinish_record::{Finding, Placement};

/// Findings about the CPUs of `placement` and the file system of `directory`, after observing them for `watch`.
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
    fn cpus_that_server_and_worker_share_are_examined_once() {
        let placement = Placement {
            kind: PlacementKind::Shared,
            server_cpus: vec![2, 0],
            worker_cpus: vec![0, 2],
            pacer_cpu: Some(1),
        };
        assert_eq!(cpus(&placement), [0, 1, 2]);
    }
}
