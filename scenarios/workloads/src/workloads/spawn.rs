//! `spawn`: starts a task that does nothing, and joins it.
//!
//! The cost of a task: its memory, its way through the scheduler and back. `idle-tasks` measures a task that only
//! waits.

use std::time::Duration;

use photofinish_harness::runtime::{Runtime, Task as _};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};

use super::params::NoParams;
use super::tallies::exactly;

#[derive(Debug)]
pub struct Spawn;

impl Workload for Spawn {
    const ABOUT: About = About {
        name: "spawn",
        class: "tasks",
        operation: "start and join a task that does nothing",
        targets: &[],
        needs: &[],
    };
    const STATIC_DISPATCH: bool = true;
    type Params = NoParams;
    nothing_shared!();
    no_session!();

    fn new(_: NoParams, _: Duration) -> Result<Self, ParamError> {
        Ok(Self)
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), op: u64) -> Result<(), Failure> {
        let came_back = env.runtime.spawn(async move { op }).join().await?;
        exactly(op, came_back, "as the result of a task")
    }
}
