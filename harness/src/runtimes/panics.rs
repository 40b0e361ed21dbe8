//! Turns a panic of a spawned part into a value, the same for every runtime.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;

use futures_lite::FutureExt as _;

use crate::runtime::TaskError;

/// The message of a panic, if it is text.
pub(crate) fn message(payload: &(dyn Any + Send)) -> String {
    let text = payload
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| payload.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".to_owned())
}

/// Runs blocking `work`; a panic in it becomes an error.
pub(super) fn catch<T>(work: impl FnOnce() -> T) -> Result<T, TaskError> {
    std::panic::catch_unwind(AssertUnwindSafe(work))
        .map_err(|payload| TaskError::Panicked(message(&*payload)))
}

/// Runs `future`; a panic in it becomes an error. Executors differ in what a panic does to their threads, so it never
/// reaches those that would not confine it to the task.
pub(super) async fn catch_future<F: Future>(future: F) -> Result<F::Output, TaskError> {
    AssertUnwindSafe(future)
        .catch_unwind()
        .await
        .map_err(|payload| TaskError::Panicked(message(&*payload)))
}
