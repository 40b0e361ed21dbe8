//! Kernel settings that limit counting or change the variation between rounds.

use super::{Assessment, Readings};

pub(super) fn address_layout(readings: &Readings) -> Assessment {
    match readings.kernel.address_randomisation {
        None => Assessment::unknown("address space randomisation is unknown"),
        // The layout of code and stacks changes speed by a few percent; a fixed layout is never averaged out.
        Some(0) => Assessment::caution(
            "address space randomisation is off: all rounds share one memory layout, lucky or not",
        )
        .remedy("sudo sysctl kernel.randomize_va_space=2"),
        Some(mode) => Assessment::good(format!(
            "address space randomisation is on (randomize_va_space is {mode})"
        )),
    }
}

pub(super) fn perf_events(readings: &Readings) -> Assessment {
    let kernel = &readings.kernel;
    let Some(paranoid) = kernel.perf_paranoid else {
        return Assessment::unknown("no perf events: instructions and system calls per op are n/a");
    };
    let setting = format!("perf_event_paranoid is {paranoid}");
    if kernel.has_hardware_counters == Some(false) {
        return Assessment::unknown(format!(
            "no hardware counters (usual in a virtual machine): instructions per op are n/a; {setting}"
        ));
    }
    match paranoid {
        ..=1 => Assessment::good(format!(
            "instructions and system calls can be counted ({setting})"
        )),
        2 => Assessment::good(format!(
            "instructions can be counted in user mode, but in the kernel only as root ({setting})"
        ))
        .remedy("sudo sysctl kernel.perf_event_paranoid=1"),
        _ => Assessment::unknown(format!(
            "instructions and system calls per op are n/a except for root ({setting})"
        ))
        .remedy("sudo sysctl kernel.perf_event_paranoid=1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::assessed;
    use photofinish_record::FindingLevel::{self, Caution, Good, Unknown};

    #[test]
    fn one_address_layout_for_all_rounds_is_a_caution() {
        for (mode, expected) in [(None, Unknown), (Some(0), Caution), (Some(2), Good)] {
            let found = assessed(address_layout, |readings| {
                readings.kernel.address_randomisation = mode;
            });
            assert_eq!(found.level, expected, "{mode:?}");
        }
    }

    #[test]
    fn an_unavailable_counter_is_unknown_and_not_a_flaw() {
        let check = |paranoid, has_counters, expected: FindingLevel, evidence: &str| {
            let found = assessed(perf_events, |readings| {
                readings.kernel.perf_paranoid = paranoid;
                readings.kernel.has_hardware_counters = has_counters;
            });
            assert_eq!(found.level, expected, "{found:?}");
            assert!(found.evidence.contains(evidence), "{found:?}");
        };
        check(None, None, Unknown, "n/a");
        check(Some(-1), Some(true), Good, "system calls");
        check(Some(2), Some(true), Good, "user mode");
        check(Some(3), Some(true), Unknown, "root");
        check(Some(1), Some(false), Unknown, "virtual machine");
    }
}
