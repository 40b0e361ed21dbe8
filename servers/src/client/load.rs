//! A running load: its connections, their requests, and the observations.
//!
//! Every connection has one request in flight at any time, and sends the next one as soon as an answer has been read
//! and checked. A connection that the server closed is reopened, until the end. Latencies are only kept for the
//! measurement; for a request that was already waiting when it started, the latency counts from that moment. An answer
//! that arrives after the end is only kept if its connection had none before: that wait is as long as the measurement
//! itself, and leaving it out would hide it.

use std::io;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Serializer as _, V2DeflateSerializer};
use serde::Serialize;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::Expectation;
use super::answer::{self, Answer};
use crate::{CountedStream, Counts};

/// Pause before a broken connection is reopened.
const AFTER_A_BREAK: Duration = Duration::from_millis(10);

/// Buffer size, so that a common answer arrives in a single read.
const BUFFER_BYTES: usize = 4096;

/// Maximum length of an answer, in bytes.
const LONGEST_ANSWER_BYTES: usize = 1 << 20;

/// Maximum recorded latency, in ns: 60 s, like all other histograms.
const LONGEST_NS: u64 = 60_000_000_000;

/// A running load. Dropping it closes its connections.
pub(super) struct Load {
    shared: Arc<Shared>,
    connections: JoinSet<()>,
}

/// State shared by the connections of a load.
struct Shared {
    address: SocketAddr,
    expectations: Arc<[Expectation]>,
    /// Each expectation's request, encoded.
    requests: Vec<Vec<u8>>,
    counts: Arc<Counts>,
    seen: Mutex<Observations>,
}

/// Observations of a load.
struct Observations {
    phase: Phase,
    /// Latencies in ns.
    latency: Histogram<u64>,
    /// For each connection, true if it received an answer during the measurement.
    served: Vec<bool>,
    wrong: Tally,
    broken: Tally,
}

#[derive(Debug, Clone, Copy)]
enum Phase {
    WarmUp,
    Measurement { since: Instant },
    End { measured_since: Option<Instant> },
}

/// Number of occurrences, and a description of the first.
#[derive(Debug, Clone, Default, Serialize)]
struct Tally {
    count: u64,
    example: String,
}

impl Tally {
    fn note(&mut self, what: impl FnOnce() -> String) {
        if self.count == 0 {
            self.example = what();
        }
        self.count += 1;
    }
}

/// The report at the end of a load.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Answers that differed from their expectation, over the whole load.
    wrong: Tally,
    /// Connections that broke while waiting for an answer, over the whole load.
    broken: Tally,
    /// Latencies during the measurement in ns: HdrHistogram V2 in base64.
    latency: String,
    /// Connections that received no answer during the measurement.
    left_waiting: usize,
}

impl Load {
    /// Opens all connections, each of which then starts sending requests.
    pub(super) async fn open(
        address: SocketAddr,
        connections: NonZeroU32,
        expectations: &Arc<[Expectation]>,
        counts: &Arc<Counts>,
    ) -> io::Result<Load> {
        let connections = connections.get() as usize;
        let request = |expected: &Expectation| {
            format!("GET {} HTTP/1.1\r\nhost: {address}\r\n\r\n", expected.path).into_bytes()
        };
        let shared = Arc::new(Shared {
            address,
            expectations: expectations.clone(),
            requests: expectations.iter().map(request).collect(),
            counts: counts.clone(),
            seen: Mutex::new(Observations::nothing(connections)),
        });
        let mut streams = Vec::with_capacity(connections);
        for _ in 0..connections {
            streams.push(shared.connect().await?);
        }
        let mut tasks = JoinSet::new();
        for (index, stream) in streams.into_iter().enumerate() {
            tasks.spawn(shared.clone().ask_until_the_end(index, stream));
        }
        Ok(Load {
            shared,
            connections: tasks,
        })
    }

    /// Starts the measurement.
    pub(super) fn measure(&self) {
        let mut seen = self.shared.seen();
        let since = Instant::now();
        seen.phase = Phase::Measurement { since };
        seen.latency.reset();
        seen.served.fill(false);
    }

    /// Makes every connection close after the answer that it is waiting for.
    pub(super) fn end(&self) {
        let mut seen = self.shared.seen();
        let measured_since = match seen.phase {
            Phase::WarmUp => None,
            Phase::Measurement { since } => Some(since),
            Phase::End { measured_since } => measured_since,
        };
        seen.phase = Phase::End { measured_since };
    }

    /// The report, once all connections are closed.
    pub(super) async fn report(&mut self) -> Report {
        self.end();
        while self.connections.join_next().await.is_some() {}
        self.shared.seen().report()
    }
}

impl Shared {
    fn seen(&self) -> MutexGuard<'_, Observations> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn connect(&self) -> io::Result<CountedStream> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        Ok(CountedStream::new(stream, self.counts.clone()))
    }

    async fn ask_until_the_end(self: Arc<Self>, index: usize, stream: CountedStream) {
        let mut turn = index;
        let mut next = Ok(stream);
        loop {
            let asked = match next {
                Ok(stream) => self.converse(stream, index, &mut turn).await,
                Err(error) => Err(error),
            };
            let ended = self.seen().ended();
            if let Err(error) = asked {
                self.seen().broken.note(|| error.to_string());
                if !ended {
                    tokio::time::sleep(AFTER_A_BREAK).await;
                }
            }
            if ended || self.seen().ended() {
                return;
            }
            next = self.connect().await;
        }
    }

    /// Sends requests over one connection until the end, or until the server closes it between two answers.
    async fn converse(
        &self,
        mut stream: CountedStream,
        index: usize,
        turn: &mut usize,
    ) -> io::Result<()> {
        let mut received = Vec::with_capacity(BUFFER_BYTES);
        while !self.seen().ended() {
            let place = *turn % self.requests.len();
            *turn += 1;
            let sent = Instant::now();
            stream.write_all(&self.requests[place]).await?;
            let answer = read_answer(&mut stream, &mut received).await?;
            let answered = Instant::now();
            self.counts.requests.fetch_add(1, Relaxed);
            let expected = &self.expectations[place];
            let body = &received[answer.body.clone()];
            let mut seen = self.seen();
            seen.answered(index, sent, answered);
            if let Some(difference) = difference(expected, answer.status, body) {
                seen.wrong.note(|| difference);
            }
            drop(seen);
            if !answer.keep_alive {
                return Ok(());
            }
            received.clear();
        }
        Ok(())
    }
}

async fn read_answer(stream: &mut CountedStream, received: &mut Vec<u8>) -> io::Result<Answer> {
    loop {
        if stream.read_buf(received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        match answer::parse(received).map_err(io::Error::other)? {
            Some(answer) if answer.body.end < received.len() => {
                return Err(io::Error::other("more bytes than were asked for"));
            }
            Some(answer) => return Ok(answer),
            None if received.len() >= LONGEST_ANSWER_BYTES => {
                return Err(io::Error::other("an answer without end"));
            }
            None => (),
        }
    }
}

/// The difference between an answer and its expectation.
fn difference(expected: &Expectation, status: u16, body: &[u8]) -> Option<String> {
    let path = &expected.path;
    if status != expected.status {
        return Some(format!(
            "GET {path} was answered with status {status}, not {}",
            expected.status
        ));
    }
    let right = expected.body.as_ref()?;
    (body != right.as_bytes()).then(|| {
        let body = String::from_utf8_lossy(body);
        format!("GET {path} was answered with {body:?}, not {right:?}")
    })
}

impl Observations {
    fn nothing(connections: usize) -> Self {
        Observations {
            phase: Phase::WarmUp,
            latency: Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("sound bounds"),
            served: vec![false; connections],
            wrong: Tally::default(),
            broken: Tally::default(),
        }
    }

    fn ended(&self) -> bool {
        matches!(self.phase, Phase::End { .. })
    }

    /// Records an answer on connection `index`.
    fn answered(&mut self, index: usize, sent: Instant, answered: Instant) {
        let since = match self.phase {
            Phase::Measurement { since } => {
                self.served[index] = true;
                since
            }
            Phase::End {
                measured_since: Some(since),
            } if !self.served[index] => since,
            Phase::WarmUp | Phase::End { .. } => return,
        };
        let took = answered.saturating_duration_since(sent.max(since));
        let took_ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.latency.saturating_record(took_ns.clamp(1, LONGEST_NS));
    }

    fn report(&self) -> Report {
        let mut latency = Vec::new();
        V2DeflateSerializer::new()
            .serialize(&self.latency, &mut latency)
            .expect("a histogram serializes into memory");
        Report {
            wrong: self.wrong.clone(),
            broken: self.broken.clone(),
            latency: STANDARD.encode(latency),
            left_waiting: self.served.iter().filter(|served| !**served).count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn second(number: u64) -> Duration {
        Duration::from_secs(number)
    }

    #[test]
    fn waits_count_from_the_start_of_the_measurement() {
        let start = Instant::now();
        let mut seen = Observations::nothing(3);
        seen.answered(0, start, start + second(5));
        assert_eq!(seen.latency.len(), 0, "of the warm-up nothing is kept");
        let since = start + second(10);
        seen.phase = Phase::Measurement { since };
        seen.answered(0, start + second(9), since + second(1));
        assert_eq!(seen.latency.max() / 1_000_000_000, 1);
        seen.answered(1, since + second(1), since + second(3));
        seen.phase = Phase::End {
            measured_since: Some(since),
        };
        seen.answered(0, since + second(1), since + second(30));
        assert_eq!(seen.latency.len(), 2, "an answer after the end");
        assert_eq!(seen.report().left_waiting, 1);
        seen.answered(2, start, since + second(20));
        assert_eq!(seen.latency.len(), 3, "the first answer of a connection");
        assert!(seen.latency.max() >= 20_000_000_000);
    }

    #[test]
    fn a_wrong_status_and_a_wrong_body_are_distinguished() {
        let expected = Expectation {
            path: "/x".to_owned(),
            status: 200,
            body: Some("right".to_owned()),
        };
        let check = |status, body: &[u8], expected_text: Option<&str>| {
            assert_eq!(
                difference(&expected, status, body).as_deref(),
                expected_text
            );
        };
        check(200, b"right", None);
        check(
            404,
            b"right",
            Some("GET /x was answered with status 404, not 200"),
        );
        check(
            200,
            b"wrong",
            Some("GET /x was answered with \"wrong\", not \"right\""),
        );
    }
}
