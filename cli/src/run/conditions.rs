//! The limits beyond which other activity on the machine counts as a disturbance, whatever the round measured.
//!
//! `harness::os` reads the system, and `blocks` redoes disturbed blocks. The limits make a redo the exception on a
//! small, otherwise idle virtual machine.

use photofinish_harness::os;
use photofinish_record::{Conditions, Placement};

use crate::targets::ReadyTargets;

/// Limit of CPU time that the hypervisor takes, as a share of the time of the run's CPUs.
///
/// It is lost in slices of milliseconds, which affect the tail of latencies before throughput. Half a percent is usual
/// on a shared host.
const STEAL_SHARE: f64 = 0.03;

/// Limit of CPU time of other processes, as a share of the time of the run's CPUs.
///
/// Two runs of the same plan differ by about as much. An idle machine stays below a third of it, sampling errors
/// included; a compiler takes ten times as much.
const FOREIGN_SHARE: f64 = 0.05;

/// Limit of the time for which the run's control group is throttled, as a share of the round.
const THROTTLED_SHARE: f64 = 0.01;

/// CPU time that never counts as a disturbance: the readings are off by a few ticks of 10 ms, and in a round of 200 ms
/// a single tick would exceed a limit.
const READING_ERROR_NS: u64 = 50_000_000;

/// The CPUs and processes to observe during each round of a run.
#[derive(Clone)]
pub struct Watch {
    cpus: Vec<usize>,
    servers: Option<Vec<u32>>,
}

impl Watch {
    /// All CPUs of `placement`; the processes of `targets` belong to the run.
    pub fn over(placement: &Placement, targets: &ReadyTargets) -> Self {
        Self {
            cpus: placement.cpus(),
            servers: targets.processes(),
        }
    }

    /// Runs `work`. Returns its result and the conditions during it.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> (T, Conditions) {
        let sample = || os::activity(&self.cpus, self.servers.as_deref());
        let before = sample();
        let result = work();
        let conditions = sample().since(&before);
        // Reap only now: until they are reaped, the readings include their time.
        os::reap_orphans();
        let disturbance = disturbance(&conditions, self.cpus.len());
        (
            result,
            Conditions {
                disturbance,
                ..conditions
            },
        )
    }
}

/// Disturbances of a round on `cpus` CPUs, in one sentence.
fn disturbance(conditions: &Conditions, cpus: usize) -> Option<String> {
    let round_ns = conditions.elapsed_ns as f64;
    let cpu_ns = round_ns * cpus as f64;
    [
        share(conditions.steal_ns, cpu_ns, STEAL_SHARE)
            .map(|percent| format!("the hypervisor took {percent} of the CPU time")),
        share(conditions.foreign_cpu_ns, cpu_ns, FOREIGN_SHARE)
            .map(|percent| format!("other processes took {percent} of the CPU time")),
        share(conditions.throttled_ns, round_ns, THROTTLED_SHARE)
            .map(|percent| format!("its control group was throttled for {percent} of the time")),
        overflow(conditions.listen_overflows),
    ]
    .into_iter()
    .flatten()
    .reduce(|all, one| format!("{all}, and {one}"))
}

/// The share in percent, if it exceeds the limit.
fn share(taken_ns: Option<u64>, of_ns: f64, limit: f64) -> Option<String> {
    let taken_ns = taken_ns.filter(|&taken| taken > READING_ERROR_NS)? as f64;
    (taken_ns > limit * of_ns).then(|| format!("{:.0}%", 100.0 * taken_ns / of_ns))
}

/// A single dropped connection is too many: its client retries only after a whole second.
fn overflow(dropped: Option<u64>) -> Option<String> {
    match dropped? {
        0 => None,
        dropped => Some(format!("full accept queues dropped {dropped} connections")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Checks a second on two CPUs in which nothing happened, except for what `change` says.
    fn check(change: impl FnOnce(&mut Conditions), expected: Option<&str>) {
        let mut conditions = Conditions {
            elapsed_ns: 1000 * MS,
            steal_ns: Some(0),
            foreign_cpu_ns: Some(10 * MS),
            throttled_ns: Some(0),
            listen_overflows: Some(0),
            disturbance: None,
        };
        change(&mut conditions);
        assert_eq!(disturbance(&conditions, 2).as_deref(), expected);
    }

    #[test]
    fn quiet_rounds_and_rounds_without_readings_are_not_disturbed() {
        check(|_| (), None);
        check(|conditions| *conditions = Conditions::default(), None);
    }

    #[test]
    fn each_disturbance_is_reported_with_its_size() {
        let steal = "the hypervisor took 10% of the CPU time";
        check(
            |conditions| conditions.steal_ns = Some(200 * MS),
            Some(steal),
        );
        let foreign = "other processes took 50% of the CPU time";
        check(
            |conditions| conditions.foreign_cpu_ns = Some(1000 * MS),
            Some(foreign),
        );
        let throttled = "its control group was throttled for 6% of the time";
        check(
            |conditions| conditions.throttled_ns = Some(60 * MS),
            Some(throttled),
        );
        let both = |conditions: &mut Conditions| {
            conditions.listen_overflows = Some(3);
            conditions.foreign_cpu_ns = Some(1000 * MS);
        };
        let overflow = format!("{foreign}, and full accept queues dropped 3 connections");
        check(both, Some(&overflow));
    }

    #[test]
    fn a_few_ticks_in_a_short_round_are_not_a_disturbance() {
        let short = |foreign_ms| {
            move |conditions: &mut Conditions| {
                conditions.elapsed_ns = 200 * MS;
                conditions.foreign_cpu_ns = Some(foreign_ms * MS);
            }
        };
        check(short(50), None);
        check(short(60), Some("other processes took 15% of the CPU time"));
    }

    #[test]
    fn conditions_include_the_elapsed_time() {
        let watch = Watch {
            cpus: os::allowed_cpus(),
            servers: Some(Vec::new()),
        };
        let pause = std::time::Duration::from_millis(20);
        let ((), conditions) = watch.during(|| std::thread::sleep(pause));
        assert!(u128::from(conditions.elapsed_ns) >= pause.as_nanos());
    }
}
