//! From a request to its plan: targets parsed, CPUs laid out, and the options of `scenarios::plan` filled in.
//!
//! A gate's additions to the command line (runtimes, looks, the arms' own server) are made here and nowhere else.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::path::{self, Path, PathBuf};

use photofinish_harness::os;
use photofinish_record::{Placement, Plan, PlannedServer, TlsSettings};
use photofinish_reports::{describe, warmup};
use photofinish_scenarios::plan::{PlanOptions, early_ends, plan};
use photofinish_scenarios::scenario::{Override, Scenario};

use super::selection::{Selection, select};
use super::{Additions, PreparedRun, Request, SearchGoal, WhatArguments};
use crate::config;
use crate::exit::Failure;
use crate::lanes;
use crate::request::placement::{Layout, PlacementRequest, lay_out};
use crate::request::redo::RedoBudget;
use crate::servers;
use crate::targets::{self, HttpVersions, Targets};

/// Numbers of rounds after which a run ends if everything is decided. Few and planned: looking after every round would
/// sooner or later find a difference between identical runtimes.
const LOOKS: [NonZeroU32; 4] = [
    NonZeroU32::new(10).unwrap(),
    NonZeroU32::new(16).unwrap(),
    NonZeroU32::new(24).unwrap(),
    NonZeroU32::new(40).unwrap(),
];

impl Request {
    /// Checks everything and makes the plan.
    pub fn prepare(&self) -> Result<PreparedRun, Failure> {
        self.prepare_with(&Additions::default())
    }

    /// Like [`Self::prepare`], with the options that a command adds.
    pub fn prepare_with(&self, additions: &Additions) -> Result<PreparedRun, Failure> {
        let WhatArguments {
            suite,
            overrides,
            targets,
            ..
        } = &self.what;
        let selection = select(&self.scenarios, suite.as_deref(), overrides)?;
        let scenarios = &selection.scenarios;
        let tls = tls(scenarios, targets)?;
        let targets = Targets::parse(targets, self.what.allow_remote, tls)?
            .with_http_versions(http_versions(scenarios));
        require_one_path(overrides, &targets.planned())?;
        let Layout { placement, warning } = self.layout(scenarios)?;
        let servers = additions.servers(scenarios, targets.planned())?;
        let mut options = self.options(&selection, placement, servers)?;
        additions.refine(&mut options, scenarios);
        let mut plan = plan(scenarios, &options)
            .map_err(|error| Failure::usage(error.to_string()).hint(error.hint()))?;
        require_secure_servers(scenarios, &plan)?;
        plan.title = selection.title.clone();
        let mut warnings: Vec<String> = warning.into_iter().collect();
        warnings.extend(repeated_writes(scenarios, &plan));
        warnings.extend(early_ends(&plan));
        warnings.extend(warmup::cold_lanes(&plan).iter().map(describe::cold_lane));
        // A search exceeds what the server can sustain, and a gate has limits of its own.
        if self.what.find_max.is_none() && !additions.is_gate {
            self.expect.enter(&mut plan, scenarios)?;
        }
        let mut servers = plan
            .scenarios
            .iter()
            .flat_map(|scenario| scenario.servers.values());
        if !servers.any(PlannedServer::is_own) {
            plan.placement.server_cpus.clear();
        }
        Ok(PreparedRun {
            redos: if self.length.quick || self.length.no_redo {
                RedoBudget::NONE
            } else {
                RedoBudget::of_blocks(plan.blocks.len())
            },
            gates: scenarios
                .iter()
                .map(|scenario| (scenario.name.clone(), scenario.gate.clone()))
                .collect(),
            shard: None,
            directories: scenarios.iter().map(directory).collect(),
            title: selection.title,
            search: self.what.find_max.clone().map(|objective| SearchGoal {
                objective,
                arrivals: self.what.arrivals.unwrap_or_default(),
            }),
            plan,
            seed: self.length.seed,
            targets,
            defaults: config::in_effect().to_vec(),
            warnings,
        })
    }

    fn layout(&self, scenarios: &[Scenario]) -> Result<Layout, Failure> {
        let open = scenarios
            .iter()
            .any(|scenario| scenario.load.open.is_some());
        let request = PlacementRequest {
            pacer: self.what.rate.is_some() || self.what.find_max.is_some() || open,
            kind: self.place.placement,
            cpus: self.place.cpus.clone(),
        };
        lay_out(&request, &os::allowed_cpus())
    }

    fn options(
        &self,
        selection: &Selection,
        placement: Placement,
        targets: BTreeMap<String, PlannedServer>,
    ) -> Result<PlanOptions, Failure> {
        let Self { what, length, .. } = self;
        let runtimes = what.runtimes.as_deref().map(with_groups);
        let names = runtimes.as_deref().unwrap_or_default();
        let lanes = lanes::requested(names, what.with_floor, &what.lanes)?;
        Ok(PlanOptions {
            suite: what.suite.clone(),
            runtimes,
            lanes,
            floor: what.with_floor,
            concurrency: what.concurrency.clone(),
            rates: what.rate.clone(),
            arrivals: what.arrivals.filter(|_| what.find_max.is_none()),
            lag_probe: what.lag_probe,
            search: what.find_max.is_some(),
            reference: what.reference.clone(),
            twin: what.twin.clone(),
            looks: self.looks(),
            duration: length.duration,
            rounds: match self.looks().last() {
                Some(most) => Some(*most),
                None => self
                    .length
                    .rounds
                    .or(selection.rounds.filter(|_| !length.quick)),
            },
            seed: length.seed,
            quick: length.quick,
            keep_warmup: what.overrides.iter().any(|set| sets_warmup(set)),
            placement,
            targets,
        })
    }

    /// The planned looks of a run with `--until-decided`.
    fn looks(&self) -> Vec<NonZeroU32> {
        if !self.length.until_decided {
            return Vec::new();
        }
        let most = self.length.max_rounds.unwrap_or(LOOKS[LOOKS.len() - 1]);
        let below = LOOKS.into_iter().filter(|look| *look < most);
        below.chain([most]).collect()
    }
}

/// True of an override of the warm-up.
fn sets_warmup(set: &str) -> bool {
    let set = Override::parse(set);
    set.is_ok_and(|set| {
        ["warmup", "warmup_ops"]
            .iter()
            .any(|key| set.sets(&["load", key]))
    })
}

/// Runtimes with the names of groups of lanes replaced by their members.
fn with_groups(names: &[String]) -> Vec<String> {
    let members = |name: &String| match lanes::group(name) {
        members if members.is_empty() => vec![name.clone()],
        members => members,
    };
    names.iter().flat_map(members).collect()
}

/// The absolute directory of a scenario's file, with the scenario's name: a worker need not start where this process did.
fn directory(scenario: &Scenario) -> (String, PathBuf) {
    let absolute = path::absolute(Path::new(".").join(&scenario.directory));
    let directory = absolute.unwrap_or_else(|_| scenario.directory.clone());
    (scenario.name.clone(), directory)
}

/// The section `[tls]` of the scenarios that use one of the `targets`.
fn tls<'a>(
    scenarios: &'a [Scenario],
    targets: &[String],
) -> Result<Option<&'a TlsSettings>, Failure> {
    let is_given = |name: &&str| {
        let mut values = targets.iter().filter_map(|value| value.split_once('='));
        values.any(|(given, _)| given == *name)
    };
    let mut users = scenarios
        .iter()
        .filter(|scenario| scenario.about.targets.iter().any(is_given));
    let Some(first) = users.next() else {
        return Ok(None);
    };
    let settings = |scenario: &Scenario| scenario.tls.clone().unwrap_or_default();
    match users
        .clone()
        .find(|other| settings(other) != settings(first))
    {
        None => Ok(first
            .tls
            .as_ref()
            .or(users.find_map(|other| other.tls.as_ref()))),
        Some(other) => Err(Failure::usage(format!(
            "the scenarios `{}` and `{}` have different sections `[tls]`",
            first.name, other.name
        ))
        .hint("run them one after the other")),
    }
}

/// Rejects a section `[tls]` with a server that does not speak TLS, embedded or started with --server.
fn require_secure_servers(scenarios: &[Scenario], plan: &Plan) -> Result<(), Failure> {
    let is_secure = |name: &str| {
        let mut secure = scenarios.iter().filter(|scenario| scenario.tls.is_some());
        secure.any(|scenario| scenario.name == name)
    };
    let secure = plan.scenarios.iter().filter(|it| is_secure(&it.name));
    for (target, server) in secure.flat_map(|scenario| &scenario.servers) {
        let (message, hint) = match server {
            PlannedServer::Mock { server, .. }
                if targets::secure_url_at(target, "").is_none() || !servers::speaks_tls(server) =>
            {
                let server = format!("the embedded server `{server}` behind the target `{target}`");
                (
                    format!("{server} does not speak TLS"),
                    "remove the section `[tls]`".to_owned(),
                )
            }
            PlannedServer::Arm { url, .. } => (
                format!(
                    "the scenario has a section `[tls]`, but the server started for it is at {url}"
                ),
                format!(
                    "remove the section, or start the server and name it with --target {target}=…"
                ),
            ),
            _ => continue,
        };
        return Err(Failure::usage(message).hint(hint));
    }
    Ok(())
}

/// The HTTP versions that the scenarios use; those of databases and files use none.
fn http_versions(scenarios: &[Scenario]) -> HttpVersions {
    let of_http = |scenario: &&Scenario| scenario.about.targets.contains(&"http");
    let uses_http2 = |scenario: &Scenario| scenario.params["http"]["version"] == "2";
    let mut of_http = scenarios.iter().filter(of_http);
    let http2 = of_http.clone().any(uses_http2);
    HttpVersions {
        http1: !http2 || of_http.any(|scenario| !uses_http2(scenario)),
        http2,
    }
}

/// Rejects a path both in the URL of a target and with `--set`: one of them would not be asked for.
fn require_one_path(
    overrides: &[String],
    targets: &BTreeMap<String, PlannedServer>,
) -> Result<(), Failure> {
    let set = overrides.iter().find(|it| it.starts_with("path="));
    let with_path = targets.get("http").and_then(|server| match server {
        PlannedServer::External { url, .. } => {
            let path = url.splitn(4, '/').nth(3).filter(|path| !path.is_empty());
            path.map(|_| url)
        }
        _ => None,
    });
    match (set, with_path) {
        (Some(set), Some(url)) => Err(Failure::usage(format!(
            "`--set {set}` and the target `{url}` name different paths"
        ))
        .hint("name the path in one of them")),
        _ => Ok(()),
    }
}

impl Additions {
    /// The servers behind targets; the user's own server, if there is one, is behind the remaining target.
    fn servers(
        &self,
        scenarios: &[Scenario],
        mut planned: BTreeMap<String, PlannedServer>,
    ) -> Result<BTreeMap<String, PlannedServer>, Failure> {
        if let Some(own) = &self.own_server {
            let target = own_target(scenarios, &planned)?;
            let url = (own.url)(&target)?;
            let ready = own.ready.clone();
            planned.insert(target, PlannedServer::Arm { url, ready });
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

/// The only target without a server, for the user's own.
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
        [] => Err(Failure::usage("the scenario uses no server, or --target names it: no target is left for a server of your own")
            .hint("choose a scenario with a target, and leave that out of --target; a gate can compare two executables with \
                   --base-exe and --head-exe")),
        several => Err(Failure::usage(format!(
            "it is unclear which of the targets {} your own server replaces",
            several.join(", ")
        ))
        .hint("choose scenarios with the same target, or give the other targets a server with --target")),
    }
}

/// A warning for each scenario whose rounds repeat their writes on a server or file that outlives the round.
fn repeated_writes(scenarios: &[Scenario], plan: &Plan) -> impl Iterator<Item = String> {
    let outlives_round = |name: &str| {
        let planned = plan.scenarios.iter().find(|planned| planned.name == name);
        planned.is_some_and(|planned| {
            // Without a server, it is the user's own file.
            let mut servers = planned.servers.values();
            planned.servers.is_empty() || servers.any(|server| !server.is_own())
        })
    };
    let repeating = scenarios.iter().filter(move |scenario| {
        !scenario.repeated_writes.is_empty() && outlives_round(&scenario.name)
    });
    repeating.map(|scenario| {
        let remedy = match scenario.about.name {
            "sql" => "`[sql] setup` gives each round its own tables",
            "sqlite" => "without `[sqlite] file`, each round has its own database",
            _ => "{{run}} and {{round}} in a request make it unique",
        };
        format!(
            "{}: every round repeats the writes of the previous one ({}), which a server may refuse; {remedy}",
            scenario.name,
            scenario.repeated_writes.join(", ")
        )
    })
}
