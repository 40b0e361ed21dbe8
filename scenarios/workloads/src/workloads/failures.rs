//! `failures`: three concurrent tasks, of which the middle one fails; the others succeed, and the process survives.
//!
//! It returns an error or panics; either reaches the joining task, with its message.

use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Runtime, Task as _, TaskError};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::params::params;
use super::parts::{self, wait};
use super::tallies::{ensure, no_shorter};

#[derive(Debug)]
pub struct Failures {
    by: FailureMode,
    unit: Duration,
}

params! {
    /// The way the middle task fails.
    by: FailureMode = FailureMode::Error,
}

/// The kind of failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailureMode {
    /// Returns an error.
    Error,
    /// Panics.
    Panic,
}

/// The message of the failing task.
const MESSAGE: &str = "task 1 failed on purpose";
const TASKS: u32 = 3;
const FAILING: u32 = 1;

/// A task's number, its error message, or how it ended otherwise.
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
            parts::start(&env.runtime, task)
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
    failing: Option<FailureMode>,
) -> Result<u32, String> {
    let waited = wait(&runtime, time).await;
    waited.map_err(Failure::into_detail)?;
    match failing {
        None => Ok(number),
        Some(FailureMode::Error) => Err(MESSAGE.to_owned()),
        // Skips the panic hook, which would print thousands of messages to stderr.
        Some(FailureMode::Panic) => std::panic::resume_unwind(Box::new(MESSAGE)),
    }
}

/// Success, the failure with its message, success.
fn check(by: FailureMode, outcomes: &[Outcome]) -> Result<(), Failure> {
    let failed = match by {
        FailureMode::Error => Ok(Err(MESSAGE.to_owned())),
        FailureMode::Panic => Err(TaskError::Panicked(MESSAGE.to_owned())),
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
        caught(FailureMode::Panic, &[Ok(Ok(0)), panicked("?"), Ok(Ok(2))]);
        caught(FailureMode::Panic, &[Ok(Ok(0)), failed(), Ok(Ok(2))]);
        caught(FailureMode::Error, &[Ok(Ok(0)), Ok(Ok(1)), Ok(Ok(2))]);
        caught(
            FailureMode::Error,
            &[Ok(Ok(0)), failed(), Err(TaskError::Cancelled)],
        );
        caught(FailureMode::Error, &[Ok(Ok(0)), failed()]);
    }
}
