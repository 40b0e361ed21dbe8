//! The comparisons: one list, by group. Each has contestants that do the same work, or say in their name what they do.

mod files;
mod generators;
mod lanes;
mod own_features;
mod postgres;
mod servers;

use std::collections::BTreeSet;

use clap::ValueEnum;

use crate::photofinish::{Ours, OwnScenario};
use crate::programs::Program;
use crate::rivals::{self, Rival};
use crate::scripts::Script;
use crate::work::Work;

/// A part of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Group {
    /// HTTP generators on one server
    Http,
    /// PostgreSQL clients on one server
    Postgres,
    /// File access
    Files,
    /// Lanes beside plain scripts with the same client library
    Lanes,
    /// The cost of Photofinish's own checks and features
    Own,
    /// Photofinish's embedded servers beside real ones, under one generator
    Servers,
}

/// Work done by several contestants.
#[derive(Clone, Debug)]
pub(crate) struct Comparison {
    pub(crate) group: Group,
    /// Unique, in lower case, without spaces.
    pub(crate) id: String,
    pub(crate) title: String,
    pub(crate) contestants: Vec<Contestant>,
    /// Anything that limits what may be concluded.
    pub(crate) note: Option<&'static str>,
}

#[derive(Clone, Debug)]
pub(crate) struct Contestant {
    /// Unique within the comparison.
    pub(crate) name: String,
    pub(crate) generator: Generator,
    pub(crate) work: Work,
    pub(crate) role: Role,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Generator {
    Rival(&'static Rival),
    Script(&'static Script),
    Photofinish(Ours),
}

/// The part that a contestant plays in the ratios.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The best of these is the reference: every ratio is that of the reference to a contestant.
    Candidate,
    /// Compared with the reference.
    Other,
}

impl Comparison {
    /// The comparison without runtimes that the program does not have, and without rivals that are not installed.
    pub(crate) fn available(
        mut self,
        has_runtime: &impl Fn(&str) -> bool,
        has_rival: &impl Fn(&Rival) -> bool,
    ) -> Self {
        self.contestants
            .retain(|contestant| match &contestant.generator {
                Generator::Photofinish(ours) => has_runtime(ours.runtime),
                Generator::Rival(rival) => has_rival(rival),
                // A missing interpreter is reported.
                Generator::Script(_) => true,
            });
        self
    }
}

impl Contestant {
    fn ours(ours: Ours, role: Role, work: Work) -> Self {
        let name = format!("photofinish {}", ours.runtime);
        Self {
            name,
            generator: Generator::Photofinish(ours),
            work,
            role,
        }
    }

    fn rival(rival: &'static Rival, work: Work) -> Self {
        Self {
            name: rival.name.to_owned(),
            generator: Generator::Rival(rival),
            work,
            role: Role::Other,
        }
    }

    fn named(self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }
}

/// Our runtimes beside all rivals that can do the work.
fn beside_rivals(
    work: Work,
    candidates: &[&'static str],
    floors: &[&'static str],
) -> Vec<Contestant> {
    let candidates = candidates
        .iter()
        .map(|name| Contestant::ours(Ours::new(name), Role::Candidate, work));
    let floors = floors.iter().map(|name| {
        let floor = Contestant::ours(Ours::new(name), Role::Other, work);
        floor.named(format!("photofinish {name} (floor)"))
    });
    let rivals = rivals::for_work(&work).map(|rival| Contestant::rival(rival, work));
    candidates.chain(floors).chain(rivals).collect()
}

/// A candidate with a scenario of its own.
fn own(name: &str, scenario: OwnScenario, role: Role, work: Work) -> Contestant {
    let ours = Ours {
        scenario: Some(scenario),
        ..Ours::new(HTTP_RUNTIME)
    };
    Contestant::ours(ours, role, work).named(name)
}

/// The runtime of HTTP comparisons: one thread, as the rivals have.
const HTTP_RUNTIME: &str = "tokio-current-thread";

/// Over io_uring, in programs that are built with it.
const COMPIO: &str = "compio";

/// The same runtime over epoll.
const COMPIO_EPOLL: &str = "compio-epoll";

/// The floors over readiness and over completions. The second needs a program that is built with it.
const FLOORS: [&str; 2] = ["epoll", "uring"];

/// All comparisons, in the order in which they run.
pub(crate) fn all() -> Vec<Comparison> {
    [
        generators::comparisons(),
        postgres::comparisons(),
        files::comparisons(),
        lanes::comparisons(),
        own_features::comparisons(),
        servers::comparisons(),
    ]
    .concat()
}

/// Programs that the comparisons need, sorted by name.
pub(crate) fn programs(comparisons: &[Comparison]) -> Vec<Program> {
    let contestants = comparisons
        .iter()
        .flat_map(|comparison| &comparison.contestants);
    let programs: BTreeSet<Program> = contestants
        .flat_map(|contestant| {
            let server = crate::servers::programs(&contestant.work).iter().copied();
            let rival = match contestant.generator {
                Generator::Rival(rival) => Some(rival.program),
                Generator::Script(script) => Some(script.program),
                Generator::Photofinish(_) => None,
            };
            server.chain(rival)
        })
        .collect();
    programs.into_iter().collect()
}

/// The programs that are not installed.
pub(crate) fn missing_programs(comparisons: &[Comparison]) -> Vec<Program> {
    programs(comparisons)
        .into_iter()
        .filter(|program| program.find().is_err())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_every_comparison_has_a_reference() {
        let all = all();
        let ids: BTreeSet<&str> = all
            .iter()
            .map(|comparison| comparison.id.as_str())
            .collect();
        assert_eq!(ids.len(), all.len());
        for Comparison {
            id, contestants, ..
        } in &all
        {
            assert!(
                !id.contains(|c: char| c.is_whitespace() || c.is_uppercase()),
                "{id}"
            );
            let names: BTreeSet<&str> = contestants
                .iter()
                .map(|contestant| contestant.name.as_str())
                .collect();
            assert_eq!(names.len(), contestants.len(), "{id}");
            let candidates = contestants
                .iter()
                .filter(|contestant| contestant.role == Role::Candidate)
                .count();
            assert!(
                candidates > 0 && candidates < contestants.len(),
                "{id}: {candidates} candidates"
            );
        }
    }

    #[test]
    fn what_is_not_there_takes_no_part_and_the_others_do() {
        let names = |has_runtime: bool, has_rival: bool| -> Vec<String> {
            let comparison = all().swap_remove(0);
            let optional = [COMPIO, COMPIO_EPOLL, FLOORS[1]];
            let has_runtime = |name: &str| has_runtime || !optional.contains(&name);
            let has_rival = |rival: &Rival| has_rival || rival.name != "oha";
            let contestants = comparison.available(&has_runtime, &has_rival).contestants;
            contestants
                .into_iter()
                .map(|contestant| contestant.name)
                .collect()
        };
        let (all, none) = (names(true, true), names(false, false));
        let missing: Vec<_> = all.iter().filter(|name| !none.contains(name)).collect();
        let expected = [
            "photofinish compio",
            "photofinish compio-epoll",
            "photofinish uring (floor)",
            "oha",
        ];
        assert_eq!(missing, expected);
        assert!(none.contains(&"wrk".to_owned()) && none.len() == all.len() - 4);
    }

    #[test]
    fn each_group_and_each_rival_takes_part() {
        let all = all();
        for group in Group::value_variants() {
            assert!(
                all.iter().any(|comparison| comparison.group == *group),
                "{group:?}"
            );
        }
        for rival in rivals::ALL {
            let takes_part = |contestant: &Contestant| contestant.name == rival.name;
            assert!(
                all.iter()
                    .any(|comparison| comparison.contestants.iter().any(takes_part)),
                "{}",
                rival.name
            );
        }
    }
}
