//! Overrides: which key of this scenario each one means, and what it displaces there.
//!
//! A bare key is one of the file or a parameter of the workload. One that this scenario has no key for is kept as a
//! misfit: in a suite another scenario may have it. What an override is as a text is in `overrides.rs`.

use serde_json::Value;

use super::super::flaw::{Flaw, KeyPath};
use super::super::format::{ExpectSection, LoadSection, SECTIONS, ScenarioFile, keys_of};
use super::super::overrides::displaced;
use super::{Reader, param_names};
use crate::registry::{WorkloadEntry, workload};

impl Reader<'_> {
    pub(super) fn apply_overrides(&mut self) {
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

    pub(super) fn misfit(&mut self, index: usize, flaw: Flaw) {
        let diagnostic = self.overrides[index].diagnose(flaw);
        self.misfits.entry(index).or_insert(diagnostic);
    }

    /// The keys of the file's sections, and the workload's parameters, as they would be dotted at the top.
    pub(super) fn dotted_keys(&self) -> Vec<String> {
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
