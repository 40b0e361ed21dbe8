//! Checks: what the rounds themselves say against believing them.
//!
//! Each check reads a record and answers with sentences for people, which join the record's own warnings. What makes a
//! cell's numbers wrong rather than doubtful is judged in `summary`, what went on around the rounds in `validity`. A new check is
//! a function and a line in [`warnings`].

use photofinish_record::load::{Load, Stop};
use photofinish_record::{Measurement, Outcome, Record};

use crate::rounds::{measured, of_cell, redone, scenario};
use crate::{describe, runtimes, validity};

/// How far mean service × throughput may be from the sessions in flight.
const LITTLE_TOLERANCE: f64 = 0.02;

/// What the measuring loop spends between two operations of a session (two clock reads and a record), in ns; part of
/// no operation's service time.
const BETWEEN_OPERATIONS_NS: f64 = 150.0;

/// Operations per session below which the first and the last one weigh too much for Little's law.
const FEWEST_OPS_PER_SESSION: u64 = 50;

/// All that the rounds say against themselves, in the plan's order.
pub fn warnings(record: &Record) -> Vec<String> {
    let cells = 0..record.plan.cells.len();
    let of_cells = cells.flat_map(|cell| [failed_rounds(record, cell), littles_law(record, cell)]);
    validity::warnings(record)
        .into_iter()
        .chain(redone_blocks(record))
        .chain(of_cells.flatten())
        .chain(strays(record))
        .collect()
}

/// Blocks that something else on the machine disturbed: their last attempt counts, whatever the others measured.
fn redone_blocks(record: &Record) -> Option<String> {
    let redone = redone(record);
    let (first, others) = redone
        .reasons
        .split_first()
        .map_or(("the record does not say why", 0), |(first, rest)| {
            (first.as_str(), rest.len())
        });
    (redone.blocks > 0).then(|| {
        format!(
            "{} redone, and of each only the last attempt counts: {}{}",
            describe::were(redone.blocks, "block"),
            full_stop_off(first),
            and_more(others)
        )
    })
}

fn and_more(others: usize) -> String {
    match others {
        0 => String::new(),
        others => format!(" (and {others} more)"),
    }
}

fn full_stop_off(sentence: &str) -> &str {
    sentence.trim_end_matches('.')
}

/// Rounds that failed beside others that were measured: those left may be the lucky ones.
fn failed_rounds(record: &Record, cell: usize) -> Option<String> {
    let mut reasons = of_cell(record, cell).filter_map(|round| match &round.outcome {
        Outcome::Failed { reason } => Some(reason),
        _ => None,
    });
    let first = reasons.next()?;
    let failed = 1 + reasons.count();
    let measured = measured(record, cell).count();
    (measured > 0).then(|| {
        format!(
            "{}: {failed} of {} rounds failed: {first}",
            name(record, cell),
            failed + measured
        )
    })
}

/// In a closed load every session is always inside an operation, so mean service × throughput must be their number.
fn littles_law(record: &Record, cell: usize) -> Option<String> {
    let planned = &record.plan.cells[cell];
    let timed = matches!(
        scenario(record, &planned.scenario)?.stop,
        Stop::DurationNs(_)
    );
    if !timed || runtimes::queues_before_service(&planned.runtime) {
        return None;
    }
    let Load::Closed { .. } = planned.load else {
        return None;
    };
    let gaps = measured(record, cell).filter_map(|(_, round)| littles_gap(&round.worker));
    let worst = gaps.max_by(|a, b| a.beyond.total_cmp(&b.beyond))?;
    (worst.beyond > 0.0).then(|| {
        format!(
            "{}: mean service × throughput is {:.1} where {:.1} sessions were in flight; the two should agree within 2%",
            name(record, cell),
            worst.in_flight,
            worst.sessions
        )
    })
}

struct Gap {
    in_flight: f64,
    sessions: f64,
    /// How far the difference is beyond what is tolerated; negative within.
    beyond: f64,
}

fn littles_gap(round: &Measurement) -> Option<Gap> {
    if round.ops < FEWEST_OPS_PER_SESSION * u64::from(round.sessions) {
        return None;
    }
    // A session that waits for an operation to fail is in flight as well.
    let failed_ns: f64 = round
        .errors
        .values()
        .filter_map(|errors| Some(errors.service.mean_ns()? * errors.service.count() as f64))
        .sum();
    let elapsed_ns = round.elapsed_ns as f64;
    let in_flight = (round.service.mean_ns()? * round.ops as f64 + failed_ns) / elapsed_ns;
    // Fewer than were asked for, by those that began late or ended early.
    let sessions = round.session_ns as f64 / elapsed_ns;
    let tolerated =
        LITTLE_TOLERANCE * sessions + BETWEEN_OPERATIONS_NS * round.ops as f64 / elapsed_ns;
    Some(Gap {
        in_flight,
        sessions,
        beyond: (in_flight - sessions).abs() - tolerated,
    })
}

/// Rounds of cells the plan does not have: the record was put together wrongly.
fn strays(record: &Record) -> Option<String> {
    let cells = record.plan.cells.len();
    let strays = record
        .rounds
        .iter()
        .filter(|round| round.cell >= cells)
        .count();
    (strays > 0).then(|| {
        format!(
            "{} of no cell in the plan left out",
            describe::plural(strays, "round")
        )
    })
}

pub(crate) fn name(record: &Record, cell: usize) -> String {
    let cell = &record.plan.cells[cell];
    let point = describe::point(cell.load, cell.arm);
    format!("{} / {} ({point})", cell.scenario, cell.runtime)
}
