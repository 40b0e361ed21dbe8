//! Other claims on the CPUs: a control group's quota, other processes, the neighbours of a virtual machine.
//!
//! A CPU taken away for milliseconds shows up as latency of whatever was running. These readings are of a short
//! look before a run; what happens in each round is sampled there.

use super::words;
use super::{Bounds, Judged, Readings};

/// Shares of CPU time that others may use.
const BUSY: Bounds = Bounds {
    caution: 0.03,
    bad: 0.10,
};

/// Shares of CPU time that the hypervisor may give to others.
const STEAL: Bounds = Bounds {
    caution: 0.005,
    bad: 0.05,
};

pub(super) fn cpu_quota(readings: &Readings) -> Judged {
    let used = readings.cpus.len();
    match readings.quota.cpus {
        _ if !readings.quota.known => Judged::unknown("the CPU quota of the control group is not told"),
        None => Judged::good("no CPU quota"),
        Some(quota) if quota + 1e-9 >= used as f64 => Judged::good(format!(
            "a CPU quota of {quota:.2} CPUs, for {used} that are to be used"
        )),
        Some(quota) => Judged::bad(format!(
            "a CPU quota of {quota:.2} CPUs for {used} that are to be used: whoever reaches it stands still for up to \
             100 ms"
        ))
        .remedy(quota_remedy(quota, &readings.cpus)),
    }
}

fn quota_remedy(quota: f64, cpus: &[usize]) -> String {
    let lift = "lift it (docker run --cpus, limits.cpu, CPUQuota=)";
    let whole = quota.floor() as usize;
    match cpus.get(..whole) {
        None | Some([]) => lift.to_owned(),
        Some(fewer) => format!(
            "{lift}, or use no more CPUs than that: `--cpus {}`",
            words::cpus(fewer)
        ),
    }
}

pub(super) fn throttling(readings: &Readings) -> Judged {
    let (so_far, now_ns) = (
        readings.quota.throttled_periods,
        readings.watched.throttled_ns.unwrap_or(0),
    );
    let remedy = "lift the CPU quota, or end what else runs in the control group";
    match so_far {
        _ if now_ns > 0 => Judged::bad(format!(
            "the control group was throttled for {} just now, while this program slept",
            words::time(now_ns as f64)
        ))
        .remedy(remedy),
        None if readings.quota.known => Judged::good("nothing throttles the control group"),
        None => Judged::unknown("whether the control group is throttled is not told"),
        Some(0) => Judged::good("the control group was never throttled"),
        Some(periods) => Judged::caution(format!(
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

pub(super) fn other_work(readings: &Readings) -> Judged {
    let watched = &readings.watched;
    let average = watched
        .load_average_1m
        .map_or(String::new(), |load| format!("; load average {load:.2}"));
    match watched.busy_share {
        None => Judged::unknown(format!("what others use of the CPUs is not told{average}")),
        Some(share) => Judged::at(
            BUSY.level(share),
            format!(
                "others use {} of CPU {} now{average}",
                words::percent(share),
                words::cpus(&readings.cpus)
            ),
        )
        .remedy_unless_good("end it or wait for it; `top` shows who it is"),
    }
}

pub(super) fn virtual_machine(readings: &Readings) -> Judged {
    match &readings.processor.hypervisor {
        None => Judged::good("no hypervisor shows itself"),
        Some(name) => Judged::caution(format!(
            "hypervisor: {name}; neighbours and the host disturb unseen, and waking a CPU costs more"
        ))
        .remedy("use more rounds here, and a machine of your own where much depends on it"),
    }
}

pub(super) fn steal(readings: &Readings) -> Judged {
    let since_boot = readings
        .watched
        .steal_share_since_boot
        .map_or(String::new(), |share| {
            format!(", {} since boot", words::percent(share))
        });
    match readings.watched.steal_share {
        None => Judged::unknown("whether a hypervisor takes CPU time away is not told"),
        Some(share) => Judged::at(
            STEAL.level(share),
            format!(
                "a hypervisor took {} of the CPU time now{since_boot}",
                words::percent(share)
            ),
        )
        .remedy_unless_good("wait, or move to a machine with fewer neighbours"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::{Quota, Watched};
    use photofinish_record::FindingLevel::{self, Bad, Caution, Good, Unknown};

    fn of(quota: Quota, watched: Watched) -> Readings {
        Readings {
            cpus: vec![0, 1, 2, 3],
            quota,
            watched,
            ..Readings::default()
        }
    }

    #[test]
    fn a_quota_below_the_cpus_in_use_is_bad_and_the_remedy_uses_fewer() {
        let check = |known, cpus: Option<f64>, expected: FindingLevel, remedy: Option<&str>| {
            let quota = Quota {
                known,
                cpus,
                ..Quota::default()
            };
            let judged = cpu_quota(&of(quota, Watched::default()));
            assert_eq!(judged.level, expected, "{judged:?}");
            let told = judged.remedy.unwrap_or_default();
            assert!(told.contains(remedy.unwrap_or_default()), "{told}");
        };
        check(false, None, Unknown, None);
        check(true, None, Good, None);
        check(true, Some(4.0), Good, None);
        check(true, Some(2.5), Bad, Some("`--cpus 0-1`"));
        check(true, Some(0.5), Bad, Some("lift it"));
    }

    #[test]
    fn throttling_now_is_bad_and_throttling_once_is_a_caution() {
        let check = |so_far: Option<u64>, now_ns: Option<u64>, expected: FindingLevel| {
            let quota = Quota {
                known: so_far.is_some(),
                throttled_periods: so_far,
                ..Quota::default()
            };
            let watched = Watched {
                throttled_ns: now_ns,
                ..Watched::default()
            };
            assert_eq!(throttling(&of(quota, watched)).level, expected);
        };
        check(None, None, Unknown);
        check(Some(0), Some(0), Good);
        check(Some(7), Some(0), Caution);
        check(Some(7), Some(1), Bad);
    }

    #[test]
    fn other_work_and_steal_are_judged_by_their_share() {
        let check = |share: Option<f64>, expected: [FindingLevel; 2]| {
            let readings = of(
                Quota::default(),
                Watched {
                    busy_share: share,
                    steal_share: share,
                    ..Watched::default()
                },
            );
            assert_eq!(
                [other_work(&readings).level, steal(&readings).level],
                expected
            );
        };
        check(None, [Unknown, Unknown]);
        check(Some(0.0), [Good, Good]);
        check(Some(0.02), [Good, Caution]);
        check(Some(0.09), [Caution, Bad]);
        check(Some(0.2), [Bad, Bad]);
    }

    #[test]
    fn a_virtual_machine_is_named() {
        let mut readings = Readings::default();
        assert_eq!(virtual_machine(&readings).level, Good);
        readings.processor.hypervisor = Some("KVM".into());
        let judged = virtual_machine(&readings);
        assert_eq!(judged.level, Caution);
        assert!(judged.evidence.contains("KVM"));
    }
}
