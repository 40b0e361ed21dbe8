//! Profiled rounds: one more round of each measured cell, whose worker is sampled. None is among the results.

use photofinish_record::{Outcome, Profile, Record};
use photofinish_reports::describe;

use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::output;
use crate::process::profiler::Sampler;
use crate::run::round::RoundResult;

/// Samples each measured cell, in the order of the plan, and warns about one that cannot be sampled. `measure` runs a
/// round of a cell with the sampler. Returns a failure if the user interrupts it.
pub fn sample_cells(
    record: &mut Record,
    interrupt: &Interrupt,
    sampler: &Sampler,
    measure: &mut dyn FnMut(&Record, usize) -> RoundResult,
) -> Option<Failure> {
    let is_ok = |outcome: &Outcome| matches!(outcome, Outcome::Ok(_));
    let measured = |cell: &usize| {
        let mut rounds = record.rounds.iter().filter(|round| round.cell == *cell);
        rounds.any(|round| is_ok(&round.outcome))
    };
    let cells: Vec<usize> = (0..record.plan.cells.len()).filter(measured).collect();
    let all = cells.len();
    let advise = |text: &str| {
        if !output::is_quiet() {
            output::advise(text);
        }
    };
    let rounds = describe::plural(all, "more round").replace("1 more", "one more");
    advise(&format!(
        "sampling {rounds} for profiles, not counted as results"
    ));
    for (index, cell) in cells.into_iter().enumerate() {
        let name = record.plan.cells[cell].to_string();
        advise(&format!("profile {} of {all}: {name}", index + 1));
        let result = measure(record, cell);
        let stacks = sampler.end();
        if interrupt.requested() {
            let done = format!("profiles: interrupted after {index} of {all}");
            record.warnings.push(done);
            let failure = Failure::new(Exit::Interrupted, "interrupted while sampling");
            return Some(failure.hint("the results are complete; only profiles are missing"));
        }
        let profile = match (result.outcome, result.failure) {
            (Some(Outcome::Ok(measured)), None) => stacks.map(|stacks| Profile {
                cell,
                throughput_ops_s: measured.worker.throughput_ops_s,
                user_only: stacks.user_only,
                stacks: stacks.folded,
            }),
            (_, failure) => Err(failure.unwrap_or_else(|| Failure::could_not_run("not measured"))),
        };
        match profile {
            Ok(profile) => record.profiles.push(profile),
            Err(failure) => {
                let reason = failure.in_one_line();
                record
                    .warnings
                    .push(format!("no profile of {name}: {reason}"));
            }
        }
    }
    None
}
