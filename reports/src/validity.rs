//! Validity: what went on around the rounds that makes their numbers tell of something else.
//!
//! A disturbed machine, a server that had no CPU time left, local ports that ran out, listeners that dropped
//! connections. What is doubtful becomes a warning in `checks`; what misleads makes the cell invalid in `summary`. What
//! counts as a disturbance was decided when the round ran, and stands in the record.

use photofinish_harness::workload::Failure;
use photofinish_record::{Measured, Outcome, PlacementKind, Record, Round};

use crate::checks::name;
use crate::rounds::{counted, failures, measured};

/// Share of its CPUs' time from which on a side has nothing left to give.
const EXHAUSTED: f64 = 0.95;

/// All that the rounds' surroundings say against them: first what concerns the run, then its cells.
pub fn warnings(record: &Record) -> Vec<String> {
    let cells = 0..record.plan.cells.len();
    let of_cells = cells.flat_map(|cell| [server_bound(record, cell), overflowed(record, cell)]);
    disturbed(record)
        .into_iter()
        .chain(of_cells.flatten())
        .collect()
}

/// What makes a round tell of this machine's ports instead of what was measured.
pub(crate) fn out_of_ports(round: &Measured) -> Option<String> {
    let failures = round.worker.errors.get(Failure::PORTS)?;
    Some(format!(
        "{} operations found no local port to connect from, which says nothing about the server: closed connections hold \
         theirs for a minute; keep connections open, or widen net.ipv4.ip_local_port_range",
        failures.count
    ))
}

/// Rounds that count although something disturbed them.
fn disturbed(record: &Record) -> Option<String> {
    let counting = counting(record);
    let mut disturbances = counting.iter().filter_map(|round| {
        let what = round.conditions.disturbance.as_deref()?;
        Some(format!("{what} during {}", name(record, round.cell)))
    });
    let first = disturbances.next()?;
    let count = 1 + disturbances.count();
    Some(format!(
        "{count} of {} rounds were disturbed and count all the same: {first}; measure again when the machine has nothing \
         else to do",
        counting.len()
    ))
}

/// The measured rounds of the plan's cells that count.
fn counting(record: &Record) -> Vec<&Round> {
    let planned = |round: &&Round| {
        round.cell < record.plan.cells.len() && matches!(round.outcome, Outcome::Ok(_))
    };
    counted(record).filter(planned).collect()
}

/// A server without CPU time left is what was measured, while the worker waited for it.
fn server_bound(record: &Record, cell: usize) -> Option<String> {
    let placement = &record.plan.placement;
    // On CPUs of both, each is busy with the other's time.
    if placement.kind != PlacementKind::Split {
        return None;
    }
    let mut bound = Vec::new();
    let mut rounds = 0;
    for (_, round) in measured(record, cell) {
        rounds += 1;
        let server = server_share(round, placement.server_cpus.len());
        let worker = worker_share(round, placement.worker_cpus.len());
        bound.extend(
            server
                .zip(worker)
                .filter(|(server, worker)| *server >= EXHAUSTED && *worker < EXHAUSTED),
        );
    }
    let (server, worker) = *bound.first()?;
    (2 * bound.len() > rounds).then(|| {
        format!(
            "{}: the server was the limit, with its CPUs {:.0}% busy and the worker's {:.0}%: the throughput is the \
             server's, and a faster runtime could not show it; give the server more CPUs or less to do",
            name(record, cell),
            100.0 * server.min(1.0),
            100.0 * worker
        )
    })
}

/// How much of its CPUs the servers used in the measured phase.
///
/// Their CPU time is that of the whole round. The warm-up's operations are like those that count, so they have their
/// part of it by number; what opening the sessions took is too little to matter.
fn server_share(round: &Measured, cpus: usize) -> Option<f64> {
    let each: Option<Vec<u64>> = round
        .servers
        .values()
        .map(|counts| Some(counts.cpu_user_ns? + counts.cpu_system_ns?))
        .collect();
    let cpu_ns: u64 = each?.iter().sum();
    let ops = round.worker.ops + failures(&round.worker);
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

/// Connections that the kernel dropped are tried again a second later.
fn overflowed(record: &Record, cell: usize) -> Option<String> {
    let dropped: u64 = counting(record)
        .iter()
        .filter(|round| round.cell == cell)
        .filter_map(|round| round.conditions.listen_overflows)
        .sum();
    (dropped > 0).then(|| {
        format!(
            "{}: full queues of listeners dropped {dropped} connections, each of which was tried again a second later: \
             latencies hold those seconds; raise net.core.somaxconn and the server's own backlog",
            name(record, cell)
        )
    })
}
