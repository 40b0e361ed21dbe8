//! Systems other than Linux: most facts are unknown.
//!
//! Every function returns `None` or "unsupported", or does nothing, as `os.rs` documents.

use std::io;

use super::Facts;
use super::cpu_times::CpuTimes;

/// Argument of `getrusage` for the calling thread alone.
pub(super) const THREAD_USAGE: Option<nix::sys::resource::UsageWho> = None;

pub(super) fn pin_process(_cpus: &[usize]) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

pub(super) fn allowed_cpus() -> Vec<usize> {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    (0..count).collect()
}

pub(super) fn peak_rss_bytes() -> Option<u64> {
    None
}

pub(super) fn resident_bytes() -> Option<u64> {
    None
}

pub(super) fn thread_count() -> Option<u64> {
    None
}

pub(super) fn is_child(_pid: u32) -> Option<bool> {
    None
}

pub(super) fn set_timer_slack_ns(_slack_ns: u64) -> bool {
    false
}

pub(super) fn die_with_parent() -> io::Result<()> {
    Ok(())
}

pub(super) fn adopt_orphans() {}

pub(super) fn reap_orphans() {}

pub(super) fn children() -> Vec<u32> {
    Vec::new()
}

pub(super) fn online_cpus() -> Option<u32> {
    None
}

pub(super) fn facts() -> Facts {
    Facts::default()
}

pub(super) fn cpu_times(_cpus: &[usize]) -> Option<CpuTimes> {
    None
}

pub(super) fn families_cpu_ns(_others: &[u32]) -> Option<u64> {
    None
}

pub(super) fn throttled_ns() -> Option<u64> {
    None
}

pub(super) fn listen_overflows() -> Option<u64> {
    None
}

pub(super) fn listeners_on(_port: u16) -> Option<Vec<u32>> {
    None
}

/// Not available here: no value of it can be constructed.
#[derive(Debug)]
pub(super) enum EventCounter {}

impl EventCounter {
    pub(super) fn instructions() -> Option<Self> {
        None
    }

    pub(super) fn syscalls() -> Option<Self> {
        None
    }

    pub(super) fn start(&mut self) -> io::Result<()> {
        match *self {}
    }

    pub(super) fn count(&mut self) -> Option<u64> {
        match *self {}
    }
}
