//! Reading a scenario: from a text and overrides to a [`Scenario`], or to everything that is wrong.
//!
//! The order is: syntax, overrides, the format's own types, then the names and values that others own (workloads,
//! runtimes, servers) and combinations. A flaw is blamed on the override that made it or on its place in the text.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::load::{Stage, Stop};
use photofinish_harness::record::{InFlight, TextPlace};
use photofinish_harness::runtimes::DESCRIPTORS;
use serde_json::{Map, Value, json};

use super::document::Document;
use super::flaw::{Flaw, KeyPath, Side, check_all, typed};
use super::format::{
    ExpectSection, GateEntry, LoadSection, Model, SECTIONS, ScenarioFile, StageSection, keys_of,
};
use super::overrides::{Override, displaced};
use super::quantity::{Ops, Rates, Time, time_text, units_of_delay};
use super::{
    CheckGate, CheckServer, Checks, GateProblem, GateSpec, GateText, LoadSpec, OpenSpec, Scenario,
    ServerProblem, ServerSpec,
};
use crate::diagnostic::{Diagnostic, Source};
use crate::registry::{Checked, ParamsError, WorkloadEntry, workload, workloads};

/// The length of a unit of delay where a file says nothing.
const DEFAULT_UNIT: Duration = Duration::from_millis(20);
/// How long a round measures where a file says nothing.
const DEFAULT_DURATION: Duration = Duration::from_secs(2);
/// How long a round warms up where a file says nothing.
const DEFAULT_WARMUP: Duration = Duration::from_millis(300);
/// What stands behind a target where a file says nothing.
const DEFAULT_SERVERS: [(&str, &str); 4] = [
    ("http", "http"),
    ("db", "postgres"),
    ("ws", "ws"),
    ("client", "client"),
];

/// Keys of a server's behaviour whose strings are content: there, "1 unit" is not a delay.
const CONTENT_KEYS: [&str; 4] = ["body", "headers", "json", "query"];

/// What came of reading one text.
pub(super) struct Reading {
    /// The scenario, where nothing was wrong; overrides that do not fit are left out of it.
    pub(super) scenario: Option<Scenario>,
    /// What is wrong.
    pub(super) problems: Vec<Diagnostic>,
    /// Overrides, by index, for which this scenario has no key.
    pub(super) misfits: BTreeMap<usize, Diagnostic>,
}

pub(super) fn read(source: Arc<Source>, overrides: &[Override], checks: Checks<'_>) -> Reading {
    let document = match Document::parse(source) {
        Ok(document) => document,
        Err(problems) => {
            return Reading {
                scenario: None,
                problems,
                misfits: BTreeMap::new(),
            };
        }
    };
    let mut reader = Reader {
        document,
        overrides,
        applied: Vec::new(),
        problems: Vec::new(),
        misfits: BTreeMap::new(),
    };
    let scenario = reader.scenario(checks);
    Reading {
        scenario: scenario.filter(|_| reader.problems.is_empty()),
        problems: reader.problems,
        misfits: reader.misfits,
    }
}

struct Reader<'a> {
    document: Document,
    overrides: &'a [Override],
    /// Overrides that were applied, by index, and where.
    applied: Vec<(KeyPath, usize)>,
    problems: Vec<Diagnostic>,
    misfits: BTreeMap<usize, Diagnostic>,
}

impl Reader<'_> {
    fn scenario(&mut self, checks: Checks<'_>) -> Option<Scenario> {
        self.apply_overrides();
        let known = self.dotted_keys();
        let file = self.check(self.document.value.clone(), |root| {
            // A key of a section, or a parameter, that stands at the top is the likeliest slip of all.
            let at_top = |flaw: &Flaw| flaw.unknown_key && flaw.path.len() == 1;
            typed::<ScenarioFile>(root).map_err(|flaw| match at_top(&flaw) {
                true => flaw.or_meant(&known),
                false => flaw,
            })
        })?;
        let unit = self.unit(&file);
        let runtimes = self.runtimes(file.runtimes);
        let load = self.load(&file.load);
        let entry = self.workload(file.workload)?;
        let params = self.params(entry, file.params, unit);
        let servers = self.servers(entry, file.server, unit, checks.server);
        let gate = self.gate(&file.gate, checks.gate);
        let about = entry.about;
        let params = params?;
        Some(Scenario {
            name: self.document.source.name.clone(),
            title: file.title.unwrap_or_else(|| about.operation.to_owned()),
            about,
            params: params.params,
            needs: params.needs,
            unit,
            runtimes,
            servers,
            load,
            lag_probe: file.lag_probe,
            error_budget: file.expect.errors.unwrap_or_default().0,
            in_flight: file.expect.in_flight.map(|expected| InFlight {
                most: expected.most,
                reached: expected.reached,
            }),
            gate,
        })
    }

    fn gate(&mut self, entries: &BTreeMap<String, GateEntry>, check: CheckGate<'_>) -> GateSpec {
        let mut spec = GateSpec {
            place: self.text_place(&path(["workload"])),
            ..GateSpec::default()
        };
        for (metric, entry) in entries {
            let texts = match entry {
                GateEntry::One(text) => vec![(path(["gate", metric]), text)],
                GateEntry::All(texts) => (0..)
                    .map(|index: usize| path(["gate", metric, &index.to_string()]))
                    .zip(texts)
                    .collect(),
            };
            for (place, text) in texts {
                if metric == "floor" {
                    spec.floor = self.floor(place, text);
                } else if let Err(problem) = check(metric, text) {
                    self.add(gate_flaw(place, metric, problem));
                } else {
                    spec.terms.push(GateText {
                        metric: metric.clone(),
                        text: text.clone(),
                        place: self.text_place(&place),
                    });
                }
            }
        }
        spec
    }

    fn floor(&mut self, place: KeyPath, text: &str) -> Option<f64> {
        let percent = text.trim().strip_suffix('%').map(str::trim);
        let share = percent
            .and_then(|number| number.parse::<f64>().ok())
            .map(|percent| percent / 100.0)
            .filter(|share| (0.0..1.0).contains(share));
        if share.is_none() {
            self.add(Flaw::wrong(
                place,
                "a floor that is no share",
                "expected a percentage below 100, such as \"2%\"",
            ));
        }
        share
    }

    /// Where in its file a value stands; nowhere if an override made it.
    fn text_place(&self, path: &[String]) -> Option<TextPlace> {
        if self.blamed(path).is_some() {
            return None;
        }
        let line = self.document.line(path)?;
        Some(TextPlace {
            file: self.document.source.origin.clone(),
            line,
        })
    }

    /// Files a flaw under the override that made it, or under its place in the text.
    fn add(&mut self, flaw: Flaw) {
        match self.blamed(&flaw.path) {
            None => self.problems.push(self.document.diagnose(flaw)),
            Some(index) if flaw.unknown_key => self.misfit(index, flaw),
            Some(index) => self.problems.push(self.overrides[index].diagnose(flaw)),
        }
    }

    /// The override whose value lies at or around `path`, or that alone made the table there; the last such one.
    fn blamed(&self, path: &[String]) -> Option<usize> {
        let around = |(target, _): &&(KeyPath, usize)| path.starts_with(target);
        let inside = |(target, _): &&(KeyPath, usize)| target.starts_with(path);
        let mut applied = self.applied.iter().rev();
        let replaced = applied.clone().find(around);
        let made = || applied.find(inside).filter(|_| !self.document.has(path));
        replaced.or_else(made).map(|(_, index)| *index)
    }

    /// Finds all flaws of a value whose root is the file's root.
    fn check<T>(
        &mut self,
        mut root: Value,
        check: impl Fn(&Value) -> Result<T, Flaw>,
    ) -> Option<T> {
        let (result, flaws) = check_all(&mut root, check);
        flaws.into_iter().for_each(|flaw| self.add(flaw));
        result
    }

    fn apply_overrides(&mut self) {
        let file_keys = keys_of::<ScenarioFile>();
        // Without a workload nobody knows the parameters; it will be complained of, and bare keys wait for it.
        let entry = self.workload_asked();
        let params = entry.map(param_names).unwrap_or_default();
        for (index, asked) in self.overrides.iter().enumerate() {
            match asked.target(&file_keys, &params) {
                Some(path) => self.apply(index, path),
                None if entry.is_some() => {
                    let known = [plain_keys(&file_keys), params.clone(), section_keys()].concat();
                    self.misfit(index, asked.misfit(&known));
                }
                None => {}
            }
        }
    }

    fn apply(&mut self, index: usize, path: KeyPath) {
        if let Err(flaw) = self.overrides[index].put(&mut self.document.value, &path) {
            return self.misfit(index, flaw);
        }
        for key in displaced(&path) {
            let other = ["load".to_owned(), key.to_owned()];
            // Two overrides that exclude each other are the user's mistake, and not for us to settle.
            let settled = !self.applied.iter().any(|(path, _)| *path == other);
            if let Some(Value::Object(load)) = self.document.value.get_mut("load")
                && settled
            {
                load.remove(key);
            }
        }
        self.applied.push((path, index));
    }

    fn misfit(&mut self, index: usize, flaw: Flaw) {
        let diagnostic = self.overrides[index].diagnose(flaw);
        self.misfits.entry(index).or_insert(diagnostic);
    }

    /// The keys of the file's sections, and the workload's parameters, as they would be dotted at the top.
    fn dotted_keys(&self) -> Vec<String> {
        let params = self.workload_asked().map(param_names).unwrap_or_default();
        [section_keys(), dotted("params", params)].concat()
    }

    fn workload_asked(&self) -> Option<&'static WorkloadEntry> {
        let overridden = self
            .overrides
            .iter()
            .rev()
            .find_map(|asked| asked.value_of("workload"));
        let name = overridden.or_else(|| self.document.value.get("workload"))?;
        workload(name.as_str()?)
    }

    fn unit(&mut self, file: &ScenarioFile) -> Duration {
        let unit = file.unit.map_or(DEFAULT_UNIT, |unit| unit.0);
        if unit.is_zero() {
            let path = path(["unit"]);
            self.add(Flaw::wrong(
                path,
                "a unit of no length",
                "expected a time longer than zero",
            ));
        }
        unit
    }

    fn workload(&mut self, name: Option<String>) -> Option<&'static WorkloadEntry> {
        let Some(name) = name else {
            // One that was there and flawed was complained of already.
            if self.document.value.get("workload").is_none() {
                let label = format!("add one of: {}", workload_names().join(", "));
                self.add(Flaw::wrong(
                    path(["workload"]),
                    "missing key `workload`",
                    &label,
                ));
            }
            return None;
        };
        let entry = workload(&name);
        if entry.is_none() {
            let known = workload_names();
            self.add(Flaw::unknown_name(
                path(["workload"]),
                "workload",
                &name,
                &known,
            ));
        }
        entry
    }

    fn runtimes(&mut self, names: Option<Vec<String>>) -> Option<Vec<String>> {
        let names = names?;
        let known: Vec<_> = DESCRIPTORS
            .iter()
            .map(|known| known.name.to_owned())
            .collect();
        if names.is_empty() {
            let path = path(["runtimes"]);
            self.add(Flaw::wrong(
                path,
                "no runtime at all",
                "expected at least one; without this key, all of them",
            ));
        }
        for (index, name) in names.iter().enumerate() {
            let path = vec!["runtimes".to_owned(), index.to_string()];
            if !known.contains(name) {
                self.add(Flaw::unknown_name(path, "runtime", name, &known));
            } else if names[..index].contains(name) {
                self.add(Flaw::wrong(
                    path,
                    format!("runtime `{name}` stands here twice"),
                    "",
                ));
            }
        }
        Some(names)
    }

    fn load(&mut self, load: &LoadSection) -> LoadSpec {
        if load.duration.is_some_and(|duration| duration.0.is_zero()) {
            let path = path(["load", "duration"]);
            self.add(Flaw::wrong(
                path,
                "a measurement of no length",
                "expected a time longer than zero",
            ));
        }
        self.exclude(
            load.duration.is_some() && load.ops.is_some(),
            ["duration", "ops"],
        );
        self.exclude(
            load.warmup.is_some() && load.warmup_ops.is_some(),
            ["warmup", "warmup_ops"],
        );
        let one = || vec![NonZeroU32::MIN];
        let open = self.open(load);
        let staged = open.as_ref().and_then(|open| total(&open.stages));
        LoadSpec {
            concurrency: load.concurrency.clone().map_or_else(one, |sweep| sweep.0),
            open,
            warmup: stop(load.warmup_ops, load.warmup, DEFAULT_WARMUP),
            stop: staged.unwrap_or_else(|| stop(load.ops, load.duration, DEFAULT_DURATION)),
        }
    }

    fn open(&mut self, load: &LoadSection) -> Option<OpenSpec> {
        let is_open = match load.model {
            Some(model) => model == Model::Open,
            None => load.rate.is_some(),
        };
        if !is_open {
            self.only_open("rate", load.rate.is_some());
            self.only_open("arrivals", load.arrivals.is_some());
            self.only_open("stages", load.stages.is_some());
            return None;
        }
        let Some(Rates(rates)) = load.rate.clone() else {
            self.add(Flaw::wrong(
                path(["load", "model"]),
                "an open load without a rate",
                "add `rate`, in arrivals per second",
            ));
            return None;
        };
        self.exclude(
            load.stages.is_some() && load.duration.is_some(),
            ["stages", "duration"],
        );
        self.exclude(
            load.stages.is_some() && load.ops.is_some(),
            ["stages", "ops"],
        );
        Some(OpenSpec {
            rates,
            arrivals: load.arrivals.unwrap_or_default(),
            stages: self.stages(load.stages.as_deref()),
        })
    }

    fn only_open(&mut self, key: &str, given: bool) {
        if given {
            let message = format!("`{key}` is for open loads");
            let flaw = Flaw::wrong(path(["load", key]), message, "this load is closed");
            self.add(Flaw {
                side: Side::Key,
                ..flaw
            });
        }
    }

    fn stages(&mut self, sections: Option<&[StageSection]>) -> Vec<Stage> {
        let mut stages = Vec::new();
        for (index, section) in sections.unwrap_or_default().iter().enumerate() {
            let length = Stop::after(section.duration.0);
            let (false, Stop::DurationNs(duration_ns)) = (section.duration.0.is_zero(), length)
            else {
                self.add(Flaw::wrong(
                    path(["load", "stages", &index.to_string(), "duration"]),
                    "a stage of no length",
                    "expected a time longer than zero",
                ));
                continue;
            };
            stages.push(Stage {
                duration_ns,
                from: section.from.0,
                to: section.to.unwrap_or(section.from).0,
            });
        }
        let peak = stages.iter().map(|stage| stage.from.max(stage.to));
        let nothing_wrong = stages.len() == sections.map_or(0, <[_]>::len);
        if sections.is_some() && nothing_wrong && peak.fold(0.0, f64::max) <= 0.0 {
            self.add(Flaw::wrong(
                path(["load", "stages"]),
                "stages without any arrival",
                "expected at least one stage with `from` or `to` above 0",
            ));
        }
        stages
    }

    fn exclude(&mut self, both: bool, [one, other]: [&str; 2]) {
        if both {
            let message = format!("`{one}` and `{other}` exclude each other");
            self.add(Flaw {
                side: Side::Key,
                ..Flaw::wrong(path(["load", other]), message, "keep one of the two")
            });
        }
    }

    fn params(
        &mut self,
        entry: &WorkloadEntry,
        params: Map<String, Value>,
        unit: Duration,
    ) -> Option<Checked> {
        self.check(json!({ "params": params }), |root| {
            (entry.check)(&root["params"], unit).map_err(|error| match error {
                ParamsError::Unknown { name, expected } => {
                    Flaw::unknown_key(vec!["params".to_owned(), name], &expected)
                }
                ParamsError::Invalid { path, message } => {
                    Flaw::from_serde([vec!["params".to_owned()], path].concat(), &message)
                }
            })
        })
    }

    fn servers(
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

fn path<const N: usize>(keys: [&str; N]) -> KeyPath {
    keys.map(str::to_owned).to_vec()
}

fn workload_names() -> Vec<String> {
    let names = workloads().map(|entry| entry.about.name.to_owned());
    names.collect()
}

/// The parameters a workload has: the keys of its complete defaults.
fn param_names(entry: &WorkloadEntry) -> Vec<String> {
    let complete = (entry.check)(&json!({}), DEFAULT_UNIT).ok();
    let params = complete
        .as_ref()
        .and_then(|complete| complete.params.as_object());
    params.map_or_else(Vec::new, |params| params.keys().cloned().collect())
}

fn dotted(section: &str, keys: Vec<String>) -> Vec<String> {
    let dot = |key| format!("{section}.{key}");
    keys.into_iter().map(dot).collect()
}

/// The keys of the sections that are this format's own.
fn section_keys() -> Vec<String> {
    let load = dotted("load", keys_of::<LoadSection>());
    [load, dotted("expect", keys_of::<ExpectSection>())].concat()
}

/// The keys that hold a value and not a section.
fn plain_keys(file_keys: &[String]) -> Vec<String> {
    let plain = |key: &&String| !SECTIONS.contains(&key.as_str());
    file_keys.iter().filter(plain).cloned().collect()
}

fn stop(ops: Option<Ops>, time: Option<Time>, default: Duration) -> Stop {
    match ops {
        Some(Ops(ops)) => Stop::Ops(ops),
        None => Stop::after(time.map_or(default, |time| time.0)),
    }
}

/// How long stages last together.
fn total(stages: &[Stage]) -> Option<Stop> {
    let lengths = stages.iter().map(|stage| stage.duration_ns.get());
    let total_ns = lengths.reduce(u64::saturating_add)?;
    Some(Stop::after(Duration::from_nanos(total_ns)))
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

fn gate_flaw(place: KeyPath, metric: &str, problem: GateProblem) -> Flaw {
    match problem {
        GateProblem::UnknownMetric { known } => {
            let key = place.into_iter().take(2).collect();
            let flaw = Flaw::unknown_name(key, "metric to gate", metric, &known);
            Flaw {
                side: Side::Key,
                ..flaw
            }
        }
        GateProblem::Text { message } => Flaw::wrong(place, message, ""),
    }
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
