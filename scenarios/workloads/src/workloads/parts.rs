//! Parts of an operation: starting and joining them, moving resources into them and back, and waiting.
//!
//! Every part is joined even if one failed, so that none keeps running into the next operation. `tallies.rs` counts
//! them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{BoxFuture, Runtime, Task, TaskError};
use photofinish_harness::workload::Failure;

use super::tallies::lateness;

/// Starts a part with [`Runtime::spawn`].
///
/// An executor's task is compiled anew for every type of future and result. Parts share one type: the future is boxed, and
/// its result goes into a slot. This costs 0.1 µs, so a workload about spawning itself calls `spawn`.
pub(super) fn start<R: Runtime, F>(runtime: &R, part: F) -> SpawnedPart<R, F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let slot = Slot::default();
    let filled = Arc::clone(&slot);
    let part: BoxFuture<'static, ()> = Box::pin(async move {
        let result = part.await;
        *content(&filled) = Some(result);
    });
    SpawnedPart {
        task: runtime.spawn(part),
        slot,
    }
}

/// Runs blocking `work` with [`Runtime::offload`]; boxed like a part, so that offloading is compiled once. A workload whose
/// offloading is measured calls `offload`.
pub(super) async fn offload<R: Runtime, T: Send + 'static>(
    runtime: &R,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, TaskError> {
    let slot = Slot::default();
    let filled = Arc::clone(&slot);
    let work: Box<dyn FnOnce() + Send> = Box::new(move || {
        let result = work();
        *content(&filled) = Some(result);
    });
    runtime.offload(work).await?;
    content(&slot).take().ok_or(TaskError::Cancelled)
}

/// A part that was started, and the slot for its result.
pub(super) struct SpawnedPart<R: Runtime, T> {
    task: R::Task<()>,
    slot: Slot<T>,
}

impl<R: Runtime, T: Send + 'static> Task<T> for SpawnedPart<R, T> {
    async fn join(self) -> Result<T, TaskError> {
        self.task.join().await?;
        content(&self.slot).take().ok_or(TaskError::Cancelled)
    }

    async fn cancel(self) -> Option<T> {
        self.task.cancel().await?;
        content(&self.slot).take()
    }
}

/// Where a part leaves its result.
type Slot<T> = Arc<Mutex<Option<T>>>;

fn content<T>(slot: &Slot<T>) -> MutexGuard<'_, Option<T>> {
    slot.lock().unwrap_or_else(PoisonError::into_inner)
}

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
        tasks.push((start(runtime, part(content, item)), slot));
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
