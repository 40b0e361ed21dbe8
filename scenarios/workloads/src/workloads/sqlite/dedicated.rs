//! A client on a dedicated thread: operations reach it through a channel, and a waker announces results.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

use photofinish_harness::runtime::{Runtime, TaskError};
use photofinish_harness::workload::Failure;

use super::client::Client;

/// The session's handle of a dedicated thread.
pub(super) struct Dedicated {
    operations: Sender<u64>,
    reply: Arc<Reply>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Reply(Mutex<State>);

#[derive(Default)]
struct State {
    /// The last operation that ended, with its result.
    ended: Option<(u64, Result<(), Failure>)>,
    /// True once the thread has ended.
    is_closed: bool,
    waker: Option<Waker>,
}

impl Dedicated {
    /// Moves a client to a new thread.
    pub(super) fn start(client: Client) -> Result<Self, Failure> {
        let (operations, receiver) = channel();
        let reply = Arc::<Reply>::default();
        let guard = CloseGuard(Arc::clone(&reply));
        let thread = std::thread::Builder::new()
            .name("sqlite".to_owned())
            .spawn(move || serve(client, &receiver, &guard.0))
            .map_err(|error| TaskError::NoThread(error.to_string()))?;
        Ok(Self {
            operations,
            reply,
            thread,
        })
    }

    /// Runs operation `op` on the thread.
    pub(super) async fn operate<R: Runtime>(
        &mut self,
        runtime: &R,
        op: u64,
    ) -> Result<(), Failure> {
        if self.operations.send(op).is_err() {
            return Err(ended());
        }
        let reply = &self.reply;
        runtime.wait_for(|context| reply.poll(op, context)).await
    }

    /// True unless the thread has ended on its own.
    pub(super) fn is_usable(&self) -> bool {
        !self.reply.lock().is_closed
    }

    /// Ends the thread, and blocks until its connection is closed.
    pub(super) fn close(self) {
        drop(self.operations);
        // A panic was reported as the failure of its operation.
        let _ = self.thread.join();
    }
}

fn serve(mut client: Client, operations: &Receiver<u64>, reply: &Reply) {
    while let Ok(op) = operations.recv() {
        let result = client.operate(op);
        reply.publish(|state| state.ended = Some((op, result)));
    }
}

/// Marks the reply closed when the thread ends, even by a panic.
struct CloseGuard(Arc<Reply>);

impl Drop for CloseGuard {
    fn drop(&mut self) {
        self.0.publish(|state| state.is_closed = true);
    }
}

impl Reply {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn publish(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The result of operation `op`; discards the result of an earlier operation that was cancelled.
    fn poll(&self, op: u64, context: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        let mut state = self.lock();
        match state.ended.take() {
            Some((ended, result)) if ended == op => return Poll::Ready(result),
            _ if state.is_closed => return Poll::Ready(Err(ended())),
            _ => {}
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

#[cold]
fn ended() -> Failure {
    Failure::new(
        Failure::PANIC,
        "the dedicated thread of the connection has ended",
    )
}
