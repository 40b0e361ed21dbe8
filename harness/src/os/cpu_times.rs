//! CPU time of processors, as returned by the readers of each operating system.

/// CPU time of some CPUs, over all processes, since boot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct CpuTimes {
    /// In user mode and in the kernel on behalf of a process, in ns; without interrupts, which belong to no process.
    pub(super) busy_ns: u64,
    /// Taken by the hypervisor while a process was ready to run, in ns.
    pub(super) steal_ns: u64,
    /// Of all kinds, idling included, in ns.
    pub(super) total_ns: u64,
}
