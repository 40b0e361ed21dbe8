//! Reads a text and overrides into a [`Scenario`], or into all of their errors.
//!
//! The order is: syntax, overrides, the format's own types, then the names and values that others own (workloads,
//! runtimes, servers) and combinations. A flaw is reported at the override that caused it, or else at its location in
//! the text. Each section of the file has a module below this one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::runtimes::{DESCRIPTORS, OPTIONAL};
use photofinish_record::{InFlight, SourceLocation};
use serde_json::{Map, Value, json};

use super::document::Document;
use super::flaw::{Flaw, KeyPath, check_all, typed};
use super::format::ScenarioFile;
use super::overrides::Override;
use super::sections::{
    apart, implied_workload, merged, place, section_names, split, take_sections,
};
use super::{Checks, PathParams, Scenario};
use crate::diagnostic::{Diagnostic, Source};
use photofinish_workloads::data::files;
use photofinish_workloads::registry::{Checked, ParamsError, WorkloadEntry, workload, workloads};
use photofinish_workloads::workloads::http::survey_bodies;
use photofinish_workloads::workloads::sql::survey_scripts;
use photofinish_workloads::workloads::sqlite::survey as survey_database;

mod overriding;

mod expect;
mod gate;
mod load;
mod sections;
mod servers;
mod tls;

const DEFAULT_UNIT: Duration = Duration::from_millis(20);

/// The result of reading one text.
#[derive(Default)]
pub(super) struct Reading {
    /// The scenario, if there are no problems. Misfits are not applied.
    pub(super) scenario: Option<Scenario>,
    pub(super) problems: Vec<Diagnostic>,
    /// Overrides, by index, that match no key of this scenario.
    pub(super) misfits: BTreeMap<usize, Diagnostic>,
}

pub(super) fn read(source: Arc<Source>, overrides: &[Override], checks: Checks<'_>) -> Reading {
    let document = match Document::parse(source) {
        Ok(document) => document,
        Err(problems) => {
            return Reading {
                problems,
                ..Reading::default()
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
    /// The paths of applied overrides, with their indices.
    applied: Vec<(KeyPath, usize)>,
    problems: Vec<Diagnostic>,
    misfits: BTreeMap<usize, Diagnostic>,
}

impl Reader<'_> {
    fn scenario(&mut self, checks: Checks<'_>) -> Option<Scenario> {
        self.apply_overrides();
        let known = self.dotted_keys();
        let mut root = self.document.value.clone();
        let sections = take_sections(&mut root);
        let file = self.check(root, |root| {
            typed::<ScenarioFile>(root).map_err(|flaw| {
                // Keys of sections and parameters at the root are the likeliest mistake.
                if flaw.unknown_key && flaw.path.len() == 1 {
                    flaw.or_suggest(&known)
                } else {
                    flaw
                }
            })
        })?;
        let unit = self.unit(&file);
        let runtimes = self.runtimes(file.runtimes);
        let load = self.load(&file.load);
        let entry = self.workload(file.workload)?;
        self.check_sections(entry, &sections, &file.params);
        let params = self.params(entry, file.params, &sections, unit);
        let servers = self.servers(entry, file.server, unit, checks);
        let parts = params.as_ref().map(|params| params.parts.clone());
        let gate = self.gate(&file.gate, parts.as_deref(), checks.gate);
        let error_budget = self.error_budget(&file.expect);
        let tls = file.tls.map(|section| self.tls(section));
        let about = entry.about;
        let params = params?;
        let thresholds = self.thresholds(&file.expect, &params.parts, checks.threshold);
        let paths = self.path_params(entry);
        let [title, title_of_target] = self.titles(file.title, about.operation);
        Some(Scenario {
            name: self.document.source.name.clone(),
            title,
            title_of_target,
            about,
            params: params.params,
            paths,
            needs: params.needs,
            repeated_writes: params.repeated_writes,
            unit,
            directory: self.document.source.directory.clone(),
            runtimes,
            servers,
            tls: tls.flatten(),
            load,
            lag_probe: file.lag_probe,
            error_budget,
            thresholds,
            parts: params.parts,
            in_flight: file.expect.in_flight.map(|expected| InFlight {
                most: expected.most,
                reached: expected.reached,
            }),
            gate,
        })
    }

    /// The title, and the one for a server of the user's. A built-in title tells sizes and counts, so it holds only for
    /// the scenario's own parameters and servers; the user's own title always does.
    fn titles(&self, title: Option<String>, operation: &str) -> [String; 2] {
        let set = |key: &str| {
            let mut targets = self.applied.iter().map(|(target, _)| target);
            targets.any(|target| target.first().is_some_and(|first| first == key))
        };
        let ships = self.document.source.ships && !set("title");
        let general = || {
            let mut letters = operation.chars();
            let first = letters.next().map(|letter| letter.to_ascii_uppercase());
            first.into_iter().chain(letters).collect()
        };
        let of_target = title.clone().filter(|_| !ships);
        let set_params = set("params") || section_names().iter().any(|name| set(name));
        let title = title.filter(|_| !(ships && set_params));
        [title, of_target].map(|title| title.unwrap_or_else(general))
    }

    /// The parameters that are paths: those with a path for a default, and `path` itself.
    fn path_params(&self, entry: &WorkloadEntry) -> PathParams {
        let is_path = |value: &Value| value.as_str().is_some_and(|text| text.starts_with('/'));
        let is_named = |name: &String| {
            let key = path(["params", name]);
            let overridden = self
                .applied
                .iter()
                .any(|(target, _)| target.starts_with(&key));
            overridden || (!self.document.source.ships && self.document.has(&key))
        };
        let paths = defaults(entry).into_iter().filter(|(name, value)| {
            let has_path = |list: &Vec<Value>| list.iter().any(is_path);
            name == "path" || is_path(value) || value.as_array().is_some_and(has_path)
        });
        let (named, defaults) = paths.map(|(name, _)| name).partition(is_named);
        let mut targets = self.applied.iter();
        let overridden =
            targets.any(|(target, _)| ["request", "flow"].contains(&target[0].as_str()));
        PathParams {
            named,
            defaults,
            requests: self.document.source.ships
                && implied_workload(&self.document.value) == Some("http")
                && !overridden,
        }
    }

    /// The line of a value; `None` if an override made it.
    fn text_place(&self, path: &[String]) -> Option<SourceLocation> {
        if self.blamed(path).is_some() {
            return None;
        }
        let line = self.document.line(path)?;
        Some(SourceLocation {
            file: self.document.source.origin.clone(),
            line,
        })
    }

    /// Adds a flaw, at the override that caused it or at its location in the text.
    fn add(&mut self, flaw: Flaw) {
        match self.blamed(&flaw.path) {
            None => self.problems.push(self.document.diagnose(flaw)),
            Some(index) if flaw.unknown_key => self.misfit(index, flaw),
            Some(index) => self.problems.push(self.overrides[index].diagnose(flaw)),
        }
    }

    /// The last override that set `path` or a table around it, or else that created the table at `path`.
    fn blamed(&self, path: &[String]) -> Option<usize> {
        let mut latest = self.applied.iter().rev();
        latest
            .clone()
            .find(|(target, _)| path.starts_with(target))
            .or_else(|| {
                latest.find(|(target, _)| !self.document.has(path) && target.starts_with(path))
            })
            .map(|(_, index)| *index)
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

    fn unit(&mut self, file: &ScenarioFile) -> Duration {
        let unit = file.unit.map_or(DEFAULT_UNIT, |unit| unit.0);
        if unit.is_zero() {
            self.add(zero_time(path(["unit"])));
        }
        unit
    }

    fn workload(&mut self, name: Option<String>) -> Option<&'static WorkloadEntry> {
        let implied = implied_workload(&self.document.value).map(str::to_owned);
        let Some(name) = name.or(implied) else {
            // Otherwise there is one with a flaw that was reported already.
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
            let path = path(["workload"]);
            self.add(Flaw::unknown_name(
                path,
                "workload",
                &name,
                &workload_names(),
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
            let label = "expected at least one; leave the key out to run all of them";
            self.add(Flaw::wrong(
                path(["runtimes"]),
                "`runtimes` is empty",
                label,
            ));
        }
        for (index, name) in names.iter().enumerate() {
            let path = path(["runtimes", &index.to_string()]);
            let feature = OPTIONAL.iter().find(|(optional, _)| name == optional);
            if let (Some((_, feature)), false) = (feature, known.contains(name)) {
                let label = format!("build with `--features {feature}`");
                let message = format!("the runtime `{name}` is not part of this build");
                self.add(Flaw::wrong(path, message, &label));
            } else if !known.contains(name) {
                self.add(Flaw::unknown_name(path, "runtime", name, &known));
            } else if names[..index].contains(name) {
                self.add(Flaw::wrong(
                    path,
                    format!("runtime `{name}` is listed twice"),
                    "",
                ));
            }
        }
        Some(names)
    }

    fn params(
        &mut self,
        entry: &WorkloadEntry,
        params: Map<String, Value>,
        sections: &Map<String, Value>,
        unit: Duration,
    ) -> Option<Checked> {
        let mut all = merged(&Value::Object(params), sections);
        let directory = self.document.source.directory.clone();
        let surveys = [
            files::survey(&mut all, &directory),
            survey_bodies(&mut all, &directory),
            survey_scripts(&mut all, &directory),
            survey_database(&mut all, &directory),
        ];
        let errors = surveys.concat();
        let all_files_are_read = errors.is_empty();
        for error in errors {
            let path = error.param.split('.').map(str::to_owned).collect();
            self.add(Flaw::from_serde(place(path, sections), &error.message));
        }
        if !all_files_are_read {
            // Names of columns, for example, are unknown without their file.
            return None;
        }
        self.check(apart(all, sections), |root| {
            let (params, sections) = split(root);
            (entry.check)(&merged(params, &sections), unit).map_err(|error| match error {
                ParamsError::Unknown { name, expected } => {
                    Flaw::unknown_key(place(vec![name], &sections), &expected)
                }
                ParamsError::Invalid { path, message } => {
                    Flaw::from_serde(place(path, &sections), &message)
                }
            })
        })
    }
}

fn path<const N: usize>(keys: [&str; N]) -> KeyPath {
    keys.map(str::to_owned).to_vec()
}

fn zero_time(path: KeyPath) -> Flaw {
    let message = format!("`{}` is zero", path.join("."));
    Flaw::wrong(path, message, "expected a time above zero")
}

fn workload_names() -> Vec<String> {
    workloads()
        .map(|entry| entry.about.name.to_owned())
        .collect()
}

/// The names of a workload's parameters.
fn param_names(entry: &WorkloadEntry) -> Vec<String> {
    defaults(entry).into_iter().map(|(name, _)| name).collect()
}

/// A workload's parameters with their defaults.
fn defaults(entry: &WorkloadEntry) -> Map<String, Value> {
    match (entry.check)(&json!({}), DEFAULT_UNIT) {
        Ok(Checked {
            params: Value::Object(params),
            ..
        }) => params,
        _ => Map::new(),
    }
}
