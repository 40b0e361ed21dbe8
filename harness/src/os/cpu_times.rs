//! CPU time of processors: what the readers of each operating system return.

/// CPU time of some CPUs, over all processes, since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CpuTimes {
    /// In user mode and in the kernel on behalf of a process, in ns; without interrupts, which belong to nobody.
    pub(super) busy_ns: u64,
    /// Taken by the hypervisor while there was something to do, in ns.
    pub(super) steal_ns: u64,
}
