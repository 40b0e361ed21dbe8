//! A second cell of a runtime, for comparisons whose result is known.

use std::collections::BTreeMap;

use photofinish_record::{Cell, Variant};
use photofinish_workloads::registry::workload;
use serde_json::Value;

use super::PlanError;
use crate::scenario::Scenario;

/// A runtime to measure twice, the second time as `RUNTIME-twin`: an A/A comparison, or one with a known difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Twin {
    pub runtime: String,
    /// Parameters of the workload that differ.
    pub params: BTreeMap<String, Value>,
}

impl Twin {
    pub(super) fn of(&self, cell: &Cell) -> Option<Cell> {
        (cell.runtime == self.runtime).then(|| Cell {
            runtime: format!("{}-twin", self.runtime),
            variant: Some(Variant {
                runtime: Some(self.runtime.clone()),
                params: self.params.clone(),
                ..Variant::default()
            }),
            ..cell.clone()
        })
    }

    /// Refuses parameters that the scenario's workload does not take.
    pub(super) fn check(&self, scenario: &Scenario) -> Result<(), PlanError> {
        let mut params = scenario.params.clone();
        for (name, value) in &self.params {
            params[name] = value.clone();
        }
        let entry = workload(scenario.about.name).expect("the scenario was checked");
        match (entry.check)(&params, scenario.unit) {
            Ok(_) => Ok(()),
            Err(error) => Err(PlanError::TwinParams {
                scenario: scenario.name.clone(),
                error,
            }),
        }
    }
}
