//! Checks that the sections at the root of a file belong to its workload.

use serde_json::{Map, Value};

use super::super::flaw::Flaw;
use super::super::sections::suits;
use super::{Reader, path};
use photofinish_workloads::registry::WorkloadEntry;

impl Reader<'_> {
    /// Reports sections of other workloads, and those that are also among the parameters.
    pub(super) fn check_sections(
        &mut self,
        entry: &WorkloadEntry,
        sections: &Map<String, Value>,
        params: &Map<String, Value>,
    ) {
        let workload = entry.about.name;
        for name in sections.keys() {
            let flaw = |message, label| Flaw::wrong(path([name]), message, label).at_key();
            if !suits(name, workload) {
                let message = format!("the workload `{workload}` has no section `{name}`");
                self.add(flaw(message, "remove it, or the key `workload`"));
            } else if params.contains_key(name) {
                let message = format!("`{name}` and `params.{name}` are the same parameter");
                self.add(flaw(message, "keep one of the two"));
            }
        }
    }
}
