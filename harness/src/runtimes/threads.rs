//! `threads`: an OS thread for each session and for each spawned part.
//!
//! The classic thread-per-connection model, with an explicit, recorded stack size. Everything else is in `blocking`.

use photofinish_record::RuntimeFamily;

use super::blocking::Blocking;
use crate::runtime::{Capability, Descriptor, RuntimeConfig, StartError, SystemCalls};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "threads",
    summary: "an OS thread per session and per concurrent task",
    note: None,
    family: RuntimeFamily::Threads,
    queues_before_service: false,
    takes_worker_threads: false,
    cannot: &[(
        Capability::Cancellation,
        "a thread that blocks in a system call cannot be stopped from outside",
    )],
    system_calls: SystemCalls::BLOCKING,
};

pub(super) fn start(_: RuntimeConfig) -> Result<Blocking, StartError> {
    Ok(Blocking::Threads)
}
