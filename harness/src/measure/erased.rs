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

/// A workload that is not prepared yet.
pub(super) trait AnyUnprepared: Send {
    /// [`Workload::prepare`].
    fn prepare(&mut self) -> BoxFuture<'_, Result<(), Failure>>;

    /// The workload for its round, if it is prepared.
    fn into_prepared(self: Box<Self>) -> Result<Arc<dyn AnyWorkload>, Box<dyn AnyUnprepared>>;

    /// [`Workload::abandon`].
    fn abandon(&self) -> BoxFuture<'_, ()>;
}

/// A workload, its environment, and what its sessions share once it is prepared.
pub(super) struct Unprepared<R: Runtime, W: Workload> {
    workload: W,
    env: Env<R>,
    shared: Option<W::Shared<R>>,
}

impl<R: Runtime, W: Workload> Unprepared<R, W> {
    pub(super) fn new(workload: W, env: Env<R>) -> Self {
        Self {
            workload,
            env,
            shared: None,
        }
    }
}

impl<R: Runtime, W: Workload> AnyUnprepared for Unprepared<R, W> {
    fn prepare(&mut self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async {
            self.shared = Some(self.workload.prepare(&self.env).await?);
            Ok(())
        })
    }

    fn into_prepared(self: Box<Self>) -> Result<Arc<dyn AnyWorkload>, Box<dyn AnyUnprepared>> {
        match *self {
            Self {
                workload,
                env,
                shared: Some(shared),
            } => Ok(Arc::new(Shared {
                workload,
                env: env.share(shared),
            })),
            unprepared => Err(Box::new(unprepared)),
        }
    }

    fn abandon(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.workload.abandon(&self.env))
    }
}

/// Prepares a workload for its round; one that fails is abandoned.
pub(super) async fn prepare<R: Runtime>(
    runtime: &R,
    mut workload: Box<dyn AnyUnprepared>,
) -> Result<Arc<dyn AnyWorkload>, Failure> {
    let result = within(runtime, limits::PREPARE, workload.prepare()).await;
    match workload.into_prepared() {
        Ok(prepared) => Ok(prepared),
        Err(unprepared) => {
            abandoned(runtime, unprepared.abandon()).await;
            Err(result.err().unwrap_or_else(|| overdue(limits::PREPARE)))
        }
    }
}

/// Descriptions of the expectations that a round violates. A workload that fails in [`Workload::finish`] is abandoned, and what
/// was measured stays.
pub(super) async fn finish<R: Runtime>(
    runtime: &R,
    workload: &Arc<dyn AnyWorkload>,
    totals: &Totals,
) -> Vec<String> {
    let mut violations = workload.violations(totals);
    let finishing = async {
        violations.extend(workload.finish(totals).await?);
        Ok(())
    };
    if let Err(failure) = within(runtime, limits::FINISH, Box::pin(finishing)).await {
        abandoned(runtime, workload.abandon()).await;
        violations.push(format!("checking and cleaning up failed: {failure}"));
    }
    violations
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

    /// [`Workload::violations`].
    fn violations(&self, totals: &Totals) -> Vec<String>;

    /// [`Workload::finish`].
    fn finish<'a>(&'a self, totals: &'a Totals) -> BoxFuture<'a, Result<Vec<String>, Failure>>;

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
    fn close(&mut self) -> BoxFuture<'_, ()>;
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

    fn violations(&self, totals: &Totals) -> Vec<String> {
        self.workload.violations(totals)
    }

    fn finish<'a>(&'a self, totals: &'a Totals) -> BoxFuture<'a, Result<Vec<String>, Failure>> {
        Box::pin(self.workload.finish(&self.env, totals))
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

    fn close(&mut self) -> BoxFuture<'_, ()> {
        let Shared { workload, env } = &*self.shared;
        Box::pin(workload.close(env, &mut self.state))
    }
}
