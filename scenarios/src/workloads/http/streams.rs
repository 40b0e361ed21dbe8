//! A session that speaks HTTP/2: several requests or flows at once over one connection, joined.
//!
//! The loop below is all that is compiled for each runtime: begin what the server's limit allows, send it in one write, wait
//! for bytes, hand them to the lanes. A connection that the server ends is opened again once its last exchange is done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use photofinish_harness::measure::FIRST_WARMUP_OP;
use photofinish_harness::parts::{PartRecorder, Parts};
use photofinish_harness::runtime::{Elapsed, Runtime};
use photofinish_harness::workload::{Failure, RoundEnv};

use super::super::http_connection::{Endpoint, http2_dialer};
use super::super::http2_connection::Http2Connection;
use super::compile::Script;
use super::lane::{Course, Lane};
use super::spec::HttpVersion;
use super::walk::Walk;
use super::{Shared, too_late};
use crate::data::{RoundData, Values};
use crate::protocol::http2::Http2Error;

/// One client.
pub struct Streams<R: Runtime> {
    connection: Http2Connection<R>,
    lanes: Vec<Lane>,
    part: PartRecorder,
    /// The fewest streams that the server allowed at the end of an operation.
    limit: Arc<AtomicU32>,
}

/// An operation: if dropped before its end, its requests are given up and the connection is closed.
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
    /// The session number `index`, with a lane for each of `streams`.
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

    /// Performs operation `op`, and returns its first failure.
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

    /// Performs one step on its own during set-up, and returns the body of the response.
    pub(super) async fn perform(
        &mut self,
        script: &Script,
        shared: &Shared,
        step: usize,
    ) -> Result<&[u8], Failure> {
        self.part = Parts::default().recorder(0);
        self.lanes[0].begin_steps(script, step..step + 1);
        self.run(script, shared).await?;
        Ok(self.lanes[0].body())
    }

    /// The walk of the first lane.
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
        let course = Course {
            script,
            same: &shared.same,
            begun: &shared.begun,
            part,
            traffic: &traffic,
        };
        connection.refresh().await;
        loop {
            submit(connection, lanes, &course);
            let is_open = lanes.iter().any(Lane::is_open);
            let is_waiting = lanes.iter().any(Lane::is_waiting);
            if !is_open && is_waiting && connection.taker(most_requests(script)).is_none() {
                reopen(connection, lanes, &course).await;
            } else if is_open || is_waiting {
                turn(connection, lanes, &course).await;
                advance(connection, lanes, &course);
            } else if let Some(pause) = lanes.iter().find_map(Lane::pause) {
                let due = Instant::now() + pause;
                connection.runtime().clone().sleep_until(due).await;
                lanes.iter_mut().for_each(|lane| lane.resume(script));
            } else {
                break;
            }
        }
        note_limit(connection, limit);
        connection.rest();
        lanes.iter_mut().try_for_each(Lane::take_result)
    }
}

/// Sends the requests that wait, as far as the server allows.
fn submit<R: Runtime>(
    connection: &mut Http2Connection<R>,
    lanes: &mut [Lane],
    course: &Course<'_>,
) {
    let mut open = lanes.iter().filter(|lane| lane.is_open()).count();
    let Some(mut taker) = connection.taker(most_requests(course.script)) else {
        return;
    };
    let on_kept = taker.is_kept();
    for lane in lanes.iter_mut().filter(|lane| lane.is_waiting()) {
        if open >= taker.streams || !taker.has_room() {
            return;
        }
        lane.submit(taker.client, on_kept, course);
        if lane.is_open() {
            open += 1;
            taker.count();
        }
    }
}

/// Opens the connection again; without one, the requests that wait fail.
async fn reopen<R: Runtime>(
    connection: &mut Http2Connection<R>,
    lanes: &mut [Lane],
    course: &Course<'_>,
) {
    connection.close_if_retired();
    if let Err(failure) = connection.open().await {
        let waiting = lanes.iter_mut().filter(|lane| lane.is_waiting());
        waiting.for_each(|lane| lane.fail(failure.clone(), course));
    }
}

/// Sends and receives once; requests that are late fail, and with them all others of the connection.
async fn turn<R: Runtime>(
    connection: &mut Http2Connection<R>,
    lanes: &mut [Lane],
    course: &Course<'_>,
) {
    let deadlines = lanes.iter().filter_map(Lane::deadline);
    let Some(due) = deadlines.min() else {
        return connection.turn().await;
    };
    let left = due.saturating_duration_since(Instant::now());
    let runtime = connection.runtime().clone();
    let ended = runtime.timeout(left, Box::pin(connection.turn())).await;
    if let Err(Elapsed) = ended {
        connection.close();
        for lane in lanes.iter_mut().filter(|lane| lane.is_open()) {
            let failure = match lane.time_limit(course.script) {
                Some(limit) => too_late(limit),
                None => Failure::new(
                    Failure::TIMEOUT,
                    "the connection was closed when another of its requests took too long",
                ),
            };
            lane.fail(failure, course);
        }
    }
}

/// Hands what has arrived to the requests on their way.
fn advance<R: Runtime>(connection: &Http2Connection<R>, lanes: &mut [Lane], course: &Course<'_>) {
    for lane in lanes {
        lane.advance(|error| connection.failure(error), course);
        if !connection.is_alive() && lane.is_open() {
            // Nothing more will come.
            lane.fail(connection.failure(&Http2Error::Closed), course);
        }
    }
}

fn most_requests(script: &Script) -> u32 {
    script.http.keep_alive.most_requests()
}

fn note_limit<R: Runtime>(connection: &mut Http2Connection<R>, limit: &AtomicU32) {
    let Some(taker) = connection.taker(u32::MAX) else {
        return;
    };
    let streams = u32::try_from(taker.streams).unwrap_or(u32::MAX);
    // A plain load first: the limit hardly ever changes.
    if streams < limit.load(Ordering::Relaxed) {
        limit.fetch_min(streams, Ordering::Relaxed);
    }
}

/// The number of lane `index` in operation `op`: each request of a phase has its own.
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
    fn every_request_of_a_phase_has_a_number_of_its_own() {
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
