//! Everything that depends on the operating system: pinning, limits, resource usage, machine facts.
//!
//! A fact that the system does not provide is `None`; an action that it cannot take is an "unsupported" error or does
//! nothing, as documented for each function. No policy lives here. Linux's implementation, with the documentation, is
//! in
//! `os/linux.rs`, that of other systems in `os/elsewhere.rs`.

use std::hint::black_box;
use std::io;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage, setrlimit};
use nix::sys::time::{TimeVal, TimeValLike};
use nix::sys::utsname::uname;

use photofinish_record::machine::Machine;

#[cfg_attr(target_os = "linux", path = "os/linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "os/elsewhere.rs")]
mod system;

mod contention;
mod counters;
mod cpu_times;

pub use contention::{Activity, activity};
pub use counters::{Counted, Counters};
pub use system::{
    adopt_orphans, allowed_cpus, children, cpus_of_process, descendants, die_with_parent, is_child,
    listeners_at, listeners_on, peak_rss_bytes, pin_process, reap_orphans, resident_bytes,
    set_timer_slack_ns, thread_count,
};

pub mod fitness;

#[cfg(target_os = "linux")]
mod cgroup;
#[cfg_attr(target_os = "linux", path = "os/fitness_linux.rs")]
#[cfg_attr(not(target_os = "linux"), path = "os/fitness_elsewhere.rs")]
mod fitness_system;
#[cfg(target_os = "linux")]
mod proc_text;

/// Stack of a thread that does nothing.
const SMALL_STACK_BYTES: usize = 64 << 10;

/// Advice for when the system refuses to start a thread or a process.
pub const RAISE_THREAD_LIMIT: &str = "this user or container has reached its limit of processes and threads: raise `ulimit -u`, or the container's `pids.max`";

/// Checks that `count` more threads can run at the same time, by starting them.
pub fn check_threads(count: u32) -> io::Result<()> {
    let gate = Arc::new(Mutex::new(()));
    let closed = gate.lock();
    let start = |_| {
        let gate = Arc::clone(&gate);
        let thread = thread::Builder::new().stack_size(SMALL_STACK_BYTES);
        thread.spawn(move || drop(gate.lock()))
    };
    let started: Vec<_> = (0..count).map(start).collect();
    drop(closed);
    let mut result = Ok(());
    for thread in started {
        match thread {
            // They cannot panic.
            Ok(thread) => drop(thread.join()),
            Err(error) => result = Err(error),
        }
    }
    result
}

/// Resources that a process or thread has used since its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub cpu_user_ns: Option<u64>,
    pub cpu_system_ns: Option<u64>,
    /// Number of times a thread gave up its CPU to wait.
    pub voluntary_switches: Option<u64>,
    /// Number of times a thread was forced to give up its CPU.
    pub involuntary_switches: Option<u64>,
    /// Page faults without I/O.
    pub minor_faults: Option<u64>,
    /// Page faults with I/O.
    pub major_faults: Option<u64>,
}

/// Resources used by all threads of the process together.
pub fn usage() -> Usage {
    usage_of(UsageWho::RUSAGE_SELF)
}

/// Resources used by the calling thread.
pub fn thread_usage() -> Usage {
    system::THREAD_USAGE.map_or_else(Usage::default, usage_of)
}

fn usage_of(who: UsageWho) -> Usage {
    let Ok(usage) = getrusage(who) else {
        return Usage::default();
    };
    Usage {
        cpu_user_ns: time_val_ns(usage.user_time()),
        cpu_system_ns: time_val_ns(usage.system_time()),
        voluntary_switches: u64::try_from(usage.voluntary_context_switches()).ok(),
        involuntary_switches: u64::try_from(usage.involuntary_context_switches()).ok(),
        minor_faults: u64::try_from(usage.minor_page_faults()).ok(),
        major_faults: u64::try_from(usage.major_page_faults()).ok(),
    }
}

impl Usage {
    /// The difference from `earlier`; unknown if either is unknown.
    pub fn since(self, earlier: Self) -> Self {
        self.combined(earlier, |later, earlier| later?.checked_sub(earlier?))
    }

    /// Subtracts a `part` of it; an unknown part counts as 0.
    pub fn without(self, part: Self) -> Self {
        self.combined(part, |all, part| {
            Some(all?.saturating_sub(part.unwrap_or(0)))
        })
    }

    fn combined(self, other: Self, with: impl Fn(Option<u64>, Option<u64>) -> Option<u64>) -> Self {
        Self {
            cpu_user_ns: with(self.cpu_user_ns, other.cpu_user_ns),
            cpu_system_ns: with(self.cpu_system_ns, other.cpu_system_ns),
            voluntary_switches: with(self.voluntary_switches, other.voluntary_switches),
            involuntary_switches: with(self.involuntary_switches, other.involuntary_switches),
            minor_faults: with(self.minor_faults, other.minor_faults),
            major_faults: with(self.major_faults, other.major_faults),
        }
    }
}

fn time_val_ns(time: TimeVal) -> Option<u64> {
    u64::try_from(time.num_nanoseconds()).ok()
}

/// Raises the soft limit of open files to the hard one if it can, and returns the limit now in force.
pub fn raise_open_files_limit() -> Option<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).ok()?;
    match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => Some(hard),
        Err(_) => Some(soft),
    }
}

/// Number of batches of clock reads, the fastest of which counts, and of reads per batch.
const BATCHES: u32 = 20;
const READS: u32 = 500;

/// Cost of a clock read, in ns: the fastest of several batches, which nothing interrupted.
pub fn clock_read_ns() -> f64 {
    let batch = || {
        let started = Instant::now();
        for _ in 0..READS {
            black_box(Instant::now());
        }
        started.elapsed().as_secs_f64() * 1e9 / f64::from(READS)
    };
    (0..BATCHES).map(|_| batch()).fold(f64::INFINITY, f64::min)
}

/// Online CPUs of the machine, whether or not this process may use them.
pub fn online_cpus() -> u32 {
    let allowed = || u32::try_from(allowed_cpus().len()).unwrap_or(u32::MAX);
    system::online_cpus().unwrap_or_else(allowed)
}

/// The machine's name in its network; `None` if the system does not say.
pub fn host_name() -> Option<String> {
    system::host_name()
}

/// Facts about this machine.
pub fn machine() -> Machine {
    Machine {
        os: operating_system(system::distribution().as_deref()),
        arch: std::env::consts::ARCH.to_owned(),
        cpus_online: online_cpus(),
        cpus_allowed: allowed_cpus(),
        open_files_limit: getrlimit(Resource::RLIMIT_NOFILE)
            .ok()
            .map(|(soft, _)| soft),
        ..system::facts()
    }
}

fn operating_system(distribution: Option<&str>) -> String {
    let kernel = uname().map_or_else(
        |_| std::env::consts::OS.to_owned(),
        |name| {
            let (system, release) = (name.sysname(), name.release());
            format!("{} {}", system.to_string_lossy(), release.to_string_lossy())
        },
    );
    match distribution {
        Some(distribution) => format!("{kernel} ({distribution})"),
        None => kernel,
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Runs `work` on its own thread, since tests that change thread settings must not affect the others.
    fn on_own_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            scope
                .spawn(work)
                .join()
                .expect("the test's thread panicked")
        })
    }

    #[test]
    fn a_pinned_thread_may_use_just_the_cpus_it_was_pinned_to() {
        on_own_thread(|| {
            let last = *allowed_cpus().last().expect("at least one CPU");
            pin_process(&[last]).expect("pin");
            assert_eq!(allowed_cpus(), [last]);
        });
    }

    #[test]
    fn pinning_to_a_cpu_that_does_not_exist_is_an_error() {
        on_own_thread(|| {
            assert!(pin_process(&[100_000]).is_err());
            assert!(pin_process(&[1023]).is_err());
            assert!(pin_process(&[]).is_err());
        });
    }

    #[test]
    fn usage_counts_cpu_time() {
        let before = usage();
        let burn_until = std::time::Instant::now() + std::time::Duration::from_millis(60);
        while std::time::Instant::now() < burn_until {}
        let (before, after) = (before.cpu_user_ns, usage().cpu_user_ns);
        assert!(after > before, "before {before:?}, after {after:?}");
    }

    #[test]
    fn peak_memory_grows_with_touched_pages() {
        let before = peak_rss_bytes().expect("known");
        let touched = std::hint::black_box(vec![1_u8; 64 << 20]);
        let after = peak_rss_bytes().expect("known");
        assert!(
            after >= before.max(touched.len() as u64),
            "before {before}, after {after}"
        );
    }

    #[test]
    fn resident_memory_follows_touched_pages() {
        const TOUCHED_BYTES: u64 = 256 << 20;
        // More than all other tests of this process use together, and freed at once: too large to come from the heap.
        let without = resident_bytes().expect("known");
        let touched = std::hint::black_box(vec![1_u8; TOUCHED_BYTES as usize]);
        let with = resident_bytes().expect("known");
        drop(touched);
        let again = resident_bytes().expect("known");
        let levels = format!("{without}, then {with}, then {again}");
        assert!(with > without + TOUCHED_BYTES / 2, "{levels}");
        assert!(again < with - TOUCHED_BYTES / 2, "{levels}");
    }

    #[test]
    fn live_threads_are_counted() {
        let (finish, wait) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            scope.spawn(move || wait.recv());
            assert!(thread_count().expect("known") >= 2);
            drop(finish);
        });
    }

    #[test]
    fn a_child_counts_until_it_is_reaped() {
        let child = std::process::Command::new("true").spawn();
        let mut child = child.expect("a command that every system has");
        assert_eq!(is_child(child.id()), Some(true), "running or a zombie");
        child.wait().expect("it ends");
        assert_eq!(is_child(child.id()), Some(false));
        assert_eq!(is_child(std::process::id()), Some(false));
    }

    #[test]
    fn the_open_files_limit_ends_at_the_hard_one() {
        let raised = raise_open_files_limit();
        let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("known");
        assert_eq!((raised, soft), (Some(hard), hard));
    }

    #[test]
    fn the_timer_slack_is_set() {
        on_own_thread(|| {
            assert!(set_timer_slack_ns(1));
            let slack = nix::sys::prctl::get_timerslack();
            assert_eq!(slack, Ok(1));
        });
    }

    #[test]
    fn the_machine_names_its_system_and_its_cpus() {
        let machine = machine();
        assert!(machine.os.starts_with("Linux "), "{}", machine.os);
        assert_eq!(machine.cpus_allowed, allowed_cpus());
        assert!(machine.cpus_online as usize >= machine.cpus_allowed.len());
        assert!(machine.memory_bytes > Some(16 << 20));
        assert!(machine.boot_id.is_some());
    }
}
