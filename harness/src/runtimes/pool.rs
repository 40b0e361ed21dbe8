//! `pool`: N threads serving a queue of operations.
//!
//! As in most blocking executors, sessions are state, not threads, and each operation waits in one first-in-first-out
//! queue for a thread. That wait is not part of an operation's service time. Spawned parts go through the same queue; a
//! pool thread that joins a part which has not been started runs it itself, since N threads all waiting for queued
//! parts would wait forever. Under a timeout it could not stop in the middle of the part, so a substitute thread runs it.
//! Everything else is in `blocking`.

use photofinish_record::RuntimeFamily;

use super::blocking::{Blocking, PoolQueue};
use crate::runtime::{Capability, Descriptor, RuntimeConfig, StartError, SystemCalls};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "pool",
    summary: "sessions served from a queue of operations by 4 threads per CPU of the machine",
    note: None,
    family: RuntimeFamily::Pool,
    queues_before_service: true,
    takes_worker_threads: true,
    cannot: &[
        (
            Capability::ManyAtOnce,
            "a pool runs only as many tasks at once as it has threads; the others cannot wait before they have started",
        ),
        (
            Capability::Cancellation,
            "a thread that blocks in a system call cannot be stopped from outside",
        ),
    ],
    system_calls: SystemCalls::BLOCKING,
};

/// Threads per CPU, as in common executors for blocking work: they wait more than they run.
const THREADS_PER_CPU: u32 = 4;

pub(super) fn start(config: RuntimeConfig) -> Result<Blocking, StartError> {
    // The machine's CPUs, not only those available to this process: the size of a pool of blocking threads depends on
    // how much waits, which does not shrink with the CPUs.
    let cpus = crate::os::online_cpus().max(config.worker_threads.get());
    let queue =
        PoolQueue::start(cpus.saturating_mul(THREADS_PER_CPU)).map_err(StartError::System)?;
    Ok(Blocking::Pool(queue))
}
