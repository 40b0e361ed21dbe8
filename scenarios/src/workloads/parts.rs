//! Parts of an operation: joining all of them, moving resources into them and back, and waiting.
//!
//! Every part is joined even if one failed, so that none keeps running into the next operation. `tallies.rs` counts
//! them.

use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Runtime, Task};
use photofinish_harness::workload::Failure;

use super::tallies::lateness;

/// The results of all `tasks`, in their order, or the first failure, after all have ended.
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

/// The result of a task that borrowed the content of `slot`, which is put back; after a panic the slot stays empty.
pub(super) async fn join_into<L, T, K>(task: K, slot: &mut Option<L>) -> Result<T, Failure>
where
    L: Send + 'static,
    T: Send + 'static,
    K: Task<(L, Result<T, Failure>)>,
{
    let (taken, result) = task.join().await?;
    *slot = Some(taken);
    result
}

/// Runs a part for each of `items` with the content of a slot, and joins all; returns their results in order, or the first
/// failure.
///
/// A slot is empty while its part is in flight, and stays so if the part panics; `refill` then replaces its content.
pub(super) async fn each_in_slot<R, L, I, T, P>(
    runtime: &R,
    slots: &mut [Option<L>],
    items: impl IntoIterator<Item = I>,
    refill: impl Fn() -> Result<L, Failure>,
    part: impl Fn(L, I) -> P,
) -> Result<Vec<T>, Failure>
where
    R: Runtime,
    L: Send + 'static,
    T: Send + 'static,
    P: Future<Output = (L, Result<T, Failure>)> + Send + 'static,
{
    let mut tasks = Vec::with_capacity(slots.len());
    for (slot, item) in slots.iter_mut().zip(items) {
        let content = match slot.take() {
            Some(content) => content,
            None => refill()?,
        };
        tasks.push((runtime.spawn(part(content, item)), slot));
    }
    let mut outcomes = Vec::with_capacity(tasks.len());
    for (task, slot) in tasks {
        outcomes.push(join_into(task, slot).await);
    }
    outcomes.into_iter().collect()
}

/// Waits for `time` from now; a wait that ends early is a failure.
pub(super) async fn wait<R: Runtime>(runtime: &R, time: Duration) -> Result<(), Failure> {
    let due = Instant::now() + time;
    runtime.sleep_until(due).await;
    lateness(due, Instant::now()).map(drop)
}
