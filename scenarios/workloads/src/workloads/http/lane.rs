//! One of the concurrent requests or flows of an HTTP/2 session: its state and decisions.
//!
//! Without I/O, so that it is compiled only once: `streams.rs` sends and receives for all lanes of a session. A request that
//! the server reports as not processed is sent again, even a POST (RFC 9113, section 8.7); one that was lost with a kept
//! connection is sent once more only if it is idempotent, as with HTTP/1.1.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use photofinish_harness::measure::PartStart;
use photofinish_harness::parts::{PartOutcome, PartRecorder};
use photofinish_harness::traffic::TrafficCounter;
use photofinish_harness::workload::Failure;

use super::super::answer::Answer;
use super::compile::Script;
use super::step::Step;
use super::walk::{Attempts, Walk};
use crate::protocol::http::HttpError;
use crate::protocol::http2::{Event, Exchange, Http2Client, Http2Error};

/// Maximum number of times that a request is sent again because the server did not process it.
pub(super) const MOST_UNPROCESSED: u32 = 20;

/// A request or a flow of one operation.
pub(super) struct Lane {
    walk: Walk,
    answer: Answer,
    /// Steps left, the current one included.
    steps: Range<usize>,
    attempts: Option<Attempts>,
    /// Number of times that the server did not process the current request.
    unprocessed: u32,
    /// True if the current request was already lost once with its connection.
    was_lost: bool,
    state: State,
}

enum State {
    /// The current request has not been sent.
    Waiting,
    Open(Open),
    /// Pausing after the current step, for this long.
    Pausing(Duration),
    Ended(Result<(), Failure>),
}

/// A request in flight.
struct Open {
    exchange: Exchange,
    part: PartStart,
    /// Deadline of the response.
    due: Option<Instant>,
    /// True if the connection had carried an earlier request.
    on_kept: bool,
    has_head: bool,
}

/// State that the lanes of an operation share.
pub(super) struct LaneContext<'a> {
    pub(super) script: &'a Script,
    /// For each step, the body that every response must have.
    pub(super) same: &'a [Option<Arc<[u8]>>],
    /// Requests started by operations.
    pub(super) begun: &'a AtomicU64,
    pub(super) part: &'a PartRecorder,
    pub(super) traffic: &'a TrafficCounter,
}

impl Lane {
    pub(super) fn new(walk: Walk, script: &Script) -> Self {
        let mut answer = Answer::new();
        answer.watch(script.watched());
        Self {
            walk,
            answer,
            steps: 0..0,
            attempts: None,
            unprocessed: 0,
            was_lost: false,
            state: State::Ended(Ok(())),
        }
    }

    /// Begins the request or flow with this number.
    pub(super) fn begin(&mut self, script: &Script, seed: u64, number: u64) {
        match self.walk.begin(script, seed, number) {
            Ok(steps) => self.begin_steps(script, steps),
            Err(failure) => self.state = State::Ended(Err(failure)),
        }
    }

    /// Begins these steps.
    pub(super) fn begin_steps(&mut self, script: &Script, steps: Range<usize>) {
        self.steps = steps;
        self.prepare(script);
    }

    /// Prepares the current step, if there is one left.
    fn prepare(&mut self, script: &Script) {
        let index = self.steps.start;
        if self.steps.is_empty() {
            self.state = State::Ended(Ok(()));
            return;
        }
        let prepared = self
            .walk
            .prepare(&script.steps[index], index, script.http.redirects);
        self.state = match prepared {
            Ok(attempts) => {
                self.attempts = Some(attempts);
                self.unprocessed = 0;
                self.was_lost = false;
                State::Waiting
            }
            Err(failure) => State::Ended(Err(failure)),
        };
    }

    pub(super) fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting)
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// The pause to wait for before [`Lane::resume`].
    pub(super) fn pause(&self) -> Option<Duration> {
        match self.state {
            State::Pausing(pause) => Some(pause),
            _ => None,
        }
    }

    /// Continues after a pause.
    pub(super) fn resume(&mut self, script: &Script) {
        self.prepare(script);
    }

    /// The failure, if the lane has ended with one.
    pub(super) fn failure(&self) -> Option<&Failure> {
        match &self.state {
            State::Ended(Err(failure)) => Some(failure),
            _ => None,
        }
    }

    /// The result, once the lane has ended.
    pub(super) fn take_result(&mut self) -> Result<(), Failure> {
        match std::mem::replace(&mut self.state, State::Ended(Ok(()))) {
            State::Ended(result) => result,
            _ => unreachable!("the lane has ended"),
        }
    }

    /// The body of the last response.
    pub(super) fn body(&self) -> &[u8] {
        self.answer.body()
    }

    /// State apart from the request in flight.
    pub(super) fn walk(&mut self) -> &mut Walk {
        &mut self.walk
    }

    /// Deadline of the response to the request in flight.
    pub(super) fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Open(open) => open.due,
            _ => None,
        }
    }

    /// The time limit of the current request.
    pub(super) fn time_limit(&self, script: &Script) -> Option<Duration> {
        self.step(script).timeout
    }

    fn step<'a>(&self, script: &'a Script) -> &'a Step {
        &script.steps[self.steps.start]
    }

    /// Sends the current request over a connection with room for it.
    pub(super) fn submit(
        &mut self,
        client: &mut Http2Client,
        on_kept: bool,
        context: &LaneContext<'_>,
    ) {
        let step = self.step(context.script);
        let message = self.walk.message.as_ref().expect("made for HTTP/2");
        let (head, body) = message.parts();
        let part = context.part.start();
        match client.begin(head, body) {
            Ok(exchange) => {
                self.answer
                    .keep(step.keep, context.same[self.steps.start].as_ref());
                self.answer.begin(self.method());
                if self.unprocessed == 0 && !self.was_lost {
                    context.begun.fetch_add(1, Ordering::Relaxed);
                }
                self.state = State::Open(Open {
                    exchange,
                    part,
                    due: step.timeout.map(|limit| Instant::now() + limit),
                    on_kept,
                    has_head: false,
                });
            }
            Err(Http2Error::Unfit(reason)) => {
                let failure = Failure::new("data", Http2Error::Unfit(reason).to_string());
                self.end_request(part, Err(failure), context);
            }
            // The connection has ended in the meantime: the request waits for a new one.
            Err(_) => {}
        }
    }

    fn method(&self) -> crate::protocol::http::Method {
        self.attempts.as_ref().expect("prepared").method
    }

    /// Processes the part of the response that has arrived. `failure` converts an error.
    pub(super) fn advance(
        &mut self,
        failure: impl Fn(&Http2Error) -> Failure,
        context: &LaneContext<'_>,
    ) {
        while let State::Open(open) = &mut self.state {
            let outcome = match open.exchange.event() {
                Ok(None) => return,
                Ok(Some(Event::Head(status, fields))) => {
                    open.has_head = true;
                    let fields = fields
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.as_bytes()));
                    match self.answer.take_head(status.as_u16(), fields) {
                        Ok(()) => continue,
                        Err(error) => Err(malformed(&error)),
                    }
                }
                Ok(Some(Event::Data(data))) => match self.answer.take_body(&data) {
                    Ok(()) => continue,
                    Err(error) => Err(malformed(&error)),
                },
                Ok(Some(Event::End)) => Ok(()),
                Err(error) => {
                    if self.is_sent_again(&error, context) {
                        return;
                    }
                    Err(failure(&error))
                }
            };
            self.end_open(outcome, context);
        }
    }

    /// Puts the request back to waiting if its error permits another attempt.
    fn is_sent_again(&mut self, error: &Http2Error, context: &LaneContext<'_>) -> bool {
        let State::Open(open) = &self.state else {
            return false;
        };
        let is_idempotent = self.method().is_idempotent();
        if error.is_unprocessed() && self.unprocessed < MOST_UNPROCESSED {
            self.unprocessed += 1;
        } else if *error == Http2Error::Closed
            && open.on_kept
            && !open.has_head
            && is_idempotent
            && !self.was_lost
        {
            self.was_lost = true;
            // The server may have processed it.
            context.traffic.abandoned();
        } else {
            return false;
        }
        self.state = State::Waiting;
        true
    }

    /// Fails the request, sent or not.
    pub(super) fn fail(&mut self, failure: Failure, context: &LaneContext<'_>) {
        match self.state {
            State::Open(_) => self.end_open(Err(failure), context),
            State::Waiting => self.end_request(context.part.start(), Err(failure), context),
            State::Pausing(_) | State::Ended(_) => {}
        }
    }

    fn end_open(&mut self, outcome: Result<(), Failure>, context: &LaneContext<'_>) {
        let State::Open(Open { part, .. }) = std::mem::replace(&mut self.state, State::Waiting)
        else {
            unreachable!("only an open request ends");
        };
        match outcome {
            Ok(()) => context.traffic.answered(),
            Err(_) => context.traffic.abandoned(),
        }
        self.end_request(part, outcome, context);
    }

    /// Judges the outcome of a request and continues with the next.
    fn end_request(
        &mut self,
        part: PartStart,
        outcome: Result<(), Failure>,
        context: &LaneContext<'_>,
    ) {
        let index = self.steps.start;
        let step = &context.script.steps[index];
        let status = outcome.as_ref().ok().map(|()| self.answer.status());
        let attempts = self.attempts.as_mut().expect("prepared");
        let same = context.same[index].as_deref();
        let outcome = outcome.map(|()| &self.answer);
        let verdict = self
            .walk
            .judge(context.script, step, attempts, outcome, same);
        let failure = verdict.result.as_ref().err().map(|failure| failure.kind);
        context
            .part
            .end(index, part, PartOutcome { failure, status });
        if verdict.again {
            self.unprocessed = 0;
            self.was_lost = false;
            self.state = State::Waiting;
            return;
        }
        match (verdict.result, step.pause) {
            (Err(failure), _) => self.state = State::Ended(Err(failure)),
            (Ok(()), pause) => {
                self.steps.start += 1;
                match pause {
                    Some(pause) => self.state = State::Pausing(pause),
                    None => self.prepare(context.script),
                }
            }
        }
    }

    /// Gives up the request in flight; true if there was one.
    pub(super) fn cancel(&mut self) -> bool {
        let was_open = self.is_open();
        self.state = State::Ended(Ok(()));
        was_open
    }
}

fn malformed(error: &HttpError) -> Failure {
    Failure::new(error.kind(), error.to_string())
}
