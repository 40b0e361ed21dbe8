//! Applies overrides: finds the key of each, and removes the keys that it excludes.
//!
//! A bare key is one of the file or a parameter of the workload. An override without a matching key is kept as a misfit,
//! because another scenario of the run may have the key. `overrides.rs` parses their text.

use serde_json::Value;

use super::super::flaw::{Flaw, KeyPath};
use super::super::format::{ExpectSection, LoadSection, SECTIONS, ScenarioFile, keys_of};
use super::super::overrides::alternatives;
use super::super::sections::{implied_workload, section_names, suits};
use super::{Reader, param_names};
use photofinish_workloads::registry::{WorkloadEntry, workload};

impl Reader<'_> {
    pub(super) fn apply_overrides(&mut self) {
        let file_keys = [keys_of::<ScenarioFile>(), section_names()].concat();
        // Without a workload the parameters are unknown. That is reported later, so bare keys are not.
        let entry = self.named_workload();
        let params = entry.map(param_names).unwrap_or_default();
        for (index, given) in self.overrides.iter().enumerate() {
            let target = given.target(&file_keys, &params);
            match target.filter(|path| entry.is_none_or(|entry| suits(&path[0], entry.about.name)))
            {
                Some(path) => self.apply(index, path),
                None if entry.is_some() => {
                    let plain_keys = file_keys
                        .iter()
                        .filter(|key| !SECTIONS.contains(&key.as_str()))
                        .cloned()
                        .collect();
                    let mut known = [plain_keys, params.clone(), section_keys()].concat();
                    known.sort_unstable();
                    known.dedup();
                    self.misfit(index, given.unknown_key(&known));
                }
                None => {}
            }
        }
    }

    fn apply(&mut self, index: usize, path: KeyPath) {
        if let Err(flaw) = self.overrides[index].set(&mut self.document.value, &path) {
            return self.misfit(index, flaw);
        }
        for key in alternatives(&path) {
            // Two overrides that exclude each other are the user's mistake, reported later.
            let overridden = self.applied.iter().any(|(path, _)| *path == ["load", key]);
            if let Some(Value::Object(load)) = self.document.value.get_mut("load")
                && !overridden
            {
                load.remove(key);
            }
        }
        self.applied.push((path, index));
    }

    pub(super) fn misfit(&mut self, index: usize, flaw: Flaw) {
        let diagnostic = self.overrides[index].diagnose(flaw);
        self.misfits.entry(index).or_insert(diagnostic);
    }

    /// The dotted keys of the file's sections and of the workload's parameters.
    pub(super) fn dotted_keys(&self) -> Vec<String> {
        let params = self.named_workload().map(param_names).unwrap_or_default();
        [section_names(), section_keys(), dotted("params", params)].concat()
    }

    fn named_workload(&self) -> Option<&'static WorkloadEntry> {
        let mut latest = self.overrides.iter().rev();
        let name = latest
            .find_map(|given| given.value_of("workload"))
            .or_else(|| self.document.value.get("workload"));
        match name {
            Some(name) => workload(name.as_str()?),
            None => workload(implied_workload(&self.document.value)?),
        }
    }
}

fn dotted(section: &str, keys: Vec<String>) -> Vec<String> {
    keys.into_iter()
        .map(|key| format!("{section}.{key}"))
        .collect()
}

/// The dotted keys of the sections that are part of the format.
fn section_keys() -> Vec<String> {
    let load = dotted("load", keys_of::<LoadSection>());
    [load, dotted("expect", keys_of::<ExpectSection>())].concat()
}
