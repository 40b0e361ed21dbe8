//! Reads the servers behind a scenario's targets: kind, and behaviour with delays as plain times.
//!
//! A section for a target that the workload does not have is a flaw. The server itself checks the behaviour.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::flaw::Flaw;
use super::super::{Checks, ServerProblem, ServerSpec};
use super::{Reader, path};
use photofinish_workloads::quantity::{time_text, units_of_delay};
use photofinish_workloads::registry::WorkloadEntry;

/// Keys of a behaviour whose strings are content: in them, "1 unit" is not a delay.
const CONTENT_KEYS: [&str; 4] = ["body", "headers", "json", "query"];

impl Reader<'_> {
    pub(super) fn servers(
        &mut self,
        entry: &WorkloadEntry,
        mut sections: BTreeMap<String, Map<String, Value>>,
        unit: Duration,
        checks: Checks<'_>,
    ) -> BTreeMap<String, ServerSpec> {
        let targets: Vec<_> = entry
            .about
            .targets
            .iter()
            .map(|target| (*target).to_owned())
            .collect();
        for (target, _) in sections.extract_if(.., |target, _| !targets.contains(target)) {
            self.add(unknown_target(entry.about.name, target, &targets));
        }
        let mut servers = BTreeMap::new();
        for target in targets {
            let section = sections.remove(&target).unwrap_or_default();
            if let Some(server) = self.server(&target, section, unit, checks) {
                servers.insert(target, server);
            }
        }
        servers
    }

    fn server(
        &mut self,
        target: &str,
        mut section: Map<String, Value>,
        unit: Duration,
        checks: Checks<'_>,
    ) -> Option<ServerSpec> {
        let kind = match (section.remove("kind"), (checks.default_server)(target)) {
            (Some(Value::String(kind)), _) => kind,
            (Some(other), _) => {
                let message = format!("wrong type for `server.{target}.kind`: `{other}`");
                let path = path(["server", target, "kind"]);
                self.add(Flaw::wrong(path, message, "expected a string"));
                return None;
            }
            (None, Some(default)) => (*default).to_owned(),
            (None, None) => return None, // The target needs an external server; the plan checks that there is one.
        };
        let mut behaviour = Value::Object(section);
        resolve_units(&mut behaviour, unit);
        let behaviour = self.check(json!({"server": {target: behaviour}}), |root| {
            let behaviour = &root["server"][target];
            (checks.server)(&kind, behaviour)
                .map(|()| behaviour.clone())
                .map_err(|problem| server_flaw(target, &kind, problem))
        })?;
        Some(ServerSpec { kind, behaviour })
    }
}

fn unknown_target(workload: &str, target: String, targets: &[String]) -> Flaw {
    let mut flaw = Flaw::unknown_key(path(["server", &target]), targets);
    flaw.message = format!("workload `{workload}` has no target `{target}`");
    if targets.is_empty() {
        flaw.label = Some("it talks to no server".to_owned());
    }
    flaw
}

fn server_flaw(target: &str, kind: &str, problem: ServerProblem) -> Flaw {
    let full = [path(["server", target]), problem.path.clone()].concat();
    if problem.path == ["kind"] {
        return Flaw::unknown_name(full, "server", kind, &problem.expected);
    }
    Flaw::from_serde(full, &problem.message).or_expected(&problem.expected)
}

/// Turns each "3 units" of a behaviour into a plain time, except in content.
fn resolve_units(behaviour: &mut Value, unit: Duration) {
    match behaviour {
        Value::String(text) => {
            if let Some(delay) = units_of_delay(text, unit) {
                *text = time_text(delay);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|part| resolve_units(part, unit)),
        Value::Object(table) => {
            for (key, part) in table {
                if !CONTENT_KEYS.contains(&key.as_str()) {
                    resolve_units(part, unit);
                }
            }
        }
        _ => {}
    }
}
