//! Reading a scenario: from a text and overrides to a [`Scenario`], or to everything that is wrong.
//!
//! The order is: syntax, overrides, the format's own types, then the names and values that others own (workloads,
//! runtimes, servers) and combinations. A flaw is blamed on the override that made it or on its place in the text. What
//! concerns a section of the file alone is in a file below this.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_record::{InFlight, TextPlace};
use serde_json::{Map, Value, json};

use super::document::Document;
use super::flaw::{Flaw, KeyPath, check_all, typed};
use super::format::ScenarioFile;
use super::overrides::Override;
use super::{Checks, Scenario};
use crate::diagnostic::{Diagnostic, Source};
use crate::registry::{Checked, ParamsError, WorkloadEntry, workload, workloads};

mod overriding;

mod gate;
mod load;
mod servers;

/// The length of a unit of delay where a file says nothing.
const DEFAULT_UNIT: Duration = Duration::from_millis(20);

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
