//! `idle-tasks`: many concurrent parts that only wait, and the memory of each.
//!
//! The result is `idle_task_bytes`: the part as the runtime starts it (a task, a thread), its entry in the queue of the
//! gate, and its join handle, as `crowd.rs` measures it.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use photofinish_harness::runtime::{Capability, Runtime};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};

use super::crowd::{Footprint, Part, come_and_go};
use super::params::{count, params};
use super::tallies::Peak;

#[derive(Debug)]
pub struct IdleTasks {
    params: Params,
}

params! {
    /// Parts that wait at once; twice as many while memory is measured.
    count: NonZeroU32 = count(1_000),
}

/// A part that does nothing but be counted. Clones share the count, so that a part holds no more than a pointer.
#[derive(Clone, Debug, Default)]
pub struct Idle {
    waiting: Arc<Peak>,
}

impl Part for Idle {
    type Resource = ();

    async fn begin(&self) -> Result<(), Failure> {
        self.waiting.up();
        Ok(())
    }

    async fn end(&self, (): ()) -> Result<(), Failure> {
        self.waiting.down();
        Ok(())
    }
}

impl Workload for IdleTasks {
    const ABOUT: About = About {
        name: "idle-tasks",
        class: "tasks",
        operation: "tasks spawned, all waiting at once, then ended",
        targets: &[],
        needs: &[Capability::ManyAtOnce],
    };
    const STATIC_DISPATCH: bool = true;
    type Params = Params;
    type Shared<R: Runtime> = Footprint;
    type Session<R: Runtime> = Idle;

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let most = 10_000_000;
        if params.count.get() > most {
            return Err(ParamError {
                param: "count".to_owned(),
                message: format!("expected at most {most}, got {}", params.count),
            });
        }
        Ok(Self { params })
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Footprint, Failure> {
        Footprint::measure(&env.runtime, self.params.count, &Idle::default(), None).await
    }

    async fn open<R: Runtime>(&self, _: &Env<R, Footprint>, _: u32) -> Result<Idle, Failure> {
        Ok(Idle::default())
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Footprint>,
        idle: &mut Idle,
        _: u64,
    ) -> Result<(), Failure> {
        come_and_go(&env.runtime, self.params.count, idle, &idle.waiting).await
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R, Footprint>,
        _: &Totals,
    ) -> Result<Vec<String>, Failure> {
        env.shared.observe(&env.observed, "idle_task_bytes");
        Ok(Vec::new())
    }
}
