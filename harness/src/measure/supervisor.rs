//! The supervisor: the calling thread of a round, which paces open loads and outlives operations that never end.
//!
//! The round itself runs on its own thread, and announces each of its steps with a limit (`limits`) and a result for
//! the case that the step exceeds it. For an open phase it hands the schedule over as an order; the supervisor releases
//! the arrivals, gives operations in flight some time to end, cuts off arrivals that were not started, and, if a
//! session is still stuck in its operation (because a server was stopped, for example), reports from the ledger.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::arrival_reader::ArrivalReader;
use super::ledger::{Ending, Ledger};
use super::limits;
use super::outcome::{Pace, Paced, given_up_phase};
use crate::arrivals::{ArrivalQueue, Wakes};
use crate::os::{self, Usage};
use crate::pacer::{self, Outlet};
use crate::runtimes::{descriptor, panic_message};
use photofinish_record::protocol::{WorkerPlan, WorkerResult};
use photofinish_record::schedule::Schedule;

/// Stack size of the round's thread, in bytes: that of a main thread, since `sync` runs whole workloads on it.
const STACK_BYTES: usize = 8 << 20;

/// An order to keep a schedule.
pub(super) struct Order {
    pub(super) schedule: Schedule,
    pub(super) length: Duration,
    pub(super) queue: Arc<ArrivalQueue>,
    /// Source of the report if the phase does not end.
    pub(super) ledger: Ledger,
    /// True for the measured phase; the others leave nothing to report.
    pub(super) measured: bool,
    /// The orchestrator's arrivals, if it keeps the schedule.
    pub(super) reader: Option<ArrivalReader>,
}

/// Additional time for a step whose limit has passed.
pub(super) type Extension = Box<dyn FnMut() -> Option<Duration> + Send>;

/// A step of the round that may not take forever.
pub(super) struct Step {
    pub(super) limit: Duration,
    /// Called when the limit has passed: additional time for the step, or `None` to end it.
    pub(super) extension: Option<Extension>,
    /// The round's result if the step is ended.
    pub(super) given_up: Box<dyn FnOnce() -> WorkerResult + Send>,
}

impl Step {
    /// A step with nothing to report if it does not end within `limit` and a margin.
    pub(super) fn task(what: &'static str, limit: Duration) -> Self {
        Self {
            limit: limit.saturating_add(limits::MARGIN),
            extension: None,
            given_up: Box::new(move || {
                super::failed(format!("{what} did not end within {} s", limit.as_secs()))
            }),
        }
    }
}

/// A message from the round to its supervisor.
enum Message {
    Step(Step),
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
    /// The side that wakes sessions: the pacer, if it is to have a CPU to itself.
    pub(super) wakes: Wakes,
}

/// A schedule that the supervisor is keeping.
pub(super) struct Conduct {
    length: Duration,
    queue: Arc<ArrivalQueue>,
    given_up: Arc<AtomicBool>,
    reply: Receiver<Pacing>,
}

impl Supervisor {
    /// Announces the next step, which ends the previous one.
    pub(super) fn watch(&self, step: Step) {
        // The supervisor outlives the round unless it has abandoned it, in which case the result is unused.
        let _ = self.messages.send(Message::Step(step));
    }

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
    round: Box<dyn FnOnce(Supervisor) -> WorkerResult + Send>,
) -> WorkerResult {
    if let Err(error) = os::check_threads(threads_needed(plan)) {
        return out_of_threads(format!("the system refused to start a thread: {error}"));
    }
    let (messages, inbox) = channel();
    let to_itself = messages.clone();
    let wakes = match own_cpu(plan) {
        Some(_) => Wakes::FromPacer,
        None => Wakes::FromSessions,
    };
    let started = thread::Builder::new()
        .name("round".to_owned())
        .stack_size(STACK_BYTES)
        .spawn(move || {
            let result = round(Supervisor { messages, wakes });
            let _ = to_itself.send(Message::Finished(Box::new(result)));
        });
    let thread = match started {
        Ok(thread) => thread,
        Err(error) => return super::failed(format!("the round's thread cannot start: {error}")),
    };
    let supervision = Supervision {
        inbox,
        drain: drain(plan),
        alone: move_to_pacer_cpu(plan),
    };
    match supervision.run() {
        Some(result) => result,
        // The channel closed without a result: the round panicked.
        None => match thread.join() {
            Err(panic) => panicked(&*panic),
            Ok(()) => unreachable!("a round that ends says so"),
        },
    }
}

/// Threads without which a round might never end: the runtime's own, its reactor, and one for blocking work. Some
/// libraries wait forever, or abort, where they get none.
fn threads_needed(plan: &WorkerPlan) -> u32 {
    let own = descriptor(&plan.runtime).is_some_and(|runtime| runtime.takes_worker_threads);
    3 + if own { plan.worker_threads } else { 0 }
}

fn out_of_threads(reason: String) -> WorkerResult {
    WorkerResult::failed(reason, Some(os::RAISE_THREAD_LIMIT.to_owned()))
}

fn panicked(panic: &(dyn Any + Send)) -> WorkerResult {
    let reason = format!("the round panicked: {}", panic_message(panic));
    match os::check_threads(1) {
        Ok(()) => super::failed(reason),
        Err(_) => out_of_threads(reason),
    }
}

/// A step under way.
struct Running {
    step: Step,
    since: Instant,
}

impl Running {
    fn begin(step: Step) -> Self {
        Self {
            step,
            since: Instant::now(),
        }
    }

    fn left(&self) -> Duration {
        self.step.limit.saturating_sub(self.since.elapsed())
    }

    /// Grants the step additional time, if there is any.
    fn goes_on(&mut self) -> bool {
        let extension = self.step.extension.as_mut();
        let further = extension.and_then(|extension| extension());
        self.step.limit = further.unwrap_or_default();
        self.since = Instant::now();
        further.is_some()
    }

    /// The round's result if this step never ends.
    fn give_up(self) -> WorkerResult {
        let result = (self.step.given_up)();
        match (result, os::check_threads(1)) {
            (WorkerResult::Failed { reason, .. }, Err(error)) => out_of_threads(format!(
                "{reason}; the system refuses to start a thread: {error}"
            )),
            (result, _) => result,
        }
    }
}

/// The CPU reserved for this process's pacer; that of the orchestrator has it otherwise.
fn own_cpu(plan: &WorkerPlan) -> Option<usize> {
    plan.pacer_cpu.filter(|_| plan.piped.is_none())
}

/// Moves to the CPU reserved for the pacer, and returns true if there is one.
fn move_to_pacer_cpu(plan: &WorkerPlan) -> bool {
    plan.load.rate_hz().is_some()
        && own_cpu(plan).is_some_and(|cpu| os::pin_process(&[cpu]).is_ok())
}

/// Time for operations of an open load to end.
fn drain(plan: &WorkerPlan) -> Duration {
    match &plan.piped {
        Some(piped) => Duration::from_nanos(piped.drain_ns),
        None => limits::open_drain(plan.unit_ns),
    }
}

/// The sessions of this process as the place to which arrivals are released.
struct QueueOutlet<'a> {
    queue: &'a ArrivalQueue,
    given_up: &'a AtomicBool,
}

impl Outlet for QueueOutlet<'_> {
    fn release(&mut self, count: u64) {
        self.queue.release(count);
    }

    fn goes_on(&mut self) -> bool {
        !self.given_up.load(Ordering::Relaxed)
    }
}

struct Supervision {
    inbox: Receiver<Message>,
    drain: Duration,
    alone: bool,
}

impl Supervision {
    /// The round's result; `None` if it ended without one.
    fn run(&self) -> Option<WorkerResult> {
        let mut running = Running::begin(Step::task("starting the runtime", limits::PREPARE));
        let mut next = None;
        loop {
            let message = match next.take() {
                Some(message) => message,
                None => match self.inbox.recv_timeout(running.left()) {
                    Ok(message) => message,
                    Err(RecvTimeoutError::Disconnected) => return None,
                    Err(RecvTimeoutError::Timeout) if running.goes_on() => continue,
                    Err(RecvTimeoutError::Timeout) => return Some(running.give_up()),
                },
            };
            match message {
                Message::Finished(result) => return Some(*result),
                Message::Step(step) => running = Running::begin(step),
                Message::Pace(request) => match self.conduct(*request) {
                    Ok(message) => next = Some(message),
                    Err(Silence::Ended) => return None,
                    Err(Silence::Stuck(result)) => return Some(*result),
                },
            }
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
            measured,
            mut reader,
        } = order;
        let before = os::thread_usage();
        let start = queue.start();
        let due_times = schedule.due_times().map(|due| start + due);
        let mut outlet = QueueOutlet {
            queue: &queue,
            given_up: &given_up,
        };
        let error = match &mut reader {
            None => pacer::pace(due_times, start + length, self.alone, &mut outlet),
            Some(reader) => reader.receive(&mut outlet),
        };
        let pace = Pace {
            error,
            started_in_time: queue.taken(),
        };
        let pacing = || Pacing {
            pace: pace.clone(),
            alone: self.alone,
            // Reading arrivals is part of what a runtime costs, as it is for a lane.
            cost: match &reader {
                None => os::thread_usage().since(before),
                Some(_) => Usage::default(),
            },
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
        Err(Silence::Stuck(Box::new(if measured {
            report(&ledger, conclude, now)
        } else {
            let waited = now.saturating_duration_since(queue.start());
            ledger.given_up_warmup(waited)
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
    let (recording, paced) = ledger.recordings.drain_after(|_| conclude());
    let phase = given_up_phase(recording, paced, now);
    ledger.reported(phase, Ending::default()).into()
}
