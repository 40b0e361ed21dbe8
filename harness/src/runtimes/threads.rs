//! `threads`: an OS thread for each session and for each part that is spawned.
//!
//! The classic thread-per-connection model, with an explicit, recorded stack size. Its sockets and files are in
//! `blocking`.

use photofinish_record::RuntimeFamily;
use std::collections::BTreeMap;
use std::future::Future;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread::JoinHandle;

use super::blocking::{
    Monitor, blocking_operations, run_without_deadline, stack_facts, start_thread,
};
use crate::runtime::{Capability, Descriptor, Runtime, RuntimeConfig, StartError, Task, TaskError};

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
    Ok(Threads)
}

#[derive(Clone, Copy, Debug)]
struct Threads;

/// A thread and the place where it leaves its result.
#[derive(Debug)]
struct ThreadTask<T> {
    result: Arc<Monitor<Option<Result<T, TaskError>>>>,
    /// `None` where the system refused the thread; the reason is the result then.
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Task<T> for ThreadTask<T> {
    async fn join(self) -> Result<T, TaskError> {
        let result = self.result.wait_until_deadline(Option::take).await;
        if let Some(thread) = self.thread {
            // It has left its result and is about to end: waiting keeps the number of threads exact.
            thread.join().expect("the thread catches its own panics");
        }
        result
    }

    async fn cancel(self) -> Option<T> {
        self.join().await.ok()
    }
}

impl Runtime for Threads {
    type Task<T: Send + 'static> = ThreadTask<T>;

    blocking_operations!();

    fn worker_threads(&self, sessions: NonZeroU32) -> u32 {
        sessions.get()
    }

    fn facts(&self) -> BTreeMap<String, String> {
        stack_facts()
    }

    fn spawn<F>(&self, future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let result = Arc::new(Monitor::new(None));
        let filled_by_thread = Arc::clone(&result);
        let started = start_thread("session", move || {
            let outcome = super::panics::catch(|| run_without_deadline(future));
            *filled_by_thread.lock() = Some(outcome);
            filled_by_thread.notify_all();
        });
        if let Err(error) = &started {
            let refusal = format!("the system refused another thread: {error}");
            *result.lock() = Some(Err(TaskError::Panicked(refusal)));
        }
        ThreadTask {
            result,
            thread: started.ok(),
        }
    }
}
