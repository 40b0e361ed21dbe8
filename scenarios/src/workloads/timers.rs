//! `timers`: sleeps until a due time with the runtime's own timer, and records how late it wakes.
//!
//! The result is the distribution of `timer_overshoot`: from the due time to the first instruction after the sleep. It
//! includes the resolution of the runtime's timer (some tick in milliseconds), the kernel's wake-up, and the task's
//! wait for its turn. Waits are drawn evenly, in nanoseconds, so that none of them beats with a tick. Waking before the
//! due time breaks the runtime's promise, and fails the round.

use std::time::{Duration, Instant};

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};
use photofinish_record::draw::draw_below;
use photofinish_record::nanoseconds;

use super::params::{params, require};

/// The name of the histogram.
const OVERSHOOT: &str = "timer_overshoot";

const NS_PER_US: u64 = 1_000;

#[derive(Debug)]
pub struct Timers {
    params: Params,
}

params! {
    /// The shortest wait that is drawn, in µs.
    shortest_us: u32 = 500,
    /// The longest one, in µs.
    longest_us: u32 = 5_000,
}

impl Params {
    /// The wait of operation `op`: the same under every runtime.
    fn wait(&self, seed: u64, op: u64) -> Duration {
        let shortest_ns = u64::from(self.shortest_us) * NS_PER_US;
        let longest_ns = u64::from(self.longest_us) * NS_PER_US;
        Duration::from_nanos(shortest_ns + draw_below(seed, op, longest_ns - shortest_ns + 1))
    }
}

impl Workload for Timers {
    const ABOUT: About = About {
        name: "timers",
        class: "tasks",
        operation: "a sleep until a due time; never wakes early",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    no_session!();

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let Params {
            shortest_us,
            longest_us,
        } = params;
        require(shortest_us <= longest_us, "longest_us", || {
            format!("{longest_us} is less than `shortest_us`, which is {shortest_us}")
        })?;
        Ok(Self { params })
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), op: u64) -> Result<(), Failure> {
        let due = Instant::now() + self.params.wait(env.seed, op);
        env.runtime.sleep_until(due).await;
        let woke = Instant::now();
        env.observed.time_ns(OVERSHOOT, overshoot_ns(due, woke)?);
        Ok(())
    }
}

/// The time from the due time to the end of a sleep; an end before it breaks the promise.
fn overshoot_ns(due: Instant, woke: Instant) -> Result<u64, Failure> {
    let early = due.saturating_duration_since(woke);
    if !early.is_zero() {
        let early_ns = early.as_nanos();
        return Err(Failure::wrong_content(format!("woke {early_ns} ns early")));
    }
    Ok(nanoseconds(woke - due))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waking_early_is_wrong_and_waking_late_is_a_result() {
        let due = Instant::now() + Duration::from_secs(1);
        let check = |woke, expected: Result<u64, &str>| {
            let overshoot = overshoot_ns(due, woke);
            let found = overshoot.as_ref().map(|ns| *ns).map_err(|failure| {
                assert_eq!(failure.kind, Failure::WRONG_CONTENT);
                failure.detail.as_str()
            });
            assert_eq!(found, expected);
        };
        check(due + Duration::from_micros(70), Ok(70_000));
        check(due, Ok(0));
        check(due - Duration::from_nanos(1), Err("woke 1 ns early"));
    }

    #[test]
    fn waits_follow_from_the_operation_and_reach_from_the_shortest_to_the_longest() {
        let params = Params::default();
        let waits: Vec<Duration> = (0..10_000).map(|op| params.wait(7, op)).collect();
        let (shortest, longest) = (waits.iter().min(), waits.iter().max());
        // One in a hundred lies within 45 µs of either end: of 10,000 none would not happen in the age of the universe.
        let near = Duration::from_micros(45);
        let bounds = [Duration::from_micros(500), Duration::from_micros(5_000)];
        assert!((bounds[0]..bounds[0] + near).contains(shortest.expect("some")));
        assert!((bounds[1] - near..=bounds[1]).contains(longest.expect("some")));
        assert_eq!(params.wait(7, 3), waits[3]);
        assert_ne!(params.wait(8, 3), waits[3]);
    }

    #[test]
    fn equal_bounds_are_the_wait_and_crossed_ones_are_refused() {
        let params = |shortest_us, longest_us| Params {
            shortest_us,
            longest_us,
        };
        assert_eq!(params(9, 9).wait(1, 2), Duration::from_micros(9));
        let refused = Timers::new(params(9, 8), Duration::ZERO).unwrap_err();
        assert_eq!(refused.param, "longest_us");
    }
}
