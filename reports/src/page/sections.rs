//! The scenarios of a page, each with its anchor and its groups, and the ids of their loads.
//!
//! The matrix, the contents and each scenario's own part link to one another by them.

use photofinish_record::PlannedScenario;

use super::Page;
use crate::describe;
use crate::names::{Unique, slug};
use crate::summary::Group;

/// Ids that a scenario's name must not take.
const RESERVED: [&str; 10] = [
    "verdicts",
    "gate",
    "thresholds",
    "stacks",
    "shards",
    "where-async-pays",
    "warnings",
    "fitness",
    "run",
    "reading",
];

/// A scenario with its groups, and its anchor on the page.
pub(super) struct Section<'a> {
    pub(super) anchor: String,
    pub(super) name: &'a str,
    pub(super) scenario: Option<&'a PlannedScenario>,
    pub(super) groups: Vec<Group<'a>>,
}

/// The id of a load within the scenario with this anchor: `http-get:c64`; no slug has a colon.
pub(super) fn load_id(anchor: &str, point: &str) -> String {
    format!("{anchor}:{point}")
}

/// The point of a group in ids.
pub(super) fn point_of(group: &Group<'_>) -> String {
    describe::point_slug(group.load, group.arm, group.stack)
}

impl Page<'_> {
    pub(super) fn sections(&self) -> Vec<Section<'_>> {
        let mut unique = Unique::default();
        for id in RESERVED {
            unique.name(id.to_owned());
        }
        let groups = side_by_side(self.report.summary.groups());
        let by_scenario = groups.chunk_by(|a, b| a.scenario == b.scenario);
        by_scenario
            .map(|groups| Section {
                anchor: unique.name(slug(groups[0].scenario)),
                name: groups[0].scenario,
                scenario: self.report.rounds.scenario(groups[0].scenario),
                groups: groups.to_vec(),
            })
            .collect()
    }
}

/// The groups of a gate with both arms in one, so that its tables have base and head in neighbouring rows.
fn side_by_side(groups: Vec<Group<'_>>) -> Vec<Group<'_>> {
    let mut merged: Vec<Group<'_>> = Vec::new();
    for group in groups {
        let same = |known: &&mut Group<'_>| {
            (known.scenario, known.load, known.stack) == (group.scenario, group.load, group.stack)
        };
        match merged.iter_mut().find(same) {
            Some(known) => known.cells.extend(group.cells),
            None => merged.push(Group { arm: None, ..group }),
        }
    }
    merged
}
