//! Machine facts: where a run was measured.
//!
//! Plain data for the record. Reading them from the operating system is the business of `os`; a fact that cannot be
//! known is `None` and shown as `n/a`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a run was measured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Operating system and version: `Linux 6.1.0 (Debian GNU/Linux 12)`.
    pub os: String,
    /// CPU architecture: `x86_64`.
    pub arch: String,
    /// The CPU's own name for itself.
    pub cpu_model: Option<String>,
    /// CPUs that are online.
    pub cpus_online: u32,
    /// CPUs this run may use, by number.
    pub cpus_allowed: Vec<usize>,
    /// Physical memory in bytes.
    pub memory_bytes: Option<u64>,
    /// Whether the machine is virtual, and by what, where it says so.
    pub hypervisor: Option<String>,
    /// The CPU frequency governor, where there is one.
    pub governor: Option<String>,
    /// The kernel's clock source.
    pub clock_source: Option<String>,
    /// Identifies this boot, so that records of different boots are not taken for one.
    pub boot_id: Option<String>,
    /// Load average over the last minute when the run began.
    pub load_average_1m: Option<String>,
    /// Soft limit of open files after raising it.
    pub open_files_limit: Option<u64>,
}
