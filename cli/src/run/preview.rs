//! A preview of a run: scenarios, runtimes, rounds, placement, and the time it takes.
//!
//! Pure text from a plan; `run` prints it before it starts, `plan` prints it instead of running.

use std::fmt::Write;

use photofinish_record::load::Load;
use photofinish_record::{Plan, PlannedScenario};
use photofinish_reports::{describe, warmup};
use photofinish_scenarios::plan::estimate;

use crate::cleaning;
use crate::output;
use crate::request::{PreparedRun, SearchGoal};
use crate::run::progress::seconds;

/// A few lines no longer than `width`.
pub fn summary(prepared: &PreparedRun, width: usize) -> String {
    let plan = &prepared.plan;
    let mut page = Page {
        width,
        text: String::new(),
    };
    if let Some(title) = &prepared.title {
        page.line(title, 0);
        page.text.push('\n');
    }
    match &prepared.search {
        Some(goal) => page.line(&search_line(plan, goal), 0),
        None => page.line(&cells_line(plan), 0),
    }
    for scenario in &plan.scenarios {
        page.line(&scenario_line(plan, scenario), 2);
    }
    for threshold in &plan.thresholds {
        page.line(
            &format!("{}: expected {}", threshold.scenario, threshold.text),
            2,
        );
    }
    for refusal in unsupported(plan) {
        page.line(&refusal, 2);
    }
    let placement = describe::placement(plan);
    page.line(
        &format!("Placement {placement}. Seed {}.", prepared.seed),
        0,
    );
    if let Some(defaults) = describe::defaults(&prepared.defaults) {
        page.line(&format!("Defaults: {defaults}"), 0);
    }
    page.text
}

/// The reasons to doubt the numbers, in lines no longer than `width`.
pub fn warnings(prepared: &PreparedRun, width: usize) -> String {
    let mut page = Page {
        width,
        text: String::new(),
    };
    for warning in &prepared.warnings {
        page.line(&format!("warning: {warning}"), 0);
    }
    page.text
}

/// Text with a maximum width.
struct Page {
    width: usize,
    text: String,
}

impl Page {
    /// Adds a line, indented; its continuation lines are indented by two more columns.
    fn line(&mut self, line: &str, indent: usize) {
        let line = cleaning::one_line(line);
        let lines = output::wrapped(&line, self.width - indent - 2);
        for (index, part) in lines.enumerate() {
            let indent = if index == 0 { indent } else { indent + 2 };
            let _ = writeln!(self.text, "{:indent$}{part}", "");
        }
    }
}

fn cells_line(plan: &Plan) -> String {
    let rounds: usize = plan.blocks.iter().map(Vec::len).sum();
    let blocks = describe::plural(plan.blocks.len(), "round");
    let cells = describe::plural(plan.blocks.first().map_or(0, Vec::len), "cell");
    let time = seconds(estimate(plan));
    format!(
        "{cells}, {blocks} each, in random order: {rounds} in all, each a fresh process, about {time}."
    )
}

fn search_line(plan: &Plan, goal: &SearchGoal) -> String {
    let supported = plan.cells.iter().filter(|cell| cell.unsupported.is_none());
    let cells = describe::plural(supported.count(), "cell");
    format!(
        "{cells}, each searched for the highest rate with {}: about 6 rates, each until two rounds agree.",
        goal.objective.text()
    )
}

fn scenario_line(plan: &Plan, scenario: &PlannedScenario) -> String {
    let cells = || {
        plan.cells
            .iter()
            .filter(|cell| cell.scenario == scenario.name)
    };
    let runtimes = distinct(cells().map(|cell| cell.runtime.clone()));
    let loads = loads(&cells().map(|cell| cell.load).collect::<Vec<_>>());
    let runtimes = describe::plural(runtimes.len(), "runtime");
    let (servers, each) = (describe::servers(scenario), describe::stop(scenario.stop));
    let warmup = match warmup::demanding_lane(plan, scenario) {
        Some(_) => format!(" after a warm-up of {}", describe::warmup(plan, scenario)),
        None => String::new(),
    };
    format!(
        "{}: {runtimes}, {loads}, {each} a round{warmup}, {servers}",
        scenario.name,
    )
}

/// `1, 16 and 64 in flight`; `1000/s and 2000/s over 16 sessions`.
fn loads(loads: &[Load]) -> String {
    let sessions = distinct(loads.iter().map(|load| load.concurrency().to_string()));
    let rates = distinct(loads.iter().filter_map(|load| {
        let rate_hz = load.rate_hz()?;
        Some(format!("{rate_hz}/s"))
    }));
    match rates.as_slice() {
        [] => format!("{} in flight", enumeration(&sessions)),
        rates => format!(
            "{} over {} sessions",
            enumeration(rates),
            enumeration(&sessions)
        ),
    }
}

/// `1`, `1 and 16`, `1, 16 and 64`.
fn enumeration(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
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

/// Removes duplicates; keeps the order.
fn distinct(items: impl Iterator<Item = String>) -> Vec<String> {
    let mut all = Vec::new();
    for item in items {
        if !all.contains(&item) {
            all.push(item);
        }
    }
    all
}

/// Rounds of the first block that [`order`] shows, so that a plan fits a screen.
const ROUNDS_SHOWN: usize = 8;

/// The beginning of the first block; the other blocks differ only in the order of their rounds.
pub fn order(plan: &Plan) -> String {
    let mut text = String::new();
    let Some(first) = plan.blocks.first() else {
        return text;
    };
    let _ = writeln!(text, "Block 1 of {}", plan.blocks.len());
    for &index in first.iter().take(ROUNDS_SHOWN) {
        let _ = writeln!(text, "  {}", plan.cells[index]);
    }
    let rounds: usize = plan.blocks.iter().map(Vec::len).sum();
    let more = rounds - first.len().min(ROUNDS_SHOWN);
    if more > 0 {
        let more = describe::plural(more, "more round");
        let _ = writeln!(text, "  and {more}; `--order` shows all of them");
    }
    text
}

/// The order of all rounds.
pub fn whole_order(plan: &Plan) -> String {
    let mut text = String::new();
    for (number, block) in plan.blocks.iter().enumerate() {
        let _ = writeln!(text, "Block {} of {}", number + 1, plan.blocks.len());
        for &index in block {
            let _ = writeln!(text, "  {}", plan.cells[index]);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_several_is_joined_by_and() {
        let joined = |items: &[&str]| {
            enumeration(&items.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(joined(&["1"]), "1");
        assert_eq!(joined(&["1", "16"]), "1 and 16");
        assert_eq!(joined(&["1", "16", "64"]), "1, 16 and 64");
    }
}
