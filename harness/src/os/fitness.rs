//! Takes the readings that `fitness` judges: counters before and after a short observation, limits, clocks and timers.
//!
//! Nothing on the machine is changed: the timer slack is set on a thread that ends here, and no file is written.
//! Linux's own readings are in `fitness_linux.rs`; `crate::fitness` interprets them.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::resource::{Resource, getrlimit};
use nix::time::{ClockId, clock_getres};

use photofinish_record::nanoseconds;

use super::fitness_system as system;
use super::{activity, online_cpus, set_timer_slack_ns};
use crate::fitness::{Background, Clock, Limits, Processor, Readings};

#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// The CPUs to use.
    pub cpus: &'a [usize],
    /// Directory for a run's files; it need not exist yet.
    pub directory: &'a Path,
    /// Length of the observation of other activity.
    pub watch: Duration,
}

/// Examines the machine; takes as long as the observation, plus about 100 ms.
pub fn readings(look: &Look<'_>) -> Readings {
    let facts = super::system::facts();
    let clock = Clock {
        source: facts.clock_source,
        ..clock()
    };
    let average = facts.load_average_1m.and_then(|text| text.parse().ok());
    let background = watch(look);
    Readings {
        debug_build: cfg!(debug_assertions),
        cpus: look.cpus.to_vec(),
        cpus_online: online_cpus(),
        processor: Processor {
            hypervisor: facts.hypervisor,
            ..system::processor(look.cpus)
        },
        quota: system::quota(),
        background: Background {
            load_average_1m: average,
            ..background
        },
        clock,
        limits: limits(),
        memory: system::memory(),
        storage: system::storage(look.directory),
        kernel: system::kernel(),
    }
}

/// Sleeps, and reads the activity meanwhile. All of it is foreign: this process is the only one of ours, and it sleeps.
fn watch(look: &Look<'_>) -> Background {
    let (before, swapped_before) = (activity(look.cpus, Some(&[])), system::swapped_pages());
    thread::sleep(look.watch);
    let (after, swapped_after) = (activity(look.cpus, Some(&[])), system::swapped_pages());
    let seen = after.since(&before);
    let given_ns = seen.elapsed_ns as f64 * look.cpus.len() as f64;
    let share = |ns: Option<u64>| Some(ns? as f64 / given_ns).filter(|share| share.is_finite());
    let swapped = swapped_before.zip(swapped_after);
    let since_boot = super::system::cpu_times(look.cpus).filter(|times| times.total_ns > 0);
    Background {
        elapsed_ns: seen.elapsed_ns,
        busy_share: share(seen.foreign_cpu_ns),
        steal_share: share(seen.steal_ns),
        steal_share_since_boot: since_boot
            .map(|times| times.steal_ns as f64 / times.total_ns as f64),
        throttled_ns: seen.throttled_ns,
        swapped_pages: swapped.map(|(before, after)| after.saturating_sub(before)),
        load_average_1m: None,
    }
}

fn limits() -> Limits {
    let open_files = getrlimit(Resource::RLIMIT_NOFILE).ok();
    Limits {
        open_files_soft: open_files.map(|(soft, _)| soft),
        open_files_hard: open_files.map(|(_, hard)| hard),
        ..system::network_limits()
    }
}

/// Number of sleeps to time.
const SLEEPS: usize = 40;
/// Length of each sleep: typical of the waits of an open load.
const SLEEP: Duration = Duration::from_millis(1);

fn clock() -> Clock {
    let resolution = clock_getres(ClockId::CLOCK_MONOTONIC).ok();
    // On its own thread, since the slack stays with the thread.
    let sleeping = thread::Builder::new().spawn(|| (set_timer_slack_ns(1), lateness_of_sleeps()));
    let (slack_set, late_ns) = match sleeping {
        Ok(sleeping) => sleeping.join().expect("sleeping does not panic"),
        Err(_) => (false, lateness_of_sleeps()),
    };
    Clock {
        source: None,
        resolution_ns: resolution.map(|time| nanoseconds(time.into())),
        read_ns: super::clock_read_ns(),
        sleep_late_p50_ns: late_ns[SLEEPS / 2],
        sleep_late_p90_ns: late_ns[SLEEPS * 9 / 10],
        slack_set,
    }
}

/// Overshoot of sleeps, ascending, in ns.
fn lateness_of_sleeps() -> [u64; SLEEPS] {
    let mut late_ns = [0; SLEEPS];
    for late in &mut late_ns {
        let due = Instant::now() + SLEEP;
        thread::sleep(SLEEP);
        *late = nanoseconds(due.elapsed());
    }
    late_ns.sort_unstable();
    late_ns
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::os::allowed_cpus;

    #[test]
    fn this_machine_can_be_read_and_is_left_unchanged() {
        let slack_before = nix::sys::prctl::get_timerslack();
        let cpus = allowed_cpus();
        let read = readings(&Look {
            cpus: &cpus,
            directory: Path::new("/nowhere/at/all"),
            watch: Duration::from_millis(20),
        });
        assert_eq!(read.cpus, cpus);
        assert!(read.background.elapsed_ns >= 20_000_000);
        assert!(
            read.clock.read_ns > 0.0 && read.clock.slack_set,
            "{:?}",
            read.clock
        );
        assert!(read.clock.sleep_late_p50_ns <= read.clock.sleep_late_p90_ns);
        assert!(read.memory.available_bytes > Some(0), "{:?}", read.memory);
        assert_eq!(read.storage.directory, Path::new("/"));
        assert!(read.storage.file_system.is_some(), "{:?}", read.storage);
        assert_eq!(nix::sys::prctl::get_timerslack(), slack_before);
    }
}
