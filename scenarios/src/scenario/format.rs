//! The format of scenario files, as types.
//!
//! The doc comments here are the format's documentation: `photofinish schema scenario` prints them. Every key but
//! `workload` is optional. A workload's parameters and a server's behaviour are plain tables here, checked by their
//! owners; `read.rs` checks combinations of keys. Sections
//! that are parameters of a workload (`[[request]]`) are in `sections.rs`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use photofinish_record::TlsVersion;
use photofinish_record::load::Arrivals;
use schemars::transform::transform_subschemas;
use schemars::{JsonSchema, Schema, schema_for};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::sections::{SECTIONS_OF, Sections};
use photofinish_workloads::quantity::{Factor, Ops, Rate, SessionCount, Share, Sweep, Time};
use photofinish_workloads::registry::{WorkloadEntry, property_names, workloads};

/// A scenario: a workload with its parameters, the servers it talks to, the load, and the expected outcome.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "A scenario of Photofinish")]
pub(crate) struct ScenarioFile {
    /// One line for lists and reports. By default, the workload's description of its operation.
    #[serde(default)]
    #[schemars(with = "String")]
    pub(crate) title: Option<String>,
    /// The workload to run; see `photofinish list --all`.
    #[schemars(with = "String")]
    pub(crate) workload: Option<String>,
    /// The length of one unit of delay, by default `20ms`. Delays of servers and parameters can be written as `3 units`.
    #[serde(default)]
    #[schemars(with = "Time")]
    pub(crate) unit: Option<Time>,
    /// The runtimes to compare; the first is the reference. By default, all of them.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) runtimes: Option<Vec<String>>,
    /// The workload's parameters. Missing ones have the workload's defaults.
    #[serde(default)]
    pub(crate) params: Map<String, Value>,
    /// The mock servers behind the workload's targets, by target name: `[server.http]`, `[server.db]`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, ServerSection>")]
    pub(crate) server: BTreeMap<String, Map<String, Value>>,
    /// TLS towards targets whose URLs begin with `https://` or `wss://`; `--target http-ca=FILE` and the like replace it.
    #[serde(default)]
    #[schemars(with = "TlsSection")]
    pub(crate) tls: Option<TlsSection>,
    /// The load and its duration.
    #[serde(default)]
    pub(crate) load: LoadSection,
    /// True to run a probe beside the sessions that measures scheduling delays of the runtime. By default false.
    #[serde(default)]
    pub(crate) lag_probe: bool,
    /// The expected outcome.
    #[serde(default)]
    pub(crate) expect: ExpectSection,
    /// Conditions that `photofinish gate` checks on a new build, by metric: `throughput = "5%"` limits the slowdown,
    /// `response_p99 = "< 20ms"` limits the new build's own value, and a list may hold both. `errors` is a share of all
    /// operations, `request.NAME.service_p99` the metric of a part, `request.NAME.errors` a share of its runs, and `tolerance` the
    /// slowdown that is not reported yet, by default `"2%"`.
    #[serde(default)]
    pub(crate) gate: BTreeMap<String, GateEntry>,
}

/// The conditions on a metric: one or several.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "a text such as \"5%\" or \"< 20ms\", or a list of them"
)]
pub(crate) enum GateEntry {
    One(String),
    All(Vec<String>),
    /// Nested: a part, `request.NAME.METRIC`, or a percentile with decimals, whose dot TOML reads as a table.
    Below(BTreeMap<String, GateEntry>),
}

/// A mock server: its `kind`, and the keys of that server's behaviour.
#[derive(JsonSchema)]
#[expect(
    dead_code,
    reason = "describes the format; servers read their behaviour themselves"
)]
pub(crate) struct ServerSection {
    /// The server: `http`, `wiremock`, `postgres`. By default `http` for the target `http`, `postgres` for `db`.
    #[schemars(with = "String")]
    kind: Option<String>,
    /// The server's behaviour. A string such as `3 units` is a delay of that many times the scenario's `unit`.
    #[schemars(flatten)]
    behaviour: BTreeMap<String, Value>,
}

/// The load and its duration.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct LoadSection {
    /// `closed`: each session starts its next operation when its last one has ended. `open`: arrivals on a schedule,
    /// independent of completions. By default `open` if there is a `rate`, else `closed`.
    #[schemars(with = "Model")]
    pub(crate) model: Option<Model>,
    /// Number of concurrent sessions, by default 1, or a list of numbers to measure one by one.
    #[schemars(with = "Sweep<SessionCount>")]
    pub(crate) concurrency: Option<Sweep<SessionCount>>,
    /// Arrivals per second of an open load: a number, or a list of numbers to measure one by one.
    #[schemars(with = "Sweep<Rate>")]
    pub(crate) rate: Option<Sweep<Rate>>,
    /// Spacing of the arrivals of an open load: `constant` (the default), `poisson` or `bursts`.
    #[schemars(with = "Arrivals")]
    pub(crate) arrivals: Option<Arrivals>,
    /// Stages of an open load, each with a constant or linearly changing rate. Excludes `duration` and `ops`.
    #[schemars(with = "Vec<StageSection>")]
    pub(crate) stages: Option<Vec<StageSection>>,
    /// Length of the measurement, by default `2s`. Excludes `ops`.
    #[schemars(with = "Time")]
    pub(crate) duration: Option<Time>,
    /// Number of measured operations over all sessions. Excludes `duration`.
    #[schemars(with = "Ops")]
    pub(crate) ops: Option<Ops>,
    /// Length of the warm-up, by default `300ms`. Excludes `warmup_ops`.
    #[schemars(with = "Time")]
    pub(crate) warmup: Option<Time>,
    /// Number of warm-up operations over all sessions. Excludes `warmup`.
    #[schemars(with = "Ops")]
    pub(crate) warmup_ops: Option<Ops>,
}

/// TLS towards targets. Files are in PEM format, with paths relative to this file.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct TlsSection {
    /// File with the accepted authorities, by default the system's.
    #[schemars(with = "String")]
    pub(crate) ca: Option<String>,
    /// File with the client certificate, and the chain that leads to an authority.
    #[schemars(with = "String")]
    pub(crate) cert: Option<String>,
    /// File with the private key of the client certificate, unencrypted.
    #[schemars(with = "String")]
    pub(crate) key: Option<String>,
    /// Name to send to the server and to verify, by default the host of the URL.
    #[schemars(with = "String")]
    pub(crate) server_name: Option<String>,
    /// True to accept any certificate. By default false.
    pub(crate) insecure: bool,
    /// False if each new connection does a full handshake. By default, sessions are resumed.
    #[schemars(with = "bool")]
    pub(crate) resumption: Option<bool>,
    /// Accepted versions, by default `["1.2", "1.3"]`.
    #[schemars(with = "Vec<String>")]
    pub(crate) versions: Vec<TlsVersion>,
}

/// Models of load.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Model {
    /// A fixed number of sessions; each starts its next operation when its last one has ended.
    Closed,
    /// Arrivals on a schedule, independent of completions.
    Open,
}

/// A period of an open load in which the rate is constant or changes linearly.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StageSection {
    pub(crate) duration: Time,
    /// The rate at its start, as a multiple of the load's rate.
    pub(crate) from: Factor,
    /// The rate at its end; by default the same as at its start.
    #[serde(default)]
    #[schemars(with = "Factor")]
    pub(crate) to: Option<Factor>,
}

/// The expected outcome.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct ExpectSection {
    /// Maximum share of failed operations: 0 (the default), `"1%"` or 0.01; above it the measurement is wrong. A limit
    /// such as `"< 1%"` is a threshold instead, and a list may hold both.
    #[schemars(with = "ErrorsEntry")]
    pub(crate) errors: Option<Value>,
    /// Limits of the requests in flight, as counted by the server. The run fails outside of them.
    #[schemars(with = "InFlightSection")]
    pub(crate) in_flight: Option<InFlightSection>,
    /// Thresholds by metric, judged in each cell of a run: `response_p99 = "< 50ms"`, `throughput = "> 900/s"`,
    /// `service_p99.5`, `retries`, `reconnects`; `request.NAME.service_p99` of a part of the operation.
    #[serde(flatten)]
    #[schemars(with = "BTreeMap<String, ThresholdEntry>")]
    pub(crate) thresholds: BTreeMap<String, Value>,
}

/// The share of failed operations that is allowed, thresholds on it, or a list of both.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the format; `read/expect.rs` reads it")]
pub(crate) enum ErrorsEntry {
    One(ErrorsLimit),
    All(Vec<ErrorsLimit>),
}

/// A budget, or a threshold such as `"< 1%"`.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the format; `read/expect.rs` reads it")]
pub(crate) enum ErrorsLimit {
    Budget(Share),
    Threshold(#[schemars(regex(pattern = r"^\s*<"))] String),
}

/// A threshold, several on the same metric, or those of a part of the operation by metric.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "describes the format; `read/expect.rs` reads it")]
pub(crate) enum ThresholdEntry {
    One(String),
    Zero(u8),
    All(Vec<String>),
    Within(BTreeMap<String, ThresholdEntry>),
}

/// Limits of the highest number of requests in flight.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct InFlightSection {
    /// Maximum per session.
    pub(crate) most: NonZeroU32,
    /// True if one session's maximum must be reached under runtimes that do several things at once. By default false.
    #[serde(default)]
    pub(crate) reached: bool,
}

/// Keys of the file whose values are tables.
pub(crate) const SECTIONS: [&str; 6] = ["params", "server", "tls", "load", "expect", "gate"];

/// Pairs of keys in `[load]` that exclude each other.
pub(crate) const ALTERNATIVES: [(&str, &str); 4] = [
    ("duration", "ops"),
    ("warmup", "warmup_ops"),
    ("stages", "duration"),
    ("stages", "ops"),
];

/// The keys of a type of the format.
pub(crate) fn keys_of<T: JsonSchema>() -> Vec<String> {
    property_names(&schema_for!(T))
}

/// Keys that an override can set, with their descriptions: of the file, of `[load]`, and the parameters of these workloads,
/// or of all without any.
pub fn override_keys(of_workloads: &[String]) -> BTreeMap<String, String> {
    let named = |entry: &&WorkloadEntry| of_workloads.iter().any(|it| it == entry.about.name);
    let params = workloads()
        .filter(|entry| of_workloads.is_empty() || named(entry))
        .map(|entry| ("", (entry.schema)()));
    let file = ("", schema_for!(ScenarioFile));
    let load = ("load.", schema_for!(LoadSection));
    let mut keys = BTreeMap::new();
    for (prefix, schema) in params.chain([file, load]) {
        let properties = schema.get("properties").and_then(Value::as_object);
        for (name, property) in properties.into_iter().flatten() {
            let help = property["description"].as_str().unwrap_or_default();
            keys.insert(format!("{prefix}{name}"), help.to_owned());
        }
    }
    keys.retain(|name, _| !SECTIONS.contains(&name.as_str()) && name != "workload");
    keys
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
    for sections in SECTIONS_OF {
        add_sections(&mut schema, sections, &definitions);
    }
    let own = schema.get_mut("$defs").and_then(Value::as_object_mut);
    own.expect("the format has named types")
        .append(&mut definitions);
    schema.insert("allOf".to_owned(), Value::Array(rules));
    schema
}

/// Describes a workload's sections at the root of the file, and makes `workload` optional if a section implies it.
fn add_sections(schema: &mut Schema, sections: &Sections, definitions: &Map<String, Value>) {
    let params = format!("params-{}", sections.workload);
    for name in sections.names() {
        let part = &definitions[&params]["properties"][name];
        if let Some(properties) = schema.pointer_mut("/properties") {
            properties[name] = json!({"$ref": format!("#/$defs/{params}/properties/{name}")});
            properties[name]["description"] = part["description"].clone();
        }
    }
    if let Some(required) = schema.remove("required") {
        schema.insert("anyOf".to_owned(), json!([{ "required": required }]));
    }
    let alternatives = schema.pointer_mut("/anyOf").and_then(Value::as_array_mut);
    let telling = sections.telling.iter();
    alternatives
        .expect("a file names a workload")
        .extend(telling.map(|name| json!({"required": [name]})));
}

/// Removes the nulls that `schemars` writes for optional keys: TOML has no null.
fn remove_null_defaults(schema: &mut Schema) {
    if let Some(table) = schema.as_object_mut()
        && table.get("default").is_some_and(Value::is_null)
    {
        table.remove("default");
    }
    transform_subschemas(&mut remove_null_defaults, schema);
}

/// Moves a schema's definitions to `definitions`, under names that start with `prefix`, so that it can be nested in
/// another schema.
fn hoist(schema: Schema, prefix: &str, definitions: &mut Map<String, Value>) -> Value {
    let mut schema = Value::from(schema);
    redirect(&mut schema, prefix);
    if let Some(table) = schema.as_object_mut() {
        table.remove("$schema");
        if let Some(Value::Object(own)) = table.remove("$defs") {
            definitions.extend(
                own.into_iter()
                    .map(|(name, part)| (format!("{prefix}.{name}"), part)),
            );
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
