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
        let preparing = workload.prepare(&env);
        match within(&env.runtime, limits::PREPARE, preparing).await {
            Ok(shared) => {
                let env = env.share(shared);
                let prepared: Arc<dyn AnyWorkload> = Arc::new(Shared { workload, env });
                Ok(prepared)
            }
            Err(failure) => {
                let abandoning: BoxFuture<'_, ()> = Box::pin(workload.abandon(&env));
                let _ = env.runtime.timeout(limits::ABANDON, abandoning).await;
                Err(failure)
            }
        }
    })
}

/// Runs a step for at most `limit`. It is boxed, so that the time-out is compiled once per runtime.
async fn within<R: Runtime, T: Send>(
    runtime: &R,
    limit: Duration,
    step: impl Future<Output = Result<T, Failure>> + Send,
) -> Result<T, Failure> {
    let mut result = None;
    let step: BoxFuture<'_, ()> = Box::pin(async { result = Some(step.await) });
    let _ = runtime.timeout(limit, step).await;
    result.unwrap_or_else(|| Err(overdue(limit)))
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
            let finishing = self.workload.finish(&self.env, totals);
            match within(&self.env.runtime, limits::FINISH, finishing).await {
                Ok(found) => violations.extend(found),
                Err(failure) => {
                    let abandoning = self.abandon();
                    let _ = self.env.runtime.timeout(limits::ABANDON, abandoning).await;
                    violations.push(format!("checking and cleaning up failed: {failure}"));
                }
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

    fn run(self: Box<Self>, steps_per_turn: Option<NonZeroU32>) -> BoxFuture<'static, AnySession> {
        Box::pin(async move {
            let session = run_session(*self, steps_per_turn).await;
            session.clock.returned();
            let session: AnySession = Box::new(session);
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
