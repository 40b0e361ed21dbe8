//! `sync`: sequential code on one thread.
//!
//! One session, whatever concurrency was asked; what is spawned runs to its end on the spot. The base line that the
//! other models have to beat. Its sockets and files are in `blocking`.

use photofinish_record::RuntimeFamily;
use std::future::Future;
use std::num::NonZeroU32;

use super::blocking::{blocking_operations, run_without_deadline};
use crate::runtime::{Capability, Descriptor, Runtime, RuntimeConfig, StartError, Task, TaskError};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "sync",
    summary: "one thread, one session, one thing after another",
    note: None,
    family: RuntimeFamily::Sequential,
    queues_before_service: false,
    takes_worker_threads: false,
    cannot: &[
        (
            Capability::Concurrency,
            "sequential code cannot run two parts that wait for each other",
        ),
        (
            Capability::ManyAtOnce,
            "sequential code has one part at a time: what is spawned has ended before the next one begins",
        ),
        (
            Capability::Cancellation,
            "what is spawned has run to its end before anybody could cancel it",
        ),
    ],
};

pub(super) fn start(_: RuntimeConfig) -> Result<impl Runtime, StartError> {
    Ok(Sync)
}

#[derive(Clone, Copy, Debug)]
struct Sync;

/// The result of something that has already run.
#[derive(Debug)]
struct Done<T>(Result<T, TaskError>);

impl<T: Send + 'static> Task<T> for Done<T> {
    async fn join(self) -> Result<T, TaskError> {
        self.0
    }

    async fn cancel(self) -> Option<T> {
        self.0.ok()
    }
}

impl Runtime for Sync {
    type Task<T: Send + 'static> = Done<T>;

    blocking_operations!();

    fn sessions(&self, _: NonZeroU32) -> NonZeroU32 {
        NonZeroU32::MIN
    }

    fn worker_threads(&self, _: NonZeroU32) -> u32 {
        1
    }

    fn spawn<F>(&self, future: F) -> Self::Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Done(super::panics::catch(|| run_without_deadline(future)))
    }
}
