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

use super::Facts;

#[path = "linux_contention.rs"]
mod contention;
#[path = "perf.rs"]
mod perf;

pub(super) use contention::{
    children, cpu_times, families_cpu_ns, listen_overflows, listeners_on, reap_orphans,
    throttled_ns,
};
pub(super) use perf::EventCounter;

/// The affinity calls take 0 for the calling thread.
const THIS_THREAD: Pid = Pid::from_raw(0);

/// Argument of `getrusage` for the calling thread alone.
pub(super) const THREAD_USAGE: Option<UsageWho> = Some(UsageWho::RUSAGE_THREAD);

pub(super) fn pin_process(cpus: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &cpu in cpus {
        set.set(cpu)?;
    }
    Ok(sched_setaffinity(THIS_THREAD, &set)?)
}

pub(super) fn allowed_cpus() -> Vec<usize> {
    match sched_getaffinity(THIS_THREAD) {
        Ok(set) => (0..CpuSet::count())
            .filter(|&cpu| set.is_set(cpu) == Ok(true))
            .collect(),
        // More CPUs than the set holds: number them from 0, as a machine without restrictions would.
        Err(_) => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
    }
}

pub(super) fn peak_rss_bytes() -> Option<u64> {
    kibibytes(&read_to_string("/proc/self/status").ok()?, "VmHWM")
}

pub(super) fn resident_bytes() -> Option<u64> {
    kibibytes(&read_to_string("/proc/self/smaps_rollup").ok()?, "Rss")
}

pub(super) fn thread_count() -> Option<u64> {
    let status = read_to_string("/proc/self/status").ok()?;
    value_of(&status, "Threads")?.parse().ok()
}

pub(super) fn is_child(pid: u32) -> Option<bool> {
    let pid = Pid::from_raw(i32::try_from(pid).ok()?);
    // `WNOWAIT` only looks: a child that has ended can still be waited for.
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::Pid(pid), look) {
        Ok(_) => Some(true),
        Err(Errno::ECHILD) => Some(false),
        Err(_) => None,
    }
}

pub(super) fn set_timer_slack_ns(slack_ns: u64) -> bool {
    set_timerslack(slack_ns).is_ok()
}

pub(super) fn die_with_parent() -> io::Result<()> {
    let parent = getppid();
    set_pdeathsig(Signal::SIGKILL)?;
    // A parent that died before the request sends no signal, but shows up as a new parent.
    if getppid() != parent {
        return Err(io::Error::other("the parent process is already gone"));
    }
    Ok(())
}

pub(super) fn adopt_orphans() {
    let _ = set_child_subreaper(true);
}

pub(super) fn online_cpus() -> Option<u32> {
    count_of(&text_of("/sys/devices/system/cpu/online")?)
}

pub(super) fn facts() -> Facts {
    let cpuinfo = read_to_string("/proc/cpuinfo").unwrap_or_default();
    Facts {
        distribution: text_of("/etc/os-release").and_then(|text| pretty_name(&text)),
        cpu_model: value_of(&cpuinfo, "model name").map(String::from),
        memory_bytes: text_of("/proc/meminfo").and_then(|text| kibibytes(&text, "MemTotal")),
        hypervisor: hypervisor(&cpuinfo, text_of("/sys/class/dmi/id/product_name")),
        governor: text_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        clock_source: text_of("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
        boot_id: text_of("/proc/sys/kernel/random/boot_id"),
        load_average_1m: text_of("/proc/loadavg")
            .and_then(|text| non_empty(text.split(' ').next().unwrap_or_default())),
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

/// Number of CPUs in a kernel list such as `0-3,6`.
fn count_of(list: &str) -> Option<u32> {
    let mut count = 0;
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        count += last.checked_sub(first)? + 1;
    }
    Some(count)
}

/// The virtual machine's name for itself, if the CPU reports that there is one.
fn hypervisor(cpuinfo: &str, product_name: Option<String>) -> Option<String> {
    let flags = value_of(cpuinfo, "flags")?;
    let is_virtual = flags.split(' ').any(|flag| flag == "hypervisor");
    is_virtual.then(|| product_name.unwrap_or_else(|| "yes, which one is unknown".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_list_of_cpus_is_counted() {
        let check = |list, expected| assert_eq!(count_of(list), expected, "{list}");
        check("0", Some(1));
        check("0-3,6", Some(5));
        check("3-1", None);
        check("many", None);
    }

    #[test]
    fn memory_is_read_in_kibibytes() {
        let check = |text, expected| assert_eq!(kibibytes(text, "VmHWM"), expected, "{text}");
        check("Name:\tx\nVmHWM:\t    1752 kB\n", Some(1752 * 1024));
        check("VmHWM:\t1752\n", None);
        check("VmRSS:\t1752 kB\n", None);
    }

    #[test]
    fn the_distribution_tells_its_pretty_name() {
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
