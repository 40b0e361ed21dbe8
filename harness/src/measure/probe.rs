//! The lag probe: a part that runs alongside any workload and measures how late the runtime schedules it.
//!
//! It asks to run every millisecond, at due times fixed in advance, so that a stall of the event loop shows up in one
//! sample per millisecond of its length. It waits with the runtime's own timer and is spawned the runtime's usual way:
//! it experiences the same delays as any other part. `sync` cannot run it alongside the workload.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::observed::Observed;
use crate::runtime::{BoxFuture, Capability, Runtime, Task};
use crate::runtimes::descriptor;
use photofinish_record::nanoseconds;
use photofinish_record::protocol::WorkerPlan;

/// Interval between due times.
const PERIOD: Duration = Duration::from_millis(1);

/// The name of its histogram.
pub const PROBE_LAG: &str = "probe_lag";

/// A running probe.
pub(super) struct Probe<T> {
    task: T,
    stop: Arc<AtomicBool>,
}

/// Starts the probe, if the plan has one and the runtime can run two parts at a time.
pub(super) fn start<R: Runtime>(
    runtime: &R,
    observed: &Observed,
    plan: &WorkerPlan,
) -> Option<Probe<R::Task<()>>> {
    let concurrent = descriptor(&plan.runtime)
        .is_some_and(|runtime| runtime.refusal(&[Capability::Concurrency]).is_none());
    if !plan.lag_probe || !concurrent {
        return None;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let watching = watch(runtime.clone(), observed.clone(), Arc::clone(&stop));
    // The same type as parts of workloads, so that the executor's task is compiled once for both.
    let watching: BoxFuture<'static, ()> = Box::pin(watching);
    let task = runtime.spawn(watching);
    Some(Probe { task, stop })
}

async fn watch<R: Runtime>(runtime: R, observed: Observed, stop: Arc<AtomicBool>) {
    let mut due = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        due += PERIOD;
        runtime.sleep_until(due).await;
        let lag = Instant::now().saturating_duration_since(due);
        observed.time_ns(PROBE_LAG, nanoseconds(lag));
    }
}

/// Ends the probe.
pub(super) async fn stop<T: Task<()>>(probe: Option<Probe<T>>) {
    if let Some(probe) = probe {
        probe.stop.store(true, Ordering::Relaxed);
        // Its samples are already recorded, however it ended.
        let _ = probe.task.join().await;
    }
}
