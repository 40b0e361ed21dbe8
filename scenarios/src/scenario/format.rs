//! The scenario file's format: every key that a file may have, as types.
//!
//! The doc comments here are the format's documentation: `photofinish schema scenario` prints them. Keys are optional
//! but for `workload`. The parts that belong to others (a workload's parameters, a server's behaviour) are tables here
//! and are checked by their owners; what keys mean together is checked in `read.rs`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use photofinish_record::load::Arrivals;
use schemars::transform::transform_subschemas;
use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::quantity::{Factor, Ops, Rates, Share, Sweep, Time};
use crate::registry::workloads;

/// A scenario: a workload with its parameters, the servers it talks to, the load, and what to expect.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "A scenario of Photofinish")]
pub(crate) struct ScenarioFile {
    /// One line for lists and reports. By default, what the workload's operation does.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) title: Option<String>,
    /// The workload to run; `photofinish list` shows them all.
    #[schemars(with = "String")]
    pub(crate) workload: Option<String>,
    /// The length of one unit of delay, by default `20ms`. Delays of servers and parameters may be given as `3 units`.
    #[serde(default)]
    #[schemars(with = "Time")]
    pub(crate) unit: Option<Time>,
    /// The runtimes to compare, the first one being what the others are compared with. By default, all of them.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) runtimes: Option<Vec<String>>,
    /// The workload's parameters; those that are not given have the workload's defaults.
    #[serde(default)]
    pub(crate) params: Map<String, Value>,
    /// The mock servers behind the workload's targets, by target name: `[server.http]`, `[server.db]`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, ServerSection>")]
    pub(crate) server: BTreeMap<String, Map<String, Value>>,
    /// How operations are asked for, and for how long.
    #[serde(default)]
    pub(crate) load: LoadSection,
    /// Whether a probe rides along that measures how late the runtime schedules it, by default not.
    #[serde(default)]
    pub(crate) lag_probe: bool,
    /// What must come out.
    #[serde(default)]
    pub(crate) expect: ExpectSection,
    /// What `photofinish gate` asks of a new build, by metric: `throughput = "5%"` is a limit of the slowdown,
    /// `response_p99 = "< 20ms"` an objective for the new build's own value, and a list may hold both. `errors` is a share
    /// of all operations, and `floor` the slowdown that does not matter yet, by default `"2%"`.
    #[serde(default)]
    pub(crate) gate: BTreeMap<String, GateEntry>,
}

/// What is asked of a metric: one text or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a text such as \"5%\" or \"< 20ms\", or a list of them"
)]
pub(crate) enum GateEntry {
    /// A limit or an objective.
    One(String),
    /// All of these.
    All(Vec<String>),
}

/// A mock server; beside `kind` stand the keys of that server's behaviour.
#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "describes the format; servers read their behaviour themselves"
)]
pub(crate) struct ServerSection {
    /// Which server: `http`, `wiremock`, `postgres`. By default `http` for the target `http`, `postgres` for `db`.
    #[schemars(with = "String")]
    kind: Option<String>,
    /// The server's behaviour. A string such as `1 unit` is a delay, and stands for as many times the scenario's `unit`.
    #[schemars(flatten)]
    behaviour: BTreeMap<String, Value>,
}

/// How operations are asked for, and for how long.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoadSection {
    /// `closed`: each session starts its next operation when its last one ended. `open`: arrivals on a schedule, whatever
    /// the completions do. By default `open` where there is a `rate`, else `closed`.
    #[serde(default)]
    #[schemars(with = "Model")]
    pub(crate) model: Option<Model>,
    /// Sessions at one time: a number, by default 1, or a list of numbers, each to be measured.
    #[serde(default)]
    #[schemars(with = "Sweep")]
    pub(crate) concurrency: Option<Sweep>,
    /// Arrivals per second of an open load: a number, or a list of numbers, each to be measured.
    #[serde(default)]
    #[schemars(with = "Rates")]
    pub(crate) rate: Option<Rates>,
    /// How the arrivals of an open load are spread: `constant`, which is the default, or `poisson`.
    #[serde(default)]
    #[schemars(with = "Arrivals")]
    pub(crate) arrivals: Option<Arrivals>,
    /// How the rate of an open load changes, stage after stage; a step is two of them. Not beside `duration` or `ops`.
    #[serde(default)]
    #[schemars(with = "Vec<StageSection>")]
    pub(crate) stages: Option<Vec<StageSection>>,
    /// How long a round measures, by default `2s`. Not beside `ops`.
    #[serde(default)]
    #[schemars(with = "Time")]
    pub(crate) duration: Option<Time>,
    /// How many operations a round measures, over all sessions. Not beside `duration`.
    #[serde(default)]
    #[schemars(with = "Ops")]
    pub(crate) ops: Option<Ops>,
    /// How long a round runs before it measures, by default `300ms`. Not beside `warmup_ops`.
    #[serde(default)]
    #[schemars(with = "Time")]
    pub(crate) warmup: Option<Time>,
    /// How many operations a round runs before it measures, over all sessions. Not beside `warmup`.
    #[serde(default)]
    #[schemars(with = "Ops")]
    pub(crate) warmup_ops: Option<Ops>,
}

/// Models of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Model {
    /// A fixed number of sessions; each starts its next operation when the last one ended.
    Closed,
    /// Arrivals on a schedule, whatever the completions do.
    Open,
}

/// A stretch of an open load in which the rate stays or changes evenly.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StageSection {
    /// How long it lasts.
    pub(crate) duration: Time,
    /// The rate at its start, as a multiple of the load's rate.
    pub(crate) from: Factor,
    /// The rate at its end; by default the same as at its start.
    #[serde(default)]
    #[schemars(with = "Factor")]
    pub(crate) to: Option<Factor>,
}

/// What must come out.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExpectSection {
    /// Failed operations allowed, as a share of all: 0, which is the default, `"1%"` or 0.01. More fail the run.
    #[serde(default)]
    #[schemars(with = "Share")]
    pub(crate) errors: Option<Share>,
    /// How many requests the server has in flight at one time, as it counts them itself; beyond that the run has failed.
    #[serde(default)]
    #[schemars(with = "InFlightSection")]
    pub(crate) in_flight: Option<InFlightSection>,
}

/// What is expected of the most requests in flight at one time.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InFlightSection {
    /// No more than this many for each session.
    pub(crate) most: NonZeroU32,
    /// Whether as many as one session may have must be reached, where the runtime does several things at once. By
    /// default not.
    #[serde(default)]
    pub(crate) reached: bool,
}

/// Keys of the file that are tables.
pub(crate) const SECTIONS: [&str; 5] = ["params", "server", "load", "expect", "gate"];

/// Keys of which only one may be given, both in `[load]`.
pub(crate) const ALTERNATIVES: [(&str, &str); 4] = [
    ("duration", "ops"),
    ("warmup", "warmup_ops"),
    ("stages", "duration"),
    ("stages", "ops"),
];

/// The keys a type has in the format.
pub(crate) fn keys_of<T: JsonSchema>() -> Vec<String> {
    let schema = schema_for!(T);
    let properties = schema.get("properties").and_then(Value::as_object);
    properties.map_or_else(Vec::new, |keys| keys.keys().cloned().collect())
}

/// The JSON Schema of scenario files, with the parameters of every workload.
pub fn schema() -> Schema {
    let mut schema = schema_for!(ScenarioFile);
    remove_null_defaults(&mut schema);
    let names: Vec<_> = workloads().map(|entry| entry.about.name).collect();
    if let Some(workload) = schema.pointer_mut("/properties/workload") {
        workload["enum"] = json!(names);
    }
    let mut definitions = Map::new();
    let mut rules = Vec::new();
    for entry in workloads() {
        let name = entry.about.name;
        let definition = format!("params-{name}");
        let params = hoist((entry.schema)(), &definition, &mut definitions);
        definitions.insert(definition.clone(), params);
        rules.push(json!({
            "if": {"required": ["workload"], "properties": {"workload": {"const": name}}},
            "then": {"properties": {"params": {"$ref": format!("#/$defs/{definition}")}}},
        }));
    }
    let own = schema.get_mut("$defs").and_then(Value::as_object_mut);
    own.expect("the format has named types")
        .append(&mut definitions);
    schema.insert("allOf".to_owned(), Value::Array(rules));
    schema
}

/// TOML has no null: what is not there is left out. (`schemars` writes down what serde puts in its place.)
fn remove_null_defaults(schema: &mut Schema) {
    if let Some(table) = schema.as_object_mut()
        && table.get("default").is_some_and(Value::is_null)
    {
        table.remove("default");
    }
    transform_subschemas(&mut remove_null_defaults, schema);
}

/// Moves a schema's own definitions to `definitions`, under names that start with `prefix`, so that it can stand inside
/// another schema.
fn hoist(schema: Schema, prefix: &str, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = Value::from(schema);
    redirect(&mut schema, prefix);
    if let Some(table) = schema.as_object_mut() {
        table.remove("$schema");
        if let Some(Value::Object(own)) = table.remove("$defs") {
            let renamed = own
                .into_iter()
                .map(|(name, part)| (format!("{prefix}.{name}"), part));
            definitions.extend(renamed);
        }
    }
    schema
}

fn redirect(schema: &mut Value, prefix: &str) {
    match schema {
        Value::Object(table) => {
            for (key, part) in table.iter_mut() {
                match part.as_str().and_then(|text| text.strip_prefix("#/$defs/")) {
                    Some(name) if key == "$ref" => {
                        *part = json!(format!("#/$defs/{prefix}.{name}"))
                    }
                    _ => redirect(part, prefix),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|part| redirect(part, prefix)),
        _ => {}
    }
}
