//! Workloads and sessions with their types erased, so that a round is compiled once per runtime and not once per pair.
//!
//! Each phase of a session, and each step outside the measured phases, is one boxed future; inside it, the loop around
//! `operate` knows both types and allocates nothing.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use super::limits;
use super::session::{SessionClock, SessionLoop, Shared};
use crate::runtime::{BoxFuture, Runtime, run_session};
use crate::workload::{Env, Failure, Totals, Workload};

/// A workload being prepared for its round.
pub(super) type Prepare = BoxFuture<'static, Result<Arc<dyn AnyWorkload>, Failure>>;

/// [`Workload::prepare`]; a workload that fails there is abandoned.
pub(super) fn prepare<R: Runtime, W: Workload>(workload: W, env: Env<R>) -> Prepare {
    Box::pin(async move {
        let mut shared = None;
        let preparing = async {
            shared = Some(workload.prepare(&env).await?);
            Ok(())
        };
        let prepared = within(&env.runtime, limits::PREPARE, Box::pin(preparing)).await;
        match (prepared, shared) {
            (Ok(()), Some(shared)) => {
                let env = env.share(shared);
                let prepared: Arc<dyn AnyWorkload> = Arc::new(Shared { workload, env });
                Ok(prepared)
            }
            (prepared, _) => {
                abandoned(&env.runtime, Box::pin(workload.abandon(&env))).await;
                Err(prepared.err().unwrap_or_else(|| overdue(limits::PREPARE)))
            }
        }
    })
}

/// Runs a step for at most `limit`. It comes boxed, so that the timeout is compiled once per runtime.
async fn within<R: Runtime>(
    runtime: &R,
    limit: Duration,
    step: BoxFuture<'_, Result<(), Failure>>,
) -> Result<(), Failure> {
    let mut result = Err(overdue(limit));
    let step: BoxFuture<'_, ()> = Box::pin(async { result = step.await });
    let _ = runtime.timeout(limit, step).await;
    result
}

/// Runs [`Workload::abandon`] for at most [`limits::ABANDON`].
async fn abandoned<R: Runtime>(runtime: &R, abandoning: BoxFuture<'_, ()>) {
    let _ = runtime.timeout(limits::ABANDON, abandoning).await;
}

/// The failure of a step that took longer than its limit.
pub(super) fn overdue(limit: Duration) -> Failure {
    let limit = limit.as_secs();
    Failure::new(Failure::TIMEOUT, format!("did not end within {limit} s"))
}

/// A prepared workload in its environment.
pub(super) trait AnyWorkload: Send + Sync {
    /// [`Workload::open`].
    fn open(
        self: Arc<Self>,
        index: u32,
        clock: SessionClock,
    ) -> BoxFuture<'static, Result<AnySession, Failure>>;

    /// [`Workload::violations`], then [`Workload::finish`]; a workload that fails there is abandoned, and what was
    /// measured stays.
    fn finish<'a>(&'a self, totals: &'a Totals) -> BoxFuture<'a, Vec<String>>;

    /// [`Workload::abandon`].
    fn abandon(&self) -> BoxFuture<'_, ()>;
}

/// A session of any workload.
pub(super) type AnySession = Box<dyn ErasedSession>;

/// A session whose workload type is erased.
pub(super) trait ErasedSession: Send {
    /// Counters and clock of the session.
    fn clock(&mut self) -> &mut SessionClock;

    /// Runs one phase, yielding after every `steps_per_turn` operations.
    fn run(self: Box<Self>, steps_per_turn: Option<NonZeroU32>) -> BoxFuture<'static, AnySession>;

    /// [`Workload::close`].
    fn close(self: Box<Self>) -> BoxFuture<'static, ()>;
}

impl<R: Runtime, W: Workload> AnyWorkload for Shared<R, W> {
    fn open(
        self: Arc<Self>,
        index: u32,
        clock: SessionClock,
    ) -> BoxFuture<'static, Result<AnySession, Failure>> {
        Box::pin(async move {
            let state = self.workload.open(&self.env, index).await?;
            let session: AnySession = Box::new(SessionLoop {
                shared: self,
                state,
                clock,
            });
            Ok(session)
        })
    }

    fn finish<'a>(&'a self, totals: &'a Totals) -> BoxFuture<'a, Vec<String>> {
        Box::pin(async {
            let mut violations = self.workload.violations(totals);
            let finishing = async {
                violations.extend(self.workload.finish(&self.env, totals).await?);
                Ok(())
            };
            let runtime = &self.env.runtime;
            if let Err(failure) = within(runtime, limits::FINISH, Box::pin(finishing)).await {
                abandoned(runtime, self.abandon()).await;
                violations.push(format!("checking and cleaning up failed: {failure}"));
            }
            violations
        })
    }

    fn abandon(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.workload.abandon(&self.env))
    }
}

impl<R: Runtime, W: Workload> ErasedSession for SessionLoop<R, W> {
    fn clock(&mut self) -> &mut SessionClock {
        &mut self.clock
    }

    fn run(
        mut self: Box<Self>,
        steps_per_turn: Option<NonZeroU32>,
    ) -> BoxFuture<'static, AnySession> {
        Box::pin(async move {
            run_session(&mut *self, steps_per_turn).await;
            self.clock.returned();
            let session: AnySession = self;
            session
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            self.shared
                .workload
                .close(&self.shared.env, self.state)
                .await
        })
    }
}
