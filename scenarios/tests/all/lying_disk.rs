//! File workloads on a disk that lies: what is read is not what was written there, and every operation says so.
//!
//! A whole round runs in this process, over real files, which hold something else than the workload trusts to find. The
//! same files untouched give no error at all.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use photofinish_harness::workload::Failure;
use photofinish_record::Measurement;
use photofinish_scenarios::registry::workload;
use photofinish_scenarios::worker::work;
use serde_json::{Value, json};

use crate::support::rounds::{measured, plan};

const OPERATIONS: u64 = 20;

/// Every operation of a workload succeeds on an honest disk, and none where `lie` has been at work.
#[track_caller]
fn check(name: &str, params: &Value, lie: &dyn Fn(&Path)) {
    for runtime in ["sync", "threads", "tokio", "smol"] {
        let honest = tempfile::tempdir().expect("a directory");
        let round_there = round(name, params, runtime, honest.path());
        assert!(round_there.errors.is_empty(), "{:?}", round_there.errors);
        assert_eq!(round_there.ops, OPERATIONS, "{name} under {runtime}");

        let lying = tempfile::tempdir().expect("a directory");
        lie(lying.path());
        let lied_to = round(name, params, runtime, lying.path());
        let kinds: Vec<&String> = lied_to.errors.keys().collect();
        assert_eq!(kinds, [Failure::WRONG_CONTENT], "{name} under {runtime}");
        assert_eq!(lied_to.ops, 0, "{name} under {runtime}");
    }
}

#[test]
fn a_file_with_other_content_is_told_by_those_that_read_it() {
    let zeros = |directory: &Path| {
        fs::write(directory.join("known-65536.bin"), vec![0; 65536]).expect("written");
    };
    check("file-read", &json!({ "size": "64KiB" }), &zeros);
    let blocks = json!({ "file_size": "64KiB", "block": "4KiB" });
    check("file-random", &blocks, &zeros);
}

#[test]
fn a_write_that_goes_nowhere_is_told_by_what_is_read_back() {
    let into_nothing = |directory: &Path| {
        symlink("/dev/null", directory.join("written-0.bin")).expect("linked");
    };
    check("file-write", &json!({ "sync": false }), &into_nothing);
}

fn round(name: &str, params: &Value, runtime: &str, directory: &Path) -> Measurement {
    let entry = workload(name).expect("it ships");
    let unit = Duration::from_millis(1);
    let plan = plan(entry, params, unit, runtime, OPERATIONS, directory);
    measured(&plan, work(&plan).result)
}
