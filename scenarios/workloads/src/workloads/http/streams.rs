//! An HTTP/2 session: concurrent requests or flows over one connection, joined.
//!
//! Only the loop below is compiled for each runtime: begin as many requests as the server's limit allows, send them in one
//! write, wait for bytes, hand them to the lanes. A connection that the server ends is reopened after its last exchange.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use photofinish_harness::measure::FIRST_WARMUP_OP;
use photofinish_harness::parts::{PartRecorder, Parts};
use photofinish_harness::runtime::{Elapsed, Runtime};
use photofinish_harness::workload::{Failure, RoundEnv};

use super::super::http_connection::{Endpoint, http2_dialer};
use super::super::http2_connection::{Http2Connection, failure_of};
use super::compile::Script;
use super::lane::{Lane, LaneContext, MOST_UNPROCESSED};
use super::spec::HttpVersion;
use super::walk::Walk;
use super::{Shared, too_late};
use crate::data::{RoundData, Values};
use crate::protocol::http2::Http2Error;

/// Maximum time for which a server may allow no streams while requests wait.
const LONGEST_WITHOUT_STREAMS: Duration = Duration::from_secs(5);

/// One client.
pub struct Streams<R: Runtime> {
    connection: Http2Connection<R>,
    lanes: Vec<Lane>,
    part: PartRecorder,
    /// Smallest stream limit of the server at the end of an operation.
    limit: Arc<AtomicU32>,
}

/// An operation in progress. Dropping it early gives up its requests and closes the connection.
struct Operation<'a, R: Runtime>(&'a mut Streams<R>);

impl<R: Runtime> Drop for Operation<'_, R> {
    fn drop(&mut self) {
        let Streams {
            connection, lanes, ..
        } = &mut *self.0;
        let cancelled = lanes.iter_mut().map(Lane::cancel).filter(|open| *open);
        let cancelled = cancelled.count();
        if cancelled > 0 {
            (0..cancelled).for_each(|_| connection.traffic().abandoned());
            connection.close();
        }
    }
}

impl<R: Runtime> Streams<R> {
    /// Session number `index`, with one lane per stream.
    pub(super) fn new(
        script: &Script,
        env: &RoundEnv<R>,
        data: &Arc<RoundData>,
        index: u32,
        limit: &Arc<AtomicU32>,
    ) -> Result<Self, Failure> {
        let endpoint = Endpoint::of(env)?;
        let lane = |_| {
            let values = Values::new(data, index)?;
            let walk = Walk::new(&endpoint, HttpVersion::Http2, values)?;
            Ok(Lane::new(walk, script))
        };
        let streams = script.http.streams.get();
        Ok(Self {
            connection: Http2Connection::over(http2_dialer(env, &endpoint)),
            lanes: (0..streams).map(lane).collect::<Result<_, Failure>>()?,
            part: env.parts.recorder(index),
            limit: Arc::clone(limit),
        })
    }

    /// Opens the connection during set-up.
    pub(super) async fn connect(&mut self) -> Result<(), Failure> {
        self.connection.connect().await
    }

    /// Performs operation `op`; returns its first failure.
    pub(super) async fn operate(
        &mut self,
        script: &Script,
        shared: &Shared,
        seed: u64,
        op: u64,
    ) -> Result<(), Failure> {
        let streams = self.lanes.len() as u64;
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            lane.begin(script, seed, number(op, streams, index as u64));
        }
        let mut failures = self.lanes.iter().filter_map(Lane::failure);
        let rows_end = failures.find(|failure| failure.kind == Failure::ROWS_END);
        if let Some(rows_end) = rows_end {
            return Err(rows_end.clone());
        }
        self.run(script, shared).await
    }

    /// Performs a single step during set-up; returns the body of the response.
    pub(super) async fn perform(
        &mut self,
        script: &Script,
        shared: &Shared,
        step: usize,
    ) -> Result<&[u8], Failure> {
        self.part = Parts::default().recorder(0_u32);
        self.lanes[0].begin_steps(script, step..step + 1);
        self.run(script, shared).await?;
        Ok(self.lanes[0].body())
    }

    /// Walk of the first lane.
    pub(super) fn first_walk(&mut self) -> &mut Walk {
        self.lanes[0].walk()
    }

    /// Runs all lanes to their end.
    async fn run(&mut self, script: &Script, shared: &Shared) -> Result<(), Failure> {
        let operation = Operation(self);
        let Self {
            connection,
            lanes,
            part,
            limit,
        } = &mut *operation.0;
        let traffic = connection.traffic().clone();
        let context = LaneContext {
            script,
            same: &shared.same,
            begun: &shared.begun,
            part,
            traffic: &traffic,
        };
        connection.refresh().await;
        let mut vain = 0;
        let mut blocked_since = None;
        loop {
            submit(connection, lanes, &context);
            let is_open = lanes.iter().any(Lane::is_open);
            let is_waiting = lanes.iter().any(Lane::is_waiting);
            if !is_open && is_waiting && connection.sender(most_requests(script)).is_none() {
                reopen(connection, lanes, &context, &mut vain).await;
                blocked_since = None;
            } else if is_open || is_waiting {
                if is_open {
                    vain = 0;
                    blocked_since = None;
                } else {
                    // The connection takes requests, but no streams are allowed.
                    blocked_since = blocked_since.or_else(|| Some(Instant::now()));
                }
                turn(connection, lanes, &context, blocked_since).await;
                advance(connection, lanes, &context);
            } else if let Some(pause) = lanes.iter().find_map(Lane::pause) {
                connection.pause_until(Instant::now() + pause).await;
                lanes.iter_mut().for_each(|lane| lane.resume(script));
            } else {
                break;
            }
        }
        note_limit(connection, limit);
        connection.end_operation();
        lanes.iter_mut().try_for_each(Lane::take_result)
    }
}

/// Begins waiting requests, as many as the server allows.
fn submit<R: Runtime>(
    connection: &mut Http2Connection<R>,
    lanes: &mut [Lane],
    context: &LaneContext<'_>,
) {
    let mut open = lanes.iter().filter(|lane| lane.is_open()).count();
    let Some(mut sender) = connection.sender(most_requests(context.script)) else {
        return;
    };
    let on_kept = sender.is_kept();
    for lane in lanes.iter_mut().filter(|lane| lane.is_waiting()) {
        if open >= sender.streams || !sender.has_room() {
            return;
        }
        lane.submit(sender.client, on_kept, context);
        if lane.is_open() {
            open += 1;
            sender.count();
        }
    }
}

/// Opens the connection again; without one, the requests that wait fail. `vain` counts connections in a row that took no
/// request.
async fn reopen<R: Runtime>(
    connection: &mut Http2Connection<R>,
    lanes: &mut [Lane],
    context: &LaneContext<'_>,
    vain: &mut u32,
) {
    connection.close_if_retired();
    let opened = if *vain == MOST_UNPROCESSED {
        let detail =
            format!("the server ended {MOST_UNPROCESSED} connections in a row before any request");
        Err(Failure::new("goaway", detail))
    } else {
        connection.open().await
    };
    match opened {
        Ok(()) => *vain += 1,
        Err(failure) => {
            let waiting = lanes.iter_mut().filter(|lane| lane.is_waiting());
            waiting.for_each(|lane| lane.fail(failure.clone(), context));
        }
    }
}

/// Sends and receives once. A late request fails, and all others on the connection with it. `blocked_since` is the time since
/// which requests have waited because the server allows no streams.
async fn turn<R: Runtime>(
    connection: &mut Http2Connection<R>,
    lanes: &mut [Lane],
    context: &LaneContext<'_>,
    blocked_since: Option<Instant>,
) {
    let due = match blocked_since {
        None => lanes.iter().filter_map(Lane::deadline).min(),
        Some(since) => Some(since + longest_without_streams(lanes, context.script)),
    };
    let Some(due) = due else {
        return connection.turn().await;
    };
    let left = due.saturating_duration_since(Instant::now());
    let runtime = connection.runtime().clone();
    let ended = runtime.timeout(left, Box::pin(connection.turn())).await;
    if let Err(Elapsed) = ended {
        connection.close();
        let is_blocked = blocked_since.is_some();
        let late = |lane: &&mut Lane| lane.is_open() || is_blocked && lane.is_waiting();
        for lane in lanes.iter_mut().filter(late) {
            let failure = match lane.time_limit(context.script) {
                _ if is_blocked => failure_of(&Http2Error::NoStreams),
                Some(limit) => too_late(limit),
                None => Failure::new(
                    Failure::TIMEOUT,
                    "the connection was closed because another of its requests took too long",
                ),
            };
            lane.fail(failure, context);
        }
    }
}

/// Time for which the waiting requests wait for a stream: the shortest limit of one, or a default.
fn longest_without_streams(lanes: &[Lane], script: &Script) -> Duration {
    let waiting = lanes.iter().filter(|lane| lane.is_waiting());
    let limits = waiting.filter_map(|lane| lane.time_limit(script));
    limits
        .min()
        .unwrap_or(Duration::MAX)
        .min(LONGEST_WITHOUT_STREAMS)
}

/// Hands received data to the requests in flight.
fn advance<R: Runtime>(
    connection: &Http2Connection<R>,
    lanes: &mut [Lane],
    context: &LaneContext<'_>,
) {
    for lane in lanes {
        lane.advance(|error| connection.failure(error), context);
        if !connection.is_alive() && lane.is_open() {
            // Nothing more will arrive.
            lane.fail(connection.failure(&Http2Error::Closed), context);
        }
    }
}

fn most_requests(script: &Script) -> u32 {
    script.http.keep_alive.most_requests()
}

fn note_limit<R: Runtime>(connection: &mut Http2Connection<R>, limit: &AtomicU32) {
    let Some(sender) = connection.sender(u32::MAX) else {
        return;
    };
    let streams = u32::try_from(sender.streams).unwrap_or(u32::MAX);
    // A plain load first: the limit hardly ever changes.
    if streams < limit.load(Ordering::Relaxed) {
        limit.fetch_min(streams, Ordering::Relaxed);
    }
}

/// Number of lane `index` in operation `op`, unique in its phase.
fn number(op: u64, streams: u64, index: u64) -> u64 {
    match op.checked_sub(FIRST_WARMUP_OP) {
        Some(warmup) => FIRST_WARMUP_OP + warmup * streams + index,
        None => op * streams + index,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_of_a_phase_has_a_unique_number() {
        let numbers = |first: u64| -> Vec<u64> {
            let ops = first..first + 3;
            ops.flat_map(|op| (0..4).map(move |index| number(op, 4, index)))
                .collect()
        };
        assert_eq!(numbers(0), (0..12).collect::<Vec<_>>());
        let warmup: Vec<_> = (0..12).map(|index| FIRST_WARMUP_OP + index).collect();
        assert_eq!(numbers(FIRST_WARMUP_OP), warmup);
    }
}
