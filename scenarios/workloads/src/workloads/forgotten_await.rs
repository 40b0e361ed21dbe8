//! `forgotten-await`: parts that are not waited for, in two ways, and the correct way for comparison.
//!
//! In Rust a future that is never polled does nothing, under every runtime; a future that is spawned and not joined
//! runs eventually, perhaps after its operation has ended. `done_when_ended_share` is the share of the parts done by
//! then. The third way joins them.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Runtime, Task as _};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use photofinish_harness::{no_session, nothing_shared};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::params::{count, params};
use super::parts;
use super::tallies::exactly;

#[derive(Debug)]
pub struct ForgottenAwait {
    params: Params,
    done: Arc<AtomicU64>,
}

params! {
    /// Parts of an operation.
    parts: NonZeroU32 = count(3),
    /// The treatment of the parts.
    handling: Handling = Handling::Forgotten,
}

/// The treatment of an operation's parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    /// Nothing: the futures are dropped, never polled.
    Forgotten,
    /// Spawned, but never awaited.
    Spawned,
    /// They are spawned, and joined.
    Joined,
}

/// Time for spawned parts to finish after all operations have ended.
const PATIENCE: Duration = Duration::from_secs(20);

impl Workload for ForgottenAwait {
    const ABOUT: About = About {
        name: "forgotten-await",
        class: "tasks",
        operation: "3 tasks: never polled, spawned but not joined, or joined",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    no_session!();

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        Ok(Self {
            params,
            done: Arc::default(),
        })
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), _: u64) -> Result<(), Failure> {
        let parts = self.params.parts.get();
        let mine = Arc::new(AtomicU64::new(0));
        let futures = (0..parts).map(|_| part(env, &self.done, &mine));
        match self.params.handling {
            Handling::Forgotten => futures.for_each(drop),
            Handling::Spawned => futures.for_each(|part| drop(parts::start(&env.runtime, part))),
            Handling::Joined => {
                let tasks: Vec<_> = futures
                    .map(|part| parts::start(&env.runtime, part))
                    .collect();
                for task in tasks {
                    task.join().await?;
                }
            }
        }
        let done = mine.load(Ordering::Relaxed);
        let share = done as f64 / f64::from(parts);
        env.observed.number("done_when_ended_share", share);
        check_done(self.params.handling, done, parts)
    }

    /// Every spawned part runs exactly once in the end; a part that is never polled never does.
    async fn finish<R: Runtime>(
        &self,
        env: &Env<R>,
        totals: &Totals,
    ) -> Result<Vec<String>, Failure> {
        let made = (totals.succeeded + totals.failed) * u64::from(self.params.parts.get());
        let must_be = match self.params.handling {
            Handling::Forgotten => 0,
            Handling::Spawned | Handling::Joined => made,
        };
        let patient = Instant::now() + PATIENCE;
        while self.done.load(Ordering::Relaxed) < must_be && Instant::now() < patient {
            env.runtime
                .sleep_until(Instant::now() + Duration::from_millis(1))
                .await;
        }
        let done = self.done.load(Ordering::Relaxed);
        let checked = exactly(must_be, done, "parts done at the end");
        Ok(checked
            .err()
            .map(Failure::into_detail)
            .into_iter()
            .collect())
    }
}

/// A part: it yields, and then it is done.
fn part<R: Runtime>(
    env: &Env<R>,
    done: &Arc<AtomicU64>,
    mine: &Arc<AtomicU64>,
) -> impl Future<Output = ()> + Send + 'static {
    let (runtime, done, mine) = (env.runtime.clone(), Arc::clone(done), Arc::clone(mine));
    async move {
        runtime.give_way().await;
        mine.fetch_add(1, Ordering::Relaxed);
        done.fetch_add(1, Ordering::Relaxed);
    }
}

/// Checks the parts done when an operation ends: none that were forgotten, all that were joined, and of those spawned
/// any number.
fn check_done(handling: Handling, done: u64, parts: u32) -> Result<(), Failure> {
    match handling {
        Handling::Forgotten => exactly(0, done, "parts done that were never polled"),
        Handling::Spawned => Ok(()),
        Handling::Joined => exactly(parts.into(), done, "joined parts done"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forgotten_task_that_ran_and_a_joined_one_that_did_not_are_caught() {
        assert_eq!(check_done(Handling::Forgotten, 0, 3), Ok(()));
        assert!(check_done(Handling::Forgotten, 1, 3).is_err());
        assert_eq!(check_done(Handling::Joined, 3, 3), Ok(()));
        assert!(check_done(Handling::Joined, 2, 3).is_err());
        assert_eq!(check_done(Handling::Spawned, 1, 3), Ok(()));
    }
}
