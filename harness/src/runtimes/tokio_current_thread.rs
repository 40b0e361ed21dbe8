//! `tokio-current-thread`: tasks on tokio's single-thread scheduler, driven by the thread that blocks on it.
//!
//! Only the scheduler differs from `tokio`; sockets, files and timers are shared with it.

use photofinish_record::RuntimeFamily;
use std::num::NonZeroU32;

use super::tokio::Tokio;
use crate::runtime::{Descriptor, RuntimeConfig, StartError, SystemCalls};

pub(super) static DESCRIPTOR: Descriptor = Descriptor {
    name: "tokio-current-thread",
    summary: "a task per session on the single-thread scheduler",
    note: None,
    family: RuntimeFamily::Async,
    queues_before_service: false,
    takes_worker_threads: false,
    cannot: &[],
    system_calls: SystemCalls::EDGE_TRIGGERED,
};

pub(super) fn start(_: RuntimeConfig) -> Result<Tokio, StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::System)?;
    Ok(Tokio::new(runtime, NonZeroU32::MIN))
}
