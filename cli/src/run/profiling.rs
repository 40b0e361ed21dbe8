//! Profiled rounds: one more round of each measured cell, whose worker is sampled. None is among the results.

use std::cell::RefCell;

use photofinish_record::{Outcome, Profile, Record};
use photofinish_reports::describe;

use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::output;
use crate::process::profiler::Sampling;
use crate::run::round::RoundResult;

/// Samples each cell that was measured, in the order of the plan; a cell that cannot be is a warning. `measure` runs a
/// round of a cell and leaves what samples its worker in `sampling`.
pub fn sample_cells(
    record: &mut Record,
    interrupt: &Interrupt,
    sampling: &RefCell<Option<Sampling>>,
    measure: &mut dyn FnMut(&Record, usize) -> RoundResult,
) {
    let measured = |cell: &usize| {
        let is_ok = |outcome: &Outcome| matches!(outcome, Outcome::Ok(_));
        record
            .rounds
            .iter()
            .any(|round| round.cell == *cell && is_ok(&round.outcome))
    };
    let cells: Vec<usize> = (0..record.plan.cells.len()).filter(measured).collect();
    if !output::is_quiet() {
        let rounds = describe::plural(cells.len(), "round");
        output::advise(&format!(
            "sampling {rounds} more, which {} not among the results",
            match cells.len() {
                1 => "is",
                _ => "are",
            }
        ));
    }
    for cell in cells {
        if interrupt.requested() {
            return;
        }
        let result = measure(record, cell);
        let stacks = match sampling.take() {
            Some(sampling) => sampling.stacks(),
            None => Err(result
                .failure
                .unwrap_or_else(|| Failure::could_not_run("no worker was started"))),
        };
        let throughput_ops_s = match result.outcome {
            Some(Outcome::Ok(measured)) => Some(measured.worker.throughput_ops_s),
            _ => None,
        };
        match stacks {
            Ok((stacks, user_only)) => record.profiles.push(Profile {
                cell,
                throughput_ops_s,
                user_only,
                stacks,
            }),
            Err(failure) => {
                let name = &record.plan.cells[cell];
                record
                    .warnings
                    .push(format!("no profile of {name}: {}", failure.in_one_line()));
            }
        }
    }
}
