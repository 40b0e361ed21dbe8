//! A part that runs alongside others, is woken at fixed times and records how late.
//!
//! A task that does not yield costs its neighbours time, not itself. The due times are fixed before anything starts, so
//! a stall shows up in every due time within it, even under a runtime that runs parts in sequence. The lag probe of the
//! harness does the same over a whole round.

use std::time::{Duration, Instant};

use photofinish_harness::observed::Observed;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::Failure;
use photofinish_record::nanoseconds;

use super::tallies::lateness;

/// The wake-ups of a bystander: `times` of them, `period` apart, from `start` on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub(super) start: Instant,
    pub(super) period: Duration,
    pub(super) times: u32,
}

/// Wakes by `schedule`, and returns how often it did; its lateness goes into `bystander_delay`, the worst into `stall`.
pub(super) async fn stand_by<R: Runtime>(
    runtime: R,
    observed: Observed,
    schedule: Schedule,
) -> Result<u32, Failure> {
    let mut worst_ns = 0;
    let mut woke = 0;
    for number in 1..=schedule.times {
        let due = schedule.start + schedule.period * number;
        runtime.sleep_until(due).await;
        let delay_ns = nanoseconds(lateness(due, Instant::now())?);
        woke += 1;
        observed.time_ns("bystander_delay", delay_ns);
        worst_ns = delay_ns.max(worst_ns);
    }
    observed.time_ns("stall", worst_ns);
    Ok(woke)
}
