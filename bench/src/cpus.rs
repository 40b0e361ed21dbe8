//! CPUs: one for the server, one for the generators; and the CPU time of processes, from Linux's `/proc`.

use std::fs;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::{TimeVal, TimeValLike as _};
use nix::unistd::Pid;

use crate::failure::{Failure, OrFail as _};

/// Unit of CPU time in `/proc`: USER_HZ is 100 on x86 and Arm.
const TICK: Duration = Duration::from_millis(10);

/// The first two CPUs that this process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cpus {
    pub(crate) server: usize,
    pub(crate) generator: usize,
}

impl Cpus {
    pub(crate) fn choose() -> Result<Self, Failure> {
        let allowed = sched_getaffinity(Pid::from_raw(0)).or_fail("read the allowed CPUs")?;
        let mut cpus = (0..CpuSet::count()).filter(|cpu| allowed.is_set(*cpu).unwrap_or(false));
        match (cpus.next(), cpus.next()) {
            (Some(server), Some(generator)) => Ok(Self { server, generator }),
            _ => Err(Failure::new("expected two CPUs, got one")
                .hint("server and generator need a CPU each; start this without `taskset`, or with two CPUs")),
        }
    }
}

/// Runs `start` pinned to a CPU; child processes inherit it.
pub(crate) fn pinned<T>(cpu: usize, start: impl FnOnce() -> T) -> Result<T, Failure> {
    let this = Pid::from_raw(0);
    let before = sched_getaffinity(this).or_fail("read the allowed CPUs")?;
    let mut only = CpuSet::new();
    only.set(cpu).or_fail("add a CPU")?;
    sched_setaffinity(this, &only).or_fail("pin to a CPU")?;
    let started = start();
    sched_setaffinity(this, &before).or_fail("unpin")?;
    Ok(started)
}

/// CPU time of all children that have been waited for.
pub(crate) fn of_ended_children() -> Result<Duration, Failure> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).or_fail("read the CPU time of a child")?;
    let microseconds = |time: TimeVal| u64::try_from(time.num_microseconds()).unwrap_or(0);
    Ok(Duration::from_micros(
        microseconds(usage.user_time()) + microseconds(usage.system_time()),
    ))
}

/// CPU time of a process and of children forked by its main thread, and so on; 0 if unreadable.
pub(crate) fn of_process_tree(id: u32) -> Duration {
    let own = fs::read_to_string(format!("/proc/{id}/stat")).ok();
    let own = own.and_then(|stat| ticks(&stat)).unwrap_or(0);
    let children = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    let children = children
        .split_whitespace()
        .filter_map(|child| child.parse().ok());
    TICK * own + children.map(of_process_tree).sum::<Duration>()
}

/// Sum of utime, stime, cutime and cstime in `/proc/PID/stat`; the second field may contain anything.
fn ticks(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(')')?;
    let times = fields.split_whitespace().skip(11).take(4);
    let times: Vec<u32> = times
        .map(|field| field.parse().ok())
        .collect::<Option<_>>()?;
    (times.len() == 4).then(|| times.iter().sum())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_spaces_and_parentheses_does_not_shift_the_fields() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 1 0 99 1 1";
        assert_eq!(ticks(stat), Some(124));
        assert_eq!(ticks("42 (nginx) S 1"), None);
    }

    #[test]
    fn pinning_lasts_only_for_the_closure() {
        let Ok(cpus) = Cpus::choose() else { return };
        let allowed = || sched_getaffinity(Pid::from_raw(0)).expect("readable");
        let before = allowed();
        let within = pinned(cpus.generator, allowed).expect("pinned");
        let count = |set: &CpuSet| {
            (0..CpuSet::count())
                .filter(|cpu| set.is_set(*cpu) == Ok(true))
                .count()
        };
        assert_eq!(
            (count(&within), within.is_set(cpus.generator)),
            (1, Ok(true))
        );
        assert_eq!(allowed(), before);
    }
}
