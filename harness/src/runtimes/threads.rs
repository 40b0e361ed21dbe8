//! `threads`: an OS thread for each session and for each part that is spawned.
//!
//! The classic thread-per-connection model, with an explicit, recorded stack size. Everything else is in `blocking`.

use std::sync::Arc;
use std::thread::JoinHandle;

use photofinish_record::RuntimeFamily;

use super::blocking::{Blocking, Monitor, Spawner, start_thread};
use crate::runtime::{Capability, Descriptor, Runtime, RuntimeConfig, StartError, TaskError};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "threads",
    summary: "an OS thread per session and per parallel part",
    note: None,
    family: RuntimeFamily::Threads,
    queues_before_service: false,
    takes_worker_threads: false,
    cannot: &[(
        Capability::Cancellation,
        "a thread that blocks in a system call cannot be stopped from outside",
    )],
};

pub(super) fn start(_: RuntimeConfig) -> Result<impl Runtime, StartError> {
    Ok(Blocking::new(Spawner::Threads))
}

/// A thread, and the slot for its result.
pub(super) struct ThreadTask<T> {
    result: Arc<Monitor<Option<Result<T, TaskError>>>>,
    /// `None` if the system refused the thread; the reason is the result then.
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> ThreadTask<T> {
    /// Runs `work` on a thread of its own.
    pub(super) fn start(work: Box<dyn FnOnce() -> T + Send>) -> Self {
        let result = Arc::new(Monitor::new(None));
        let filled_by_thread = Arc::clone(&result);
        let started = start_thread("session", move || {
            let outcome = super::panics::catch(work);
            *filled_by_thread.lock() = Some(outcome);
            filled_by_thread.notify_all();
        });
        if let Err(error) = &started {
            let refusal = format!("the system refused another thread: {error}");
            *result.lock() = Some(Err(TaskError::Panicked(refusal)));
        }
        Self {
            result,
            thread: started.ok(),
        }
    }

    pub(super) async fn join(self) -> Result<T, TaskError> {
        let result = self.result.wait_until_deadline(Option::take).await;
        if let Some(thread) = self.thread {
            // It has left its result and is about to end: waiting keeps the number of threads exact.
            thread.join().expect("the thread catches its own panics");
        }
        result
    }
}
