//! The supervisor: the calling thread of a round, which paces open loads and outlives operations that never end.
//!
//! The round itself runs on a thread of its own. For an open phase it hands the schedule over as an order; the
//! supervisor releases the arrivals, gives what is in flight some time to end, cuts off what was not begun with, and,
//! should even then a session be stuck in its operation (a server that was stopped, say), reports from the ledger
//! instead of waiting for ever. Under closed load it only waits.

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

/// The least time that operations get to end after the last arrival was due.
const DRAIN: Duration = Duration::from_secs(2);
/// The same in units of delay, for operations made of delays.
const DRAIN_UNITS: u32 = 100;

/// Stack of the round's thread in bytes: that of a main thread, since `sync` runs whole workloads on it.
const STACK_BYTES: usize = 8 << 20;

/// A schedule to keep.
pub(super) struct Order {
    pub(super) schedule: Schedule,
    pub(super) length: Duration,
    pub(super) queue: Arc<ArrivalQueue>,
    /// What to report from if the phase does not end; `None` where there is nothing to report yet.
    pub(super) ledger: Option<Ledger>,
}

/// What the round says to its supervisor.
enum Message {
    Pace(Box<Ordered>),
    Finished(Box<WorkerResult>),
}

struct Ordered {
    order: Order,
    given_up: Arc<AtomicBool>,
    reply: Sender<Pacing>,
}

/// What the supervisor knows once the schedule has ended.
struct Pacing {
    pace: Pace,
    alone: bool,
    cost: Usage,
}

/// The round's line to its supervisor.
pub(super) struct Supervisor {
    messages: Sender<Message>,
}

/// An order that is being carried out.
pub(super) struct UnderWay {
    length: Duration,
    queue: Arc<ArrivalQueue>,
    given_up: Arc<AtomicBool>,
    reply: Receiver<Pacing>,
}

impl Supervisor {
    /// Has a schedule kept from now on.
    pub(super) fn pace(&self, order: Order) -> UnderWay {
        let given_up = Arc::new(AtomicBool::new(false));
        let (reply, answer) = channel();
        let under_way = UnderWay {
            length: order.length,
            queue: Arc::clone(&order.queue),
            given_up: Arc::clone(&given_up),
            reply: answer,
        };
        let ordered = Box::new(Ordered {
            order,
            given_up,
            reply,
        });
        // It outlives the round, unless it has given the round up: then nobody reads what comes of this.
        let _ = self.messages.send(Message::Pace(ordered));
        under_way
    }
}

impl UnderWay {
    /// The sessions are gone: nobody would take another arrival.
    pub(super) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// What came of it, after all sessions are done.
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

/// Runs `round` on a thread of its own and supervises it.
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
        alone: take_place(plan),
    };
    match supervision.run() {
        Some(result) => result,
        // The line went dead without a result: the round panicked.
        None => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("a round that ends says so"),
        },
    }
}

/// Moves to the CPU that is meant for the pacer; whether there is one.
fn take_place(plan: &WorkerPlan) -> bool {
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
                Message::Pace(ordered) => match self.conduct(*ordered) {
                    Ok(message) => Ok(message),
                    Err(Silence::Ended) => return None,
                    Err(Silence::Stuck(result)) => return Some(*result),
                },
            };
        }
    }

    /// Keeps a schedule, and waits for what the round says next.
    fn conduct(&self, ordered: Ordered) -> Result<Message, Silence> {
        let Ordered {
            order,
            given_up,
            reply,
        } = ordered;
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
        // What was begun with just before the cut may take as long as anything else.
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

/// Why the round says nothing more.
enum Silence {
    /// It is gone.
    Ended,
    /// Its sessions are stuck; this is what there is.
    Stuck(Box<WorkerResult>),
}

/// The round in numbers, without its sessions. Nothing is written down while it is concluded, so that an operation which
/// ends just now is either recorded or unfinished, and not lost in between.
fn report(ledger: &Ledger, conclude: impl FnOnce() -> Paced, now: Instant) -> WorkerResult {
    let (recording, paced) = ledger.recordings.drain_after(conclude);
    let phase = given_up_phase(recording, paced, now);
    ledger.reported(phase, Ending::default()).into()
}
