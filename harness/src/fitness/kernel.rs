//! Settings of the kernel that change what can be counted, and how far rounds differ by chance.

use super::{Judged, Readings};

pub(super) fn address_layout(readings: &Readings) -> Judged {
    match readings.kernel.address_randomisation {
        None => Judged::unknown("whether addresses are laid out at random is not told"),
        // Where code and stacks lie changes speed by some percent; what never changes is never averaged out.
        Some(0) => Judged::caution(
            "addresses are the same in every process: rounds repeat one layout, lucky or not, and do not average over it",
        )
        .remedy("sudo sysctl kernel.randomize_va_space=2"),
        Some(mode) => Judged::good(format!(
            "addresses are drawn anew in each round (randomize_va_space {mode})"
        )),
    }
}

pub(super) fn perf_events(readings: &Readings) -> Judged {
    let kernel = &readings.kernel;
    let Some(paranoid) = kernel.perf_paranoid else {
        return Judged::unknown(
            "no perf events here: instructions and system calls per op are n/a",
        );
    };
    let setting = format!("perf_event_paranoid is {paranoid}");
    if kernel.has_hardware_counters == Some(false) {
        return Judged::unknown(format!(
            "the CPU's counters are not there (usual in a virtual machine): instructions per op are n/a; {setting}"
        ));
    }
    match paranoid {
        ..=1 => Judged::good(format!(
            "instructions and system calls can be counted ({setting})"
        )),
        2 => Judged::good(format!(
            "instructions in user mode can be counted, those in the kernel as root only ({setting})"
        ))
        .remedy("sudo sysctl kernel.perf_event_paranoid=1"),
        _ => Judged::unknown(format!(
            "instructions and system calls per op are n/a but for root ({setting})"
        ))
        .remedy("sudo sysctl kernel.perf_event_paranoid=1"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::Kernel;
    use photofinish_record::FindingLevel::{self, Caution, Good, Unknown};

    fn of(kernel: Kernel) -> Readings {
        Readings {
            kernel,
            ..Readings::default()
        }
    }

    #[test]
    fn one_address_layout_for_all_rounds_is_a_caution() {
        for (mode, expected) in [(None, Unknown), (Some(0), Caution), (Some(2), Good)] {
            let judged = address_layout(&of(Kernel {
                address_randomisation: mode,
                ..Kernel::default()
            }));
            assert_eq!(judged.level, expected, "{mode:?}");
        }
    }

    #[test]
    fn what_cannot_be_counted_is_unknown_and_no_flaw_of_the_machine() {
        let check = |perf_paranoid, has_hardware_counters, expected: FindingLevel, told: &str| {
            let judged = perf_events(&of(Kernel {
                perf_paranoid,
                has_hardware_counters,
                ..Kernel::default()
            }));
            assert_eq!(judged.level, expected, "{judged:?}");
            assert!(judged.evidence.contains(told), "{judged:?}");
        };
        check(None, None, Unknown, "n/a");
        check(Some(-1), Some(true), Good, "system calls");
        check(Some(2), Some(true), Good, "user mode");
        check(Some(3), Some(true), Unknown, "root");
        check(Some(1), Some(false), Unknown, "virtual machine");
    }
}
