//! The warm-up of a plan, set against those that its lanes ask for.
//!
//! Lanes whose code is compiled while it runs ask for a minimum, which a plan gives to all runtimes. It does not under
//! `--quick`, if the user has set the warm-up, or if that ends by count. The words are in `describe`.

use photofinish_record::load::Stop;
use photofinish_record::{Plan, PlannedScenario};

/// A lane that is measured after a shorter warm-up than it asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColdLane {
    pub name: String,
    /// The shortest of its warm-ups that end by time, in ns.
    pub given_ns: u64,
    pub minimum_ns: u64,
    /// Its cells that are too short.
    pub cells: Vec<usize>,
}

/// The lanes of a plan with cells whose warm-up is shorter than they ask for.
pub fn cold_lanes(plan: &Plan) -> Vec<ColdLane> {
    let lanes = plan.runtimes.keys();
    lanes.filter_map(|name| cold_lane(plan, name)).collect()
}

fn cold_lane(plan: &Plan, name: &str) -> Option<ColdLane> {
    let minimum_ns = minimum_ns(plan, name)?;
    let mut cold = ColdLane {
        name: name.to_owned(),
        given_ns: minimum_ns,
        minimum_ns,
        cells: Vec::new(),
    };
    for (index, cell) in plan.cells.iter().enumerate() {
        let planned = plan.scenarios.iter().find(|it| it.name == cell.scenario);
        let Some(Stop::DurationNs(given_ns)) = planned.map(|scenario| scenario.warmup) else {
            continue;
        };
        if cell.runtime == name && cell.unsupported.is_none() && given_ns.get() < minimum_ns {
            cold.given_ns = cold.given_ns.min(given_ns.get());
            cold.cells.push(index);
        }
    }
    (!cold.cells.is_empty()).then_some(cold)
}

/// The lane whose minimum is the scenario's warm-up, if there is one.
pub fn demanding_lane<'a>(plan: &'a Plan, scenario: &PlannedScenario) -> Option<&'a str> {
    let Stop::DurationNs(warmup_ns) = scenario.warmup else {
        return None;
    };
    let mut cells = plan.cells.iter();
    let cell = cells.find(|cell| {
        cell.scenario == scenario.name
            && cell.unsupported.is_none()
            && minimum_ns(plan, &cell.runtime) == Some(warmup_ns.get())
    })?;
    Some(&cell.runtime)
}

fn minimum_ns(plan: &Plan, runtime: &str) -> Option<u64> {
    plan.runtimes.get(runtime)?.worker.as_ref()?.min_warmup_ns
}
