//! The measurements of the self-test: rounds of scripted workloads, and a server that is stopped and resumed.
//!
//! Rounds run in ordinary worker processes, with an audit. One function per claim or group of claims; the bounds are in
//! `reports::selftest`.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use photofinish_harness::os;
use photofinish_record::load::{Arrivals, Load, RateHz, Stop};
use photofinish_record::nanoseconds;
use photofinish_record::protocol::{
    Audit, TargetAddress, WORKER_PROTOCOL, WorkerPlan, WorkerResult,
};
use photofinish_record::{Measurement, Placement};
use photofinish_reports::selftest::{self as judge, Claim, FewAndMany, Stall};
use serde_json::{Value, json};

use crate::exit::{Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::process::server::ServerProcess;
use crate::process::{this_program, worker};
use crate::run::identity;

#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Length of the open load in which the server is stopped.
    pub stalled_load: Duration,
    /// Length of the stop.
    pub stall: Duration,
    /// Number of operations of the long round, for comparing memory.
    pub many_ops: u64,
    /// Number of operations of the short round.
    pub few_ops: u64,
    /// Number of rounds, the fastest of which gives the cost of the loop.
    pub loop_rounds: usize,
    /// Number of operations whose times are kept individually.
    pub sampled_ops: u64,
    /// Number of rounds with arrivals from the worker's own pacer, and of as many with arrivals through a FIFO.
    pub fifo_rounds: usize,
}

impl Effort {
    /// The effort for which the claims hold.
    pub const WHOLE: Self = Self {
        stalled_load: Duration::from_secs(10),
        stall: Duration::from_millis(1_400),
        many_ops: 100_000_000,
        few_ops: 1_000_000,
        loop_rounds: 7,
        sampled_ops: 600,
        fifo_rounds: 3,
    };
    /// A smoke test.
    pub const QUICK: Self = Self {
        stalled_load: Duration::from_secs(3),
        stall: Duration::from_millis(420),
        many_ops: 1_000_000,
        few_ops: 100_000,
        loop_rounds: 2,
        sampled_ops: 200,
        fifo_rounds: 1,
    };
}

/// Arrivals per second while the server is stopped: enough that many fall within the stop.
const STALLED_RATE_HZ: f64 = 1_000.0;
const STALLED_SESSIONS: NonZeroU32 = NonZeroU32::new(16).unwrap();
/// Arrivals per second in the test of the pacer.
const PACED_RATE_HZ: f64 = 10_000.0;
/// Length of the test of the pacer.
const PACED: Duration = Duration::from_secs(2);
/// Arrivals per second of the rounds with and without a FIFO: far apart, so that each is handed over by itself.
const HANDED_OVER_RATE_HZ: f64 = 1_000.0;
/// Length of these rounds.
const HANDED_OVER: Duration = Duration::from_millis(500);
const WARMUP: Duration = Duration::from_millis(300);
/// Time after the worker's start by which its open load has started: set-up and warm-up.
const LOAD_BEGUN: Duration = Duration::from_millis(700);

pub struct Bench<'a> {
    pub placement: &'a Placement,
    pub effort: Effort,
    /// Cost of a clock read on this machine.
    pub clock_read_ns: f64,
    /// Directory for workloads' files; these workloads create none.
    pub work_dir: PathBuf,
    pub interrupt: &'a Interrupt,
}

/// Tests one or more claims under a runtime.
pub type Check = fn(&Bench<'_>, &str) -> Result<Vec<Claim>, Failure>;

/// The checks under each runtime, in the order of the report.
pub const CHECKS: &[Check] = &[
    percentiles,
    stalled_server,
    rate_and_pacing,
    through_a_fifo,
    loop_cost,
    allocations,
    memory,
];

fn percentiles(bench: &Bench<'_>, runtime: &str) -> Result<Vec<Claim>, Failure> {
    let time = |share: f64, time_us: u32| json!({ "share": share, "time_us": time_us });
    let plan = WorkerPlan {
        workload: "scripted".to_owned(),
        params: json!({ "times": [time(0.5, 1_300), time(0.4, 2_700), time(0.09, 6_100), time(0.01, 15_900)] }),
        ..bench.closed(runtime, bench.effort.sampled_ops)
    };
    let (round, audit) = bench.measure(&plan)?;
    Ok(vec![judge::measured_percentiles(runtime, &audit, &round)])
}

fn stalled_server(bench: &Bench<'_>, runtime: &str) -> Result<Vec<Claim>, Failure> {
    let cpus = &bench.placement.server_cpus;
    let mut server = ServerProcess::start("http", &Value::Null, false, cpus, bench.interrupt)?;
    let target = TargetAddress {
        url: format!("http://{}", server.address()),
        address: Some(server.address().into()),
        mock: true,
        tls: None,
    };
    let plan = WorkerPlan {
        workload: "http-get".to_owned(),
        params: json!({ "path": "/bytes/64" }),
        targets: BTreeMap::from([("http".to_owned(), target)]),
        pacer_cpu: bench.placement.pacer_cpu,
        ..bench.open(
            runtime,
            STALLED_RATE_HZ,
            STALLED_SESSIONS,
            bench.effort.stalled_load,
        )
    };
    let (process, effort) = (server.id(), bench.effort);
    let stopper = thread::Builder::new()
        .spawn(move || stall(process, effort))
        .or_fail("cannot start the thread that stops the server")
        .map_err(|failure| failure.hint(os::RAISE_THREAD_LIMIT))?;
    let measured = bench.measure(&plan);
    let stall_ns = stopper.join().expect("stopping does not panic");
    let (round, _) = measured?;
    let stall = Stall {
        rate_hz: STALLED_RATE_HZ,
        stall_ns,
    };
    let mut claims = judge::stall(runtime, stall, &round);
    let counts = server.settled_counts()?;
    let mismatches = identity::mismatches("http", &round, &counts);
    let requests = round
        .traffic
        .get("http")
        .map_or(0, |traffic| traffic.requests);
    claims.push(judge::counts(runtime, requests, &mismatches));
    Ok(claims)
}

/// Stops a process a third into the load, and resumes it. Returns the length of the stop.
fn stall(process: u32, effort: Effort) -> u64 {
    let process = Pid::from_raw(i32::try_from(process).expect("process ids fit"));
    thread::sleep(LOAD_BEGUN + effort.stalled_load / 3);
    let stopped = Instant::now();
    if kill(process, Signal::SIGSTOP).is_err() {
        return 0;
    }
    thread::sleep(effort.stall);
    let _ = kill(process, Signal::SIGCONT);
    nanoseconds(stopped.elapsed())
}

fn rate_and_pacing(bench: &Bench<'_>, runtime: &str) -> Result<Vec<Claim>, Failure> {
    let plan = bench.open(runtime, PACED_RATE_HZ, NonZeroU32::MIN, PACED);
    let (round, _) = bench.measure(&plan)?;
    let open = round
        .open
        .as_ref()
        .ok_or_else(|| Failure::could_not_run("the worker measured no open load"))?;
    Ok(vec![
        judge::rate(runtime, PACED_RATE_HZ, open),
        judge::pacing(runtime, open),
    ])
}

/// The same arrivals from the pacer of the worker and, as those of a lane, from that of this process. In turns, so that both
/// have the machine in the same state.
fn through_a_fifo(bench: &Bench<'_>, runtime: &str) -> Result<Vec<Claim>, Failure> {
    let plan = bench.open(runtime, HANDED_OVER_RATE_HZ, NonZeroU32::MIN, HANDED_OVER);
    let program = this_program()?;
    let mut rounds = judge::BothWays::default();
    for _ in 0..bench.effort.fifo_rounds {
        let own = worker::WorkerProgram::Own(&program);
        rounds.own.push(bench.measure_with(own, &plan)?.0);
        let piped = worker::WorkerProgram::Piped(&program);
        rounds.piped.push(bench.measure_with(piped, &plan)?.0);
    }
    Ok(judge::both_ways(runtime, &rounds))
}

fn loop_cost(bench: &Bench<'_>, runtime: &str) -> Result<Vec<Claim>, Failure> {
    let plan = WorkerPlan {
        audit: false,
        ..bench.closed(runtime, 1_000_000)
    };
    let round = |_| bench.measure(&plan).map(|(round, _)| round);
    let rounds: Vec<_> = (0..bench.effort.loop_rounds)
        .map(round)
        .collect::<Result<_, _>>()?;
    Ok(vec![judge::loop_cost(
        runtime,
        &rounds,
        bench.clock_read_ns,
    )])
}

/// A busy machine may make a runtime allocate once more in some round, but the loop's own allocations happen in every
/// round. So the minimum over several rounds counts.
fn allocations(bench: &Bench<'_>, runtime: &str) -> Result<Vec<Claim>, Failure> {
    const FEW: u64 = 100_000;
    const MANY: u64 = 1_100_000;
    const MAX_ROUNDS: u32 = 3;
    let least = |before: Option<u64>, count| {
        let (_, audit) = bench.measure(&bench.closed(runtime, count))?;
        Ok::<_, Failure>(before.into_iter().chain(audit.allocations).min())
    };
    let (mut few, mut many) = (None, None);
    for _ in 0..MAX_ROUNDS {
        (few, many) = (least(few, FEW)?, least(many, MANY)?);
        if many <= few {
            break;
        }
    }
    let counts = FewAndMany { few, many };
    Ok(vec![judge::allocations(runtime, counts, MANY - FEW)])
}

fn memory(bench: &Bench<'_>, runtime: &str) -> Result<Vec<Claim>, Failure> {
    let round = |ops| {
        let plan = WorkerPlan {
            audit: false,
            ..bench.closed(runtime, ops)
        };
        bench.measure(&plan).map(|(round, _)| round)
    };
    let (few, many) = (round(bench.effort.few_ops)?, round(bench.effort.many_ops)?);
    let rounds = FewAndMany {
        few: &few,
        many: &many,
    };
    Ok(vec![judge::memory(runtime, rounds)])
}

impl Bench<'_> {
    /// Audited operations that do nothing, one after another.
    fn closed(&self, runtime: &str, count: u64) -> WorkerPlan {
        let load = Load::Closed {
            concurrency: NonZeroU32::MIN,
        };
        WorkerPlan {
            warmup: ops(10),
            ..self.plan(runtime, load, ops(count))
        }
    }

    /// Evenly spaced arrivals that do nothing.
    fn open(
        &self,
        runtime: &str,
        rate_hz: f64,
        sessions: NonZeroU32,
        duration: Duration,
    ) -> WorkerPlan {
        let load = Load::Open {
            arrivals: Arrivals::Constant,
            rate_hz: RateHz::new(rate_hz).expect("the rates above are rates"),
            concurrency: sessions,
        };
        WorkerPlan {
            audit: false,
            ..self.plan(runtime, load, Stop::after(duration))
        }
    }

    fn plan(&self, runtime: &str, load: Load, stop: Stop) -> WorkerPlan {
        let cpus = &self.placement.worker_cpus;
        // Without a server, its CPU is free for the pacer.
        let server_cpu = self.placement.server_cpus.first();
        let spare = server_cpu.filter(|cpu| !cpus.contains(cpu)).copied();
        WorkerPlan {
            protocol: WORKER_PROTOCOL,
            workload: "null".to_owned(),
            params: json!({}),
            unit_ns: 20_000_000,
            runtime: runtime.to_owned(),
            cpus: cpus.clone(),
            worker_threads: u32::try_from(cpus.len()).unwrap_or(1),
            load,
            warmup: Stop::after(WARMUP),
            stop,
            stages: Vec::new(),
            pacer_cpu: self.placement.pacer_cpu.or(spare),
            piped: None,
            lag_probe: false,
            audit: true,
            seed: 1,
            targets: BTreeMap::new(),
            work_dir: self.work_dir.clone(),
            directory: Default::default(),
            run: String::new(),
            round: 1,
            shard: None,
        }
    }

    fn measure(&self, plan: &WorkerPlan) -> Result<(Measurement, Audit), Failure> {
        let program = this_program()?;
        self.measure_with(worker::WorkerProgram::Own(&program), plan)
    }

    fn measure_with(
        &self,
        worker: worker::WorkerProgram<'_>,
        plan: &WorkerPlan,
    ) -> Result<(Measurement, Audit), Failure> {
        match worker::measure(worker, plan, self.interrupt, None, &mut || true)? {
            WorkerResult::Ok { measurement, audit } => {
                Ok((*measurement, audit.unwrap_or_default()))
            }
            WorkerResult::Unsupported { reason } | WorkerResult::Wrong { reason } => {
                Err(Failure::could_not_run(reason))
            }
            WorkerResult::Failed { reason, hint, .. } => {
                Err(Failure::could_not_run(reason).maybe_hint(hint))
            }
        }
    }
}

fn ops(count: u64) -> Stop {
    Stop::Ops(NonZeroU64::new(count).unwrap_or(NonZeroU64::MIN))
}
