//! Threads with an explicit stack size, and a spawned part that has its own thread.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::waiting::Monitor;
use crate::runtime::TaskError;
use crate::runtimes::panics;

/// Stack of each thread that runs sessions, in bytes. Explicit, since 8 MiB of address space for each of thousands of
/// threads, or a default that differs between systems, would distort a comparison.
/// Frames of a build without optimization are several times as large.
pub(super) const STACK_BYTES: usize = if cfg!(debug_assertions) { 1024 } else { 256 } * 1024;

/// Starts a thread with the explicit stack size. The work comes boxed, so that starting is compiled once.
pub(super) fn start_thread(
    name: &str,
    work: Box<dyn FnOnce() + Send>,
) -> io::Result<std::thread::JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .stack_size(STACK_BYTES)
        .spawn(work)
}

/// A thread, and the slot for its result.
pub(in crate::runtimes) struct ThreadTask<T> {
    result: Arc<Monitor<Option<Result<T, TaskError>>>>,
    /// `None` if the system refused to start the thread; the reason is then the result.
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> ThreadTask<T> {
    /// Runs `work` on its own thread.
    pub(super) fn start(work: Box<dyn FnOnce() -> T + Send>) -> Self {
        let result = Arc::new(Monitor::new(None));
        let filled_by_thread = Arc::clone(&result);
        let work = move || {
            let outcome = panics::catch(work);
            *filled_by_thread.lock() = Some(outcome);
            filled_by_thread.notify_all();
        };
        let started = start_thread("session", Box::new(work));
        if let Err(error) = &started {
            *result.lock() = Some(Err(TaskError::NoThread(error.to_string())));
        }
        Self {
            result,
            thread: started.ok(),
        }
    }

    pub(super) async fn join(self) -> Result<T, TaskError> {
        let result = self.result.wait_until_deadline(Option::take).await;
        if let Some(thread) = self.thread {
            // It has stored its result and is about to end: waiting keeps the number of threads exact.
            thread.join().expect("the thread catches its own panics");
        }
        result
    }
}
