//! `sync`: sequential code on one thread.
//!
//! One session, regardless of the requested concurrency; a spawned part runs to completion inline. The baseline that
//! the other models have to beat. The implementation is in `blocking`.

use photofinish_record::RuntimeFamily;

use super::blocking::Blocking;
use crate::runtime::{Capability, Descriptor, RuntimeConfig, StartError, SystemCalls};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "sync",
    summary: "one thread, one session, everything in sequence",
    note: None,
    family: RuntimeFamily::Sequential,
    queues_before_service: false,
    takes_worker_threads: false,
    cannot: &[
        (
            Capability::Concurrency,
            "sequential code cannot run two tasks that wait for each other",
        ),
        (
            Capability::ManyAtOnce,
            "sequential code runs one task at a time: a spawned task ends before the next one starts",
        ),
        (
            Capability::Cancellation,
            "a spawned part has run to its end before anybody could cancel it",
        ),
    ],
    system_calls: SystemCalls::BLOCKING,
};

pub(super) fn start(_: RuntimeConfig) -> Result<Blocking, StartError> {
    Ok(Blocking::Inline)
}
