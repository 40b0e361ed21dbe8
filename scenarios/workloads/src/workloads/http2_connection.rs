//! An HTTP/2 connection over a [`Wire`]: the sans-IO client of `protocol/http2.rs` and the socket that it is pumped through.
//!
//! Connecting, sending and receiving only; the exchanges belong to the caller. All requests begun so far leave in one write,
//! and all data that has arrived is processed at once. Nothing reads between operations, so the connection is checked before
//! the first request after an idle time: a GOAWAY must be noticed before a request is sent in vain. In a pause within a flow,
//! the connection is checked at intervals, so that the server's PINGs and SETTINGS are answered.

use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Moved, Runtime};
use photofinish_harness::traffic::TrafficCounter;
use photofinish_harness::workload::Failure;

use super::wire::{CONNECTING, Dialer, Wire, within};
use crate::protocol::http2::{Http2Client, Http2Error, require_chosen};

/// Buffer size: room for a few frames of the usual 16 KiB in one read.
const BUFFER_BYTES: usize = 64 * 1024;

/// Largest output that is written without reading at the same time.
const WRITTEN_AT_ONCE: usize = 16 * 1024;

/// Idle time after which the connection is checked for a GOAWAY or a close.
const IDLE: Duration = Duration::from_millis(10);

/// Interval at which the connection is checked during a pause.
const LISTENING: Duration = Duration::from_millis(100);

/// Maximum number of requests over one connection, well below the number of stream identifiers.
const MOST_REQUESTS: u32 = 1_000_000_000;

/// A connection, reopened as needed.
pub(super) struct Http2Connection<R: Runtime> {
    dialer: Dialer<R>,
    wire: Wire<R>,
    /// `None` if the connection is not open.
    client: Option<Http2Client>,
    /// Bytes to be sent.
    output: Vec<u8>,
    /// The failure that broke the connection.
    broken: Option<Failure>,
    /// Number of requests over the current connection.
    requests: u32,
    /// End of the last operation.
    used: Instant,
}

impl<R: Runtime> Http2Connection<R> {
    /// A connection that `dialer` will open.
    pub(super) fn over(dialer: Dialer<R>) -> Self {
        Self {
            wire: dialer.wire(BUFFER_BYTES),
            dialer,
            client: None,
            output: Vec::new(),
            broken: None,
            requests: 0,
            used: Instant::now(),
        }
    }

    /// Opens the connection during set-up.
    pub(super) async fn connect(&mut self) -> Result<(), Failure> {
        let runtime = self.dialer.runtime().clone();
        within(&runtime, CONNECTING, "connecting with HTTP/2", self.open()).await
    }

    /// Opens the connection and waits until both sides' settings are in force.
    pub(super) async fn open(&mut self) -> Result<(), Failure> {
        self.close();
        self.wire.open(&self.dialer).await?;
        self.client = Some(Http2Client::new());
        let greeted = self.greet().await;
        if greeted.is_err() {
            self.close();
        }
        greeted
    }

    async fn greet(&mut self) -> Result<(), Failure> {
        if let Some(protocol) = self.wire.chosen_protocol() {
            require_chosen(protocol).map_err(|error| failure_of(&error))?;
        }
        self.send().await?;
        while !self.client()?.is_settled() {
            self.receive().await.map_err(|failure| match failure.kind {
                // A server that does not expect the preface may drop the connection.
                Failure::RESET => failure_of(&Http2Error::AnotherProtocol),
                _ => failure,
            })?;
        }
        self.send().await
    }

    /// The client of the open connection.
    fn client(&mut self) -> Result<&mut Http2Client, Failure> {
        self.client
            .as_mut()
            .ok_or_else(|| Failure::new(Failure::SHORT, "the connection is closed"))
    }

    /// The sender of requests, if the connection accepts more; at most `most` go over one connection.
    pub(super) fn sender(&mut self, most: u32) -> Option<RequestSender<'_>> {
        let client = self.client.as_mut().filter(|_| self.wire.is_open())?;
        let most = most.min(MOST_REQUESTS);
        if self.requests >= most || client.is_retired() {
            return None;
        }
        Some(RequestSender {
            streams: client.most_streams(),
            client,
            requests: &mut self.requests,
            most,
        })
    }

    /// Reads what arrived while idle, and closes a connection that the server has ended.
    pub(super) async fn refresh(&mut self) {
        if self.used.elapsed() > IDLE {
            self.receive_arrived().await;
        }
        self.close_if_retired();
    }

    /// Waits until `due` and answers what the server sends meanwhile. No exchange may be open.
    pub(super) async fn pause_until(&mut self, due: Instant) {
        let runtime = self.dialer.runtime().clone();
        loop {
            let next = due.min(Instant::now() + LISTENING);
            runtime.sleep_until(next).await;
            self.receive_arrived().await;
            if self.is_alive() {
                self.turn_with(Turn::Send).await;
            }
            self.close_if_retired();
            if next == due {
                return;
            }
        }
    }

    /// Processes what has arrived, without waiting for more.
    async fn receive_arrived(&mut self) {
        while self.is_alive() && self.wire.is_stale().await {
            self.turn_with(Turn::Receive).await;
        }
    }

    /// Closes a connection that has ended or is about to end; counts a reconnect unless this side ended it.
    pub(super) fn close_if_retired(&mut self) {
        let Some(client) = &mut self.client else {
            return;
        };
        if client.is_retired() {
            if !client.is_own_end() {
                self.wire.traffic().reconnected();
            }
            self.close();
        }
    }

    /// True if exchanges may continue.
    pub(super) fn is_alive(&self) -> bool {
        self.wire.is_open() && self.client.as_ref().is_some_and(|client| !client.is_over())
    }

    /// Sends pending output, then waits for bytes from the server. An error ends all exchanges.
    pub(super) async fn turn(&mut self) {
        self.turn_with(Turn::Send).await;
        if self.is_alive() {
            self.turn_with(Turn::Receive).await;
        }
    }

    async fn turn_with(&mut self, turn: Turn) {
        let turned = match turn {
            Turn::Send => self.send().await,
            Turn::Receive => self.receive().await,
        };
        if let Err(failure) = turned {
            self.broken = Some(failure);
            self.wire.close();
            // Ends the exchanges.
            let _ended = self.process(true);
        }
    }

    /// Writes pending output.
    async fn send(&mut self) -> Result<(), Failure> {
        loop {
            self.process(false)?;
            if self.output.is_empty() {
                return Ok(());
            }
            let has_more = Http2Client::has_more_output(&self.output);
            self.write().await?;
            self.output.clear();
            if !has_more {
                return Ok(());
            }
        }
    }

    /// Writes the output. A large one is written while reading, since server and client could otherwise deadlock.
    async fn write(&mut self) -> Result<(), Failure> {
        let output = &mut self.output;
        let mut transfer = self.wire.transfer();
        if output.len() <= WRITTEN_AT_ONCE {
            transfer.write(output).await?;
        } else {
            let mut rest = output.as_slice();
            while !rest.is_empty() {
                match transfer.write_or_read(rest).await? {
                    Moved::Written(count) => rest = &rest[count..],
                    Moved::Read(0) => {
                        let detail =
                            "the server closed the connection while the client was sending";
                        return Err(Failure::new(Failure::SHORT, detail));
                    }
                    Moved::Read(_) => {}
                }
            }
            transfer.wrote(output.len());
        }
        transfer.end();
        Ok(())
    }

    /// Reads and processes received bytes.
    async fn receive(&mut self) -> Result<(), Failure> {
        let mut transfer = self.wire.transfer();
        let more = !transfer.received().unread().is_empty() || transfer.read().await?;
        transfer.end();
        self.process(!more)
    }

    fn process(&mut self, is_ended: bool) -> Result<(), Failure> {
        let Self {
            client,
            wire,
            output,
            ..
        } = self;
        match client {
            Some(client) => client
                .advance(wire.received(), is_ended, output)
                .map_err(|error| failure_of(&error)),
            None => Ok(()),
        }
    }

    /// The failure of an exchange that ended with `error`.
    pub(super) fn failure(&self, error: &Http2Error) -> Failure {
        match (&self.broken, error) {
            (Some(broken), Http2Error::Closed) => broken.clone(),
            _ => failure_of(error),
        }
    }

    /// Marks the end of an operation, from which idle time counts.
    pub(super) fn end_operation(&mut self) {
        self.used = Instant::now();
    }

    /// The traffic counter.
    pub(super) fn traffic(&self) -> &TrafficCounter {
        self.wire.traffic()
    }

    /// The runtime that connects.
    pub(super) fn runtime(&self) -> &R {
        self.dialer.runtime()
    }

    /// Closes the connection; the caller must drop its exchanges.
    pub(super) fn close(&mut self) {
        self.wire.close();
        self.wire.received().clear();
        self.client = None;
        self.output.clear();
        self.broken = None;
        self.requests = 0;
    }
}

/// An open connection with room for requests.
pub(super) struct RequestSender<'a> {
    pub(super) client: &'a mut Http2Client,
    /// Number of concurrent exchanges that the server allows.
    pub(super) streams: usize,
    requests: &'a mut u32,
    most: u32,
}

impl RequestSender<'_> {
    /// True if the connection has carried a request before.
    pub(super) fn is_kept(&self) -> bool {
        *self.requests > 0
    }

    /// True if the connection has room for another request.
    pub(super) fn has_room(&self) -> bool {
        *self.requests < self.most
    }

    /// Counts a request.
    pub(super) fn count(&mut self) {
        *self.requests += 1;
    }
}

/// Half of a turn.
#[derive(Clone, Copy)]
enum Turn {
    Send,
    Receive,
}

pub(super) fn failure_of(error: &Http2Error) -> Failure {
    let failure = Failure::new(error.kind(), error.to_string());
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
