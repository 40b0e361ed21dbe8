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

use super::tallies::not_early;

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
        let delay_ns = delay_ns(due, Instant::now())?;
        woke += 1;
        observed.time_ns("bystander_delay", delay_ns);
        worst_ns = delay_ns.max(worst_ns);
    }
    observed.time_ns("stall", worst_ns);
    Ok(woke)
}

fn delay_ns(due: Instant, woke: Instant) -> Result<u64, Failure> {
    not_early(due, woke)?;
    Ok(nanoseconds(woke - due))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_is_told_in_nanoseconds_and_waking_early_is_wrong() {
        let due = Instant::now() + Duration::from_secs(1);
        let late = due + Duration::from_millis(2);
        assert_eq!(delay_ns(due, late), Ok(2_000_000));
        let early = due - Duration::from_nanos(1);
        assert_eq!(
            delay_ns(due, early).unwrap_err().kind,
            Failure::WRONG_CONTENT
        );
    }
}
