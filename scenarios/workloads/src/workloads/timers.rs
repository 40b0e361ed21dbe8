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
use super::tallies::lateness;

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
        let [shortest, longest] =
            [self.shortest_us, self.longest_us].map(|us| Duration::from_micros(us.into()));
        let drawn_ns = draw_below(seed, op, nanoseconds(longest - shortest) + 1);
        shortest + Duration::from_nanos(drawn_ns)
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
        let overshoot = lateness(due, Instant::now())?;
        env.observed
            .time_ns("timer_overshoot", nanoseconds(overshoot));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn equal_bounds_give_a_constant_wait() {
        let params = Params {
            shortest_us: 9,
            longest_us: 9,
        };
        assert_eq!(params.wait(1, 2), Duration::from_micros(9));
    }
}
