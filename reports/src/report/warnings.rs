//! Warnings: reasons to doubt the numbers, derived from the rounds themselves.
//!
//! Disturbed and redone blocks, failed rounds, exhausted servers, dropped connections, and violations of Little's law.
//! Anything that makes a cell's numbers wrong rather than doubtful is in `validity`; disturbances were determined when
//! the round ran, and are in the record. A new warning is a function and a line in [`warnings`].

use photofinish_record::load::{Load, Stop};
use photofinish_record::{Measured, Measurement, Outcome, PlacementKind};

use crate::describe;
use crate::rounds::{Rounds, measured};

/// A side that uses this share of its CPUs' time is exhausted.
const EXHAUSTED: f64 = 0.95;

/// Tolerance of mean service × throughput against the sessions in flight.
const LITTLE_TOLERANCE: f64 = 0.02;

/// Time of the measuring loop between two operations of a session (two clock reads and a record), in ns; it is in no
/// operation's service time.
const BETWEEN_OPERATIONS_NS: f64 = 150.0;

/// With fewer operations per session the first and the last one weigh too much for Little's law.
const FEWEST_OPS_PER_SESSION: u64 = 50;

/// Every warning: first those about the run, then those about its cells in the plan's order.
pub(super) fn warnings(rounds: &Rounds<'_>) -> Vec<String> {
    let by_cell = |checks: [CellCheck; 2]| {
        let cells = 0..rounds.plan.cells.len();
        cells.flat_map(move |cell| checks.map(|check| check(rounds, cell)))
    };
    [disturbed(rounds)]
        .into_iter()
        .chain(by_cell([server_bound, overflowed]))
        .chain([redone_blocks(rounds)])
        .chain(by_cell([failed_rounds, littles_law]))
        .chain([strays(rounds)])
        .flatten()
        .collect()
}

type CellCheck = fn(&Rounds<'_>, usize) -> Option<String>;

fn name(rounds: &Rounds<'_>, cell: usize) -> String {
    describe::cell(&rounds.plan.cells[cell])
}

/// Rounds that count although they were disturbed.
fn disturbed(rounds: &Rounds<'_>) -> Option<String> {
    let cells = rounds.plan.cells.len();
    let counted = rounds
        .counted()
        .filter(|round| round.cell < cells && measured(round).is_some());
    let mut disturbances = counted.clone().filter_map(|round| {
        let disturbance = round.conditions.disturbance.as_deref()?;
        Some(format!("{disturbance} during {}", name(rounds, round.cell)))
    });
    let first = disturbances.next()?;
    Some(format!(
        "{} of {} rounds were disturbed but are counted: {first}; measure again when the machine has nothing else to \
         do",
        1 + disturbances.count(),
        counted.count()
    ))
}

/// Disturbed blocks: their last attempt counts, whatever the others measured.
fn redone_blocks(rounds: &Rounds<'_>) -> Option<String> {
    let (blocks, reasons) = rounds.retries();
    let (first, others) = match reasons.split_first() {
        Some((first, rest)) => (*first, rest.len()),
        None => ("the record does not say why", 0),
    };
    (blocks > 0).then(|| {
        format!(
            "{} redone; only the last attempt of each counts: {}",
            describe::were(blocks, "block"),
            describe::first_and_more(first.trim_end_matches('.'), others)
        )
    })
}

/// Failed rounds of a cell that has measured ones too: the remaining rounds may be the lucky ones.
fn failed_rounds(rounds: &Rounds<'_>, cell: usize) -> Option<String> {
    let mut reasons = rounds
        .of_cell(cell)
        .iter()
        .filter_map(|round| match &round.outcome {
            Outcome::Failed { reason } => Some(reason),
            _ => None,
        });
    let first = reasons.next()?;
    let failed = 1 + reasons.count();
    let measured = rounds.measured(cell).count();
    (measured > 0).then(|| {
        format!(
            "{}: {failed} of {} rounds failed: {first}",
            name(rounds, cell),
            failed + measured
        )
    })
}

/// In a closed load every session is always inside an operation, so mean service × throughput must equal the number of
/// sessions. Does not apply if operations may wait outside their service time.
fn littles_law(rounds: &Rounds<'_>, cell: usize) -> Option<String> {
    let planned = &rounds.plan.cells[cell];
    let scenario = rounds.scenario(&planned.scenario)?;
    let traits = rounds.plan.runtimes.get(&planned.runtime);
    let applies = matches!(scenario.stop, Stop::DurationNs(_))
        && matches!(planned.load, Load::Closed { .. })
        && traits.is_some_and(|traits| !traits.queues_before_service);
    if !applies {
        return None;
    }
    let worst = rounds
        .measured(cell)
        .filter_map(|round| littles_gap(&round.worker))
        .max_by(|a, b| a.excess.total_cmp(&b.excess))?;
    (worst.excess > 0.0).then(|| {
        format!(
            "{}: mean service × throughput is {:.1}, but {:.1} sessions were in flight; the two should agree within 2%",
            name(rounds, cell),
            worst.in_flight,
            worst.sessions
        )
    })
}

struct LittlesGap {
    in_flight: f64,
    sessions: f64,
    /// The difference beyond the tolerance; negative within it.
    excess: f64,
}

fn littles_gap(round: &Measurement) -> Option<LittlesGap> {
    if round.ops < FEWEST_OPS_PER_SESSION * u64::from(round.sessions) {
        return None;
    }
    // A session that waits for an operation which then fails is in flight as well.
    let failed_ns: f64 = round
        .errors
        .values()
        .filter_map(|errors| Some(errors.service.mean_ns()? * errors.service.count() as f64))
        .sum();
    let elapsed_ns = round.elapsed_ns as f64;
    let in_flight = (round.service.mean_ns()? * round.ops as f64 + failed_ns) / elapsed_ns;
    // Smaller than the requested number by the sessions that started late or ended early.
    let sessions = round.session_ns as f64 / elapsed_ns;
    let tolerance =
        LITTLE_TOLERANCE * sessions + BETWEEN_OPERATIONS_NS * round.ops as f64 / elapsed_ns;
    Some(LittlesGap {
        in_flight,
        sessions,
        excess: (in_flight - sessions).abs() - tolerance,
    })
}

/// A server without CPU time left was the bottleneck: the round measured the server.
fn server_bound(rounds: &Rounds<'_>, cell: usize) -> Option<String> {
    let placement = &rounds.plan.placement;
    // On shared CPUs, the usage of each side includes the other's.
    if placement.kind != PlacementKind::Split {
        return None;
    }
    let shares: Vec<Option<(f64, f64)>> = rounds
        .measured(cell)
        .map(|round| {
            let server = server_share(round, placement.server_cpus.len())?;
            let worker = worker_share(round, placement.worker_cpus.len())?;
            (server >= EXHAUSTED && worker < EXHAUSTED).then_some((server, worker))
        })
        .collect();
    let (server, worker) = shares.iter().flatten().next()?;
    (2 * shares.iter().flatten().count() > shares.len()).then(|| {
        format!(
            "{}: the server was the bottleneck, with its CPUs {:.0}% busy and the worker's {:.0}%: this is the server's \
             throughput, and a faster runtime would not show; give the server more CPUs or less to do",
            name(rounds, cell),
            100.0 * server.min(1.0),
            100.0 * worker
        )
    })
}

/// The share of their CPUs that the servers used in the measured phase.
///
/// Their CPU time is that of the whole round. Warm-up operations are like the measured ones, so each gets the same
/// share of it; opening the sessions takes too little to matter.
fn server_share(round: &Measured, cpus: usize) -> Option<f64> {
    let each: Option<Vec<u64>> = round
        .servers
        .values()
        .map(|counts| Some(counts.cpu_user_ns? + counts.cpu_system_ns?))
        .collect();
    let cpu_ns: u64 = each?.iter().sum();
    let ops = round.worker.ops + round.worker.failed_ops();
    let measured_part = ops as f64 / (ops + round.worker.warmup_ops).max(1) as f64;
    share(cpu_ns as f64 * measured_part, round, cpus)
}

fn worker_share(round: &Measured, cpus: usize) -> Option<f64> {
    let cost = &round.worker.cost;
    let cpu_ns = cost.cpu_user_ns? + cost.cpu_system_ns?;
    share(cpu_ns as f64, round, cpus)
}

fn share(cpu_ns: f64, round: &Measured, cpus: usize) -> Option<f64> {
    let available_ns = round.worker.elapsed_ns as f64 * cpus as f64;
    (available_ns > 0.0).then(|| cpu_ns / available_ns)
}

/// Connections that the kernel dropped are retried a second later.
fn overflowed(rounds: &Rounds<'_>, cell: usize) -> Option<String> {
    let of_cell = rounds.of_cell(cell).iter();
    let dropped: u64 = of_cell
        .filter(|round| measured(round).is_some())
        .filter_map(|round| round.conditions.listen_overflows)
        .sum();
    (dropped > 0).then(|| {
        format!(
            "{}: full accept queues dropped {dropped} connections, each of which was retried a second later: \
             the latencies include those seconds; raise net.core.somaxconn and the server's own backlog",
            name(rounds, cell)
        )
    })
}

/// Rounds of cells that are not in the plan: the record was assembled incorrectly.
fn strays(rounds: &Rounds<'_>) -> Option<String> {
    let cells = rounds.plan.cells.len();
    let strays = rounds.every().filter(|round| round.cell >= cells).count();
    (strays > 0).then(|| {
        format!(
            "{} of no cell in the plan left out",
            describe::plural(strays, "round")
        )
    })
}
