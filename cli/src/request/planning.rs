//! From a request to its plan: targets parsed, CPUs laid out, and every option that planning takes.
//!
//! What a gate has beyond the command line (runtimes, looks, the arms' own server) comes in here and nowhere else. The
//! plan itself is made by `scenarios`; which scenarios are meant is said in `chosen`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use photofinish_harness::os;
use photofinish_record::load::Arrivals;
use photofinish_record::{Placement, PlacementKind, PlannedServer};
use photofinish_scenarios::plan::{PlanOptions, plan};
use photofinish_scenarios::scenario::Scenario;

use super::chosen::{Chosen, choose};
use super::{Beyond, Prepared, Request, Wanted};
use crate::exit::Failure;
use crate::request::placement::{Layout, Wish, lay_out};
use crate::targets::Targets;

/// After how many rounds a run looks whether everything is decided. Few and planned: looking after each round would find
/// a difference sooner or later where there is none.
const LOOKS: [NonZeroU32; 4] = [
    NonZeroU32::new(10).unwrap(),
    NonZeroU32::new(16).unwrap(),
    NonZeroU32::new(24).unwrap(),
    NonZeroU32::new(40).unwrap(),
];

impl Request {
    /// Checks everything and makes the plan.
    pub fn prepare(&self) -> Result<Prepared, Failure> {
        self.prepare_with(&Beyond::default())
    }

    /// The same with what a gate has beyond it.
    pub fn prepare_with(&self, beyond: &Beyond) -> Result<Prepared, Failure> {
        let chosen = choose(&self.scenarios, self.suite.as_deref(), &self.overrides)?;
        let targets = Targets::parse(&self.targets, self.allow_remote)?;
        let layout = self.layout(&chosen.scenarios)?;
        let servers = beyond.servers(&chosen.scenarios, targets.planned())?;
        let mut options = self.options(&chosen, layout.placement.clone(), servers);
        beyond.refine(&mut options, &chosen.scenarios);
        let plan = plan(&chosen.scenarios, &options)
            .map_err(|error| Failure::usage(error.to_string()).hint(error.hint()))?;
        let gate = |scenario: &Scenario| (scenario.name.clone(), scenario.gate.clone());
        Ok(Prepared {
            gates: chosen.scenarios.iter().map(gate).collect(),
            title: chosen.title,
            search: self.wanted(),
            plan,
            seed: self.seed,
            targets,
            warnings: layout.warning.into_iter().collect(),
        })
    }

    fn layout(&self, scenarios: &[Scenario]) -> Result<Layout, Failure> {
        let is_open = |scenario: &Scenario| scenario.load.open.is_some();
        let wish = Wish {
            pacer: self.rate.is_some() || self.find_max.is_some() || scenarios.iter().any(is_open),
            kind: self.placement.map(PlacementKind::from),
            cpus: self.cpus.clone(),
        };
        lay_out(&wish, &os::allowed_cpus())
    }

    fn options(
        &self,
        chosen: &Chosen,
        placement: Placement,
        targets: BTreeMap<String, PlannedServer>,
    ) -> PlanOptions {
        PlanOptions {
            suite: self.suite.clone(),
            runtimes: self.runtimes.clone(),
            concurrency: self.concurrency.clone(),
            rates: self.rate.clone(),
            arrivals: self
                .arrivals
                .map(Arrivals::from)
                .filter(|_| self.find_max.is_none()),
            lag_probe: self.lag_probe,
            search: self.find_max.is_some(),
            reference: self.reference.clone(),
            looks: self.looks(),
            duration: self.duration,
            rounds: match self.looks().last() {
                Some(most) => Some(*most),
                None => self.rounds.or(chosen.rounds.filter(|_| !self.quick)),
            },
            seed: self.seed,
            quick: self.quick,
            placement,
            targets,
        }
    }

    fn wanted(&self) -> Option<Wanted> {
        Some(Wanted {
            objective: self.find_max.clone()?,
            arrivals: self.arrivals.map(Arrivals::from).unwrap_or_default(),
        })
    }

    /// The planned looks of a run that ends when everything is decided; none of any other.
    fn looks(&self) -> Vec<NonZeroU32> {
        if !self.until_decided {
            return Vec::new();
        }
        let most = self.max_rounds.unwrap_or(LOOKS[LOOKS.len() - 1]);
        let below = LOOKS.into_iter().filter(|look| *look < most);
        below.chain([most]).collect()
    }
}

impl Beyond {
    /// What stands behind targets: with the arms' own server, where there is one, behind the target that is left for it.
    fn servers(
        &self,
        scenarios: &[Scenario],
        mut planned: BTreeMap<String, PlannedServer>,
    ) -> Result<BTreeMap<String, PlannedServer>, Failure> {
        if let Some(url) = &self.server_url {
            let target = own_target(scenarios, &planned)?;
            let url = url(&target)?;
            planned.insert(target, PlannedServer::Arm { url });
        }
        Ok(planned)
    }

    fn refine(&self, options: &mut PlanOptions, scenarios: &[Scenario]) {
        if !self.looks.is_empty() {
            options.rounds = self.looks.last().copied();
            options.looks = self.looks.clone();
        }
        let unnamed = |scenario: &Scenario| scenario.runtimes.is_none();
        if !self.runtimes.is_empty() && options.runtimes.is_none() && scenarios.iter().all(unnamed)
        {
            options.runtimes = Some(self.runtimes.clone());
        }
    }
}

/// The one target that the arms' own server stands behind.
fn own_target(
    scenarios: &[Scenario],
    taken: &BTreeMap<String, PlannedServer>,
) -> Result<String, Failure> {
    let all = scenarios.iter().flat_map(|scenario| scenario.about.targets);
    let mut free: Vec<&str> = all
        .copied()
        .filter(|target| !taken.contains_key(*target))
        .collect();
    free.sort_unstable();
    free.dedup();
    match free.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(Failure::usage("the scenario talks to no server, so the arms cannot be two servers")
            .hint("compare two executables with --base-exe and --head-exe, or choose a scenario with a target")),
        several => Err(Failure::usage(format!(
            "it is not clear which of the targets {} the arms' servers are",
            several.join(", ")
        ))
        .hint("gate scenarios with the same target, or put something else behind the others with --target")),
    }
}
