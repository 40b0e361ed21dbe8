//! `nested-block-on`: a task that blocks its thread on another task of its own runtime.
//!
//! The outcome is the result: it works if another thread runs the other task, is refused if the runtime notices (by a
//! panic, which reaches the joining task), and starves if the blocked thread was the one to run the other task. That
//! would last forever; so a thread outside the runtime ends it after a unit.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use photofinish_harness::observed::Observed;
use photofinish_harness::runtime::{Runtime, Task as _, TaskError};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};

use super::params::NoParams;
use super::tallies::exactly;

#[derive(Debug)]
pub struct NestedBlockOn {
    unit: Duration,
}

impl Workload for NestedBlockOn {
    const ABOUT: About = About {
        name: "nested-block-on",
        class: "cpu",
        operation: "a task blocks on another one: it works, panics or starves",
        targets: &[],
        needs: &[],
    };
    type Params = NoParams;
    nothing_shared!();
    no_session!();

    fn new(_: NoParams, unit: Duration) -> Result<Self, ParamError> {
        Ok(Self { unit })
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), op: u64) -> Result<(), Failure> {
        let rescue = Rescue::after(self.unit)?;
        let task = env.runtime.spawn(block(env.runtime.clone(), op, rescue));
        let outcome = Outcome::of(op, task.join().await)?;
        outcome.observe(&env.observed);
        Ok(())
    }
}

/// Blocks on a task that only returns `number`; `None` if it had to be rescued.
async fn block<R: Runtime>(
    runtime: R,
    number: u64,
    rescue: Rescue,
) -> Option<Result<u64, TaskError>> {
    let other = runtime.spawn(async move { number });
    runtime.block_on(unless_rescued(other.join(), rescue))
}

async fn unless_rescued<F: Future>(future: F, rescue: Rescue) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => rescue.poll(context).map(|()| None),
    })
    .await
}

/// The outcome of blocking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Worked,
    Refused,
    Starved,
}

impl Outcome {
    fn of(
        number: u64,
        joined: Result<Option<Result<u64, TaskError>>, TaskError>,
    ) -> Result<Self, Failure> {
        match joined {
            Ok(Some(came_back)) => {
                exactly(number, came_back?, "as the result of a task")?;
                Ok(Self::Worked)
            }
            Ok(None) => Ok(Self::Starved),
            Err(TaskError::Panicked(_)) => Ok(Self::Refused),
            Err(error @ TaskError::NoThread(_)) => Err(error.into()),
            Err(TaskError::Cancelled) => Err(Failure::wrong_content("a task got lost")),
        }
    }

    fn observe(self, observed: &Observed) {
        for (name, outcome) in [
            ("nested_worked", Self::Worked),
            ("nested_refused", Self::Refused),
            ("nested_starved", Self::Starved),
        ] {
            observed.number(name, f64::from(self == outcome));
        }
    }
}

/// Becomes ready after a time, through a thread that no runtime can block.
struct Rescue {
    state: Arc<Mutex<RescueState>>,
    /// Ends the thread when dropped.
    _needed: mpsc::Sender<()>,
}

#[derive(Default)]
struct RescueState {
    due: bool,
    waker: Option<Waker>,
}

impl Rescue {
    fn after(time: Duration) -> io::Result<Self> {
        let (needed, needed_no_more) = mpsc::channel::<()>();
        let state = Arc::default();
        let rescued = Arc::clone(&state);
        std::thread::Builder::new()
            .name("rescue".to_owned())
            .spawn(move || {
                if needed_no_more.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                    let waker = {
                        let mut state = locked(&rescued);
                        state.due = true;
                        state.waker.take()
                    };
                    waker.into_iter().for_each(Waker::wake);
                }
            })?;
        Ok(Self {
            state,
            _needed: needed,
        })
    }

    fn poll(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = locked(&self.state);
        if state.due {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

fn locked(state: &Mutex<RescueState>) -> MutexGuard<'_, RescueState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use photofinish_harness::runtime::Capability;

    use super::super::every_runtime::under_every_runtime;
    use super::*;

    #[test]
    fn outcomes_are_told_apart_and_a_wrong_number_is_caught() {
        let panicked = TaskError::Panicked("cannot block here".to_owned());
        assert_eq!(Outcome::of(7, Ok(Some(Ok(7)))), Ok(Outcome::Worked));
        assert_eq!(Outcome::of(7, Ok(None)), Ok(Outcome::Starved));
        assert_eq!(Outcome::of(7, Err(panicked)), Ok(Outcome::Refused));
        let wrong = Outcome::of(7, Ok(Some(Ok(8)))).unwrap_err();
        assert_eq!(wrong.kind, Failure::WRONG_CONTENT);
        let lost = Outcome::of(7, Err(TaskError::Cancelled)).unwrap_err();
        assert_eq!(lost.kind, Failure::WRONG_CONTENT);
    }

    #[test]
    fn blocking_on_an_endless_task_ends_under_every_polling_runtime() {
        // Only runtimes that poll can cancel.
        under_every_runtime!(&[Capability::Cancellation], |runtime| {
            let rescue = Rescue::after(Duration::from_millis(1)).expect("a thread");
            let rescued = unless_rescued(std::future::pending::<()>(), rescue);
            assert_eq!(runtime.block_on(rescued), None);
        });
    }
}
