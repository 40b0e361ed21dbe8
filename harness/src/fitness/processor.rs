//! CPUs: how many, which of them share a core, and how steady their frequency is.
//!
//! A frequency that follows load or heat makes the same code faster or slower from one round to the next; two CPUs of one
//! core slow each other down by a third and more. Who else uses the CPUs is the business of `sharing`.

use super::words;
use super::{Judged, Readings};

/// From here on server, worker and pacer have CPUs of their own, and a runtime has more than one.
const ENOUGH_CPUS: usize = 4;

pub(super) fn cpus(readings: &Readings) -> Judged {
    let (used, online) = (readings.cpus.len(), readings.cpus_online);
    let list = words::cpus(&readings.cpus);
    match used {
        0 => Judged::unknown("which CPUs may be used is not told"),
        1 => Judged::caution(format!(
            "CPU {list} alone: server and worker share it, and each slows the other down"
        ))
        .remedy("allow more CPUs, with --cpus or from outside (taskset, the container's cpuset)"),
        _ if used < ENOUGH_CPUS => Judged::caution(format!(
            "{used} CPUs of {online} online ({list}): apart from the server, a runtime's threads share {}",
            match used { 2 => "one CPU", _ => "two" }
        ))
        .remedy("to see how runtimes use several CPUs, and for a pacer with one to itself, use 4 or more"),
        _ => Judged::good(format!("{used} CPUs of {online} online ({list})")),
    }
}

pub(super) fn smt(readings: &Readings) -> Judged {
    let Some(cores) = &readings.processor.cores else {
        return Judged::unknown("which CPUs share a core is not told");
    };
    let virtual_too = match readings.processor.hypervisor {
        Some(_) => " (so the virtual machine says)",
        None => "",
    };
    let Some(shared) = cores.iter().find(|core| core.len() > 1) else {
        return Judged::good(format!("no two of these CPUs share a core{virtual_too}"));
    };
    let firsts: Vec<usize> = cores
        .iter()
        .filter_map(|core| core.first().copied())
        .collect();
    let evidence = format!(
        "CPUs {} share a core{virtual_too}: what one does slows the other",
        words::cpus(shared)
    );
    Judged::caution(evidence).remedy(match firsts.len() {
        1 => "allow CPUs of more than one core".to_owned(),
        _ => format!(
            "use one CPU of each core: `--cpus {}`",
            words::cpus(&firsts)
        ),
    })
}

pub(super) fn governor(readings: &Readings) -> Judged {
    let governors = &readings.processor.governors;
    let said = governors
        .iter()
        .map(|(governor, cpus)| format!("`{governor}` for CPU {}", words::cpus(cpus)));
    let evidence = said.collect::<Vec<_>>().join(", ");
    let remedy = "sudo cpupower frequency-set -g performance";
    if governors.is_empty() {
        return Judged::unknown("no frequency governor shows; a host or the firmware decides");
    }
    if governors.contains_key("powersave") {
        return Judged::bad(format!(
            "the frequency governor is {evidence}: latencies include waking and speeding up"
        ))
        .remedy(remedy);
    }
    match governors.keys().all(|governor| governor == "performance") {
        true => Judged::good(format!("the frequency governor is {evidence}")),
        false => Judged::caution(format!(
            "the frequency governor is {evidence}: the frequency follows the load"
        ))
        .remedy(remedy),
    }
}

pub(super) fn turbo(readings: &Readings) -> Judged {
    match readings.processor.turbo {
        None => Judged::unknown("whether frequencies rise above the nominal one is not told"),
        Some(false) => Judged::good("turbo is off: frequencies do not depend on heat"),
        Some(true) => Judged::caution("turbo is on: frequencies depend on heat and on other cores")
            .remedy(
                "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo (elsewhere: echo 0 into cpufreq/boost)",
            ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::Processor;
    use photofinish_record::FindingLevel::{self, Bad, Caution, Good, Unknown};

    fn of(processor: Processor) -> Readings {
        Readings {
            cpus: vec![0, 1, 2, 3],
            cpus_online: 8,
            processor,
            ..Readings::default()
        }
    }

    #[test]
    fn few_cpus_are_a_caution_and_none_known_is_unknown() {
        let check = |cpus: &[usize], expected: FindingLevel, told: &str| {
            let readings = Readings {
                cpus: cpus.to_vec(),
                cpus_online: 8,
                ..Readings::default()
            };
            let judged = super::cpus(&readings);
            assert_eq!(judged.level, expected, "{judged:?}");
            assert!(judged.evidence.contains(told), "{judged:?}");
        };
        check(&[], Unknown, "not told");
        check(&[3], Caution, "CPU 3 alone");
        check(&[0, 1], Caution, "2 CPUs of 8 online (0-1)");
        check(&[0, 1, 2], Caution, "share two");
        check(&[0, 1, 2, 3], Good, "4 CPUs");
    }

    #[test]
    fn cpus_of_one_core_are_a_caution_and_the_remedy_takes_one_of_each() {
        let check =
            |cores: Option<Vec<Vec<usize>>>, expected: FindingLevel, remedy: Option<&str>| {
                let judged = smt(&of(Processor {
                    cores,
                    ..Processor::default()
                }));
                assert_eq!(judged.level, expected, "{judged:?}");
                assert_eq!(judged.remedy.as_deref(), remedy);
            };
        check(None, Unknown, None);
        check(Some(vec![vec![0], vec![1]]), Good, None);
        check(
            Some(vec![vec![0, 2], vec![1, 3]]),
            Caution,
            Some("use one CPU of each core: `--cpus 0-1`"),
        );
        check(
            Some(vec![vec![0, 1]]),
            Caution,
            Some("allow CPUs of more than one core"),
        );
    }

    #[test]
    fn only_the_performance_governor_is_good() {
        let check = |governors: &[(&str, &[usize])], expected: FindingLevel| {
            let governors = governors
                .iter()
                .map(|(name, cpus)| ((*name).to_owned(), cpus.to_vec()));
            let judged = governor(&of(Processor {
                governors: governors.collect(),
                ..Processor::default()
            }));
            assert_eq!(judged.level, expected, "{judged:?}");
        };
        check(&[], Unknown);
        check(&[("performance", &[0, 1])], Good);
        check(&[("performance", &[0]), ("schedutil", &[1])], Caution);
        check(&[("performance", &[0]), ("powersave", &[1])], Bad);
    }

    #[test]
    fn turbo_is_a_caution_where_it_is_on() {
        for (state, expected) in [(None, Unknown), (Some(false), Good), (Some(true), Caution)] {
            let judged = turbo(&of(Processor {
                turbo: state,
                ..Processor::default()
            }));
            assert_eq!(judged.level, expected);
        }
    }
}
