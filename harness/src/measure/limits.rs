//! Time limits of a round: no step of it waits forever, whatever a server does or fails to do.
//!
//! Set-up and closing time out within the runtime, so that their resources are released. Everything else, and
//! anything that does not heed the runtime's deadline, is ended by the supervisor.

use std::num::NonZeroU32;
use std::time::Duration;

use super::common_start;

use photofinish_record::load::{Load, Stop};
use photofinish_record::protocol::WorkerPlan;

/// Setting up, which may write files of hundreds of megabytes.
pub(super) const PREPARE: Duration = Duration::from_secs(60);

/// Opening all sessions, one after another: a base, and an addition per session.
const OPEN: Duration = Duration::from_secs(10);
const OPEN_EACH: Duration = Duration::from_millis(100);

/// Ratio of the maximum to the planned length of a closed phase.
const CLOSED_SLACK: u32 = 2;
/// Minimum time beyond that for operations to end: longer than the time-outs of the workloads' own exchanges.
const CLOSED_DRAIN: Duration = Duration::from_secs(8);

/// Minimum time after the planned end of a warm-up for sessions without a response, once all others have returned: a
/// server that serves some of its connections and not the rest will not serve them later either.
pub(super) const STARVED: Duration = Duration::from_secs(2);

/// Time without a completed operation after which a phase that ends by count is ended.
const STALL: Duration = Duration::from_secs(60);
/// Longest phase that ends by count: its speed cannot be known in advance.
const COUNTED: Duration = Duration::from_secs(1800);

/// Minimum time for operations of an open load to end after the last arrival was due.
const OPEN_DRAIN: Duration = Duration::from_secs(2);

/// Minimum of each drain in units of delay, for operations made of delays.
const DRAIN_UNITS: u32 = 100;

/// Closing all sessions concurrently.
pub(super) const FAREWELL: Duration = Duration::from_secs(3);

/// Checking and cleaning up.
pub(super) const FINISH: Duration = Duration::from_secs(20);

/// Cleaning up after a failed round.
pub(super) const ABANDON: Duration = Duration::from_secs(8);

/// Time for a step to notice its own deadline before the supervisor ends it.
pub(super) const MARGIN: Duration = Duration::from_secs(2);

/// The limit of opening `sessions` sessions.
pub(super) fn opening(sessions: NonZeroU32) -> Duration {
    OPEN.saturating_add(OPEN_EACH.saturating_mul(sessions.get()))
}

/// The limit of a closed phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClosedLimit {
    /// From its start: `starved` if some sessions wait for nothing, `rest` later otherwise.
    After { starved: Duration, rest: Duration },
    /// Since an operation last ended.
    Stalled(Duration),
}

/// The limit of a closed phase that ends at `stop`, with delays of `unit_ns`.
pub(super) fn closed(stop: Stop, unit_ns: u64) -> ClosedLimit {
    match stop {
        Stop::DurationNs(planned_ns) => {
            let planned = Duration::from_nanos(planned_ns.get());
            let longest = planned
                .saturating_mul(CLOSED_SLACK)
                .saturating_add(drain(CLOSED_DRAIN, unit_ns));
            let starved = planned.saturating_add(drain(STARVED, unit_ns));
            let rest = longest.saturating_sub(starved);
            ClosedLimit::After { starved, rest }
        }
        Stop::Ops(_) => ClosedLimit::Stalled(drain(STALL, unit_ns)),
    }
}

/// Time for operations of an open load to end; twice, since the last one may have started just before it has passed.
pub(super) fn open_drain(unit_ns: u64) -> Duration {
    drain(OPEN_DRAIN, unit_ns)
}

fn drain(least: Duration, unit_ns: u64) -> Duration {
    least.max(Duration::from_nanos(unit_ns).saturating_mul(DRAIN_UNITS))
}

/// Time after which a worker that runs `plan` must have replied: the sum of all limits.
pub fn longest_round(plan: &WorkerPlan) -> Duration {
    let steps = [
        PREPARE,
        opening(plan.load.concurrency()),
        phase(plan.warmup, plan),
        CLOSED_DRAIN,
        phase(plan.stop, plan),
        common_start::limit(plan),
        FAREWELL,
        FINISH,
        ABANDON,
        MARGIN * 2,
    ];
    steps
        .into_iter()
        .fold(Duration::ZERO, Duration::saturating_add)
}

fn phase(stop: Stop, plan: &WorkerPlan) -> Duration {
    match plan.load {
        Load::Open { rate_hz, .. } => {
            let length = match stop {
                Stop::DurationNs(planned_ns) => Duration::from_nanos(planned_ns.get()),
                Stop::Ops(ops) => Duration::try_from_secs_f64(ops.get() as f64 / rate_hz.get())
                    .unwrap_or(Duration::MAX),
            };
            // Random arrivals may take longer than their mean.
            let length = length.saturating_mul(CLOSED_SLACK);
            length.saturating_add(open_drain(plan.unit_ns).saturating_mul(2))
        }
        Load::Closed { .. } => match closed(stop, plan.unit_ns) {
            ClosedLimit::After { starved, rest } => starved.saturating_add(rest),
            ClosedLimit::Stalled(_) => COUNTED,
        },
    }
}
