//! `blocking-mistake`: a task that blocks its thread while it waits, next to another task; and the correct versions.
//!
//! The operation takes about a unit either way. The other task shows the difference: a bystander records how late it
//! was woken, which is the stall. If each task has its own thread, nothing is stalled.

use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Runtime, Task as _};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::bystander::{Schedule, stand_by};
use super::params::params;
use super::parts;
use super::tallies::{exactly, lateness};

#[derive(Debug)]
pub struct BlockingMistake {
    how: WaitMethod,
    unit: Duration,
}

params! {
    /// The way the task waits for a unit.
    how: WaitMethod = WaitMethod::Blocking,
}

/// A way of waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum WaitMethod {
    /// The mistake: it blocks the thread on which it runs.
    Blocking,
    /// Correct: blocking work runs on a thread for blocking work.
    Offloaded,
    /// Correct as well: it waits with the runtime's timer.
    Waiting,
}

/// Wake-ups of the bystander in a unit.
const TIMES: u32 = 10;

impl Workload for BlockingMistake {
    const ABOUT: About = About {
        name: "blocking-mistake",
        class: "cpu",
        operation: "a task blocks its thread for 1 unit while a timer runs",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    no_session!();

    fn new(params: Params, unit: Duration) -> Result<Self, ParamError> {
        Ok(Self {
            how: params.how,
            unit,
        })
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), _: u64) -> Result<(), Failure> {
        let start = Instant::now();
        let schedule = Schedule {
            start,
            period: self.unit / TIMES,
            times: TIMES,
        };
        let due = start + self.unit;
        let waiting = parts::start(&env.runtime, wait_until(env.runtime.clone(), due, self.how));
        let bystander = stand_by(env.runtime.clone(), env.observed.clone(), schedule);
        let bystander = parts::start(&env.runtime, bystander);
        let waited = waiting.join().await;
        exactly(TIMES, bystander.join().await??, "wake-ups of the timer")?;
        lateness(due, waited??).map(drop)
    }
}

/// Waits, and returns the time at which the wait ended.
async fn wait_until<R: Runtime>(
    runtime: R,
    due: Instant,
    how: WaitMethod,
) -> Result<Instant, Failure> {
    match how {
        WaitMethod::Blocking => block_until(due),
        WaitMethod::Offloaded => parts::offload(&runtime, move || block_until(due)).await?,
        WaitMethod::Waiting => runtime.sleep_until(due).await,
    }
    Ok(Instant::now())
}

fn block_until(due: Instant) {
    std::thread::sleep(due.saturating_duration_since(Instant::now()));
}
