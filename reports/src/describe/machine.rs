//! The machine in one line, and the CPUs of server and worker.
//!
//! Facts only: the harness determines whether a machine is unfit.

use photofinish_record::machine::Machine;
use photofinish_record::{PlacementKind, Plan, PlannedServer, Tool, cpu_list};

use super::{list, plural};
use crate::units;

/// The machine in one line: `Linux 6.1.0, x86_64, 2 CPUs (Xeon), 4.00GiB`.
pub fn machine(machine: &Machine) -> String {
    let memory = machine.memory_bytes.map(|bytes| units::bytes(bytes as f64));
    let memory = memory.map_or(String::new(), |memory| format!(", {memory}"));
    let processor = processor(machine);
    format!("{}, {}, {processor}{memory}", machine.os, machine.arch)
}

/// The processor alone: `2 CPUs (Xeon)`.
pub fn processor(machine: &Machine) -> String {
    let model = machine.cpu_model.as_ref();
    let model = model.map_or(String::new(), |model| format!(" ({model})"));
    format!("{}{model}", plural(machine.cpus_online as usize, "CPU"))
}

/// The program that measured: `photofinish 0.1.0`, with a note if it was a debug build.
pub fn tool_version(tool: &Tool) -> String {
    let note = if tool.profile == "debug" {
        " (debug build)"
    } else {
        ""
    };
    format!("{} {}{note}", tool.name, tool.version)
}

/// The CPUs of server and worker: assigned by the run, or, for a target, as found.
pub fn placement(plan: &Plan) -> String {
    let placement = &plan.placement;
    let (server, worker) = (cpus(&placement.server_cpus), cpus(&placement.worker_cpus));
    let servers = || {
        plan.scenarios
            .iter()
            .flat_map(|scenario| scenario.servers.values())
    };
    let own = servers()
        .any(PlannedServer::is_own)
        .then(|| match placement.kind {
            PlacementKind::Split => format!("split: server on {server}, worker on {worker}"),
            PlacementKind::Same => format!("same: server and worker on {worker}"),
            PlacementKind::Shared => format!("shared: server and worker both on {worker}"),
        });
    let found = servers().filter_map(|server| match server {
        PlannedServer::External { cpus, .. } if !server.is_own() => Some(cpus.as_deref()),
        _ => None,
    });
    let mut found: Vec<String> = found.map(external_placement).collect();
    found.dedup();
    let placed = own.unwrap_or_else(|| format!("worker on {worker}"));
    list(std::iter::once(placed).chain(found), "; ")
}

/// The CPUs of a server not placed by the run.
fn external_placement(found: Option<&[usize]>) -> String {
    let found = found.filter(|found| !found.is_empty());
    let found = found.map(|found| format!(" ({})", cpus(found)));
    format!("the server is not moved{}", found.unwrap_or_default())
}

/// `CPU 1`, `CPUs 0-3,6`.
pub fn cpus(numbers: &[usize]) -> String {
    match numbers {
        [] => "any CPU".to_owned(),
        [one] => format!("CPU {one}"),
        _ => format!("CPUs {}", cpu_list(numbers)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consecutive_cpus_are_written_as_ranges() {
        assert_eq!(cpus(&[]), "any CPU");
        assert_eq!(cpus(&[3]), "CPU 3");
        assert_eq!(cpus(&[0, 1, 2, 3, 6, 8, 9]), "CPUs 0-3,6,8-9");
    }
}
