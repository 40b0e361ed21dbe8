//! Warnings: reasons to doubt the numbers, derived from the rounds themselves.
//!
//! Disturbed and redone blocks, failed rounds, exhausted servers, dropped and reopened connections, and violations of
//! Little's law. Anything that makes a cell's numbers wrong rather than doubtful is in `validity`; disturbances were
//! determined when the round ran, and are in the record. A new warning is a function and a line in [`warnings`].

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use photofinish_record::load::{Load, Stop};
use photofinish_record::{Measured, Measurement, Outcome, PlacementKind, RuntimeFamily};

use crate::describe;
use crate::metrics::EXHAUSTED;
use crate::rounds::{Rounds, measured};
use crate::shards;
use crate::units;
use crate::warmup;

/// CPU share below which a side is mostly waiting.
const IDLE: f64 = 0.5;

/// Tolerance of mean service × throughput against the sessions in flight.
const LITTLE_TOLERANCE: f64 = 0.02;

/// Time of the measuring loop between two operations of a session (two clock reads and a record), in ns; it is in no
/// operation's service time.
const BETWEEN_OPERATIONS_NS: f64 = 150.0;

/// With fewer operations per session the first and the last one weigh too much for Little's law.
const FEWEST_OPS_PER_SESSION: u64 = 50;

/// A sentence, and the cells whose numbers it makes doubtful.
pub(super) struct Warning {
    pub(super) text: String,
    pub(super) cells: Vec<usize>,
}

/// Every warning: first those about the run, then those about its cells, one check after another.
pub(super) fn warnings(rounds: &Rounds<'_>) -> Vec<Warning> {
    let of = |checks: &'static [CellCheck], alike| {
        checks
            .iter()
            .flat_map(move |check| of_cells(rounds, *check, alike))
    };
    let any: Alike = |_, _| true;
    let equal: Alike = |one, other| one == other;
    let each = |warning: Option<Warning>| warning.into_iter();
    each(disturbed(rounds))
        .chain(unlike_shards(rounds))
        .chain(of(
            &[
                server_bound,
                overflowed,
                reconnected,
                delayed_ack,
                out_of_rows,
                shards::generator_bound,
            ],
            any,
        ))
        .chain(redone_blocks(rounds))
        .chain(cold_lanes(rounds))
        .chain(of(
            &[
                failed_rounds,
                nothing_due,
                worker_warnings,
                shards::outliers,
            ],
            equal,
        ))
        .chain(littles_law(rounds))
        .chain(strays(rounds))
        .collect()
}

/// Shards on unlike machines: a warning about every cell.
fn unlike_shards(rounds: &Rounds<'_>) -> impl Iterator<Item = Warning> {
    let sentences = rounds.shards.map(shards::unlike).unwrap_or_default();
    sentences.into_iter().map(|text| Warning {
        text,
        cells: Vec::new(),
    })
}

/// A warning about one cell, without the cell's name.
type CellCheck = fn(&Rounds<'_>, usize) -> Option<String>;

/// True if one warning stands for both.
type Alike = fn(&str, &str) -> bool;

/// The warnings of one check. Runtimes under the same load share one: seven identical warnings would hide the others.
fn of_cells(rounds: &Rounds<'_>, check: CellCheck, alike: Alike) -> Vec<Warning> {
    let cells = &rounds.plan.cells;
    let mut all: Vec<Warning> = Vec::new();
    for (index, cell) in cells.iter().enumerate() {
        let Some(text) = check(rounds, index) else {
            continue;
        };
        let shared = all.iter_mut().find(|shown| {
            let first = &cells[shown.cells[0]];
            (&first.scenario, first.load, first.arm) == (&cell.scenario, cell.load, cell.arm)
                && alike(&shown.text, &text)
        });
        match shared {
            Some(shown) => shown.cells.push(index),
            None => all.push(Warning {
                text,
                cells: vec![index],
            }),
        }
    }
    for warning in &mut all {
        let others = warning.cells[1..].iter();
        let others: Vec<&str> = others.map(|cell| &*cells[*cell].runtime).collect();
        let (first, text) = (name(rounds, warning.cells[0]), &warning.text);
        warning.text = match others.as_slice() {
            [] => format!("{first}: {text}"),
            others => format!("{first}: {text}; likewise {}", others.join(", ")),
        };
    }
    all
}

fn name(rounds: &Rounds<'_>, cell: usize) -> String {
    describe::cell(&rounds.plan.cells[cell])
}

/// Rounds that count although they were disturbed.
fn disturbed(rounds: &Rounds<'_>) -> Option<Warning> {
    let cells = rounds.plan.cells.len();
    let counted = rounds
        .counted()
        .filter(|round| round.cell < cells && measured(round).is_some());
    let mut disturbances = counted.clone().filter_map(|round| {
        let disturbance = round.conditions.disturbance.as_deref()?;
        Some(format!("{disturbance} during {}", name(rounds, round.cell)))
    });
    let first = disturbances.next()?;
    let text = format!(
        "{} of {} rounds were disturbed but are counted: {first}; measure again when the machine has nothing else to \
         do",
        1 + disturbances.count(),
        counted.clone().count()
    );
    let disturbed = counted.filter(|round| round.conditions.disturbance.is_some());
    let cells = BTreeSet::from_iter(disturbed.map(|round| round.cell));
    Some(Warning {
        text,
        cells: cells.into_iter().collect(),
    })
}

/// Disturbed blocks: their last attempt counts, whatever the others measured.
fn redone_blocks(rounds: &Rounds<'_>) -> Option<Warning> {
    let discarded = rounds.discarded();
    let blocks = BTreeSet::from_iter(discarded.clone().map(|round| round.block)).len();
    let mut reasons = discarded.filter_map(|round| round.conditions.disturbance.as_deref());
    let first = reasons
        .clone()
        .next()
        .unwrap_or("the record does not say why");
    let others = BTreeSet::from_iter(reasons.by_ref())
        .len()
        .saturating_sub(1);
    let attempt = if blocks == 1 {
        "its last attempt counts"
    } else {
        "the last attempt of each counts"
    };
    let reasons = match others {
        0 => String::new(),
        others => format!(", and {}", describe::plural(others, "further reason")),
    };
    let text = format!(
        "{} redone, and {attempt}: {}{reasons}",
        describe::were(blocks, "block"),
        first.trim_end_matches('.')
    );
    let cells = Vec::new();
    (blocks > 0).then_some(Warning { text, cells })
}

/// Lanes that were measured before their code was compiled.
fn cold_lanes(rounds: &Rounds<'_>) -> impl Iterator<Item = Warning> {
    let lanes = warmup::cold_lanes(rounds.plan).into_iter();
    lanes.map(|lane| Warning {
        text: describe::cold_lane(&lane),
        cells: lane.cells,
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
    (measured > 0).then(|| format!("{failed} of {} rounds failed: {first}", failed + measured))
}

/// Rounds of an open load whose schedule has no arrival: the rate is too low for their length.
fn nothing_due(rounds: &Rounds<'_>, cell: usize) -> Option<String> {
    let open = || {
        let measured = rounds.measured(cell);
        measured.filter_map(|round| round.worker.open.as_ref())
    };
    let empty = open().filter(|open| open.scheduled == 0).count();
    (empty > 0).then(|| {
        format!(
            "no operation was due in {empty} of {}: raise the rate, or lengthen the rounds",
            describe::plural(open().count(), "round")
        )
    })
}

/// Oddities noticed by the worker.
fn worker_warnings(rounds: &Rounds<'_>, cell: usize) -> Option<String> {
    let mut warnings = rounds
        .measured(cell)
        .flat_map(|round| &round.worker.warnings);
    let first = warnings.next()?;
    Some(describe::first_and_more(first, warnings.count()))
}

/// In a closed load every session is always inside an operation, so mean service × throughput must equal the number of
/// sessions. One sentence for all cells whose operations block their threads, and one for all others, with the worst.
fn littles_law(rounds: &Rounds<'_>) -> impl Iterator<Item = Warning> {
    let cells = 0..rounds.plan.cells.len();
    let gaps = cells.filter_map(|cell| Some((cell, littles_gap_of(rounds, cell)?)));
    let mut gaps: Vec<(usize, LittlesGap)> = gaps.collect();
    gaps.sort_by(|(_, a), (_, b)| (b.excess / b.sessions).total_cmp(&(a.excess / a.sessions)));
    let (blocking, others): (Vec<_>, Vec<_>) = gaps
        .into_iter()
        .partition(|(cell, gap)| blocks_threads(rounds, *cell, gap));
    let sentence = |gaps: Vec<(usize, LittlesGap)>, blocks: bool| {
        let cells = gaps.iter().map(|(cell, _)| *cell).collect();
        let ((cell, worst), others) = gaps.split_first()?;
        let digits = if worst.sessions < 10.0 { 3 } else { 1 };
        let others = match others.len() {
            0 => String::new(),
            others => format!(" (and {})", describe::plural(others, "more cell")),
        };
        let cell = name(rounds, *cell);
        let (in_flight, sessions) = (worst.in_flight, worst.sessions);
        let text = if blocks {
            format!(
                "{cell}{others}: {in_flight:.digits$} of {sessions:.digits$} sessions were inside an operation at a \
                 time: operations block their thread, and the other sessions wait for it outside of their service times; \
                 compare throughput"
            )
        } else {
            format!(
                "{cell}{others}: mean service × throughput is {in_flight:.digits$} where {sessions:.digits$} sessions \
                 were in flight: times and throughput differ by {}",
                units::percent((in_flight / sessions - 1.0).abs())
            )
        };
        Some(Warning { text, cells })
    };
    sentence(blocking, true)
        .into_iter()
        .chain(sentence(others, false))
}

/// True if an asynchronous runtime was inside at most one operation per thread: they never gave it up to another session.
fn blocks_threads(rounds: &Rounds<'_>, cell: usize, gap: &LittlesGap) -> bool {
    let traits = rounds.plan.runtimes.get(&rounds.plan.cells[cell].runtime);
    let most = gap.threads * (1.0 + LITTLE_TOLERANCE);
    traits.is_some_and(|traits| traits.family == RuntimeFamily::Async) && gap.in_flight <= most
}

/// The worst round of a cell, if it is beyond the tolerance. Does not apply if operations may wait outside their
/// service time.
fn littles_gap_of(rounds: &Rounds<'_>, cell: usize) -> Option<LittlesGap> {
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
        .max_by(|a, b| a.excess.total_cmp(&b.excess));
    worst.filter(|worst| worst.excess > 0.0)
}

struct LittlesGap {
    in_flight: f64,
    sessions: f64,
    /// Threads of the runtime.
    threads: f64,
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
    let mean_ns = round.service.mean_ns()?;
    let gap = |in_flight: f64, sessions: f64, distance: f64| {
        let between = BETWEEN_OPERATIONS_NS * round.ops as f64 / elapsed_ns;
        LittlesGap {
            in_flight,
            sessions,
            threads: f64::from(round.worker_threads),
            excess: distance - LITTLE_TOLERANCE * sessions - between,
        }
    };
    // Smaller than the requested number by the sessions that started late or ended early.
    let (in_flight, sessions) = (
        (mean_ns * round.ops as f64 + failed_ns) / elapsed_ns,
        round.session_ns as f64 / elapsed_ns,
    );
    let over_the_round = gap(in_flight, sessions, (in_flight - sessions).abs());
    // The printed throughput counts each session up to the end of its last operation, so that it fits all of them.
    let (in_flight, sessions) = (
        mean_ns * round.throughput_ops_s / 1e9,
        f64::from(round.sessions),
    );
    let as_printed = gap(in_flight, sessions, in_flight - sessions);
    let gaps = [over_the_round, as_printed];
    gaps.into_iter()
        .max_by(|a, b| a.excess.total_cmp(&b.excess))
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
            "the server was the bottleneck, with its CPUs {:.0}% busy and the worker's {:.0}%: this is the server's \
             throughput, and a faster runtime would not show; give the server more CPUs or less to do",
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
        .map(|counts| Some(counts.cpu_user_ns?.saturating_add(counts.cpu_system_ns?)))
        .collect();
    let cpu_ns = each?.into_iter().fold(0, u64::saturating_add);
    let ops = round.worker.ops.saturating_add(round.worker.failed_ops());
    let all = ops.saturating_add(round.worker.warmup_ops);
    let measured_part = ops as f64 / all.max(1) as f64;
    share(cpu_ns as f64 * measured_part, round, cpus)
}

fn worker_share(round: &Measured, cpus: usize) -> Option<f64> {
    let cost = &round.worker.cost;
    let cpu_ns = cost.cpu_user_ns?.saturating_add(cost.cpu_system_ns?);
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
        .fold(0, u64::saturating_add);
    (dropped > 0).then(|| {
        format!(
            "full accept queues dropped {}, each of which was retried a second later: the latencies include those \
             seconds; raise net.core.somaxconn and the server's own backlog",
            describe::plural(dropped as usize, "connection")
        )
    })
}

/// Requests whose keep-alive connection was closed by the server: their times include a new connection.
fn reconnected(rounds: &Rounds<'_>, cell: usize) -> Option<String> {
    let of_cell = rounds.of_cell(cell).iter();
    let (mut reconnects, mut operations) = (0, 0);
    for Measured { worker, .. } in of_cell.filter_map(|round| measured(round)) {
        let of_targets = worker.traffic.values();
        reconnects += of_targets.map(|traffic| traffic.reconnects).sum::<u64>();
        operations += worker.ops + worker.failed_ops();
    }
    (reconnects > 0).then(|| {
        format!(
            "the server closed {reconnects} keep-alive connections before their next request (over {operations} \
             operations and the warm-up); each was reopened within an operation; raise the server's keep-alive \
             timeout, or lower the sessions, to measure without that"
        )
    })
}

/// Rounds of a closed load that ended early because a feed with the order `once` ran out of rows.
fn out_of_rows(rounds: &Rounds<'_>, cell: usize) -> Option<String> {
    let planned = &rounds.plan.cells[cell];
    let scenario = rounds.scenario(&planned.scenario)?;
    let (Stop::DurationNs(stop), Load::Closed { .. }) = (scenario.stop, planned.load) else {
        return None;
    };
    let feeds = scenario.params["feed"].as_object()?;
    let (feed, _) = feeds.iter().find(|(_, feed)| feed["order"] == "once")?;
    let is_early = |elapsed_ns: &u64| (*elapsed_ns as f64) < 0.98 * stop.get() as f64;
    let elapsed = rounds.measured(cell).map(|round| round.worker.elapsed_ns);
    let elapsed: Vec<u64> = elapsed.collect();
    let early: Vec<u64> = elapsed.iter().copied().filter(is_early).collect();
    let shortest = early.iter().min()?;
    Some(format!(
        "the feed `{feed}` ran out of rows in {} of {}, after {} of {} in the shortest; give the file more rows, or end \
         the rounds by `load.ops`",
        early.len(),
        describe::plural(elapsed.len(), "round"),
        units::duration(*shortest as f64),
        units::duration(stop.get() as f64),
    ))
}

/// Range of a response time with a delayed acknowledgement, in ns: 40 ms on Linux, plus the rest of the operation.
const DELAYED_ACK_NS: RangeInclusive<u64> = 38_000_000..=46_000_000;

/// A server that sends a response in two pieces, of which Nagle's algorithm holds back the second until the first one
/// is acknowledged: most operations take 40 ms, nothing is busy, and each response takes more than one read.
fn delayed_ack(rounds: &Rounds<'_>, cell: usize) -> Option<String> {
    let worker_cpus = rounds.plan.placement.worker_cpus.len();
    let waits: Vec<bool> = rounds
        .measured(cell)
        .map(|round| {
            let (reads, requests) = round.worker.traffic.values().fold((0, 0), |sum, traffic| {
                (sum.0 + traffic.reads, sum.1 + traffic.requests)
            });
            let median_ns = round.worker.service.quantile_ns(0.5);
            median_ns.is_some_and(|median_ns| DELAYED_ACK_NS.contains(&median_ns))
                && 2 * reads >= 3 * requests
                && requests > 0
                && worker_share(round, worker_cpus).is_none_or(|share| share < IDLE)
        })
        .collect();
    let waiting = waits.iter().filter(|waits| **waits).count();
    (waiting > 0 && 2 * waiting > waits.len()).then(|| {
        "half of the operations took 40 ms with idle CPUs, and each response came in several pieces: the server's \
         socket waits for a delayed ACK; set TCP_NODELAY in the server, or write each response at once"
            .to_owned()
    })
}

/// Rounds of cells that are not in the plan: the record was assembled incorrectly.
fn strays(rounds: &Rounds<'_>) -> Option<Warning> {
    let cells = rounds.plan.cells.len();
    let strays = rounds.every().filter(|round| round.cell >= cells).count();
    let text = format!(
        "{} of no cell in the plan left out",
        describe::plural(strays, "round")
    );
    let cells = Vec::new();
    (strays > 0).then_some(Warning { text, cells })
}
