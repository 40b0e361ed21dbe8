//! CPUs: their number, shared cores, and the steadiness of their frequency.
//!
//! A frequency that follows load or heat makes the same code faster or slower from one round to the next; two CPUs that
//! share a core slow each other down by a third or more. Other users of the CPUs are in `sharing`.

use photofinish_record::cpu_list;

use super::{Assessment, Readings};

/// Enough CPUs for a server, a pacer and a runtime with more than one.
const ENOUGH_CPUS: usize = 4;

pub(super) fn cpus(readings: &Readings) -> Assessment {
    let (used, online) = (readings.cpus.len(), readings.cpus_online);
    let list = cpu_list(&readings.cpus);
    match used {
        0 => Assessment::unknown("the usable CPUs are unknown"),
        1 => Assessment::caution(format!(
            "CPU {list} alone: server and worker share it, and each slows the other down"
        ))
        .remedy("allow more CPUs (--cpus, taskset, the container's cpuset)"),
        _ if used < ENOUGH_CPUS => Assessment::caution(format!(
            "{used} of {online} online CPUs ({list}): next to the server, the runtime's threads share {}",
            match used { 2 => "one CPU", _ => "two" }
        ))
        .remedy("use 4 or more, for runtimes on several CPUs and a pacer with its own"),
        _ => Assessment::good(format!("{used} of {online} online CPUs ({list})")),
    }
}

pub(super) fn smt(readings: &Readings) -> Assessment {
    let Some(cores) = &readings.processor.cores else {
        return Assessment::unknown("the CPUs that share a core are unknown");
    };
    let virtual_too = match readings.processor.hypervisor {
        Some(_) => " (according to the virtual machine)",
        None => "",
    };
    let Some(shared) = cores.iter().find(|core| core.len() > 1) else {
        return Assessment::good(format!("no two of these CPUs share a core{virtual_too}"));
    };
    let firsts: Vec<usize> = cores
        .iter()
        .filter_map(|core| core.first().copied())
        .collect();
    let evidence = format!(
        "CPUs {} share a core{virtual_too}: each slows the other down",
        cpu_list(shared)
    );
    Assessment::caution(evidence).remedy(match firsts.len() {
        1 => "allow CPUs on more than one core".to_owned(),
        _ => format!("use one CPU per core: `--cpus {}`", cpu_list(&firsts)),
    })
}

pub(super) fn governor(readings: &Readings) -> Assessment {
    let governors = &readings.processor.governors;
    let parts = governors
        .iter()
        .map(|(governor, cpus)| format!("`{governor}` for CPU {}", cpu_list(cpus)));
    let evidence = parts.collect::<Vec<_>>().join(", ");
    let remedy = "sudo cpupower frequency-set -g performance";
    if governors.is_empty() {
        return Assessment::unknown(
            "no frequency governor is visible; the host or the firmware decides",
        );
    }
    if governors.contains_key("powersave") {
        return Assessment::bad(format!(
            "the frequency governor is {evidence}: latencies include waking and speeding up"
        ))
        .remedy(remedy);
    }
    if governors.keys().all(|governor| governor == "performance") {
        return Assessment::good(format!("the frequency governor is {evidence}"));
    }
    Assessment::caution(format!(
        "the frequency governor is {evidence}: the frequency follows the load"
    ))
    .remedy(remedy)
}

pub(super) fn turbo(readings: &Readings) -> Assessment {
    match readings.processor.turbo {
        None => Assessment::unknown("the turbo setting is unknown"),
        Some(false) => Assessment::good("turbo is off: frequencies do not depend on heat"),
        Some(true) => Assessment::caution("turbo is on: frequencies depend on heat and on other cores")
            .remedy(
                "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo (elsewhere: echo 0 into cpufreq/boost)",
            ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fitness::assessed;
    use photofinish_record::FindingLevel::{self, Bad, Caution, Good, Unknown};

    #[test]
    fn few_cpus_are_a_caution_and_none_known_is_unknown() {
        let check = |cpus: &[usize], expected: FindingLevel, evidence: &str| {
            let found = assessed(super::cpus, |readings| {
                readings.cpus = cpus.to_vec();
                readings.cpus_online = 8;
            });
            assert_eq!(found.level, expected, "{found:?}");
            assert!(found.evidence.contains(evidence), "{found:?}");
        };
        check(&[], Unknown, "unknown");
        check(&[3], Caution, "CPU 3 alone");
        check(&[0, 1], Caution, "2 of 8 online CPUs (0-1)");
        check(&[0, 1, 2], Caution, "share two");
        check(&[0, 1, 2, 3], Good, "4 of 8");
    }

    #[test]
    fn cpus_of_one_core_are_a_caution_and_the_remedy_takes_one_of_each() {
        let check = |cores: Option<&[&[usize]]>, expected: FindingLevel, remedy: Option<&str>| {
            let cores = cores.map(|cores| cores.iter().map(|core| core.to_vec()).collect());
            let found = assessed(smt, |readings| readings.processor.cores = cores);
            assert_eq!(found.level, expected, "{found:?}");
            assert_eq!(found.remedy.as_deref(), remedy);
        };
        check(None, Unknown, None);
        check(Some(&[&[0], &[1]]), Good, None);
        let one_each = "use one CPU per core: `--cpus 0-1`";
        check(Some(&[&[0, 2], &[1, 3]]), Caution, Some(one_each));
        let more = "allow CPUs on more than one core";
        check(Some(&[&[0, 1]]), Caution, Some(more));
    }

    #[test]
    fn only_the_performance_governor_is_good() {
        let check = |governors: &[(&str, &[usize])], expected: FindingLevel| {
            let governors = governors
                .iter()
                .map(|(name, cpus)| ((*name).to_owned(), cpus.to_vec()));
            let found = assessed(governor, |readings| {
                readings.processor.governors = governors.collect();
            });
            assert_eq!(found.level, expected, "{found:?}");
        };
        check(&[], Unknown);
        check(&[("performance", &[0, 1])], Good);
        check(&[("performance", &[0]), ("schedutil", &[1])], Caution);
        check(&[("performance", &[0]), ("powersave", &[1])], Bad);
    }

    #[test]
    fn turbo_is_a_caution_where_it_is_on() {
        for (state, expected) in [(None, Unknown), (Some(false), Good), (Some(true), Caution)] {
            let found = assessed(turbo, |readings| readings.processor.turbo = state);
            assert_eq!(found.level, expected);
        }
    }
}
