//! Other claims on the CPUs: a control group's quota, other processes, the neighbours of a virtual machine.
//!
//! A CPU taken away for milliseconds shows up as latency. These readings come from a short observation before a run;
//! each round is also sampled separately.

use photofinish_record::cpu_list;

use super::words;
use super::{Assessment, Bounds, Readings};

/// Shares of CPU time that other processes may use.
const BUSY: Bounds = Bounds {
    caution: 0.03,
    bad: 0.10,
};

/// Shares of CPU time that the hypervisor may take.
const STEAL: Bounds = Bounds {
    caution: 0.005,
    bad: 0.05,
};

pub(super) fn cpu_quota(readings: &Readings) -> Assessment {
    let used = readings.cpus.len();
    match readings.quota.cpus {
        _ if !readings.quota.known => Assessment::unknown("the CPU quota of the control group is unknown"),
        None => Assessment::good("no CPU quota"),
        Some(quota) if quota + 1e-9 >= used as f64 => Assessment::good(format!(
            "a CPU quota of {quota:.2}, for {used} CPUs to use"
        )),
        Some(quota) => Assessment::bad(format!(
            "a CPU quota of {quota:.2} for {used} CPUs to use: processes that reach it are stopped for up to 100 ms"
        ))
        .remedy(quota_remedy(quota, &readings.cpus)),
    }
}

fn quota_remedy(quota: f64, cpus: &[usize]) -> String {
    let lift = "lift the quota (docker run --cpus, limits.cpu, CPUQuota=)";
    let whole = quota.floor() as usize;
    match cpus.get(..whole) {
        None | Some([]) => lift.to_owned(),
        Some(fewer) => format!(
            "{lift}, or use no more CPUs than it allows: `--cpus {}`",
            cpu_list(fewer)
        ),
    }
}

pub(super) fn throttling(readings: &Readings) -> Assessment {
    let (so_far, now_ns) = (
        readings.quota.throttled_periods,
        readings.background.throttled_ns.unwrap_or(0),
    );
    let remedy = "lift the CPU quota, or end other processes in the control group";
    match so_far {
        _ if now_ns > 0 => Assessment::bad(format!(
            "the control group was throttled for {} during the observation",
            words::time(now_ns as f64)
        ))
        .remedy(remedy),
        None if readings.quota.known => Assessment::good("the control group has no quota"),
        None => Assessment::unknown("the throttling of the control group is unknown"),
        Some(0) => Assessment::good("the control group was never throttled"),
        Some(periods) => Assessment::caution(format!(
            "the control group was throttled in {periods} periods so far{}",
            readings
                .quota
                .throttled_ns
                .map_or(String::new(), |ns| format!(
                    ", for {}",
                    words::time(ns as f64)
                ))
        ))
        .remedy(remedy),
    }
}

pub(super) fn other_work(readings: &Readings) -> Assessment {
    let background = &readings.background;
    let average = background
        .load_average_1m
        .map_or(String::new(), |load| format!("; load average {load:.2}"));
    match background.busy_share {
        None => Assessment::unknown(format!(
            "the CPU use of other processes is unknown{average}"
        )),
        Some(share) => Assessment::at(
            BUSY.level(share),
            format!(
                "other processes use {} of CPU {}{average}",
                words::percent(share),
                cpu_list(&readings.cpus)
            ),
        )
        .remedy_unless_good("end them or wait for them; `top` lists them"),
    }
}

pub(super) fn virtual_machine(readings: &Readings) -> Assessment {
    match &readings.processor.hypervisor {
        None => Assessment::good("no hypervisor is visible"),
        Some(name) => Assessment::caution(format!(
            "hypervisor: {name}; disturbances by the host and other guests are invisible, and waking a CPU costs more"
        ))
        .remedy("use more rounds here, and a dedicated machine for important results"),
    }
}

pub(super) fn steal(readings: &Readings) -> Assessment {
    let since_boot = readings
        .background
        .steal_share_since_boot
        .map_or(String::new(), |share| {
            format!(", {} since boot", words::percent(share))
        });
    match readings.background.steal_share {
        None => Assessment::unknown("the CPU time taken by a hypervisor is unknown"),
        Some(share) => Assessment::at(
            STEAL.level(share),
            format!(
                "the hypervisor took {} of the CPU time{since_boot}",
                words::percent(share)
            ),
        )
        .remedy_unless_good("wait, or move to a machine with fewer neighbours"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::assessed;
    use photofinish_record::FindingLevel::{self, Bad, Caution, Good, Unknown};

    #[test]
    fn a_quota_below_the_cpus_in_use_is_bad_and_the_remedy_is_fewer_cpus() {
        let check = |known, cpus: Option<f64>, expected: FindingLevel, remedy: &str| {
            let found = assessed(cpu_quota, |readings| {
                readings.cpus = vec![0, 1, 2, 3];
                readings.quota.known = known;
                readings.quota.cpus = cpus;
            });
            assert_eq!(found.level, expected, "{found:?}");
            let actual = found.remedy.unwrap_or_default();
            assert!(actual.contains(remedy), "{actual}");
        };
        check(false, None, Unknown, "");
        check(true, None, Good, "");
        check(true, Some(4.0), Good, "");
        check(true, Some(2.5), Bad, "`--cpus 0-1`");
        check(true, Some(0.5), Bad, "lift the quota");
    }

    #[test]
    fn current_throttling_is_bad_and_past_throttling_a_caution() {
        let check = |so_far: Option<u64>, now_ns: Option<u64>, expected: FindingLevel| {
            let found = assessed(throttling, |readings| {
                readings.quota.known = so_far.is_some();
                readings.quota.throttled_periods = so_far;
                readings.background.throttled_ns = now_ns;
            });
            assert_eq!(found.level, expected, "{found:?}");
        };
        check(None, None, Unknown);
        check(Some(0), Some(0), Good);
        check(Some(7), Some(0), Caution);
        check(Some(7), Some(1), Bad);
    }

    #[test]
    fn other_work_and_steal_are_judged_by_their_share() {
        let check = |share: Option<f64>, expected: [FindingLevel; 2]| {
            let busy = assessed(other_work, |readings| {
                readings.background.busy_share = share
            });
            let stolen = assessed(steal, |readings| readings.background.steal_share = share);
            assert_eq!([busy.level, stolen.level], expected);
        };
        check(None, [Unknown, Unknown]);
        check(Some(0.0), [Good, Good]);
        check(Some(0.02), [Good, Caution]);
        check(Some(0.09), [Caution, Bad]);
        check(Some(0.2), [Bad, Bad]);
    }

    #[test]
    fn a_virtual_machine_is_named() {
        assert_eq!(assessed(virtual_machine, |_| ()).level, Good);
        let found = assessed(virtual_machine, |readings| {
            readings.processor.hypervisor = Some("KVM".into());
        });
        assert_eq!(found.level, Caution);
        assert!(found.evidence.contains("KVM"));
    }
}
