//! The workload `sqlite`: statements that SQLite reads otherwise than they were compiled, by the rules of PostgreSQL.

use std::time::Duration;

use photofinish_record::protocol::WorkerResult;
use photofinish_workloads::registry::workload;
use photofinish_workloads::worker::work;
use serde_json::json;

use crate::support::rounds::plan;

#[test]
fn a_parameter_without_a_value_is_refused_before_anything_is_measured() {
    let directory = tempfile::tempdir().expect("a directory");
    for statement in ["SELECT ?", "SELECT @op", "SELECT /* a /* b */ :op"] {
        let params = json!({ "transaction": [{ "statements": [statement] }] });
        let entry = workload("sqlite").expect("it ships");
        let unit = Duration::from_millis(1);
        let plan = plan(entry, &params, unit, "sync", 3, directory.path());
        match work(&plan).result {
            WorkerResult::Failed { reason, hint, .. } => {
                let expected = "expected 0 parameters, got 1 in SQLite";
                assert!(reason.contains(expected), "{statement}: {reason}");
                assert!(hint.is_some_and(|hint| hint.contains("`:name`")));
            }
            other => panic!("{statement}: {other:?}"),
        }
    }
}
