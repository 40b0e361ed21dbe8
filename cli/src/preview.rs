//! Saying what will be measured before it is: scenarios, runtimes, rounds, placement, and the time it takes.
//!
//! Pure text from a plan; `run` prints it before it starts, `plan` prints it instead.

use std::fmt::Write;

use photofinish_harness::record::{Plan, PlannedScenario};
use photofinish_reports::describe;
use photofinish_scenarios::plan::estimate;

use crate::progress::seconds;
use crate::request::Prepared;

/// What will be measured, in a few lines.
pub fn what(prepared: &Prepared) -> String {
    let plan = &prepared.plan;
    let mut text = String::new();
    if let Some(title) = &prepared.title {
        let _ = writeln!(text, "{title}\n");
    }
    let _ = writeln!(text, "{}", in_short(plan));
    for scenario in &plan.scenarios {
        let _ = writeln!(text, "  {}", scenario_line(plan, scenario));
    }
    for line in unsupported(plan) {
        let _ = writeln!(text, "  {line}");
    }
    let _ = writeln!(
        text,
        "Placement {}. Seed {}.",
        describe::placement(&plan.placement),
        prepared.seed
    );
    for warning in &prepared.warnings {
        let _ = writeln!(text, "warning: {warning}");
    }
    text
}

fn in_short(plan: &Plan) -> String {
    let rounds: usize = plan.blocks.iter().map(Vec::len).sum();
    let blocks = describe::plural(plan.blocks.len(), "round");
    let cells = describe::plural(plan.blocks.first().map_or(0, Vec::len), "cell");
    let time = seconds(estimate(plan));
    format!("{cells}, {blocks} each, in random order: {rounds} fresh processes, about {time}.")
}

fn scenario_line(plan: &Plan, scenario: &PlannedScenario) -> String {
    let cells = || {
        plan.cells
            .iter()
            .filter(|cell| cell.scenario == scenario.name)
    };
    let runtimes = distinct(cells().map(|cell| cell.runtime.clone()));
    let loads = distinct(cells().map(|cell| cell.load.concurrency().to_string()));
    let runtimes = describe::plural(runtimes.len(), "runtime");
    let (servers, each) = (describe::servers(scenario), describe::stop(scenario.stop));
    format!(
        "{}: {runtimes}, {} in flight, {each} a round, {servers}",
        scenario.name,
        loads.join(" and ")
    )
}

fn unsupported(plan: &Plan) -> Vec<String> {
    let refused = plan.cells.iter().filter_map(|cell| {
        let reason = cell.unsupported.as_ref()?;
        Some(format!(
            "{} / {} is unsupported: {reason}",
            cell.scenario, cell.runtime
        ))
    });
    distinct(refused)
}

/// Each once, in the order of first appearance.
fn distinct(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = Vec::new();
    for item in items {
        if !all.contains(&item) {
            all.push(item);
        }
    }
    all
}

/// The order of all rounds, block by block.
pub fn order(plan: &Plan) -> String {
    let mut text = String::new();
    for (block, cells) in plan.blocks.iter().enumerate() {
        let _ = writeln!(text, "Block {}", block + 1);
        for &index in cells {
            let cell = &plan.cells[index];
            let _ = writeln!(
                text,
                "  {} / {} ({})",
                cell.scenario, cell.runtime, cell.load
            );
        }
    }
    text
}
