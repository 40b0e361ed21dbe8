//! Sections of a file that are parameters of its workload, written at the root because they are what the file is about.
//!
//! `[[request]]` is short for `[[params.request]]`; a section that only one workload has also names the workload. A
//! worker's plan and a record hold the sections as parameters, and errors are reported at the section in the file.

use serde_json::{Map, Value};

use super::flaw::KeyPath;

/// The sections of one workload.
pub(super) struct Sections {
    pub(super) workload: &'static str,
    /// Sections that imply the workload.
    pub(super) telling: &'static [&'static str],
    /// Sections that other workloads may share, or that mean nothing on their own.
    pub(super) others: &'static [&'static str],
}

pub(super) const SECTIONS_OF: &[Sections] = &[
    Sections {
        workload: "http",
        telling: &["request", "flow"],
        others: &["http", "feed", "draw"],
    },
    // Before `sql`: the section `sqlite` decides which workload the transactions belong to.
    Sections {
        workload: "sqlite",
        telling: &["sqlite"],
        others: &["transaction", "feed", "draw"],
    },
    Sections {
        workload: "sql",
        telling: &["transaction"],
        others: &["sql", "feed", "draw"],
    },
];

impl Sections {
    /// The names of all sections.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.telling.iter().chain(self.others).copied()
    }
}

/// The names of the sections of all workloads, each once.
pub(super) fn section_names() -> Vec<String> {
    let mut names: Vec<_> = SECTIONS_OF.iter().flat_map(Sections::names).collect();
    names.sort_unstable();
    names.dedup();
    names.into_iter().map(str::to_owned).collect()
}

/// False if `section` belongs to workloads other than `workload`.
pub(super) fn suits(section: &str, workload: &str) -> bool {
    let mut owners = SECTIONS_OF
        .iter()
        .filter(|sections| sections.names().any(|name| name == section))
        .peekable();
    owners.peek().is_none() || owners.any(|owner| owner.workload == workload)
}

/// The workload implied by the keys at the root of a file, if any.
pub(super) fn implied_workload(root: &Value) -> Option<&'static str> {
    let implied = SECTIONS_OF.iter().find(|sections| {
        let mut telling = sections.telling.iter();
        telling.any(|name| root.get(*name).is_some())
    });
    implied.map(|sections| sections.workload)
}

/// Takes the sections out of the root of a file.
pub(super) fn take_sections(root: &mut Value) -> Map<String, Value> {
    let Some(root) = root.as_object_mut() else {
        return Map::new();
    };
    let taken = section_names().into_iter();
    taken
        .filter_map(|name| root.remove(&name).map(|value| (name, value)))
        .collect()
}

/// The parameters, with the sections among them.
pub(super) fn merged(params: &Value, sections: &Map<String, Value>) -> Value {
    let mut params = params.as_object().cloned().unwrap_or_default();
    params.extend(sections.clone());
    Value::Object(params)
}

/// The root of a file with these parameters, with `sections` separate from the others.
pub(super) fn apart(all: Value, sections: &Map<String, Value>) -> Value {
    let mut root = Map::new();
    let mut params = Map::new();
    for (name, value) in all.as_object().cloned().unwrap_or_default() {
        let table = if sections.contains_key(&name) {
            &mut root
        } else {
            &mut params
        };
        table.insert(name, value);
    }
    root.insert("params".to_owned(), Value::Object(params));
    Value::Object(root)
}

/// The parameters and the sections of a file's root.
pub(super) fn split(root: &Value) -> (&Value, Map<String, Value>) {
    let mut sections = root.as_object().cloned().unwrap_or_default();
    sections.remove("params");
    (&root["params"], sections)
}

/// The location in the file of the parameter at `path`.
pub(super) fn place(path: KeyPath, sections: &Map<String, Value>) -> KeyPath {
    match path.split_first() {
        Some((name, _)) if sections.contains_key(name) => path,
        _ => [vec!["params".to_owned()], path].concat(),
    }
}
