//! `failures`: three concurrent tasks, of which the middle one fails; the others succeed, and the process survives.
//!
//! It fails by returning an error or by a panic. Either reaches the joining task, with its message.

use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Runtime, Task as _, TaskError};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::params::params;
use super::parts::wait;
use super::tallies::{ensure, no_shorter};

#[derive(Debug)]
pub struct Failures {
    by: By,
    unit: Duration,
}

params! {
    /// The way the middle task fails.
    by: By = By::Error,
}

/// A way to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum By {
    /// It returns an error.
    Error,
    /// It panics.
    Panic,
}

/// The message of the failing task.
const MESSAGE: &str = "task 1 failed, as asked";
const TASKS: u32 = 3;
const FAILING: u32 = 1;

/// A task's number, or the message of its error; or its end without either.
type Outcome = Result<Result<u32, String>, TaskError>;

impl Workload for Failures {
    const ABOUT: About = About {
        name: "failures",
        class: "tasks",
        operation: "3 concurrent tasks; the middle one returns an error or panics",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    no_session!();

    fn new(params: Params, unit: Duration) -> Result<Self, ParamError> {
        Ok(Self {
            by: params.by,
            unit,
        })
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), _: u64) -> Result<(), Failure> {
        let begun = Instant::now();
        let start = |number| {
            let failing = (number == FAILING).then_some(self.by);
            let task = work(env.runtime.clone(), self.unit, number, failing);
            env.runtime.spawn(task)
        };
        let tasks: Vec<_> = (0..TASKS).map(start).collect();
        let mut outcomes = Vec::with_capacity(tasks.len());
        for task in tasks {
            outcomes.push(task.join().await);
        }
        check(self.by, &outcomes)?;
        no_shorter(self.unit, begun.elapsed(), "all tasks together")
    }
}

async fn work<R: Runtime>(
    runtime: R,
    time: Duration,
    number: u32,
    failing: Option<By>,
) -> Result<u32, String> {
    let waited = wait(&runtime, time).await;
    waited.map_err(Failure::into_detail)?;
    match failing {
        None => Ok(number),
        Some(By::Error) => Err(MESSAGE.to_owned()),
        // A panic like any other, but without the hook, which would report each of thousands on stderr.
        Some(By::Panic) => std::panic::resume_unwind(Box::new(MESSAGE)),
    }
}

/// Success, the failure with its message, success.
fn check(by: By, outcomes: &[Outcome]) -> Result<(), Failure> {
    let failed = match by {
        By::Error => Ok(Err(MESSAGE.to_owned())),
        By::Panic => Err(TaskError::Panicked(MESSAGE.to_owned())),
    };
    let expected = [Ok(Ok(0)), failed, Ok(Ok(2))];
    ensure(*outcomes == expected, || {
        format!("expected the outcomes {expected:?}, got {outcomes:?}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed() -> Outcome {
        Ok(Err(MESSAGE.to_owned()))
    }

    fn panicked(message: &str) -> Outcome {
        Err(TaskError::Panicked(message.to_owned()))
    }

    #[test]
    fn lost_messages_and_swallowed_or_spreading_failures_are_caught() {
        let caught = |by, outcomes: &[Outcome]| {
            let failure = check(by, outcomes).unwrap_err();
            assert_eq!(failure.kind, Failure::WRONG_CONTENT, "{outcomes:?}");
        };
        caught(By::Panic, &[Ok(Ok(0)), panicked("?"), Ok(Ok(2))]);
        caught(By::Panic, &[Ok(Ok(0)), failed(), Ok(Ok(2))]);
        caught(By::Error, &[Ok(Ok(0)), Ok(Ok(1)), Ok(Ok(2))]);
        caught(By::Error, &[Ok(Ok(0)), failed(), Err(TaskError::Cancelled)]);
        caught(By::Error, &[Ok(Ok(0)), failed()]);
    }
}
