//! Facts about the machine.
//!
//! Plain data for the record. The harness reads them through `os.rs`; a fact that cannot be known is `None` and shown as
//! `n/a`.

use serde::{Deserialize, Serialize};

/// The machine that a run was measured on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Machine {
    /// Operating system and version: `Linux 6.1.0 (Debian GNU/Linux 12)`.
    pub os: String,
    /// CPU architecture: `x86_64`.
    pub arch: String,
    /// As reported by the CPU.
    pub cpu_model: Option<String>,
    pub cpus_online: u32,
    /// CPUs that the run may use, by number.
    pub cpus_allowed: Vec<usize>,
    /// Physical memory.
    pub memory_bytes: Option<u64>,
    /// Name of the hypervisor; `None` if the machine does not report one.
    pub hypervisor: Option<String>,
    /// The CPU frequency governor, if there is one.
    pub governor: Option<String>,
    pub clock_source: Option<String>,
    /// Identifies the boot, so that records of different boots are not taken for one.
    pub boot_id: Option<String>,
    /// Load average over the last minute before the run.
    pub load_average_1m: Option<String>,
    /// Soft limit of open files after raising it.
    pub open_files_limit: Option<u64>,
}
