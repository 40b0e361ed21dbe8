//! What stands behind a scenario's targets: the kind of server, and its behaviour with delays in plain times.
//!
//! Targets are the workload's; a section for another one is a flaw. What a behaviour may say is asked of the server
//! itself.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::super::flaw::Flaw;
use super::super::quantity::{time_text, units_of_delay};
use super::super::{CheckServer, ServerProblem, ServerSpec};
use super::{Reader, path};
use crate::registry::WorkloadEntry;

/// What stands behind a target where a file says nothing.
const DEFAULT_SERVERS: [(&str, &str); 4] = [
    ("http", "http"),
    ("db", "postgres"),
    ("ws", "ws"),
    ("client", "client"),
];

/// Keys of a server's behaviour whose strings are content: there, "1 unit" is not a delay.
const CONTENT_KEYS: [&str; 4] = ["body", "headers", "json", "query"];

impl Reader<'_> {
    pub(super) fn servers(
        &mut self,
        entry: &WorkloadEntry,
        mut sections: BTreeMap<String, Map<String, Value>>,
        unit: Duration,
        check_server: CheckServer<'_>,
    ) -> BTreeMap<String, ServerSpec> {
        let targets: Vec<_> = entry
            .about
            .targets
            .iter()
            .map(|target| (*target).to_owned())
            .collect();
        let foreign = sections.extract_if(.., |target, _| !targets.contains(target));
        for (target, _) in foreign.collect::<Vec<_>>() {
            self.add(foreign_target(entry.about.name, target, &targets));
        }
        let mut servers = BTreeMap::new();
        for target in targets {
            let section = sections.remove(&target).unwrap_or_default();
            if let Some(server) = self.server(&target, section, unit, check_server) {
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
        check_server: CheckServer<'_>,
    ) -> Option<ServerSpec> {
        let default = DEFAULT_SERVERS.iter().find(|(name, _)| *name == target);
        let kind = match (section.remove("kind"), default) {
            (Some(Value::String(kind)), _) => kind,
            (Some(other), _) => {
                let message = format!("wrong type for `server.{target}.kind`: `{other}`");
                self.add(Flaw::wrong(
                    path(["server", target, "kind"]),
                    message,
                    "expected a string",
                ));
                return None;
            }
            (None, Some((_, default))) => (*default).to_owned(),
            (None, None) => return None, // Only an external server can stand there; the plan asks for one.
        };
        let mut behaviour = Value::Object(section);
        resolve_units(&mut behaviour, unit);
        let check = |root: &Value| {
            let behaviour = &root["server"][target];
            let flaw = |problem| server_flaw(target, &kind, problem);
            check_server(&kind, behaviour).map_err(flaw)?;
            Ok(behaviour.clone())
        };
        let behaviour = self.check(json!({"server": {target: behaviour}}), check)?;
        Some(ServerSpec { kind, behaviour })
    }
}

fn foreign_target(workload: &str, target: String, targets: &[String]) -> Flaw {
    let flaw = Flaw::unknown_key(path(["server", &target]), targets);
    let none = targets.is_empty();
    Flaw {
        message: format!("workload `{workload}` has no target `{target}`"),
        label: flaw
            .label
            .filter(|_| !none)
            .or(Some("it talks to no server".to_owned())),
        ..flaw
    }
}

fn server_flaw(target: &str, kind: &str, problem: ServerProblem) -> Flaw {
    let full = [path(["server", target]), problem.path.clone()].concat();
    if problem.path == ["kind"] {
        return Flaw::unknown_name(full, "server", kind, &problem.expected);
    }
    Flaw::from_serde(full, &problem.message).or_expected(&problem.expected)
}

/// Turns each "3 units" of a behaviour into a plain time, wherever a string is not content.
fn resolve_units(behaviour: &mut Value, unit: Duration) {
    match behaviour {
        Value::String(text) => {
            if let Some(delay) = units_of_delay(text, unit) {
                *text = time_text(delay);
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|part| resolve_units(part, unit)),
        Value::Object(table) => {
            let not_content =
                |(key, _): &(&String, &mut Value)| !CONTENT_KEYS.contains(&key.as_str());
            let parts = table.iter_mut().filter(not_content);
            parts.for_each(|(_, part)| resolve_units(part, unit));
        }
        _ => {}
    }
}
