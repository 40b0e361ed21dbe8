//! Parts of an operation: waiting for all of them, and for units of time.
//!
//! Every part is joined even if one failed, so that none runs on into the next operation. What the parts do is in the
//! files of the workloads, what is counted of them in `tallies`.

use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Runtime, Task};
use photofinish_harness::workload::Failure;

use super::tallies::not_early;

/// The results of all `tasks`, in their order; the first failure where there is one, after all have ended.
pub(super) async fn joined<T, K>(tasks: Vec<K>) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    K: Task<Result<T, Failure>>,
{
    let mut results = Ok(Vec::with_capacity(tasks.len()));
    for task in tasks {
        let result = task.join().await.map_err(Failure::from).flatten();
        results = results.and_then(|mut so_far: Vec<T>| {
            so_far.push(result?);
            Ok(so_far)
        });
    }
    results
}

/// Waits for `time` from now, and tells when that was due; a wait that ends early is a failure.
pub(super) async fn wait<R: Runtime>(runtime: &R, time: Duration) -> Result<Instant, Failure> {
    let due = Instant::now() + time;
    runtime.sleep_until(due).await;
    not_early(due, Instant::now())?;
    Ok(due)
}
