//! Other activity on the machine: CPU time taken by others, throttling, full accept queues.
//!
//! [`activity`] reads the system's counters; [`Activity::since`] returns the activity between two readings. CPU time
//! here is in ticks of 10 ms, and the kernel attributes it by sampling at each of its own ticks (1-10 ms): one second
//! on two CPUs is accurate to about 30 ms, and anything less is noise. The callers decide how much is too much.
//! `os/linux_contention.rs` and `os/cgroup.rs` parse the files.

use std::time::Instant;

use nix::sys::resource::{UsageWho, getrusage};

use super::cpu_times::CpuTimes;
use super::{system, time_val_ns};
use photofinish_record::{Conditions, nanoseconds};

/// The system's counters at one moment; `None` if the system does not provide them.
#[derive(Clone, Debug)]
pub struct Activity {
    at: Instant,
    /// CPU time of all processes on the watched CPUs, and the time that the hypervisor withheld from them.
    cpus: Option<CpuTimes>,
    /// CPU time of this run's own processes.
    own_ns: Option<u64>,
    throttled_ns: Option<u64>,
    listen_overflows: Option<u64>,
}

/// Reads the counters of `cpus`, by number.
///
/// This process and the processes `servers`, with all their descendants, belong to this run; so do kernel threads,
/// which write back what somebody has written. If `servers` is unknown, foreign CPU time is unknown.
pub fn activity(cpus: &[usize], servers: Option<&[u32]>) -> Activity {
    Activity {
        cpus: system::cpu_times(cpus),
        own_ns: servers.and_then(own_cpu_ns),
        throttled_ns: system::throttled_ns(),
        listen_overflows: system::listen_overflows(),
        at: Instant::now(),
    }
}

impl Activity {
    /// The activity since `earlier`; whether it is a disturbance is decided elsewhere.
    pub fn since(&self, earlier: &Self) -> Conditions {
        // Counters do not run backwards, but a process that ends without a parent takes its time with it.
        let grown =
            |field: fn(&Self) -> Option<u64>| Some(field(self)?.saturating_sub(field(earlier)?));
        let busy_ns = grown(|counters| Some(counters.cpus?.busy_ns));
        let own_ns = grown(|counters| counters.own_ns);
        Conditions {
            elapsed_ns: nanoseconds(self.at.saturating_duration_since(earlier.at)),
            steal_ns: grown(|counters| Some(counters.cpus?.steal_ns)),
            // Sampling may attribute less to us than we used: then nothing is left for others.
            foreign_cpu_ns: busy_ns
                .zip(own_ns)
                .map(|(busy, own)| busy.saturating_sub(own)),
            throttled_ns: grown(|counters| counters.throttled_ns),
            listen_overflows: grown(|counters| counters.listen_overflows),
            disturbance: None,
        }
    }
}

/// CPU time of this process and its ended children to the microsecond; of the others in ticks.
fn own_cpu_ns(servers: &[u32]) -> Option<u64> {
    let of = |who| {
        let usage = getrusage(who).ok()?;
        Some(time_val_ns(usage.user_time())? + time_val_ns(usage.system_time())?)
    };
    let here = of(UsageWho::RUSAGE_SELF)? + of(UsageWho::RUSAGE_CHILDREN)?;
    Some(here + system::families_cpu_ns(servers)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(busy_ns: u64, own_ns: u64) -> Activity {
        Activity {
            at: Instant::now(),
            cpus: Some(CpuTimes {
                busy_ns,
                steal_ns: busy_ns / 10,
                total_ns: busy_ns,
            }),
            own_ns: Some(own_ns),
            throttled_ns: None,
            listen_overflows: Some(own_ns),
        }
    }

    #[test]
    fn foreign_cpu_time_is_the_total_minus_our_own() {
        let check = |later: Activity, expected: u64| {
            let conditions = later.since(&counters(1_000, 400));
            assert_eq!(conditions.foreign_cpu_ns, Some(expected));
        };
        check(counters(1_900, 1_100), 200);
        check(counters(1_900, 1_400), 0);
    }

    #[test]
    fn a_value_unknown_in_one_reading_stays_unknown() {
        let conditions = counters(50, 20).since(&counters(10, 10));
        assert_eq!(conditions.steal_ns, Some(4));
        assert_eq!(conditions.throttled_ns, None);
        assert_eq!(conditions.listen_overflows, Some(10));
        let nothing = Activity {
            cpus: None,
            ..counters(0, 0)
        };
        let unknown = counters(50, 20).since(&nothing);
        assert_eq!((unknown.foreign_cpu_ns, unknown.steal_ns), (None, None));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn cpu_time_of_this_process_and_its_children_is_not_foreign() {
        let before = own_cpu_ns(&[]).expect("known");
        let script = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
        let mut command = std::process::Command::new("sh");
        let ended = command.args(["-c", script]).status().expect("a shell");
        let after = own_cpu_ns(&[]).expect("known");
        assert!(ended.success());
        assert!(after > before + 5_000_000, "before {before}, after {after}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn foreign_cpu_time_is_unknown_without_the_servers() {
        let cpus = super::super::allowed_cpus();
        let known = |servers: Option<&[u32]>| {
            let before = activity(&cpus, servers);
            let conditions = activity(&cpus, servers).since(&before);
            conditions.foreign_cpu_ns.is_some()
        };
        assert!(known(Some(&[])));
        assert!(!known(None));
    }

    /// Checks that the owners are as expected in the end: a child of another test has this process's sockets until it
    /// executes its program.
    #[cfg(target_os = "linux")]
    #[track_caller]
    fn check_soon(owners: impl Fn() -> Option<Vec<u32>>, expected: &Option<Vec<u32>>) {
        let deadline = Instant::now() + std::time::Duration::from_secs(20);
        let mut seen = owners();
        while seen != *expected && Instant::now() < deadline {
            std::thread::sleep(std::time::Duration::from_millis(5));
            seen = owners();
        }
        assert_eq!(seen, *expected);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_listener_of_this_process_is_found_by_its_port() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let own = Some(vec![std::process::id()]);
        check_soon(|| system::listeners_on(port), &own);
        drop(listener);
        check_soon(|| system::listeners_on(port), &None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_listener_of_this_process_is_found_by_its_path() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("a socket");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("bind");
        let _client = std::os::unix::net::UnixStream::connect(&path).expect("connect");
        let own = Some(vec![std::process::id()]);
        check_soon(|| system::listeners_at(&path), &own);
        assert_eq!(system::listeners_at(directory.path()), None);
        drop(listener);
        check_soon(|| system::listeners_at(&path), &None);
    }
}
