//! Systems other than Linux: most facts are unknown.
//!
//! Every function returns `None` or "unsupported", or does nothing, as `os/linux.rs` documents.

use std::collections::BTreeSet;
use std::io;

use photofinish_record::machine::Machine;

use super::cpu_times::CpuTimes;

/// Argument of `getrusage` for the calling thread alone.
pub(super) const THREAD_USAGE: Option<nix::sys::resource::UsageWho> = None;

pub fn pin_process(_cpus: &[usize]) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

pub fn allowed_cpus() -> Vec<usize> {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    (0..count).collect()
}

pub fn peak_rss_bytes() -> Option<u64> {
    None
}

pub fn resident_bytes() -> Option<u64> {
    None
}

pub fn thread_count() -> Option<u64> {
    None
}

pub fn is_child(_pid: u32) -> Option<bool> {
    None
}

pub fn set_timer_slack_ns(_slack_ns: u64) -> bool {
    false
}

pub fn die_with_parent() -> io::Result<()> {
    Ok(())
}

pub fn adopt_orphans() {}

pub fn reap_orphans() {}

pub fn children() -> Vec<u32> {
    Vec::new()
}

pub fn descendants() -> BTreeSet<u32> {
    BTreeSet::new()
}

pub(super) fn online_cpus() -> Option<u32> {
    None
}

pub(super) fn host_name() -> Option<String> {
    None
}

pub(super) fn distribution() -> Option<String> {
    None
}

pub(super) fn facts() -> Machine {
    Machine::default()
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

pub fn cpus_of_process(_process: u32) -> Option<Vec<usize>> {
    None
}

pub fn listeners_on(_port: u16) -> Option<Vec<u32>> {
    None
}

pub fn listeners_at(_path: &Path) -> Option<Vec<u32>> {
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
