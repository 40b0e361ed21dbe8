//! The cost of measuring: the loop around an operation that does nothing, under every runtime.
//!
//! `cargo bench -p photofinish-harness --bench loop_cost`, optionally followed by `-- RUNTIME...`. Each runtime is measured
//! in a fresh process with one worker thread, and each line tells ns per operation, the part of it beyond the two clock
//! reads that measuring cannot do without, and allocations per million operations. The target is 60 ns, and none; a few
//! hundred are the queue of `async-executor`, which allocates for every 31st turn that a task gives way in. With 64 sessions
//! `threads` and `pool` use every CPU there is: the one tells less than a single thread's time, the other the contention
//! for its queue.

use std::alloc::System;
use std::hint::black_box;
use std::io::Write as _;
use std::num::{NonZeroU32, NonZeroU64};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use photofinish_harness::measure::run_round;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_record::Measurement;
use photofinish_record::load::{Load, Stop};
use photofinish_record::protocol::{WORKER_PROTOCOL, WorkerPlan, WorkerResult};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations up to the first and up to the last operation of the stretch that is watched.
static ALLOCATIONS: [AtomicUsize; 2] = [AtomicUsize::new(0), AtomicUsize::new(0)];

/// Its start: caches and queues have their size by then. Of 64 sessions the last one comes to this
/// operation, so that all have been spawned.
const FIRST_WATCHED: u64 = 100_031;

/// Operations in it.
const WATCHED: u64 = 1_000_000;

/// Rounds of which the best counts.
const ROUNDS: u32 = 15;

/// Nothing, and a look at the allocator twice.
struct Nothing;

#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
struct Params {}

impl Workload for Nothing {
    const ABOUT: About = About {
        name: "nothing",
        class: "overhead",
        operation: "nothing",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    photofinish_harness::nothing_shared!();
    photofinish_harness::no_session!();

    fn new(_: Params, _: Duration) -> Result<Self, ParamError> {
        Ok(Self)
    }

    #[inline]
    async fn operate<R: Runtime>(&self, _: &Env<R>, _: &mut (), op: u64) -> Result<(), Failure> {
        match black_box(op) {
            FIRST_WATCHED => note_allocations(0),
            WATCHED_END => note_allocations(1),
            _ => {}
        }
        Ok(())
    }
}

const WATCHED_END: u64 = FIRST_WATCHED + WATCHED;

#[cold]
fn note_allocations(index: usize) {
    let stats = ALLOCATOR.stats();
    ALLOCATIONS[index].store(stats.allocations + stats.reallocations, Ordering::SeqCst);
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--measure", runtime] => {
            say(&line(runtime));
            ExitCode::SUCCESS
        }
        ref asked => table(asked),
    }
}

/// One process for each runtime, one line for each process.
fn table(asked: &[&str]) -> ExitCode {
    say(&format!(
        "two clock reads: {:.1} ns; per operation beyond them, with one session and with 64:",
        2.0 * clock_read_ns()
    ));
    say("runtime                  1: ns   beyond  allocs/10^6    64: ns   beyond  allocs/10^6");
    for descriptor in DESCRIPTORS {
        let is_asked = |name: &&str| *name == descriptor.name;
        if !asked.iter().any(is_asked) && asked.iter().any(|name| !name.starts_with('-')) {
            continue;
        }
        let this = std::env::current_exe().expect("this program");
        let status = Command::new(this)
            .args(["--measure", descriptor.name])
            .status();
        if !status.is_ok_and(|status| status.success()) {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn line(runtime: &str) -> String {
    let cells = [1, 64].map(|sessions| match best_round_ns(runtime, sessions) {
        Ok(ns) => {
            let beyond = ns - 2.0 * clock_read_ns();
            let [first, last] = &ALLOCATIONS;
            let allocations = last.load(Ordering::SeqCst) - first.load(Ordering::SeqCst);
            format!("{ns:8.1} {beyond:8.1} {allocations:12}")
        }
        Err(reason) => reason,
    });
    format!("{runtime:22} {}  {}", cells[0], cells[1])
}

/// Time per operation in the best of several rounds: what else the machine does only ever adds to it.
fn best_round_ns(runtime: &str, sessions: u32) -> Result<f64, String> {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let measurement = round(runtime, sessions)?;
        best = best.min(measurement.elapsed_ns as f64 / measurement.ops as f64);
    }
    Ok(best)
}

fn round(runtime: &str, sessions: u32) -> Result<Measurement, String> {
    let plan = WorkerPlan {
        protocol: WORKER_PROTOCOL,
        workload: "nothing".to_owned(),
        params: serde_json::json!({}),
        unit_ns: 1,
        runtime: runtime.to_owned(),
        cpus: Vec::new(),
        worker_threads: 1,
        load: Load::Closed {
            concurrency: NonZeroU32::new(sessions).expect("at least one"),
        },
        warmup: Stop::after(Duration::from_millis(20)),
        stop: Stop::Ops(NonZeroU64::new(WATCHED_END + FIRST_WATCHED).expect("many")),
        stages: Vec::new(),
        pacer_cpu: None,
        piped: None,
        lag_probe: false,
        audit: false,
        seed: 1,
        targets: Default::default(),
        work_dir: std::env::temp_dir(),
        directory: Default::default(),
        run: String::new(),
        round: 1,
        shard: None,
    };
    match run_round::<Nothing>(&plan) {
        WorkerResult::Ok { measurement, .. } => Ok(*measurement),
        WorkerResult::Unsupported { reason }
        | WorkerResult::Failed { reason, .. }
        | WorkerResult::Wrong { reason } => Err(reason),
    }
}

/// The cost of one clock read, the best of many stretches.
fn clock_read_ns() -> f64 {
    const READS: u32 = 200_000;
    let stretch = |_| {
        let start = Instant::now();
        for _ in 0..READS {
            black_box(Instant::now());
        }
        start.elapsed().as_nanos() as f64 / f64::from(READS)
    };
    (0..20).map(stretch).fold(f64::INFINITY, f64::min)
}

fn say(line: &str) {
    // Whoever has closed the output wants no more of it.
    let _ = writeln!(std::io::stdout(), "{line}");
}
