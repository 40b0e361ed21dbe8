//! Readings for fitness on Linux, from `/proc` and `/sys`.
//!
//! As in `linux.rs`, reading is separate from parsing: the functions that take text are pure, and tested on literals; a
//! missing file makes a reading unknown. Control groups are read in `cgroup.rs`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::sys::statvfs::statvfs;

use super::proc_text::{field, mount_of, mounts};
use super::system::{cpu_list, kibibytes, text_of};
use crate::fitness::{Kernel, Limits, Memory, Processor, Storage};

pub(super) use super::cgroup::quota;

const CPUS: &str = "/sys/devices/system/cpu";

pub(super) fn processor(cpus: &[usize]) -> Processor {
    Processor {
        governors: governors(cpus),
        turbo: turbo(
            number(&format!("{CPUS}/intel_pstate/no_turbo")),
            number(&format!("{CPUS}/cpufreq/boost")),
        ),
        cores: cores(cpus),
        hypervisor: None,
    }
}

fn governors(cpus: &[usize]) -> BTreeMap<String, Vec<usize>> {
    let mut governors: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for &cpu in cpus {
        if let Some(governor) = text_of(&format!("{CPUS}/cpu{cpu}/cpufreq/scaling_governor")) {
            governors.entry(governor).or_default().push(cpu);
        }
    }
    governors
}

/// Intel's driver reports that turbo is off, others that it is on.
fn turbo(no_turbo: Option<u64>, boost: Option<u64>) -> Option<bool> {
    match no_turbo {
        Some(no_turbo) => Some(no_turbo == 0),
        None => boost.map(|boost| boost != 0),
    }
}

/// The CPUs to use, grouped by core.
fn cores(cpus: &[usize]) -> Option<Vec<Vec<usize>>> {
    let mut cores: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for &cpu in cpus {
        let siblings = text_of(&format!("{CPUS}/cpu{cpu}/topology/thread_siblings_list"))?;
        let first = *cpu_list(&siblings)?.first()?;
        cores.entry(first).or_default().push(cpu);
    }
    Some(cores.into_values().collect())
}

pub(super) fn swapped_pages() -> Option<u64> {
    let text = text_of("/proc/vmstat")?;
    Some(field::<u64>(&text, "pswpin")? + field::<u64>(&text, "pswpout")?)
}

pub(super) fn network_limits() -> Limits {
    const IPV4: &str = "/proc/sys/net/ipv4";
    Limits {
        local_ports: text_of(&format!("{IPV4}/ip_local_port_range")).and_then(|text| pair(&text)),
        time_wait: text_of("/proc/net/sockstat").and_then(|text| time_wait(&text)),
        time_wait_reuse: number(&format!("{IPV4}/tcp_tw_reuse")),
        listen_backlog: number("/proc/sys/net/core/somaxconn"),
        ..Limits::default()
    }
}

fn pair(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split_whitespace().map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// `tw` of the line `TCP: inuse 5 orphan 0 tw 3 alloc 7 mem 1`.
fn time_wait(sockstat: &str) -> Option<u64> {
    let tcp = sockstat
        .lines()
        .find_map(|line| line.strip_prefix("TCP:"))?;
    let mut words = tcp.split_whitespace().skip_while(|word| *word != "tw");
    words.nth(1)?.parse().ok()
}

pub(super) fn memory() -> Memory {
    let modes = text_of("/sys/kernel/mm/transparent_hugepage/enabled");
    Memory {
        huge_pages: modes.and_then(|text| chosen(&text)),
        ..text_of("/proc/meminfo")
            .map(|text| memory_info(&text))
            .unwrap_or_default()
    }
}

fn memory_info(text: &str) -> Memory {
    let of = |key| kibibytes(text, key);
    let sum = |a: Option<u64>, b: Option<u64>| Some(a?.saturating_add(b?));
    let swap_used = || of("SwapTotal")?.checked_sub(of("SwapFree")?);
    Memory {
        total_bytes: of("MemTotal"),
        available_bytes: of("MemAvailable"),
        cached_bytes: of("Cached"),
        dirty_bytes: sum(of("Dirty"), of("Writeback")),
        swap_total_bytes: of("SwapTotal"),
        swap_used_bytes: swap_used(),
        huge_pages: None,
    }
}

/// The word in brackets: `always [madvise] never`.
fn chosen(text: &str) -> Option<String> {
    let (_, rest) = text.split_once('[')?;
    Some(rest.split_once(']')?.0.to_owned())
}

pub(super) fn storage(directory: &Path) -> Storage {
    let directory = nearest(directory);
    let mounts = mounts(&mount_info());
    let mount = mount_of(&directory, &mounts);
    Storage {
        file_system: mount.map(|mount| mount.kind.clone()),
        mount_point: mount.map(|mount| mount.point.clone()),
        free_bytes: statvfs(&directory)
            .ok()
            // The size of `/proc` is 0, which says nothing about its room.
            .filter(|room| room.blocks() > 0)
            .and_then(|room| room.blocks_available().checked_mul(room.fragment_size())),
        directory,
    }
}

/// The directory, or its nearest existing ancestor, with links resolved.
fn nearest(directory: &Path) -> PathBuf {
    let absolute = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let existing = absolute
        .ancestors()
        .find_map(|ancestor| ancestor.canonicalize().ok());
    existing.unwrap_or(absolute)
}

fn mount_info() -> String {
    text_of("/proc/self/mountinfo").unwrap_or_default()
}

pub(super) fn kernel() -> Kernel {
    // On architectures other than x86 the device has the processor's name.
    let devices = ["cpu", "cpu_core", "armv8_pmuv3", "armv8_pmuv3_0"];
    let sources = Path::new("/sys/bus/event_source/devices");
    Kernel {
        address_randomisation: number("/proc/sys/kernel/randomize_va_space"),
        perf_paranoid: number("/proc/sys/kernel/perf_event_paranoid"),
        has_hardware_counters: sources
            .exists()
            .then(|| devices.iter().any(|device| sources.join(device).exists())),
    }
}

/// Reads a file that holds one number.
fn number<T: FromStr>(path: &str) -> Option<T> {
    text_of(path)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turbo_is_reported_by_either_driver() {
        assert_eq!(turbo(Some(0), None), Some(true));
        assert_eq!(turbo(Some(1), Some(1)), Some(false));
        assert_eq!(turbo(None, Some(1)), Some(true));
        assert_eq!(turbo(None, Some(0)), Some(false));
        assert_eq!(turbo(None, None), None);
    }

    #[test]
    fn ports_and_time_wait_connections_are_read() {
        assert_eq!(pair("32768\t60999"), Some((32_768, 60_999)));
        assert_eq!(pair("32768"), None);
        let sockstat =
            "sockets: used 11\nTCP: inuse 1 orphan 0 tw 37 alloc 1 mem 203\nUDP: inuse 0\n";
        assert_eq!(time_wait(sockstat), Some(37));
        assert_eq!(time_wait("UDP: inuse 0\n"), None);
    }

    #[test]
    fn memory_is_read_and_swap_in_use_is_what_is_not_free() {
        let text = "MemTotal: 100 kB\nMemAvailable: 60 kB\nCached: 20 kB\nDirty: 3 kB\nWriteback: 1 kB\n\
                    SwapTotal: 50 kB\nSwapFree: 45 kB\n";
        let read = memory_info(text);
        assert_eq!(read.available_bytes, Some(60 << 10));
        assert_eq!(read.dirty_bytes, Some(4 << 10));
        assert_eq!(read.swap_used_bytes, Some(5 << 10));
        assert_eq!(memory_info("MemTotal: 1 kB\n").swap_used_bytes, None);
        assert_eq!(chosen("always [madvise] never").as_deref(), Some("madvise"));
        assert_eq!(chosen("none"), None);
    }

    #[test]
    fn a_path_belongs_to_its_longest_mount() {
        let info = "27 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
                    28 27 0:21 / /proc rw master:1 shared:2 - proc proc rw\n\
                    29 27 0:30 /sub /a\\040b rw - tmpfs tmpfs rw,size=4k\n\
                    30 27 0:31 / /a\\040b rw - overlay overlay rw,lowerdir=/x\n";
        let mounts = mounts(info);
        assert_eq!(mounts.len(), 4);
        assert_eq!(mounts[2].root, Path::new("/sub"));
        assert_eq!(mounts[2].options, "rw,size=4k");
        let check = |path: &str, kind: &str| {
            let mount = mount_of(Path::new(path), &mounts).expect("a mount");
            assert_eq!(mount.kind, kind, "{path}");
        };
        check("/home/x", "ext4");
        check("/proc/self", "proc");
        check("/processes", "ext4");
        check("/a b/c", "overlay");
    }

    #[test]
    fn fields_are_found_by_their_whole_name() {
        let text = "nr_throttled 12\nnr_throttled_more 3\n";
        assert_eq!(field::<u64>(text, "nr_throttled"), Some(12));
        assert_eq!(field::<u64>(text, "nr"), None);
    }
}
