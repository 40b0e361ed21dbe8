//! One round: fresh servers, a fresh worker, and the counts of both put side by side.
//!
//! The order matters: the servers listen before the worker starts, and are asked for their counts after it has ended.
//! What the rounds are and in which order they run is `orchestrate`'s business; what counts prove is `identity`'s.

use std::collections::BTreeMap;
use std::path::Path;

use photofinish_harness::runtimes::descriptor;
use photofinish_record::protocol::{TargetAddress, WORKER_PROTOCOL, WorkerPlan, WorkerResult};
use photofinish_record::{
    Arm, Cell, Conditions, Measured, Measurement, Outcome, Placement, PlacementKind,
    PlannedScenario, PlannedServer, ServerCounts,
};
use serde_json::Value;

use crate::arms::{self, Arms};
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::process::server::{self, ServerProcess};
use crate::process::worker;
use crate::run::conditions::Watch;
use crate::run::identity;
use crate::run::twin::Twin;
use crate::targets::{self, ReadyTargets, TargetCounts, counted_between};

/// What all rounds of a run share.
pub struct Surroundings<'a> {
    /// Which CPUs server and worker run on.
    pub placement: &'a Placement,
    /// The seed of every draw.
    pub seed: u64,
    /// What stands behind targets that are not embedded.
    pub targets: &'a mut ReadyTargets,
    /// Where workloads make their files.
    pub work_dir: &'a Path,
    /// A runtime that stands in the run under two names.
    pub twin: Twin,
    /// What differs between the two sides of a gate.
    pub arms: &'a Arms,
    /// What is watched meanwhile.
    pub watch: Watch,
    /// Whether an end was asked for.
    pub interrupt: &'a Interrupt,
}

/// How a round ended.
pub enum Ended {
    /// With an outcome for the record.
    Outcome(Outcome),
    /// So that there is nothing to go on for; perhaps with numbers all the same.
    Broken(Box<Broken>),
    /// Before there was an outcome.
    Interrupted,
}

/// A round after which a run cannot go on.
pub struct Broken {
    /// Why.
    pub failure: Failure,
    /// What the worker measured before, with what is missing beside it.
    pub outcome: Option<Outcome>,
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            outcome: None,
        }
    }
}

impl From<server::Trouble> for Broken {
    fn from(trouble: server::Trouble) -> Self {
        Failure::from(trouble).into()
    }
}

/// A round that ended, and what went on meanwhile.
pub struct Watched {
    /// How it ended.
    pub ended: Ended,
    /// What went on from the servers' start to their end.
    pub conditions: Conditions,
}

/// Runs one round of `cell`.
pub fn run(scenario: &PlannedScenario, cell: &Cell, around: &mut Surroundings<'_>) -> Watched {
    let watch = around.watch.clone();
    let (outcome, conditions) = watch.during(|| measure(scenario, cell, around));
    let ended = match outcome {
        Ok(outcome) => Ended::Outcome(outcome),
        Err(_) if around.interrupt.requested() => Ended::Interrupted,
        Err(broken) => Ended::Broken(Box::new(broken)),
    };
    Watched { ended, conditions }
}

fn measure(
    scenario: &PlannedScenario,
    cell: &Cell,
    around: &mut Surroundings<'_>,
) -> Result<Outcome, Broken> {
    let of_arm = |failure: Failure| match cell.arm {
        Some(arm) => failure.during(format_args!("the {}", arm.name())),
        None => failure,
    };
    let mut servers = RoundServers::start(scenario, cell.arm, around).map_err(of_arm)?;
    let program = around.arms.worker(cell.arm).map_err(|error| {
        of_arm(Failure::could_not_run("the worker's program cannot be found").caused_by(error))
    })?;
    let plan = worker_plan(scenario, cell, around, servers.addresses(around.targets));
    let result = worker::measure(&program, &plan, around.interrupt, &mut || servers.live());
    // A server that died is the cause of whatever the worker ran into, so it is asked first.
    match (result, servers.counts(around.targets)) {
        (Ok(reply), Ok(counts)) => {
            Ok(outcome(reply, counts, scenario, &plan.runtime).map_err(of_arm)?)
        }
        (Ok(reply), Err(silent)) => Err(without_counts(reply, silent)),
        (Err(_), Err(gone)) => Err(of_arm(gone).into()),
        (Err(trouble), Ok(_)) => Err(of_arm(Failure::from(trouble)).into()),
    }
}

/// What the worker measured against a server that does not answer any more.
fn without_counts(reply: WorkerResult, failure: Failure) -> Broken {
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
    Broken { failure, outcome }
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
    around: &Surroundings<'_>,
    targets: BTreeMap<String, TargetAddress>,
) -> WorkerPlan {
    let cpus = around.placement.worker_cpus.clone();
    let (runtime, params) = around.twin.resolve(&cell.runtime, &scenario.params);
    WorkerPlan {
        protocol: WORKER_PROTOCOL,
        workload: scenario.workload.clone(),
        params,
        unit_ns: scenario.unit_ns,
        runtime,
        worker_threads: u32::try_from(cpus.len()).expect("CPUs are counted in thousands at most"),
        cpus,
        load: cell.load,
        warmup: scenario.warmup,
        stop: scenario.stop,
        stages: scenario.stages.clone(),
        pacer_cpu: pacer_cpu(scenario, around.placement),
        lag_probe: scenario.lag_probe,
        audit: false,
        seed: around.seed,
        targets,
        work_dir: around.work_dir.to_owned(),
    }
}

/// The pacer's CPU: one that was set apart for it, or the server's where no server runs.
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
    /// Those that are there already, with their URLs in the plan.
    external: BTreeMap<String, String>,
    /// The arm's own server, with its URL.
    of_arm: BTreeMap<String, (ServerProcess, String)>,
    before: TargetCounts,
}

/// An embedded server, and what it had counted when it was ready: filling tables costs it more CPU time than a round.
struct Embedded {
    process: ServerProcess,
    when_ready: ServerCounts,
}

impl Embedded {
    fn start(
        server: &str,
        behaviour: &Value,
        around: &Surroundings<'_>,
    ) -> Result<Self, server::Trouble> {
        let cpus = &around.placement.server_cpus;
        let mut process = ServerProcess::start(server, behaviour, cpus, around.interrupt)?;
        let when_ready = process.counts_so_far()?;
        Ok(Self {
            process,
            when_ready,
        })
    }

    fn counts(&mut self) -> Result<ServerCounts, server::Trouble> {
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
        arm: Option<Arm>,
        around: &mut Surroundings<'_>,
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
                    let embedded = Embedded::start(server, behaviour, around)?;
                    servers.embedded.insert(target.clone(), embedded);
                }
                PlannedServer::External { url, .. } => {
                    servers.external.insert(target.clone(), url.clone());
                }
                PlannedServer::Arm { url } => {
                    let command = around.arms.server(arm).ok_or_else(|| {
                        Failure::could_not_run("this run has no arms to start a server of")
                    })?;
                    let cpus = &around.placement.server_cpus;
                    let process = arms::server::start(command, cpus, around.interrupt)?;
                    let url =
                        url.replace(arms::server::PORT, &process.address().port().to_string());
                    servers.of_arm.insert(target.clone(), (process, url));
                }
            }
        }
        servers.before = around.targets.counts(servers.external.keys())?;
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
            process.still_there().map_err(died_while_measured)?;
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

fn died_while_measured(trouble: server::Trouble) -> Failure {
    Failure::from(trouble).hint(
        "the rounds before are in the record; run it again, and look for what ends processes here",
    )
}
