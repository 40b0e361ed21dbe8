//! `first-completed`: two tasks race; the first one wins, the other is cancelled, and its cleanup runs.
//!
//! Cancelling the loser in time is a result, since a stalled runtime may let it finish first. Each operation checks
//! that a cancelled task stops and that its cleanup has run when cancelling returns; over a round at least one must
//! have been cancelled.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Capability, Receiver as _, Runtime, Sender as _, Task as _};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use photofinish_harness::{no_session, nothing_shared};

use super::params::NoParams;
use super::parts::{self, joined, wait};
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
        let racers: [Racer; RACERS as usize] = Default::default();
        let (sender, receiver) = runtime.channel(const { NonZeroU32::new(RACERS).expect("two") });
        let start = |number: u32| {
            let racer = Running(racers[number as usize].clone());
            let time = self.unit * (number + 1);
            parts::start(
                runtime,
                race(runtime.clone(), racer, time, (sender.clone(), number)),
            )
        };
        let mut tasks: Vec<_> = (0..RACERS).map(start).collect();
        drop(sender);
        // Without a winner both have failed, and joining them returns the failure.
        let first = receiver.receive().await.unwrap_or(0);
        let took = begun.elapsed();
        let winner = tasks.swap_remove(first as usize);
        let result = tasks.remove(0).cancel().await;
        let loser = *racers[1 - first as usize].trace();
        joined(vec![winner]).await?;
        result.transpose()?;
        no_shorter(self.unit, took, "the race")?;
        // The result does not show it: some runtimes drop the result of a task that finishes while it is being
        // cancelled.
        let cancelled = u64::from(!loser.finished);
        self.cancelled.fetch_add(cancelled, Ordering::Relaxed);
        env.observed.number("losers_cancelled", cancelled as f64);
        let winner = *racers[first as usize].trace();
        check(winner, loser)
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        let operations = totals.succeeded;
        if operations < ENOUGH_OPS || self.cancelled.load(Ordering::Relaxed) > 0 {
            return Vec::new();
        }
        vec![format!(
            "in none of {operations} operations the loser was cancelled"
        )]
    }
}

async fn race<R: Runtime>(
    runtime: R,
    racer: Running,
    time: Duration,
    (sender, number): (R::Sender<u32>, u32),
) -> Result<(), Failure> {
    wait(&runtime, time).await?;
    // The second one can no longer be waited for.
    let _ = sender.send(number).await;
    racer.0.trace().finished = true;
    Ok(())
}

/// The traces of a racer.
#[derive(Clone, Copy, Debug, Default)]
struct Trace {
    finished: bool,
    cleaned_up: bool,
}

/// The traces of a racer, shared with its task.
#[derive(Clone, Debug, Default)]
struct Racer(Arc<Mutex<Trace>>);

impl Racer {
    fn trace(&self) -> MutexGuard<'_, Trace> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A racer's resource, whose drop is its cleanup, whether it finished or not.
struct Running(Racer);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.trace().cleaned_up = true;
    }
}

/// Checks the `winner` once it was joined, and the `loser` when cancelling it returned. A loser that has
/// cleaned up by then does not run on: what it would run with is gone.
fn check(winner: Trace, loser: Trace) -> Result<(), Failure> {
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

#[cfg(test)]
mod tests {
    use super::super::tallies::detail;
    use super::*;

    #[test]
    fn a_surviving_loser_and_a_skipped_cleanup_are_caught() {
        let state = |finished, cleaned_up| Trace {
            finished,
            cleaned_up,
        };
        let message = |winner, loser| detail(check(winner, loser));
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
}
