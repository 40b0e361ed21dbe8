//! One round: fresh servers, a fresh worker, and a comparison of their counts.
//!
//! The order matters: the servers listen before the worker starts, and are asked for their counts after it has ended.
//! `blocks` decides which rounds run in which order; `identity` compares the counts.

use std::collections::BTreeMap;
use std::path::Path;

use photofinish_harness::runtimes::descriptor;
use photofinish_record::protocol::{TargetAddress, WORKER_PROTOCOL, WorkerPlan, WorkerResult};
use photofinish_record::{
    Cell, Conditions, Measured, Measurement, Outcome, Placement, PlacementKind, PlannedScenario,
    PlannedServer, ServerCounts, Variant,
};
use serde_json::Value;

use crate::arms;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::process::server::{ServerError, ServerProcess};
use crate::process::worker;
use crate::run::conditions::Watch;
use crate::run::identity;
use crate::targets::{self, ReadyTargets, TargetCounts, counted_between};

/// Everything shared by the rounds of a run.
pub struct RoundContext<'a> {
    pub placement: &'a Placement,
    pub seed: u64,
    /// Targets that outlive a round.
    pub targets: &'a mut ReadyTargets,
    /// The directory for files that workloads make.
    pub work_dir: &'a Path,
    pub watch: Watch,
    pub interrupt: &'a Interrupt,
}

/// A round that has ended.
pub struct RoundResult {
    /// `None` if the run was interrupted before there was an outcome.
    pub outcome: Option<Outcome>,
    /// The reason the run cannot go on, if any.
    pub failure: Option<Failure>,
    /// From the start of the servers to their end.
    pub conditions: Conditions,
}

/// A failure that ends the run.
struct FatalFailure {
    failure: Failure,
    /// The worker's measurement, if there was one before the failure.
    outcome: Option<Outcome>,
}

impl From<Failure> for FatalFailure {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            outcome: None,
        }
    }
}

/// Runs one round of `cell`.
pub fn run(scenario: &PlannedScenario, cell: &Cell, context: &mut RoundContext<'_>) -> RoundResult {
    let watch = context.watch.clone();
    let (result, conditions) = watch.during(|| measure(scenario, cell, context));
    let (outcome, failure) = match result {
        Ok(outcome) => (Some(outcome), None),
        Err(_) if context.interrupt.requested() => (None, None),
        Err(FatalFailure { failure, outcome }) => {
            let reason = failure.in_one_line();
            let outcome = outcome.unwrap_or(Outcome::Failed { reason });
            (Some(outcome), Some(failure))
        }
    };
    RoundResult {
        outcome,
        failure,
        conditions,
    }
}

fn measure(
    scenario: &PlannedScenario,
    cell: &Cell,
    context: &mut RoundContext<'_>,
) -> Result<Outcome, FatalFailure> {
    let of_arm = |failure: Failure| match cell.arm {
        Some(arm) => failure.during(format_args!("the {}", arm.name())),
        None => failure,
    };
    let variant = cell.variant.clone().unwrap_or_default();
    let mut servers = RoundServers::start(scenario, &variant, context).map_err(of_arm)?;
    let program = variant
        .program
        .clone()
        .map_or_else(std::env::current_exe, Ok);
    let program = program.map_err(|error| {
        of_arm(Failure::could_not_run("cannot find the worker's program").caused_by(error))
    })?;
    let targets = servers.addresses(context.targets);
    let plan = worker_plan(scenario, cell, variant, context, targets);
    let result = worker::measure(&program, &plan, context.interrupt, &mut || servers.live());
    // A server that died is the cause of any failure of the worker, so its error comes first.
    match (result, servers.counts(context.targets)) {
        (Ok(reply), Ok(counts)) => {
            Ok(outcome(reply, counts, scenario, &plan.runtime).map_err(of_arm)?)
        }
        (Ok(reply), Err(failure)) => Err(without_counts(reply, failure)),
        (Err(_), Err(failure)) => Err(of_arm(failure).into()),
        (Err(error), Ok(_)) => Err(of_arm(Failure::from(error)).into()),
    }
}

/// The worker's measurement against a server that no longer answers.
fn without_counts(reply: WorkerResult, failure: Failure) -> FatalFailure {
    let outcome = match reply {
        WorkerResult::Ok { measurement, .. } => Some(Outcome::Ok(Box::new(Measured {
            worker: *measurement,
            servers: BTreeMap::new(),
            mismatches: vec![format!(
                "the server's counts are missing: {}",
                failure.in_one_line()
            )],
        }))),
        WorkerResult::Unsupported { .. }
        | WorkerResult::Failed { .. }
        | WorkerResult::Wrong { .. } => None,
    };
    FatalFailure { failure, outcome }
}

fn outcome(
    reply: WorkerResult,
    counts: TargetCounts,
    scenario: &PlannedScenario,
    runtime: &str,
) -> Result<Outcome, Failure> {
    match reply {
        WorkerResult::Ok { measurement, .. } => {
            let compared = compared(*measurement, counts, scenario, runtime);
            Ok(Outcome::Ok(Box::new(compared)))
        }
        WorkerResult::Unsupported { reason } => Ok(Outcome::Unsupported { reason }),
        WorkerResult::Failed { reason, hint } => {
            Err(Failure::could_not_run(reason).maybe_hint(hint))
        }
        WorkerResult::Wrong { reason } => Err(Failure::new(Exit::Wrong, reason)),
    }
}

fn worker_plan(
    scenario: &PlannedScenario,
    cell: &Cell,
    variant: Variant,
    context: &RoundContext<'_>,
    targets: BTreeMap<String, TargetAddress>,
) -> WorkerPlan {
    let cpus = context.placement.worker_cpus.clone();
    let mut params = scenario.params.clone();
    for (name, value) in variant.params {
        params[name] = value;
    }
    WorkerPlan {
        protocol: WORKER_PROTOCOL,
        workload: scenario.workload.clone(),
        params,
        unit_ns: scenario.unit_ns,
        runtime: variant.runtime.unwrap_or_else(|| cell.runtime.clone()),
        worker_threads: u32::try_from(cpus.len()).expect("CPUs are counted in thousands at most"),
        cpus,
        load: cell.load,
        warmup: scenario.warmup,
        stop: scenario.stop,
        stages: scenario.stages.clone(),
        pacer_cpu: pacer_cpu(scenario, context.placement),
        lag_probe: scenario.lag_probe,
        audit: false,
        seed: context.seed,
        targets,
        work_dir: context.work_dir.to_owned(),
    }
}

/// The pacer's own CPU, or the server's if no server runs.
fn pacer_cpu(scenario: &PlannedScenario, placement: &Placement) -> Option<usize> {
    let idle = scenario.servers.is_empty() && placement.kind == PlacementKind::Split;
    let servers = || placement.server_cpus.first().copied().filter(|_| idle);
    placement.pacer_cpu.or_else(servers)
}

fn compared(
    worker: Measurement,
    servers: BTreeMap<String, ServerCounts>,
    scenario: &PlannedScenario,
    runtime: &str,
) -> Measured {
    let disagreements = servers
        .iter()
        .flat_map(|(target, counts)| identity::mismatches(target, &worker, counts));
    let expected = scenario.in_flight.zip(descriptor(runtime));
    let unexpected = servers.iter().filter_map(|(target, counts)| {
        let (expected, runtime) = expected?;
        identity::unexpected_in_flight(target, expected, runtime, &worker, counts)
    });
    let mismatches = disagreements.chain(unexpected).collect();
    Measured {
        worker,
        servers,
        mismatches,
    }
}

/// The servers of one round, by target name. Dropping them ends the embedded ones.
struct RoundServers {
    embedded: BTreeMap<String, Embedded>,
    /// Servers that are already running, with their URLs as in the plan.
    external: BTreeMap<String, String>,
    /// The arm's own server, with its URL.
    of_arm: BTreeMap<String, (ServerProcess, String)>,
    before: TargetCounts,
}

/// An embedded server, with its counts when it was ready: filling tables takes more CPU time than a round.
struct Embedded {
    process: ServerProcess,
    when_ready: ServerCounts,
}

impl Embedded {
    fn start(
        server: &str,
        behaviour: &Value,
        context: &RoundContext<'_>,
    ) -> Result<Self, ServerError> {
        let cpus = &context.placement.server_cpus;
        let mut process = ServerProcess::start(server, behaviour, cpus, context.interrupt)?;
        let when_ready = process.counts_so_far()?;
        Ok(Self {
            process,
            when_ready,
        })
    }

    fn counts(&mut self) -> Result<ServerCounts, ServerError> {
        let counts = self.process.settled_counts()?;
        let since = |now: Option<u64>, ready: Option<u64>| Some(now?.saturating_sub(ready?));
        Ok(ServerCounts {
            cpu_user_ns: since(counts.cpu_user_ns, self.when_ready.cpu_user_ns),
            cpu_system_ns: since(counts.cpu_system_ns, self.when_ready.cpu_system_ns),
            ..counts
        })
    }
}

impl RoundServers {
    fn start(
        scenario: &PlannedScenario,
        variant: &Variant,
        context: &mut RoundContext<'_>,
    ) -> Result<Self, Failure> {
        let mut servers = Self {
            embedded: BTreeMap::new(),
            external: BTreeMap::new(),
            of_arm: BTreeMap::new(),
            before: TargetCounts::new(),
        };
        for (target, planned) in &scenario.servers {
            match planned {
                PlannedServer::Mock { server, behaviour } => {
                    let embedded = Embedded::start(server, behaviour, context)?;
                    servers.embedded.insert(target.clone(), embedded);
                }
                PlannedServer::External { url, .. } => {
                    servers.external.insert(target.clone(), url.clone());
                }
                PlannedServer::Arm { url } => {
                    let command = variant
                        .server
                        .as_ref()
                        .ok_or_else(|| Failure::could_not_run("no command for the arm's server"))?;
                    let cpus = &context.placement.server_cpus;
                    let process = arms::server::start(command, cpus, context.interrupt)?;
                    let url =
                        url.replace(arms::server::PORT, &process.address().port().to_string());
                    servers.of_arm.insert(target.clone(), (process, url));
                }
            }
        }
        servers.before = context.targets.counts(servers.external.keys())?;
        Ok(servers)
    }

    fn live(&mut self) -> bool {
        let embedded = self.embedded.values_mut();
        let of_arm = self.of_arm.values_mut();
        let mut processes = embedded
            .map(|embedded| &mut embedded.process)
            .chain(of_arm.map(|(process, _)| process));
        !processes.any(ServerProcess::is_gone)
    }

    fn addresses(&self, targets: &ReadyTargets) -> BTreeMap<String, TargetAddress> {
        let embedded = self.embedded.iter().map(|(target, embedded)| {
            // A workload of the user's own may have a target of another kind.
            let address = embedded.process.address().to_string();
            let url = targets::url_at(target, &address);
            let url = url.unwrap_or_else(|| format!("http://{address}"));
            (target.clone(), TargetAddress { url, mock: true })
        });
        let external = self
            .external
            .iter()
            .filter_map(|(target, url)| Some((target.clone(), targets.address(target, url)?)));
        let of_arm = self.of_arm.iter().map(|(target, (_, url))| {
            let url = url.clone();
            (target.clone(), TargetAddress { url, mock: false })
        });
        embedded.chain(external).chain(of_arm).collect()
    }

    fn counts(&mut self, targets: &mut ReadyTargets) -> Result<TargetCounts, Failure> {
        let after = targets.counts(self.external.keys())?;
        let mut counts = counted_between(&self.before, after);
        for (process, _) in self.of_arm.values_mut() {
            process.check_alive().map_err(died_while_measured)?;
        }
        for (target, embedded) in &mut self.embedded {
            counts.insert(
                target.clone(),
                embedded.counts().map_err(died_while_measured)?,
            );
        }
        Ok(counts)
    }
}

fn died_while_measured(error: ServerError) -> Failure {
    Failure::from(error).hint(
        "earlier rounds are in the record; run it again, and find out what ends processes here",
    )
}
