//! Whole rounds in the process of a test: plan and measurement.
//!
//! One session, so that operations have an order; tests change the rest with `..plan(…)`.

use std::num::{NonZeroU32, NonZeroU64};
use std::path::Path;
use std::time::Duration;

use photofinish_record::Measurement;
use photofinish_record::load::{Load, Stop};
use photofinish_record::protocol::{WORKER_PROTOCOL, WorkerPlan, WorkerResult};
use photofinish_workloads::registry::WorkloadEntry;
use serde_json::Value;

/// The plan of a round with one warm-up operation, without targets.
pub(crate) fn plan(
    entry: &WorkloadEntry,
    params: &Value,
    unit: Duration,
    runtime: &str,
    operations: u64,
    work_dir: &Path,
) -> WorkerPlan {
    WorkerPlan {
        protocol: WORKER_PROTOCOL,
        workload: entry.about.name.to_owned(),
        params: (entry.check)(params, unit).expect("sound").params,
        unit_ns: u64::try_from(unit.as_nanos()).expect("short"),
        runtime: runtime.to_owned(),
        cpus: Vec::new(),
        worker_threads: 2,
        load: Load::Closed {
            concurrency: NonZeroU32::MIN,
        },
        warmup: Stop::Ops(NonZeroU64::MIN),
        stop: Stop::Ops(NonZeroU64::new(operations).expect("some")),
        stages: Vec::new(),
        pacer_cpu: None,
        piped: None,
        lag_probe: false,
        audit: false,
        seed: 1,
        targets: [].into(),
        work_dir: work_dir.to_owned(),
        directory: work_dir.to_owned(),
        run: "a-run".to_owned(),
        round: 1,
        shard: None,
    }
}

/// The measurement of a round, which has to complete.
#[track_caller]
pub(crate) fn measured(plan: &WorkerPlan, result: WorkerResult) -> Measurement {
    match result {
        WorkerResult::Ok { measurement, .. } => *measurement,
        other => panic!("{} under {}: {other:?}", plan.workload, plan.runtime),
    }
}
