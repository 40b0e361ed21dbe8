//! Linux: affinity, timer slack, parent-death signal, and facts from `/proc` and `/sys`.
//!
//! Reading is separate from parsing: the functions that take text are pure, and tested on literals. A missing file (a
//! container hides some) makes a fact unknown, never an error.

use std::fs::read_to_string;
use std::io;

use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::prctl::{set_child_subreaper, set_pdeathsig, set_timerslack};
use nix::sys::resource::UsageWho;
use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::{Pid, getppid};

use photofinish_record::machine::Machine;

#[path = "linux_contention.rs"]
mod contention;
#[path = "perf.rs"]
mod perf;

pub use contention::{children, descendants, listeners_at, listeners_on, reap_orphans};
pub(super) use contention::{cpu_times, families_cpu_ns, listen_overflows};
pub(super) use perf::EventCounter;

/// The affinity calls take 0 for the calling thread.
const THIS_THREAD: Pid = Pid::from_raw(0);

/// Argument of `getrusage` for the calling thread alone.
pub(super) const THREAD_USAGE: Option<UsageWho> = Some(UsageWho::RUSAGE_THREAD);

/// Pins the calling thread, and every thread it starts from now on, to `cpus`, by number.
///
/// Pinning to an empty set or to a CPU that does not exist is an error; so is pinning on a system that does not support
/// it.
pub fn pin_process(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu)?;
    }
    Ok(sched_setaffinity(THIS_THREAD, &set)?)
}

/// The CPUs that this process may use, ascending; a set given from outside (a container, `taskset`) is respected.
pub fn allowed_cpus() -> Vec<usize> {
    match sched_getaffinity(THIS_THREAD) {
        Ok(set) => (0..CpuSet::count())
            .filter(|&cpu| set.is_set(cpu) == Ok(true))
            .collect(),
        // More CPUs than the set holds: number them from 0, as a machine without restrictions would.
        Err(_) => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
    }
}

/// The CPUs that another process may use, ascending; `None` if there is no such process.
pub fn cpus_of_process(process: u32) -> Option<Vec<usize>> {
    let set = sched_getaffinity(Pid::from_raw(i32::try_from(process).ok()?)).ok()?;
    let cpus = (0..CpuSet::count()).filter(|&cpu| set.is_set(cpu) == Ok(true));
    Some(cpus.collect())
}

/// The peak resident memory of this program so far, in bytes.
///
/// Not `ru_maxrss`: that survives `exec`, so a child would start with its parent's peak.
pub fn peak_rss_bytes() -> Option<u64> {
    kibibytes(&read_to_string("/proc/self/status").ok()?, "VmHWM")
}

/// The current resident memory of this process, in bytes: heap, stacks and code, counted page by page.
///
/// Not the `VmRSS` of `/proc/self/status`: its counters are kept per CPU or per thread, and lag by dozens of pages
/// each.
pub fn resident_bytes() -> Option<u64> {
    kibibytes(&read_to_string("/proc/self/smaps_rollup").ok()?, "Rss")
}

/// Number of threads of the process.
pub fn thread_count() -> Option<u64> {
    let status = read_to_string("/proc/self/status").ok()?;
    value_of(&status, "Threads")?.parse().ok()
}

/// True if process `pid` is a child of this one, running or a zombie.
pub fn is_child(pid: u32) -> Option<bool> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?);
    // `WNOWAIT` only looks: a child that has ended can still be waited for.
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::Pid(pid), look) {
        Ok(_) => Some(true),
        Err(Errno::ECHILD) => Some(false),
        Err(_) => None,
    }
}

/// Sets the timer slack of the calling thread, inherited by threads started from now on. Returns true if it took effect.
///
/// The default of 50 µs would otherwise be part of every sleep.
pub fn set_timer_slack_ns(slack_ns: u64) -> bool {
    set_timerslack(slack_ns).is_ok()
}

/// Has the kernel kill this process when the thread that started it ends.
///
/// Call it before anything else. An error means that the parent is already gone. Does nothing on systems without this
/// feature.
pub fn die_with_parent() -> io::Result<()> {
    let parent = getppid();
    set_pdeathsig(Signal::SIGKILL)?;
    // A parent that died before the request sends no signal, but shows up as a new parent.
    if getppid() != parent {
        return Err(io::Error::other("the parent process is already gone"));
    }
    Ok(())
}

/// Makes this process, instead of init, the parent of descendants whose own parent dies, so that their CPU time is
/// counted as the run's and they can be ended. Does nothing if the system does not support it.
pub fn adopt_orphans() {
    let _ = set_child_subreaper(true);
}

pub(super) fn online_cpus() -> Option<u32> {
    let online = cpu_list(&text_of("/sys/devices/system/cpu/online")?)?;
    u32::try_from(online.len()).ok()
}

/// Time for which this process's control group and its ancestors were throttled.
pub(super) fn throttled_ns() -> Option<u64> {
    super::cgroup::quota().throttled_ns
}

pub(super) fn host_name() -> Option<String> {
    text_of("/proc/sys/kernel/hostname")
}

pub(super) fn distribution() -> Option<String> {
    pretty_name(&text_of("/etc/os-release")?)
}

/// The facts about the machine that only the system knows; the others are left at their defaults.
pub(super) fn facts() -> Machine {
    let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
    Machine {
        cpu_model: value_of(&cpuinfo, "model name").map(String::from),
        memory_bytes: text_of("/proc/meminfo").and_then(|text| kibibytes(&text, "MemTotal")),
        hypervisor: hypervisor(&cpuinfo, text_of("/sys/class/dmi/id/product_name")),
        governor: text_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        clock_source: text_of("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        boot_id: text_of("/proc/sys/kernel/random/boot_id"),
        load_average_1m: text_of("/proc/loadavg")
            .and_then(|text| non_empty(text.split(' ').next().unwrap_or_default())),
        ..Machine::default()
    }
}

/// Contents of a file with surrounding white space removed; `None` if empty.
pub(super) fn text_of(path: &str) -> Option<String> {
    non_empty(read_to_string(path).ok()?.trim())
}

fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

/// The value after `key` in lines of the form `key: value`, as in `/proc/cpuinfo` and `/proc/self/status`.
fn value_of<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

pub(super) fn kibibytes(text: &str, key: &str) -> Option<u64> {
    let count: u64 = value_of(text, key)?
        .strip_suffix("kB")?
        .trim()
        .parse()
        .ok()?;
    count.checked_mul(1024)
}

/// The distribution's name for itself in `os-release`.
fn pretty_name(os_release: &str) -> Option<String> {
    os_release.lines().find_map(|line| {
        let value = line.strip_prefix("PRETTY_NAME=")?;
        non_empty(value.trim_matches(['"', '\'']))
    })
}

/// The CPUs in a kernel list such as `0-3,6`.
pub(super) fn cpu_list(text: &str) -> Option<Vec<usize>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        cpus.extend(first.parse::<usize>().ok()?..=last.parse().ok()?);
    }
    Some(cpus)
}

/// The virtual machine's name for itself, if the CPU reports that there is one.
fn hypervisor(cpuinfo: &str, product_name: Option<String>) -> Option<String> {
    let flags = value_of(cpuinfo, "flags")?;
    let is_virtual = flags.split(' ').any(|flag| flag == "hypervisor");
    is_virtual.then(|| product_name.unwrap_or_else(|| "of unknown kind".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_cpus_are_read() {
        assert_eq!(cpu_list("0-1,4"), Some(vec![0, 1, 4]));
        assert_eq!(cpu_list("7"), Some(vec![7]));
        assert_eq!(cpu_list(""), None);
    }

    #[test]
    fn memory_is_read_in_kibibytes() {
        let check = |text, expected| assert_eq!(kibibytes(text, "VmHWM"), expected, "{text}");
        check("Name:\tx\nVmHWM:\t    1752 kB\n", Some(1752 * 1024));
        check("VmHWM:\t1752\n", None);
        check("VmRSS:\t1752 kB\n", None);
    }

    #[test]
    fn the_distribution_has_a_pretty_name() {
        let check = |text, expected: Option<&str>| {
            assert_eq!(pretty_name(text).as_deref(), expected, "{text}");
        };
        check(
            "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12\"\n",
            Some("Debian GNU/Linux 12"),
        );
        check("NAME=Alpine\n", None);
    }

    #[test]
    fn a_machine_is_virtual_when_its_cpu_says_so() {
        let check = |flags: &str, expected: Option<&str>| {
            let cpuinfo = format!("flags\t\t: {flags}\n");
            let found = hypervisor(&cpuinfo, Some("KVM".into()));
            assert_eq!(found.as_deref(), expected, "{flags}");
        };
        check("fpu hypervisor sse", Some("KVM"));
        check("fpu sse", None);
    }
}
