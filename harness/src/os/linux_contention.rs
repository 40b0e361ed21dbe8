//! Linux's files about other activity: `/proc/stat`, processes, TCP.
//!
//! As in `os/linux.rs`, reading is separate from parsing, and functions that take text are pure. A file that is missing
//! or not readable by this user makes a number unknown, never an error.

use std::collections::BTreeSet;
use std::fs::{File, read_dir, read_link, read_to_string};
use std::io::{BufRead, BufReader};
use std::path::Path;

use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

use crate::os::cpu_times::CpuTimes;

/// The unit of CPU times in `/proc` (`USER_HZ`), the same on every architecture in use.
const TICK_NS: u64 = 10_000_000;

/// Set in the flags of the kernel's own threads.
const KERNEL_THREAD: u64 = 0x0020_0000;

/// Programs that hold a container's port open for a server that lives elsewhere.
const FORWARDERS: [&str; 2] = ["docker-proxy", "rootlessport"];

pub(crate) fn cpu_times(cpus: &[usize]) -> Option<CpuTimes> {
    times_of(&read_to_string("/proc/stat").ok()?, cpus)
}

/// The columns of a CPU are user (which includes guests), nice, system, idle, iowait, irq, softirq and steal.
fn times_of(stat: &str, cpus: &[usize]) -> Option<CpuTimes> {
    let mut sum = CpuTimes::default();
    for cpu in cpus {
        let name = format!("cpu{cpu} ");
        let line = stat.lines().find_map(|line| line.strip_prefix(&name))?;
        let columns: Vec<u64> = line
            .split_whitespace()
            .take(8)
            .map_while(|column| column.parse().ok())
            .collect();
        sum.total_ns += columns.iter().sum::<u64>() * TICK_NS;
        sum.busy_ns += columns.get(..3)?.iter().sum::<u64>() * TICK_NS;
        sum.steal_ns += columns.get(7)? * TICK_NS;
    }
    Some(sum)
}

/// CPU time of the descendants of this process, of `others` with their descendants, and of the kernel's threads, each
/// with its ended children. Excludes this process itself.
///
/// A process that ends passes its time on to its parent, so the sum over a family loses nothing as long as orphans stay
/// in the family (`adopt_orphans`).
pub(crate) fn families_cpu_ns(others: &[u32]) -> Option<u64> {
    Some(family_of(&processes()?, std::process::id(), others))
}

/// The children of this process, including adopted ones; empty if the system does not provide them.
pub fn children() -> Vec<u32> {
    let own = std::process::id();
    let all = processes().unwrap_or_default().into_iter();
    all.filter(|process| process.parent == own)
        .map(|process| process.pid)
        .collect()
}

/// Reaps adopted orphans that have ended. Children that this process started itself are left alone, provided that each
/// leads a process group.
pub fn reap_orphans() {
    for pid in ended_orphans(&processes().unwrap_or_default(), std::process::id()) {
        if let Ok(pid) = i32::try_from(pid) {
            let _ = waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG));
        }
    }
}

/// Ended children of `own` that it has not started itself: the ones it has started are group leaders.
fn ended_orphans(processes: &[Process], own: u32) -> Vec<u32> {
    let orphans = processes
        .iter()
        .filter(|process| process.parent == own && process.group != process.pid);
    orphans
        .filter(|orphan| orphan.has_ended)
        .map(|orphan| orphan.pid)
        .collect()
}

fn processes() -> Option<Vec<Process>> {
    Some(pids()?.filter_map(process).collect())
}

/// The descendants of this process; empty if the system does not provide them.
pub fn descendants() -> BTreeSet<u32> {
    let own = std::process::id();
    let mut family = members(&processes().unwrap_or_default(), BTreeSet::from([own]));
    family.remove(&own);
    family
}

/// The family with all descendants of its members.
fn members(processes: &[Process], mut family: BTreeSet<u32>) -> BTreeSet<u32> {
    let joins = |family: &BTreeSet<u32>, process: &Process| {
        family.contains(&process.parent) && !family.contains(&process.pid)
    };
    // Children may be listed before their parents, since process ids are reused.
    while let Some(child) = processes.iter().find(|process| joins(&family, process)) {
        family.insert(child.pid);
    }
    family
}

fn family_of(processes: &[Process], own: u32, others: &[u32]) -> u64 {
    let family = members(processes, others.iter().copied().chain([own]).collect());
    processes
        .iter()
        .filter(|process| process.pid != own)
        .filter(|process| process.of_kernel || family.contains(&process.pid))
        .map(|process| process.cpu_ns)
        .sum()
}

fn pids() -> Option<impl Iterator<Item = u32>> {
    let entries = read_dir("/proc").ok()?;
    Some(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()))
}

/// `None` if it has just ended.
fn process(pid: u32) -> Option<Process> {
    process_of(&read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

#[derive(Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    group: u32,
    of_kernel: bool,
    /// True for a zombie.
    has_ended: bool,
    /// CPU time of the process and of its ended children.
    cpu_ns: u64,
}

/// Parses `/proc/<pid>/stat`: the name in parentheses may contain anything, including parentheses.
fn process_of(stat: &str) -> Option<Process> {
    let (pid, rest) = stat.split_once(" (")?;
    let (_name, rest) = rest.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
    let ticks: Option<u64> = (11..15).map(number).sum();
    Some(Process {
        pid: pid.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        group: fields.get(2)?.parse().ok()?,
        has_ended: fields.first() == Some(&"Z"),
        of_kernel: number(6)? & KERNEL_THREAD != 0,
        cpu_ns: ticks?.checked_mul(TICK_NS)?,
    })
}

/// Counted over all listeners in this network namespace.
pub(crate) fn listen_overflows() -> Option<u64> {
    overflows_of(&read_to_string("/proc/net/netstat").ok()?)
}

/// Names are on one line, their values on the next one. A queue overflows with connections that wait to be accepted
/// (`ListenOverflows`) or with half-open ones (`TCPReqQFullDrop`); `ListenDrops` has other causes too.
fn overflows_of(netstat: &str) -> Option<u64> {
    let mut lines = netstat
        .lines()
        .filter_map(|line| line.strip_prefix("TcpExt: "));
    let (names, values) = (lines.next()?, lines.next()?);
    let value_of = |wanted: &str| {
        let mut pairs = names.split(' ').zip(values.split(' '));
        pairs
            .find(|(name, _)| *name == wanted)?
            .1
            .parse::<u64>()
            .ok()
    };
    Some(value_of("ListenOverflows")? + value_of("TCPReqQFullDrop").unwrap_or(0))
}

/// The processes that listen on `port` on this machine, on any address; `None` if that cannot be determined.
///
/// Only root can see the listeners of other users; nor can the server behind a forwarder of a container's port be
/// determined.
pub fn listeners_on(port: u16) -> Option<Vec<u32>> {
    let sockets: BTreeSet<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| File::open(path).ok())
        .flat_map(|table| listening_sockets(BufReader::new(table), port))
        .collect();
    owners(&sockets)
}

/// The processes that listen on a Unix socket; `None` if they are unknown.
pub fn listeners_at(path: &Path) -> Option<Vec<u32>> {
    let table = read_to_string("/proc/net/unix").ok()?;
    owners(&listening_unix_sockets(&table, path.to_str()?).collect())
}

/// The processes that hold any of `sockets`; `None` if none is visible, or if one of them only forwards.
fn owners(sockets: &BTreeSet<u64>) -> Option<Vec<u32>> {
    if sockets.is_empty() {
        return None;
    }
    let owners: Vec<u32> = pids()?.filter(|&pid| holds_any(pid, sockets)).collect();
    let forwards = |&pid: &u32| {
        read_to_string(format!("/proc/{pid}/comm"))
            .is_ok_and(|name| FORWARDERS.contains(&name.trim()))
    };
    (!owners.is_empty() && !owners.iter().any(forwards)).then_some(owners)
}

/// The inodes of the sockets that listen on `port`, from `/proc/net/tcp`. The kernel lists listening sockets first; the
/// connections after them may be thousands, which it formats only for those who read on.
fn listening_sockets(table: impl BufRead, port: u16) -> Vec<u64> {
    const LISTENING: &str = "0A";
    let inode = |line: String| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_address, its_port) = fields.get(1)?.rsplit_once(':')?;
        let fits = u16::from_str_radix(its_port, 16) == Ok(port);
        fits.then(|| fields.get(9)?.parse().ok()).flatten()
    };
    let lines = table.lines().skip(1).map_while(Result::ok);
    lines
        .take_while(|line| line.split_whitespace().nth(3) == Some(LISTENING))
        .filter_map(inode)
        .collect()
}

/// The inodes of the sockets that listen at `path`, from `/proc/net/unix`.
fn listening_unix_sockets<'a>(table: &'a str, path: &'a str) -> impl Iterator<Item = u64> + 'a {
    // The flag `SO_ACCEPTCON`, as the kernel prints it.
    const LISTENING: &str = "00010000";
    table.lines().skip(1).filter_map(move |line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let fits = line.ends_with(path) && fields.get(7..)?.join(" ") == path;
        (fits && fields[3] == LISTENING).then(|| fields[6].parse().ok())?
    })
}

fn holds_any(pid: u32, sockets: &BTreeSet<u64>) -> bool {
    let Ok(descriptors) = read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    descriptors
        .filter_map(|entry| read_link(entry.ok()?.path()).ok())
        .filter_map(|target| socket_of(target.to_str()?))
        .any(|socket| sockets.contains(&socket))
}

/// The inode in a descriptor's target such as `socket:[4711]`.
fn socket_of(target: &str) -> Option<u64> {
    target
        .strip_prefix("socket:[")?
        .strip_suffix(']')?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    const STAT: &str = "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 10 1 5 70 10 3 3 2 4 0\ncpu1 20 0 5 1 1 0 0 1 0 0\n\
                        cpu10 1 1 1 1 1 1 1 1 1 1\nintr 1 2\n";

    #[test]
    fn only_the_watched_cpus_count_and_interrupts_are_nobodys() {
        let check = |cpus: &[usize], expected: Option<[u64; 3]>| {
            let times = times_of(STAT, cpus);
            let times = times.map(|times| [times.busy_ns, times.steal_ns, times.total_ns]);
            let expected = expected.map(|ticks| ticks.map(|ticks| ticks * TICK_NS));
            assert_eq!(times, expected, "{cpus:?}");
        };
        check(&[0], Some([16, 2, 104]));
        check(&[0, 1], Some([41, 3, 132]));
        check(&[], Some([0, 0, 0]));
        check(&[7], None);
    }

    #[test]
    fn a_process_is_read_whatever_its_name() {
        let line = |name: &str, flags: u64| {
            format!("42 ({name}) S 7 42 42 0 -1 {flags} 99 0 0 0 3 4 10 20 20 0 1 0 90216 3133440")
        };
        let expected = |of_kernel| {
            Some(Process {
                pid: 42,
                parent: 7,
                group: 42,
                of_kernel,
                has_ended: false,
                cpu_ns: 37 * TICK_NS,
            })
        };
        assert_eq!(process_of(&line("nginx", 4_194_304)), expected(false));
        assert_eq!(process_of(&line("a) R 1 (b", 0)), expected(false));
        assert_eq!(process_of(&line("kworker/0:1", 69_238_880)), expected(true));
        assert_eq!(process_of("42 (nginx) S"), None);
    }

    #[test]
    fn process_families_are_told_from_strangers_in_any_order() {
        // The CPU time of each process is a distinct power of ten.
        let process = |pid: u32, parent: u32, of_kernel: bool| Process {
            pid,
            parent,
            group: pid,
            of_kernel,
            has_ended: false,
            cpu_ns: 10_u64.pow(pid),
        };
        let processes = [
            process(0, 5, false),
            process(1, 9, false),
            process(2, 9, true),
            process(3, 1, false),
            process(4, 9, false),
            process(5, 4, false),
        ];
        // 4 is this process, 5 its child and 0 its grandchild; 1 has the child 3; 2 is the kernel's.
        assert_eq!(family_of(&processes, 4, &[]), 100_101);
        assert_eq!(family_of(&processes, 4, &[1]), 101_111);
        assert_eq!(family_of(&processes, 4, &[1, 0]), 101_111);
    }

    #[test]
    fn an_orphan_is_adopted_and_reaped_by_its_family() {
        // A shell (3) that this process (1) started has died; the processes it started (4, 5) still have the shell's
        // group.
        let orphan = |pid: u32, parent: u32, has_ended| Process {
            pid,
            parent,
            group: 3,
            of_kernel: false,
            has_ended,
            cpu_ns: 10_u64.pow(pid),
        };
        let init = 0;
        let lost = [orphan(4, init, false), orphan(5, init, true)];
        assert_eq!(family_of(&lost, 1, &[]), 0);
        let adopted = [orphan(4, 1, false), orphan(5, 1, true)];
        assert_eq!(family_of(&adopted, 1, &[]), 110_000);
        assert_eq!(ended_orphans(&lost, 1), [0; 0]);
        assert_eq!(ended_orphans(&adopted, 1), [5]);
        // A child that this process started itself is waited for by the code that started it.
        let own = Process {
            group: 5,
            ..orphan(5, 1, true)
        };
        assert_eq!(ended_orphans(&[own], 1), [0; 0]);
    }

    #[test]
    fn listener_overflows_include_both_queues() {
        let check = |netstat, expected| assert_eq!(overflows_of(netstat), expected, "{netstat}");
        check(
            "TcpExt: A ListenOverflows ListenDrops TCPReqQFullDrop\nTcpExt: 9 3 5 1\nIpExt: B\nIpExt: 1\n",
            Some(4),
        );
        check("TcpExt: ListenOverflows\nTcpExt: 3\n", Some(3));
        check("TcpExt: A\nTcpExt: 3\n", None);
        check("", None);
    }

    #[test]
    fn listening_sockets_are_distinguished_from_connections_which_are_not_read() {
        const LISTENING: &[u8] = b"  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
            0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4711 1 0 100\n\
            1: 00000000000000000000000000000000:1F91 00:0000 0A 0:0 00:0 0 0 0 4713 1\n";
        const CONNECTION: &[u8] = b"2: 0100007F:1F90 0100007F:C350 01 0:0 00:0 0 0 0 4712 1\n";
        for (port, expected) in [(8080, 4711), (8081, 4713)] {
            let mut more = CONNECTION;
            let table = LISTENING.chain(CONNECTION).chain(&mut more);
            assert_eq!(listening_sockets(table, port), [expected]);
            assert_eq!(more, CONNECTION);
        }
        assert_eq!(socket_of("socket:[4711]"), Some(4711));
        assert_eq!(socket_of("/dev/null"), None);
    }
}
