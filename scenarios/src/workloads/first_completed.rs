//! `first-completed`: two tasks race; the first one wins, the other is cancelled, and its cleanup runs.
//!
//! Cancelling the loser in time is a result, since a stalled runtime may let it finish first. Each operation checks
//! that a cancelled task stops and that its cleanup has run when cancelling returns; over a round at least one must
//! have been cancelled.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Capability, Receiver as _, Runtime, Sender as _, Task as _};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use photofinish_harness::{no_session, nothing_shared};

use super::params::NoParams;
use super::parts::{joined, wait};
use super::tallies::no_shorter;

#[derive(Debug)]
pub struct FirstCompleted {
    unit: Duration,
    /// Operations whose loser was cancelled.
    cancelled: AtomicU64,
}

const RACERS: u32 = 2;

/// With fewer operations, it may be by chance that every loser finished.
const ENOUGH_OPS: u64 = 10;

impl Workload for FirstCompleted {
    const ABOUT: About = About {
        name: "first-completed",
        class: "tasks",
        operation: "2 tasks of 1 and 2 units race; the loser is cancelled",
        targets: &[],
        needs: &[Capability::Concurrency, Capability::Cancellation],
    };
    type Params = NoParams;
    nothing_shared!();
    no_session!();

    fn new(_: NoParams, unit: Duration) -> Result<Self, ParamError> {
        Ok(Self {
            unit,
            cancelled: AtomicU64::new(0),
        })
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), _: u64) -> Result<(), Failure> {
        let runtime = &env.runtime;
        let begun = Instant::now();
        let traces: [Arc<Trace>; RACERS as usize] = Default::default();
        let (sender, receiver) = runtime.channel(const { NonZeroU32::new(RACERS).expect("two") });
        let start = |number: u32| {
            let racer = Racer(Arc::clone(&traces[number as usize]));
            let time = self.unit * (number + 1);
            runtime.spawn(race(runtime.clone(), racer, time, (sender.clone(), number)))
        };
        let mut racers: Vec<_> = (0..RACERS).map(start).collect();
        drop(sender);
        // Without a winner both have failed, and joining them returns the failure.
        let first = receiver.receive().await.unwrap_or(0);
        let took = begun.elapsed();
        let winner = racers.swap_remove(first as usize);
        let result = racers.remove(0).cancel().await;
        let [one, other] = &traces;
        let loser = if first == 0 { other } else { one }.state();
        joined(vec![winner]).await?;
        result.transpose()?;
        no_shorter(self.unit, took, "the race")?;
        // The result does not show it: some runtimes drop the result of a task that finishes while it is being
        // cancelled.
        let cancelled = u64::from(!loser.finished);
        self.cancelled.fetch_add(cancelled, Ordering::Relaxed);
        env.observed.number("losers_cancelled", cancelled as f64);
        check(traces[first as usize].state(), loser)
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        let cancelled = self.cancelled.load(Ordering::Relaxed);
        over_all(totals.succeeded, cancelled).into_iter().collect()
    }
}

async fn race<R: Runtime>(
    runtime: R,
    racer: Racer,
    time: Duration,
    (sender, number): (R::Sender<u32>, u32),
) -> Result<(), Failure> {
    wait(&runtime, time).await?;
    // The second one can no longer be waited for.
    let _ = sender.send(number).await;
    racer.finish();
    Ok(())
}

/// The traces of a racer.
#[derive(Debug, Default)]
struct Trace {
    finished: AtomicBool,
    cleaned_up: AtomicBool,
}

/// A [`Trace`] at one time.
#[derive(Clone, Copy, Debug)]
struct TraceState {
    finished: bool,
    cleaned_up: bool,
}

impl Trace {
    fn state(&self) -> TraceState {
        TraceState {
            finished: self.finished.load(Ordering::Acquire),
            cleaned_up: self.cleaned_up.load(Ordering::Acquire),
        }
    }
}

/// A racer's resource, whose drop is its cleanup, whether it finished or not.
#[derive(Debug)]
struct Racer(Arc<Trace>);

impl Racer {
    fn finish(&self) {
        self.0.finished.store(true, Ordering::Release);
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        self.0.cleaned_up.store(true, Ordering::Release);
    }
}

/// Checks the `winner` once it was joined, and the `loser` when cancelling it returned. A loser that has
/// cleaned up by then does not run on: what it would run with is gone.
fn check(winner: TraceState, loser: TraceState) -> Result<(), Failure> {
    let message = if !loser.cleaned_up {
        "the loser's cleanup had not run when cancelling it returned"
    } else if !winner.finished {
        "the winner had not finished when it was joined"
    } else if !winner.cleaned_up {
        "the winner's cleanup had not run when it was joined"
    } else {
        return Ok(());
    };
    Err(Failure::wrong_content(message))
}

/// A violation over all operations.
fn over_all(operations: u64, cancelled: u64) -> Option<String> {
    (operations >= ENOUGH_OPS && cancelled == 0)
        .then(|| format!("in none of {operations} operations the loser was cancelled"))
}

#[cfg(test)]
mod tests {
    use super::super::tallies::detail;
    use super::*;

    #[test]
    fn a_loser_that_runs_on_and_a_cleanup_that_is_skipped_are_caught() {
        let state = |finished, cleaned_up| TraceState {
            finished,
            cleaned_up,
        };
        let message = |winner, loser| {
            let verdict = check(winner, loser);
            detail(verdict)
        };
        assert_eq!(message(state(true, true), state(false, true)), "");
        assert_eq!(message(state(true, true), state(true, true)), "");
        assert_eq!(
            message(state(true, true), state(false, false)),
            "the loser's cleanup had not run when cancelling it returned"
        );
        assert_eq!(
            message(state(false, true), state(false, true)),
            "the winner had not finished when it was joined"
        );
        assert_eq!(
            message(state(true, false), state(false, true)),
            "the winner's cleanup had not run when it was joined"
        );
    }

    #[test]
    fn a_runtime_that_never_cancels_is_caught() {
        assert_eq!(over_all(10, 1), None);
        assert_eq!(over_all(9, 0), None);
        let message = over_all(10, 0).expect("caught");
        assert!(message.contains("none of 10 operations"), "{message}");
    }
}
