//! What went on beside a round, and whether it disturbed the round: blind to what the round measured.
//!
//! Reading the system is the business of `harness::os`, redoing what was disturbed that of `orchestrate`. Here are the
//! limits, each with its reason. They are set so that a redo is the exception on a small virtual machine left to itself.

use photofinish_harness::os;
use photofinish_record::{Conditions, Placement};

use crate::targets::ReadyTargets;

/// CPU time the hypervisor may give to others, as a share of what the run's CPUs have.
///
/// It is missing in slices of milliseconds, which show in the tail of latencies before they do in throughput. Half a
/// percent is usual for a virtual machine among others.
const STEAL_SHARE: f64 = 0.03;

/// CPU time other processes may take, as a share of what the run's CPUs have.
///
/// Two runs of the same thing differ by about as much. A machine left to itself stays below a third of it, with what
/// sampling at each tick misjudges; one that compiles something meanwhile is at ten times as much.
const FOREIGN_SHARE: f64 = 0.05;

/// Time for which the run's control group may be throttled, as a share of the round.
const THROTTLED_SHARE: f64 = 0.01;

/// What is never held against a round: a few ticks of 10 ms are the error of the reading itself. In a round of 200 ms
/// one tick of sampling too much would else be a disturbance.
const ALWAYS_ALLOWED_NS: u64 = 50_000_000;

/// What is watched during each round of a run.
#[derive(Clone)]
pub struct Watch {
    cpus: Vec<usize>,
    servers: Option<Vec<u32>>,
}

impl Watch {
    /// Over all CPUs of `placement`; the processes of `targets` belong to the run.
    pub fn over(placement: &Placement, targets: &ReadyTargets) -> Self {
        let mut cpus = [&placement.server_cpus[..], &placement.worker_cpus[..]].concat();
        cpus.extend(placement.pacer_cpu);
        cpus.sort_unstable();
        cpus.dedup();
        Self {
            cpus,
            servers: targets.processes(),
        }
    }

    /// Does `work`, and tells what went on meanwhile.
    pub fn during<T>(&self, work: impl FnOnce() -> T) -> (T, Conditions) {
        let sample = || os::activity(&self.cpus, self.servers.as_deref());
        let before = sample();
        let done = work();
        let conditions = sample().since(&before);
        // After the reading, in which they have their time still.
        os::reap_orphans();
        (done, judged(conditions, self.cpus.len()))
    }
}

fn judged(conditions: Conditions, cpus: usize) -> Conditions {
    Conditions {
        disturbance: disturbance(&conditions, cpus),
        ..conditions
    }
}

/// What disturbed a round that ran under `conditions` on `cpus` CPUs, in one sentence.
fn disturbance(conditions: &Conditions, cpus: usize) -> Option<String> {
    let round_ns = conditions.elapsed_ns as f64;
    let cpu_ns = round_ns * cpus as f64;
    [
        share(conditions.steal_ns, cpu_ns, STEAL_SHARE)
            .map(|percent| format!("the hypervisor kept {percent} of the CPU time for others")),
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

/// The share in words where it is beyond what is allowed.
fn share(taken_ns: Option<u64>, of_ns: f64, allowed: f64) -> Option<String> {
    let taken_ns = taken_ns.filter(|&taken| taken > ALWAYS_ALLOWED_NS)? as f64;
    (taken_ns > allowed * of_ns).then(|| format!("{:.0}%", 100.0 * taken_ns / of_ns))
}

/// One is too many: a dropped connection is tried again a whole second later.
fn overflow(dropped: Option<u64>) -> Option<String> {
    match dropped? {
        0 => None,
        dropped => Some(format!(
            "full queues of listeners dropped {dropped} connections"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// A second on two CPUs in which nothing happened.
    fn quiet() -> Conditions {
        Conditions {
            elapsed_ns: 1000 * MS,
            steal_ns: Some(0),
            foreign_cpu_ns: Some(10 * MS),
            throttled_ns: Some(0),
            listen_overflows: Some(0),
            disturbance: None,
        }
    }

    fn check(conditions: &Conditions, expected: Option<&str>) {
        assert_eq!(disturbance(conditions, 2).as_deref(), expected);
    }

    #[test]
    fn a_quiet_round_and_one_of_which_nothing_is_known_are_not_disturbed() {
        check(&quiet(), None);
        check(&Conditions::default(), None);
    }

    #[test]
    fn each_disturbance_is_told_with_its_size() {
        let steal = Conditions {
            steal_ns: Some(200 * MS),
            ..quiet()
        };
        check(
            &steal,
            Some("the hypervisor kept 10% of the CPU time for others"),
        );
        let foreign = Conditions {
            foreign_cpu_ns: Some(1000 * MS),
            ..quiet()
        };
        check(&foreign, Some("other processes took 50% of the CPU time"));
        let throttled = Conditions {
            throttled_ns: Some(60 * MS),
            ..quiet()
        };
        check(
            &throttled,
            Some("its control group was throttled for 6% of the time"),
        );
        let overflow = Conditions {
            listen_overflows: Some(3),
            foreign_cpu_ns: Some(1000 * MS),
            ..quiet()
        };
        check(
            &overflow,
            Some(
                "other processes took 50% of the CPU time, and full queues of listeners dropped 3 connections",
            ),
        );
    }

    #[test]
    fn a_few_ticks_in_a_short_round_are_not_held_against_it() {
        let short = |foreign_ms| Conditions {
            elapsed_ns: 200 * MS,
            foreign_cpu_ns: Some(foreign_ms * MS),
            ..quiet()
        };
        check(&short(50), None);
        check(&short(60), Some("other processes took 15% of the CPU time"));
    }

    #[test]
    fn what_is_watched_tells_how_long_it_took() {
        let watch = Watch {
            cpus: os::allowed_cpus(),
            servers: Some(Vec::new()),
        };
        let pause = std::time::Duration::from_millis(20);
        let ((), conditions) = watch.during(|| std::thread::sleep(pause));
        assert!(u128::from(conditions.elapsed_ns) >= pause.as_nanos());
    }
}
