//! The supervisor: the calling thread of a round, which paces open loads and outlives operations that never end.
//!
//! The round itself runs on its own thread. For an open phase it hands the schedule over as an order; the supervisor
//! releases the arrivals, gives operations in flight some time to end, cuts off arrivals that were not started, and, if
//! a session is still stuck in its operation (because a server was stopped, for example), reports from the ledger
//! instead of waiting forever. Under closed load it only waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::ledger::{Ending, Ledger};
use super::outcome::{Paced, given_up_phase};
use crate::arrivals::ArrivalQueue;
use crate::os::{self, Usage};
use crate::pacer::{self, Pace};
use photofinish_record::protocol::{WorkerPlan, WorkerResult};
use photofinish_record::schedule::Schedule;

/// Minimum time for operations to end after the last arrival was due.
const DRAIN: Duration = Duration::from_secs(2);
/// Minimum in units of delay, for operations made of delays.
const DRAIN_UNITS: u32 = 100;

/// Stack size of the round's thread, in bytes: that of a main thread, since `sync` runs whole workloads on it.
const STACK_BYTES: usize = 8 << 20;

/// An order to keep a schedule.
pub(super) struct Order {
    pub(super) schedule: Schedule,
    pub(super) length: Duration,
    pub(super) queue: Arc<ArrivalQueue>,
    /// Source of the report if the phase does not end; `None` if there is nothing to report yet.
    pub(super) ledger: Option<Ledger>,
}

/// A message from the round to its supervisor.
enum Message {
    Pace(Box<PaceRequest>),
    Finished(Box<WorkerResult>),
}

struct PaceRequest {
    order: Order,
    given_up: Arc<AtomicBool>,
    reply: Sender<Pacing>,
}

/// The supervisor's reply once the schedule has ended.
struct Pacing {
    pace: Pace,
    alone: bool,
    cost: Usage,
}

/// The round's handle to its supervisor.
pub(super) struct Supervisor {
    messages: Sender<Message>,
}

/// A schedule that the supervisor is keeping.
pub(super) struct Conduct {
    length: Duration,
    queue: Arc<ArrivalQueue>,
    given_up: Arc<AtomicBool>,
    reply: Receiver<Pacing>,
}

impl Supervisor {
    /// Starts pacing a schedule.
    pub(super) fn pace(&self, order: Order) -> Conduct {
        let given_up = Arc::new(AtomicBool::new(false));
        let (reply, answer) = channel();
        let conduct = Conduct {
            length: order.length,
            queue: Arc::clone(&order.queue),
            given_up: Arc::clone(&given_up),
            reply: answer,
        };
        let request = Box::new(PaceRequest {
            order,
            given_up,
            reply,
        });
        // The supervisor outlives the round unless it has abandoned it, in which case the result is unused.
        let _ = self.messages.send(Message::Pace(request));
        conduct
    }
}

impl Conduct {
    /// Reports that the sessions are gone: nothing would take another arrival.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// The outcome, after all sessions are done.
    pub(super) fn wait(self) -> Paced {
        let pacing = self
            .reply
            .recv()
            .expect("the supervisor replies before it ends the queue");
        pacing.concluded(self.length, &self.queue, Instant::now())
    }
}

impl Pacing {
    fn concluded(self, length: Duration, queue: &ArrivalQueue, now: Instant) -> Paced {
        Paced {
            start: queue.start(),
            length,
            scheduled: self.pace.error.count(),
            pace: self.pace,
            leftover: queue.leftover(now),
            alone: self.alone,
            cost: self.cost,
        }
    }
}

/// Runs `round` on its own thread and supervises it.
pub(super) fn supervised(
    plan: &WorkerPlan,
    round: impl FnOnce(Supervisor) -> WorkerResult + Send + 'static,
) -> WorkerResult {
    let (messages, inbox) = channel();
    let to_itself = messages.clone();
    let started = thread::Builder::new()
        .name("round".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let result = round(Supervisor { messages });
            let _ = to_itself.send(Message::Finished(Box::new(result)));
        });
    let thread = match started {
        Ok(thread) => thread,
        Err(error) => return super::failed(format!("the round's thread cannot start: {error}")),
    };
    let drain = DRAIN.max(Duration::from_nanos(plan.unit_ns).saturating_mul(DRAIN_UNITS));
    let supervision = Supervision {
        inbox,
        drain,
        alone: move_to_pacer_cpu(plan),
    };
    match supervision.run() {
        Some(result) => result,
        // The channel closed without a result: the round panicked.
        None => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("a round that ends says so"),
        },
    }
}

/// Moves to the CPU reserved for the pacer, and returns true if there is one.
fn move_to_pacer_cpu(plan: &WorkerPlan) -> bool {
    plan.load.rate_hz().is_some()
        && plan
            .pacer_cpu
            .is_some_and(|cpu| os::pin_process(&[cpu]).is_ok())
}

struct Supervision {
    inbox: Receiver<Message>,
    drain: Duration,
    alone: bool,
}

impl Supervision {
    /// The round's result; `None` if it ended without one.
    fn run(&self) -> Option<WorkerResult> {
        let mut next = self.inbox.recv();
        loop {
            next = match next.ok()? {
                Message::Finished(result) => return Some(*result),
                Message::Pace(request) => match self.conduct(*request) {
                    Ok(message) => Ok(message),
                    Err(Silence::Ended) => return None,
                    Err(Silence::Stuck(result)) => return Some(*result),
                },
            };
        }
    }

    /// Paces a schedule, and waits for the next message from the round.
    fn conduct(&self, request: PaceRequest) -> Result<Message, Silence> {
        let PaceRequest {
            order,
            given_up,
            reply,
        } = request;
        let Order {
            schedule,
            length,
            queue,
            ledger,
        } = order;
        let before = os::thread_usage();
        let is_given_up = || given_up.load(Ordering::Relaxed);
        let pace = pacer::pace(
            &schedule,
            &queue,
            queue.start() + length,
            self.alone,
            &is_given_up,
        );
        let pacing = || Pacing {
            pace: pace.clone(),
            alone: self.alone,
            cost: os::thread_usage().since(before),
        };
        let _ = reply.send(pacing());
        queue.end();
        match self.inbox.recv_timeout(self.drain) {
            Ok(message) => return Ok(message),
            Err(RecvTimeoutError::Disconnected) => return Err(Silence::Ended),
            Err(RecvTimeoutError::Timeout) => queue.cut(),
        }
        // An operation started just before the cut may take as long as any other.
        match self.inbox.recv_timeout(self.drain) {
            Ok(message) => return Ok(message),
            Err(RecvTimeoutError::Disconnected) => return Err(Silence::Ended),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let now = Instant::now();
        let conclude = || pacing().concluded(length, &queue, now);
        Err(Silence::Stuck(Box::new(match ledger {
            Some(ledger) => report(&ledger, conclude, now),
            None => super::failed(format!(
                "{} operations of the warm-up did not end within {} s",
                conclude().leftover.unfinished,
                2.0 * self.drain.as_secs_f64(),
            )),
        })))
    }
}

enum Silence {
    /// The round has ended.
    Ended,
    /// The round's sessions are stuck; this is the result so far.
    Stuck(Box<WorkerResult>),
}

/// The measurement of a round without its sessions. Nothing is recorded during `conclude`, so that an operation which
/// ends at that moment is either recorded or unfinished, and not lost in between.
fn report(ledger: &Ledger, conclude: impl FnOnce() -> Paced, now: Instant) -> WorkerResult {
    let (recording, paced) = ledger.recordings.drain_after(conclude);
    let phase = given_up_phase(recording, paced, now);
    ledger.reported(phase, Ending::default()).into()
}
