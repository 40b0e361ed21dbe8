//! File workloads on a disk with wrong content: every operation reports it.
//!
//! A whole round runs in this process over real files whose content is wrong. The same round without that has no error.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use photofinish_harness::workload::Failure;
use photofinish_record::Measurement;
use photofinish_workloads::registry::workload;
use photofinish_workloads::worker::work;
use serde_json::{Value, json};

use crate::support::rounds::{measured, plan};

const OPERATIONS: u64 = 20;

/// Every operation succeeds on an intact disk, and none after `lie` has changed it.
#[track_caller]
fn check(name: &str, params: &Value, lie: &dyn Fn(&Path)) {
    for runtime in ["sync", "threads", "tokio", "smol"] {
        let directory = tempfile::tempdir().expect("a directory");
        let intact = round(name, params, runtime, directory.path());
        assert!(intact.errors.is_empty(), "{:?}", intact.errors);
        assert_eq!(intact.ops, OPERATIONS, "{name} under {runtime}");

        let directory = tempfile::tempdir().expect("a directory");
        lie(directory.path());
        let wrong = round(name, params, runtime, directory.path());
        let kinds: Vec<&String> = wrong.errors.keys().collect();
        assert_eq!(kinds, [Failure::WRONG_CONTENT], "{name} under {runtime}");
        assert_eq!(wrong.ops, 0, "{name} under {runtime}");
    }
}

#[test]
fn reads_notice_wrong_content() {
    let zeros = |directory: &Path| {
        fs::write(directory.join("known-65536.bin"), vec![0; 65536]).expect("written");
    };
    check("file-read", &json!({ "size": "64KiB" }), &zeros);
    let blocks = json!({ "file_size": "64KiB", "block": "4KiB" });
    check("file-random", &blocks, &zeros);
}

#[test]
fn a_lost_write_is_caught_when_read_back() {
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
