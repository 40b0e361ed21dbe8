//! Readings for fitness on systems other than Linux: none.

use std::path::Path;

use crate::fitness::{Kernel, Limits, Memory, Processor, Quota, Storage};

pub(super) fn processor(_cpus: &[usize]) -> Processor {
    Processor::default()
}

pub(super) fn quota() -> Quota {
    Quota::default()
}

pub(super) fn swapped_pages() -> Option<u64> {
    None
}

pub(super) fn network_limits() -> Limits {
    Limits::default()
}

pub(super) fn memory() -> Memory {
    Memory::default()
}

pub(super) fn storage(directory: &Path) -> Storage {
    Storage {
        directory: directory.to_owned(),
        ..Storage::default()
    }
}

pub(super) fn kernel() -> Kernel {
    Kernel::default()
}
