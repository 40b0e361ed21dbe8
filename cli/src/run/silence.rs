//! Targets that were silent while a cell was set up: another cell would wait for them just as long, so it is not run.
//!
//! A cell with fewer sessions is run all the same, since the target may serve too few connections for the others.

use photofinish_record::{Cell, PlannedScenario, PlannedServer};

/// The silent targets of a run.
#[derive(Default)]
pub struct SilentTargets(Vec<SilentTarget>);

struct SilentTarget {
    name: String,
    url: String,
    sessions: u32,
    /// The cell that waited.
    cell: String,
}

impl SilentTargets {
    /// Notes that the target of `cell` was silent. A mock is not, since each round has its own; of several targets it is not
    /// known which one was.
    pub fn add(&mut self, scenario: &PlannedScenario, cell: &Cell) {
        if let Some((name, url)) = only_target(scenario) {
            self.0.push(SilentTarget {
                name: name.to_owned(),
                url: url.to_owned(),
                sessions: cell.load.concurrency().get(),
                cell: cell.to_string(),
            });
        }
    }

    /// The reason not to run `cell`, if its target was silent.
    pub fn reason(&self, scenario: &PlannedScenario, cell: &Cell) -> Option<String> {
        let (_, url) = only_target(scenario)?;
        let sessions = cell.load.concurrency().get();
        let same = |silent: &&SilentTarget| silent.url == url && silent.sessions <= sessions;
        let SilentTarget { name, cell, .. } = self.0.iter().find(same)?;
        Some(format!(
            "not run: the target `{name}` was silent while {cell} was set up"
        ))
    }
}

/// Name and URL of a scenario's target, if it has one that outlives a round, and no other.
fn only_target(scenario: &PlannedScenario) -> Option<(&str, &str)> {
    let mut servers = scenario.servers.iter();
    match (servers.next(), servers.next()) {
        (Some((name, PlannedServer::External { url, .. })), None) => Some((name, url)),
        _ => None,
    }
}
