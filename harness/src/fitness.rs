//! Fitness: what on this machine would distort a measurement, from readings to findings.
//!
//! [`Readings`] is plain data filled in by `os`; each check is a pure function from it to a finding, with numbers as
//! evidence and a remedy if there is one. Nothing here reads a file or changes anything. Checks are grouped by subject
//! in `fitness/`, and listed with one line in [`CHECKS`]. The CLI decides what to do about a bad finding.

use std::collections::BTreeMap;
use std::path::PathBuf;

use photofinish_record::{Finding, FindingLevel};

mod build;
mod clock;
mod kernel;
mod limits;
mod memory;
mod processor;
mod sharing;
mod storage;
mod words;

/// A check of one aspect of the machine: its name, as used in findings, and its function.
type Check = (&'static str, fn(&Readings) -> Assessment);

/// Every check, in report order.
const CHECKS: &[Check] = &[
    ("build-profile", build::build),
    ("cpu-count", processor::cpus),
    ("smt", processor::smt),
    ("governor", processor::governor),
    ("turbo", processor::turbo),
    ("cpu-quota", sharing::cpu_quota),
    ("throttling", sharing::throttling),
    ("other-work", sharing::other_work),
    ("virtual-machine", sharing::virtual_machine),
    ("steal", sharing::steal),
    ("clock-source", clock::clock_source),
    ("clock-read", clock::clock_read),
    ("timer", clock::timer),
    ("open-files", limits::open_files),
    ("ports", limits::ports),
    ("port-reuse", limits::port_reuse),
    ("listen-backlog", limits::listen_backlog),
    ("memory", memory::memory),
    ("swap", memory::swap),
    ("huge-pages", memory::huge_pages),
    ("page-cache", memory::page_cache),
    ("file-system", storage::file_system),
    ("disk-space", storage::disk_space),
    ("address-layout", kernel::address_layout),
    ("perf-events", kernel::perf_events),
];

/// The findings of all checks, in the order of [`CHECKS`].
pub fn findings(readings: &Readings) -> Vec<Finding> {
    let find = |(name, assess): &Check| {
        let assessment = assess(readings);
        Finding {
            check: (*name).to_owned(),
            level: assessment.level,
            evidence: assessment.evidence,
            remedy: assessment.remedy,
        }
    };
    CHECKS.iter().map(find).collect()
}

/// A finding without its check's name.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Assessment {
    level: FindingLevel,
    evidence: String,
    remedy: Option<String>,
}

impl Assessment {
    fn good(evidence: impl Into<String>) -> Self {
        Self::at(FindingLevel::Good, evidence)
    }

    fn caution(evidence: impl Into<String>) -> Self {
        Self::at(FindingLevel::Caution, evidence)
    }

    fn bad(evidence: impl Into<String>) -> Self {
        Self::at(FindingLevel::Bad, evidence)
    }

    fn unknown(evidence: impl Into<String>) -> Self {
        Self::at(FindingLevel::Unknown, evidence)
    }

    fn at(level: FindingLevel, evidence: impl Into<String>) -> Self {
        Self {
            level,
            evidence: evidence.into(),
            remedy: None,
        }
    }

    fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }

    fn remedy_unless_good(self, remedy: impl Into<String>) -> Self {
        match self.level {
            FindingLevel::Good => self,
            _ => self.remedy(remedy),
        }
    }
}

/// The thresholds above which a reading is a caution, and bad.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    caution: f64,
    bad: f64,
}

impl Bounds {
    /// The level of a reading; lower is better.
    fn level(self, reading: f64) -> FindingLevel {
        match reading {
            reading if reading > self.bad => FindingLevel::Bad,
            reading if reading > self.caution => FindingLevel::Caution,
            _ => FindingLevel::Good,
        }
    }
}

/// The level of an amount of which there should be at least `enough`; less than `few` is bad.
fn level_of_amount(amount: u64, few: u64, enough: u64) -> FindingLevel {
    match amount {
        amount if amount < few => FindingLevel::Bad,
        amount if amount < enough => FindingLevel::Caution,
        _ => FindingLevel::Good,
    }
}

/// Facts read from the machine; `None` or empty if the system does not provide them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Readings {
    pub debug_build: bool,
    /// The CPUs to use, by number.
    pub cpus: Vec<usize>,
    pub cpus_online: u32,
    pub processor: Processor,
    pub quota: Quota,
    /// Activity of the machine during a short observation.
    pub background: Background,
    pub clock: Clock,
    pub limits: Limits,
    pub memory: Memory,
    /// The file system of a run's files.
    pub storage: Storage,
    pub kernel: Kernel,
}

/// The frequency and layout of the CPUs to be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Processor {
    /// Frequency governors, each with its CPUs.
    pub governors: BTreeMap<String, Vec<usize>>,
    /// True if frequencies may rise above the nominal one.
    pub turbo: Option<bool>,
    /// The CPUs to use, grouped by core; `None` if the layout is unknown.
    pub cores: Option<Vec<Vec<usize>>>,
    /// The hypervisor's name for itself; `None` on a physical machine, or if unknown.
    pub hypervisor: Option<String>,
}

/// The CPU time that the control group may use, and how often it was throttled.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Quota {
    /// True if the control group could be read.
    pub known: bool,
    /// The lowest quota on this process, in CPUs; `None` without a quota.
    pub cpus: Option<f64>,
    /// Number of periods in which the group was throttled.
    pub throttled_periods: Option<u64>,
    /// Total time for which the group was throttled, in ns.
    pub throttled_ns: Option<u64>,
}

/// Activity of the machine while this program slept.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Background {
    /// Length of the observation, in ns.
    pub elapsed_ns: u64,
    /// Share of the CPU time that other processes took, 0..=1.
    pub busy_share: Option<f64>,
    /// Share of the CPU time that the hypervisor took, 0..=1.
    pub steal_share: Option<f64>,
    /// Steal share since boot, 0..=1.
    pub steal_share_since_boot: Option<f64>,
    /// Time for which the control group was throttled, in ns.
    pub throttled_ns: Option<u64>,
    pub swapped_pages: Option<u64>,
    pub load_average_1m: Option<f64>,
}

/// Clocks and timers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Clock {
    pub source: Option<String>,
    /// Claimed resolution of the monotonic clock, in ns.
    pub resolution_ns: Option<u64>,
    /// Cost of reading it, in ns.
    pub read_ns: f64,
    /// Median overshoot of a sleep of 1 ms, in ns.
    pub sleep_late_p50_ns: u64,
    /// 90th percentile of that overshoot, in ns.
    pub sleep_late_p90_ns: u64,
    /// True if the kernel accepted the smallest timer slack.
    pub slack_set: bool,
}

/// Limits of the process and of the network stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub open_files_soft: Option<u64>,
    /// Hard limit of open files; a run raises the soft one to it.
    pub open_files_hard: Option<u64>,
    /// First and last ephemeral port.
    pub local_ports: Option<(u32, u32)>,
    /// Connections in TIME_WAIT.
    pub time_wait: Option<u64>,
    /// `tcp_tw_reuse`: 0 never, 1 always, 2 on loopback.
    pub time_wait_reuse: Option<u64>,
    /// Maximum length of an accept queue (`somaxconn`).
    pub listen_backlog: Option<u64>,
}

/// Memory, swap and the page cache, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub total_bytes: Option<u64>,
    /// Bytes available without swapping.
    pub available_bytes: Option<u64>,
    /// Files held in memory.
    pub cached_bytes: Option<u64>,
    /// Dirty pages: file contents not yet written to disk.
    pub dirty_bytes: Option<u64>,
    pub swap_total_bytes: Option<u64>,
    pub swap_used_bytes: Option<u64>,
    /// Transparent huge pages: `always`, `madvise` or `never`.
    pub huge_pages: Option<String>,
}

/// The file system of a run's files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Storage {
    /// The directory, or the nearest one above it that exists.
    pub directory: PathBuf,
    pub file_system: Option<String>,
    pub mount_point: Option<PathBuf>,
    pub free_bytes: Option<u64>,
}

/// Settings of the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kernel {
    /// `randomize_va_space`: 0 is off.
    pub address_randomisation: Option<u64>,
    /// `perf_event_paranoid`: up to 1 allows counting own processes in user and kernel mode, 2 in user mode only.
    pub perf_paranoid: Option<i64>,
    /// True if the CPU has hardware event counters.
    pub has_hardware_counters: Option<bool>,
}

/// The assessment of a machine of which only what `set` fills in is known.
#[cfg(test)]
fn assessed(check: fn(&Readings) -> Assessment, set: impl FnOnce(&mut Readings)) -> Assessment {
    let mut readings = Readings::default();
    set(&mut readings);
    check(&readings)
}

#[cfg(test)]
mod tests {
    use photofinish_record::is_fit;

    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_check_has_a_name_of_its_own_and_finds_something_even_where_nothing_is_known() {
        let found = findings(&Readings::default());
        let names: BTreeSet<_> = found.iter().map(|finding| &finding.check).collect();
        assert_eq!(names.len(), CHECKS.len());
        for finding in &found {
            assert!(
                finding.evidence.len() > 10 && !finding.evidence.ends_with('.'),
                "{finding:?}"
            );
        }
    }

    #[test]
    fn an_unreadable_machine_is_not_called_unfit() {
        assert!(is_fit(&findings(&Readings {
            cpus: vec![0, 1, 2, 3],
            ..Readings::default()
        })));
    }

    #[test]
    fn bounds_are_inclusive() {
        let bounds = Bounds {
            caution: 1.0,
            bad: 2.0,
        };
        assert_eq!(bounds.level(1.0), FindingLevel::Good);
        assert_eq!(bounds.level(2.0), FindingLevel::Caution);
        assert_eq!(bounds.level(2.1), FindingLevel::Bad);
    }
}
