//! `first-completed`: two tasks race; the first one wins, the other is cancelled, and its cleanup runs.
//!
//! Whether the loser could still be cancelled is a result, since a stalled runtime may let it finish before anybody looks.
//! That a cancelled task stops, and that its cleanup has run when cancelling returns, is checked each time; and over a
//! round at least one must have been cancelled.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use photofinish_harness::runtime::{Capability, Receiver as _, Runtime, Sender as _, Task as _};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::parts::{joined, wait};
use super::tallies::exactly;

/// The workload.
#[derive(Debug)]
pub struct FirstCompleted {
    unit: Duration,
    /// Operations whose loser was cancelled.
    cancelled: AtomicU64,
}

/// It has none.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Params {}

const RACERS: u32 = 2;

/// With fewer operations it may be chance that every loser finished all the same.
const ENOUGH_OPS: u64 = 10;

impl Workload for FirstCompleted {
    const ABOUT: About = About {
        name: "first-completed",
        class: "tasks",
        operation: "2 tasks of 1 and 2 units: the first one wins, the other is cancelled",
        targets: &[],
        needs: &[Capability::Concurrency, Capability::Cancellation],
    };
    type Params = Params;
    type Session<R: Runtime> = ();

    fn new(_: Params, unit: Duration) -> Result<Self, ParamError> {
        Ok(Self {
            unit,
            cancelled: AtomicU64::new(0),
        })
    }

    async fn open<R: Runtime>(&self, _: &Env<R>, _: u32) -> Result<(), Failure> {
        Ok(())
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), _: u64) -> Result<(), Failure> {
        let runtime = &env.runtime;
        let track = Arc::new(Track::default());
        let (sender, receiver) = runtime.channel(const { NonZeroU32::new(RACERS).expect("two") });
        let start = |number| {
            let racer = Racer(Arc::clone(&track));
            let time = self.unit * (number + 1);
            runtime.spawn(race(runtime.clone(), racer, time, (sender.clone(), number)))
        };
        let mut racers: Vec<_> = (0..RACERS).map(start).collect();
        drop(sender);
        let first = receiver.receive().await;
        // Without a winner both have failed, and joining them says how.
        let winner = racers.swap_remove(first.unwrap_or(0) as usize);
        let loser = racers.remove(0).cancel().await;
        let after_cancel = track.counts();
        joined(vec![winner]).await?;
        let finished = loser.transpose()?.is_some();
        let cancelled = u64::from(!finished);
        self.cancelled.fetch_add(cancelled, Ordering::Relaxed);
        env.observed.number("losers_cancelled", cancelled as f64);
        check(finished, after_cancel, track.counts())
    }

    async fn finish<R: Runtime>(&self, _: &Env<R>, totals: Totals) -> Result<Vec<String>, Failure> {
        let cancelled = self.cancelled.load(Ordering::Relaxed);
        Ok(over_all(totals.succeeded, cancelled).into_iter().collect())
    }
}

async fn race<R: Runtime>(
    runtime: R,
    racer: Racer,
    time: Duration,
    (sender, number): (R::Sender<u32>, u32),
) -> Result<(), Failure> {
    wait(&runtime, time).await?;
    // Who comes in second may find nobody waiting any more.
    let _ = sender.send(number).await;
    racer.finish();
    Ok(())
}

/// What the racers leave behind.
#[derive(Debug, Default)]
struct Track {
    finished: AtomicU64,
    cleaned_up: AtomicU64,
}

/// How many finished and how many cleaned up.
#[derive(Clone, Copy, Debug)]
struct Counts {
    finished: u64,
    cleaned_up: u64,
}

impl Track {
    fn counts(&self) -> Counts {
        Counts {
            finished: self.finished.load(Ordering::Acquire),
            cleaned_up: self.cleaned_up.load(Ordering::Acquire),
        }
    }
}

/// What a racer holds; dropping it is its cleanup, whether it finished or not.
#[derive(Debug)]
struct Racer(Arc<Track>);

impl Racer {
    fn finish(&self) {
        self.0.finished.fetch_add(1, Ordering::AcqRel);
    }
}

impl Drop for Racer {
    fn drop(&mut self) {
        self.0.cleaned_up.fetch_add(1, Ordering::AcqRel);
    }
}

/// What must hold when the loser `finished` before it could be cancelled, or did not; counted right after it was
/// cancelled, and again at the end.
fn check(finished: bool, after_cancel: Counts, at_the_end: Counts) -> Result<(), Failure> {
    if after_cancel.cleaned_up == 0 {
        return Err(Failure::wrong_content(
            "the loser's cleanup had not run when cancelling it returned",
        ));
    }
    let expected = 1 + u64::from(finished);
    exactly(expected, at_the_end.finished, "tasks finished")?;
    exactly(u64::from(RACERS), at_the_end.cleaned_up, "cleanups ran")
}

/// What must hold over all operations.
fn over_all(operations: u64, cancelled: u64) -> Option<String> {
    (operations >= ENOUGH_OPS && cancelled == 0)
        .then(|| format!("in none of {operations} operations the loser was cancelled"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loser_that_runs_on_and_a_cleanup_that_is_skipped_are_caught() {
        let counts = |finished, cleaned_up| Counts {
            finished,
            cleaned_up,
        };
        let told = |finished, after_cancel, at_the_end| {
            let verdict = check(finished, after_cancel, at_the_end);
            verdict.map_or_else(|failure| failure.detail, |()| String::new())
        };
        assert_eq!(told(false, counts(1, 1), counts(1, 2)), "");
        assert_eq!(told(true, counts(2, 2), counts(2, 2)), "");
        assert_eq!(
            told(false, counts(1, 1), counts(2, 2)),
            "2 tasks finished, not 1"
        );
        assert_eq!(
            told(false, counts(1, 0), counts(1, 2)),
            "the loser's cleanup had not run when cancelling it returned"
        );
        assert_eq!(
            told(false, counts(1, 1), counts(1, 1)),
            "1 cleanups ran, not 2"
        );
    }

    #[test]
    fn a_runtime_that_never_cancels_is_caught() {
        assert_eq!(over_all(10, 1), None);
        assert_eq!(over_all(9, 0), None);
        let told = over_all(10, 0).expect("caught");
        assert!(told.contains("none of 10 operations"), "{told}");
    }
}
