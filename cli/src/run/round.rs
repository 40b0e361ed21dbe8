//! One round: fresh servers, a fresh worker, and a comparison of their counts.
//!
//! The order matters: the servers listen before the worker starts, and are asked for their counts after it has ended.
//! `blocks` decides which rounds run in which order; `identity` compares the counts.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use photofinish_record::protocol::{TargetAddress, WORKER_PROTOCOL, WorkerPlan, WorkerResult};
use photofinish_record::{
    Cell, Conditions, Measured, Measurement, Outcome, Placement, PlacementKind, PlannedScenario,
    PlannedServer, RuntimeTraits, ServerCounts, TlsSettings, Variant,
};
use photofinish_workloads::workloads::db_leftovers::drop_leftovers;

use crate::arms;
use crate::arms::programs::{ArmPrograms, Program};
use crate::arms::server::ArmServer;
use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::lanes::Launches;
use crate::output;
use crate::process::profiler::Sampler;
use crate::process::server::{ServerProcess, own_address};
use crate::process::worker::WorkerProgram;
use crate::process::{this_program, worker};
use crate::run::conditions::Watch;
use crate::run::identity::{self, Parallel};
use crate::run::shards::{Served, ServerAddress, ShardedRun};
use crate::targets::{self, ReadyTargets, TargetCounts, counted_between};

/// Everything shared by the rounds of a run.
pub struct RoundContext<'a> {
    pub placement: &'a Placement,
    pub seed: u64,
    /// Targets that outlive a round.
    pub targets: &'a mut ReadyTargets,
    /// The directory for files that workloads make.
    pub work_dir: &'a Path,
    /// The directories of the scenario files, by name of the scenario.
    pub directories: &'a BTreeMap<String, PathBuf>,
    /// The run's id.
    pub run: &'a str,
    /// Number of rounds started so far, including repeated ones.
    pub round: u64,
    pub watch: Watch,
    /// The runtimes' traits, by name.
    pub runtimes: &'a BTreeMap<String, RuntimeTraits>,
    pub lanes: &'a Launches,
    /// This run as a shard; `None` for a run on one machine.
    pub sharded: Option<&'a ShardedRun>,
    pub interrupt: &'a Interrupt,
    /// Samples the workers of profiled rounds.
    pub sampler: Option<&'a Sampler>,
    /// The programs that the arms' servers ran.
    pub programs: &'a RefCell<ArmPrograms>,
    /// Warnings for the user, each given once.
    pub warnings: &'a mut BTreeSet<String>,
    /// Commands whose servers had to be killed.
    pub stubborn: BTreeSet<String>,
}

/// A round that has ended.
pub struct RoundResult {
    /// `None` if the run was interrupted before there was an outcome.
    pub outcome: Option<Outcome>,
    /// The reason the cell cannot continue, if any.
    pub failure: Option<Failure>,
    /// True if a target was silent in set-up until the time limit.
    pub is_silent: bool,
    /// From the start of the servers to their end.
    pub conditions: Conditions,
}

impl RoundResult {
    /// A round that was not run, for this reason.
    pub fn not_run(reason: String) -> Self {
        Self {
            failure: Some(Failure::could_not_run(reason.clone())),
            outcome: Some(Outcome::Failed { reason }),
            is_silent: false,
            conditions: Conditions::default(),
        }
    }
}

/// A failure that ends the cell.
struct FatalFailure {
    failure: Failure,
    /// The worker's measurement, if there was one before the failure.
    outcome: Option<Outcome>,
    is_silent: bool,
}

impl From<Failure> for FatalFailure {
    fn from(failure: Failure) -> Self {
        Self {
            failure,
            outcome: None,
            is_silent: false,
        }
    }
}

/// Runs one round of `cell`.
pub fn run(scenario: &PlannedScenario, cell: &Cell, context: &mut RoundContext<'_>) -> RoundResult {
    context.round += 1;
    let watch = context.watch.clone();
    let (result, conditions) = watch.during(|| measure(scenario, cell, context));
    let is_silent = matches!(&result, Err(fatal) if fatal.is_silent);
    let (outcome, failure) = match result {
        Ok(outcome) => (Some(outcome), None),
        Err(_) if context.interrupt.requested() => (None, None),
        Err(FatalFailure {
            failure, outcome, ..
        }) => {
            let reason = failure.in_one_line();
            let outcome = outcome.unwrap_or(Outcome::Failed { reason });
            (Some(outcome), Some(failure))
        }
    };
    RoundResult {
        outcome,
        failure,
        is_silent,
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
    let served = context.sharded.and_then(|run| run.served(context.round));
    let mut servers =
        RoundServers::start(scenario, &variant, served.as_ref(), context).map_err(of_arm)?;
    if let (Some(arm), Some(complaint)) = (cell.arm, servers.complaint()) {
        let warning = format!("the {}: its server started, but: {complaint}", arm.name());
        context.warnings.insert(warning);
    }
    if let Some(arm) = cell.arm {
        let mut programs = context.programs.borrow_mut();
        programs.insert(arm, servers.programs());
    }
    let program = variant.program.clone().map_or_else(this_program, Ok);
    let program = program.map_err(of_arm)?;
    let targets = servers.addresses(context.targets);
    let command = variant.server.clone();
    let share = context.sharded.map(|run| run.begin_round(context.round));
    let share = share.transpose()?;
    let mut plan = worker_plan(scenario, cell, variant, context, targets);
    plan.shard = share.as_ref().map(|share| share.worker.clone());
    let worker = match context.lanes.command(&plan.runtime, &plan.cpus) {
        Some(command) => WorkerProgram::Lane(command?),
        None => WorkerProgram::Own(&program),
    };
    let live = &mut || servers.live();
    let result = worker::measure(worker, &plan, context.interrupt, context.sampler, live);
    if result.is_err() && context.interrupt.requested() {
        drop_leftovers(&plan);
    }
    drop(share);
    // Their counts are those of all shards.
    let finished = served.map_or(Ok(()), |served| served.finish(context.interrupt));
    let counts = finished.and_then(|()| servers.counts(context.targets));
    let counts = counts.and_then(|counts| {
        if !servers.end()? {
            killed(cell, command.as_deref(), context);
        }
        Ok(counts)
    });
    // A server that died is the cause of any failure of the worker, so its error comes first.
    match (result, counts.map_err(of_arm)) {
        (Ok(reply), Ok(counts)) => {
            let parallel = Parallel::of(&plan.runtime, context.runtimes.get(&plan.runtime));
            // A shard's traffic is not all that the servers have counted: `merge` compares.
            let parallel = context.sharded.is_none().then_some(parallel);
            outcome(reply, counts, scenario, parallel).map_err(|fatal| FatalFailure {
                failure: of_arm(fatal.failure),
                ..fatal
            })
        }
        (Ok(reply), Err(failure)) => Err(without_counts(reply, failure)),
        (Err(_), Err(failure)) => Err(failure.into()),
        (Err(failure), Ok(_)) => Err(of_arm(failure).into()),
    }
}

/// Warns, once, that a server of the cell's arm did not end on SIGTERM.
fn killed(cell: &Cell, command: Option<&str>, context: &mut RoundContext<'_>) {
    let (Some(arm), Some(command)) = (cell.arm, command) else {
        return;
    };
    if context.stubborn.insert(command.to_owned()) {
        let warning = format!(
            "the {}: its server did not end within {} s of SIGTERM and is killed after each round, without a chance to \
             write its files",
            arm.name(),
            arms::server::LEAVING.as_secs()
        );
        output::advise(&format!("warning: {warning}"));
        context.warnings.insert(warning);
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
            shards: Vec::new(),
        }))),
        WorkerResult::Unsupported { .. }
        | WorkerResult::Failed { .. }
        | WorkerResult::Wrong { .. } => None,
    };
    FatalFailure {
        failure,
        outcome,
        is_silent: false,
    }
}

fn outcome(
    reply: WorkerResult,
    counts: TargetCounts,
    scenario: &PlannedScenario,
    parallel: Option<Parallel>,
) -> Result<Outcome, FatalFailure> {
    match reply {
        WorkerResult::Ok { measurement, .. } => {
            let compared = compared(*measurement, counts, scenario, parallel);
            Ok(Outcome::Ok(Box::new(compared)))
        }
        WorkerResult::Unsupported { reason } => Ok(Outcome::Unsupported { reason }),
        WorkerResult::Failed {
            reason,
            hint,
            is_silent,
        } => Err(FatalFailure {
            failure: Failure::could_not_run(reason).maybe_hint(hint),
            outcome: None,
            is_silent,
        }),
        WorkerResult::Wrong { reason } => Err(Failure::new(Exit::Wrong, reason).into()),
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
        piped: None,
        lag_probe: scenario.lag_probe,
        audit: false,
        seed: context.seed,
        targets,
        work_dir: context.work_dir.to_owned(),
        directory: context
            .directories
            .get(&scenario.name)
            .cloned()
            .unwrap_or_default(),
        run: context.run.to_owned(),
        round: context.round,
        shard: None,
    }
}

/// The pacer's own CPU, or the server's if no server runs.
fn pacer_cpu(scenario: &PlannedScenario, placement: &Placement) -> Option<usize> {
    let idle = scenario.servers.is_empty() && placement.kind == PlacementKind::Split;
    let servers = || {
        placement
            .orchestrator_cpus
            .first()
            .copied()
            .filter(|_| idle)
    };
    placement.pacer_cpu.or_else(servers)
}

fn compared(
    worker: Measurement,
    servers: BTreeMap<String, ServerCounts>,
    scenario: &PlannedScenario,
    parallel: Option<Parallel>,
) -> Measured {
    let mismatches = parallel
        .map(|parallel| identity::all_mismatches(&worker, &servers, scenario.in_flight, parallel));
    let mismatches = mismatches.unwrap_or_default();
    Measured {
        worker,
        servers,
        mismatches,
        shards: Vec::new(),
    }
}

/// The servers of one round, by target name. Dropping them ends those that were started for it.
struct RoundServers {
    servers: BTreeMap<String, RoundServer>,
    /// Counts of the external ones before the round.
    before: TargetCounts,
}

enum RoundServer {
    /// With its counts when it was ready: filling tables takes more CPU time than a round.
    Embedded {
        process: ServerProcess,
        when_ready: ServerCounts,
        tls: Option<TlsSettings>,
    },
    /// Already running; the URL is that of the plan.
    External { url: String },
    /// Run by the first shard.
    Elsewhere(ServerAddress),
    /// The arm's own.
    Arm { server: ArmServer, url: String },
}

impl RoundServer {
    fn start(
        (target, planned): (&str, &PlannedServer),
        scenario: &PlannedScenario,
        variant: &Variant,
        served: Option<&Served<'_>>,
        context: &RoundContext<'_>,
    ) -> Result<Self, Failure> {
        let (cpus, interrupt) = (&context.placement.server_cpus, context.interrupt);
        match planned {
            PlannedServer::Mock {
                server,
                behaviour,
                tls,
            } => {
                let secure = tls.is_some();
                let listen = match served.map(|served| (served, served.listen())) {
                    Some((served, None)) => {
                        return served.find(target, interrupt).map(Self::Elsewhere);
                    }
                    Some((_, Some(address))) => address,
                    None => IpAddr::V4(Ipv4Addr::LOCALHOST),
                };
                let mut process =
                    ServerProcess::start_on(listen, server, behaviour, secure, cpus, interrupt)?;
                let when_ready = process.counts_so_far()?;
                if let Some(served) = served {
                    served.publish(target, process.address())?;
                }
                // Its certificate is for this machine and self-signed.
                let tls = tls.clone().map(|settings| TlsSettings {
                    ca: process.certificate(),
                    server_name: None,
                    ..settings
                });
                Ok(Self::Embedded {
                    process,
                    when_ready,
                    tls,
                })
            }
            PlannedServer::External { url, .. } => Ok(Self::External { url: url.clone() }),
            PlannedServer::Arm { url, ready } => {
                let command = variant.server.as_ref().ok_or_else(|| {
                    Failure::could_not_run("no command for the user's own server")
                })?;
                let stubborn = context.stubborn.contains(command);
                let probe = arms::server::Probe::of(url, ready.as_deref(), &scenario.params);
                let server = ArmServer::start(command, &probe, stubborn, cpus, interrupt)?;
                let url = url.replace(arms::server::PORT, &server.address.port().to_string());
                Ok(Self::Arm { server, url })
            }
        }
    }
}

impl RoundServers {
    fn start(
        scenario: &PlannedScenario,
        variant: &Variant,
        served: Option<&Served<'_>>,
        context: &mut RoundContext<'_>,
    ) -> Result<Self, Failure> {
        let mut servers = Self {
            servers: BTreeMap::new(),
            before: TargetCounts::new(),
        };
        for (target, planned) in &scenario.servers {
            let named = (target.as_str(), planned);
            let server = RoundServer::start(named, scenario, variant, served, context)?;
            servers.servers.insert(target.clone(), server);
        }
        // Counts of a server that other shards load as well belong to no round of this one.
        if context.sharded.is_none() {
            servers.before = servers.external_counts(context.targets)?;
        }
        Ok(servers)
    }

    fn live(&mut self) -> bool {
        self.servers.values_mut().all(|server| match server {
            RoundServer::Embedded { process, .. } => process.check_alive().is_ok(),
            RoundServer::Arm { server, .. } => server.check_alive().is_ok(),
            RoundServer::External { .. } | RoundServer::Elsewhere(_) => true,
        })
    }

    /// The programs of an arm's servers.
    fn programs(&self) -> impl Iterator<Item = Program> {
        let of = |server: &RoundServer| match server {
            RoundServer::Arm { server, .. } => server.programs.clone(),
            _ => Vec::new(),
        };
        self.servers.values().flat_map(of)
    }

    /// The first complaint of an arm's shell.
    fn complaint(&self) -> Option<String> {
        self.servers.values().find_map(|server| match server {
            RoundServer::Arm { server, .. } => server.complaint.clone(),
            _ => None,
        })
    }

    /// Stops the servers started for the round; false if one had to be killed. Fails if any of their processes survive.
    fn end(&mut self) -> Result<bool, Failure> {
        let mut ended = true;
        for server in std::mem::take(&mut self.servers).into_values() {
            if let RoundServer::Arm { server, .. } = server {
                ended &= server.end()?;
            }
        }
        Ok(ended)
    }

    fn addresses(&self, targets: &ReadyTargets) -> BTreeMap<String, TargetAddress> {
        let address = |(target, server): (&String, &RoundServer)| {
            let address = match server {
                RoundServer::Embedded { process, tls, .. } => {
                    // A workload of the user's own may have a target of another kind.
                    let address = own_address(process.address()).to_string();
                    let url = if tls.is_some() {
                        targets::secure_url_at(target, &address)
                    } else {
                        targets::url_at(target, &address)
                    };
                    let url = url.unwrap_or_else(|| format!("http://{address}"));
                    TargetAddress {
                        url,
                        address: Some(own_address(process.address()).into()),
                        mock: true,
                        tls: tls.clone(),
                    }
                }
                RoundServer::External { url } => targets.address(target, url)?,
                RoundServer::Elsewhere(ServerAddress { authority, address }) => TargetAddress {
                    url: targets::url_at(target, authority)
                        .unwrap_or_else(|| format!("http://{authority}")),
                    address: Some((*address).into()),
                    mock: true,
                    tls: None,
                },
                RoundServer::Arm { server, url } => TargetAddress {
                    url: url.clone(),
                    address: Some(server.address.into()),
                    mock: false,
                    tls: None,
                },
            };
            Some((target.clone(), address))
        };
        self.servers.iter().filter_map(address).collect()
    }

    fn external_counts(&self, targets: &mut ReadyTargets) -> Result<TargetCounts, Failure> {
        let servers = self.servers.iter();
        let external = servers.filter(|(_, server)| matches!(server, RoundServer::External { .. }));
        targets.counts(external.map(|(target, _)| target))
    }

    fn counts(&mut self, targets: &mut ReadyTargets) -> Result<TargetCounts, Failure> {
        let mut counts = counted_between(&self.before, self.external_counts(targets)?);
        for (target, server) in &mut self.servers {
            match server {
                RoundServer::Embedded {
                    process,
                    when_ready,
                    ..
                } => {
                    let all = process.settled_counts().map_err(died_while_measured)?;
                    counts.insert(target.clone(), without_startup(all, when_ready));
                }
                RoundServer::Arm { server, .. } => {
                    server.check_alive().map_err(died_while_measured)?;
                }
                RoundServer::External { .. } | RoundServer::Elsewhere(_) => {}
            }
        }
        Ok(counts)
    }
}

/// The counts with the CPU time since the server was ready.
fn without_startup(counts: ServerCounts, when_ready: &ServerCounts) -> ServerCounts {
    let since = |now: Option<u64>, ready: Option<u64>| Some(now?.saturating_sub(ready?));
    ServerCounts {
        cpu_user_ns: since(counts.cpu_user_ns, when_ready.cpu_user_ns),
        cpu_system_ns: since(counts.cpu_system_ns, when_ready.cpu_system_ns),
        ..counts
    }
}

fn died_while_measured(failure: Failure) -> Failure {
    failure.hint(
        "earlier rounds are in the record; run it again, and find out what ends processes here",
    )
}
