//! The share that each shard of a run has of every load, in text, for `photofinish plan --shards`.

use std::fmt::Write;
use std::num::NonZeroU32;

use photofinish_record::load::{Load, Stop};
use photofinish_record::schedule::Schedule;
use photofinish_record::shard::Shard;
use photofinish_record::{Cell, Plan, PlannedScenario};
use photofinish_reports::describe;

use crate::exit::Failure;
use crate::request::shards::too_few_sessions;

/// A shard's part of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Share {
    sessions: u32,
    /// Operations of the measured phase, if their number is known beforehand.
    operations: Option<u64>,
}

/// A paragraph for each load, with a line for each group of neighbouring shards with equal shares.
pub fn of_shards(plan: &Plan, seed: u64, count: NonZeroU32) -> Result<String, Failure> {
    let mut text = format!(
        "Shares of {}\n",
        describe::plural(count.get() as usize, "shard")
    );
    let mut seen = Vec::new();
    for cell in plan.cells.iter().filter(|cell| cell.unsupported.is_none()) {
        let load = (&cell.scenario, cell.load);
        if seen.contains(&load) {
            continue;
        }
        seen.push(load);
        let _ = writeln!(text, "  {}, {}", cell.scenario, cell.load);
        match shares(plan.scenario_of(cell), cell, seed, count) {
            None => return Err(too_few_sessions(cell.load, count)),
            Some(shares) => lines(&mut text, &shares),
        }
    }
    if count.get() > 1 {
        text += "\nSeveral pools of sessions queue a little longer than one of all sessions under an open load. Runtimes that \
                 always have one session (sync) cannot be split.\n";
    }
    Ok(text)
}

fn lines(text: &mut String, shares: &[Share]) {
    let mut first = 0;
    for alike in shares.chunk_by(|one, next| one == next) {
        let Share {
            sessions,
            operations,
        } = alike[0];
        let last = first + alike.len() - 1;
        let shards = match alike.len() {
            1 => format!("shard {first}"),
            _ => format!("shards {first} to {last}"),
        };
        let sessions = describe::plural(sessions as usize, "session");
        let each = if alike.len() == 1 { "" } else { " each" };
        let operations =
            operations.map(|count| format!(", {}", describe::plural(count as usize, "operation")));
        let _ = writeln!(
            text,
            "    {shards}: {sessions}{}{each}",
            operations.unwrap_or_default()
        );
        first = last + 1;
    }
}

/// The shares of a cell; `None` if a shard would have no session.
fn shares(
    scenario: &PlannedScenario,
    cell: &Cell,
    seed: u64,
    count: NonZeroU32,
) -> Option<Vec<Share>> {
    let all = cell.load.concurrency();
    if all < count {
        return None;
    }
    let arrivals = arrivals(scenario, cell.load, seed);
    let share = |index: u32| {
        let shard = Shard::new(index, count).expect("less than the count");
        let sessions = shard.sessions(all).map_or(0, NonZeroU32::get);
        let own = |all: u64| {
            let count = u64::from(count.get());
            all / count + u64::from(u64::from(index) < all % count)
        };
        let of_sessions = |ops: u64| {
            let sessions = (0..sessions).map(|session| shard.number(session.into()));
            let all = u64::from(all.get());
            sessions
                .map(|number| ops / all + u64::from(number < ops % all))
                .sum()
        };
        Share {
            sessions,
            operations: match (arrivals, scenario.stop) {
                (Some(arrivals), _) => Some(own(arrivals)),
                (None, Stop::Ops(ops)) => Some(of_sessions(ops.get())),
                (None, Stop::DurationNs(_)) => None,
            },
        }
    };
    Some((0..count.get()).map(share).collect())
}

/// Arrivals of an open load in one round; `None` for a closed load.
fn arrivals(scenario: &PlannedScenario, load: Load, seed: u64) -> Option<u64> {
    let Load::Open {
        arrivals, rate_hz, ..
    } = load
    else {
        return None;
    };
    let schedule = if scenario.stages.is_empty() {
        Schedule::steady(arrivals, rate_hz, scenario.stop, seed)
    } else {
        Schedule::staged(arrivals, rate_hz, &scenario.stages, seed)
    };
    Some(schedule.due_times().count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_shares_are_one_line() {
        let share = |sessions, operations| Share {
            sessions,
            operations,
        };
        let mut text = String::new();
        lines(
            &mut text,
            &[share(3, Some(8)), share(2, Some(7)), share(2, Some(7))],
        );
        assert_eq!(
            text,
            "    shard 0: 3 sessions, 8 operations\n    shards 1 to 2: 2 sessions, 7 operations each\n"
        );
    }
}
