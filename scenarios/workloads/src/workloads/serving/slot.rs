//! A slot serves one connection at a time: it awaits, reads and answers requests.
//!
//! Failures and timeouts close the connection. The end is orderly, so that the counts of both sides can be equal: the
//! client is told to stop, and each connection, including those not accepted yet, is served until the client closes it.
//! `acceptor.rs` is shared by all slots; `protocol/http_server.rs` has requests and responses as bytes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{Failure, RoundEnv};

use super::super::wire::Wire;
use super::Handler;
use super::acceptor::Acceptor;
use crate::protocol::http_server::{Request, Response};

/// Kind of failure: no request came in time.
const IDLE: &str = "idle";

/// Kind of failure: an invalid request, refused with a status that gives the reason.
const BAD_REQUEST: &str = "bad-request";

/// Buffer size, so that several common requests arrive in one read.
const BUFFER_BYTES: usize = 4 * 1024;

/// A slot for one connection at a time.
pub struct Slot<R: Runtime, H> {
    acceptor: Arc<Acceptor<R>>,
    handler: H,
    wire: Wire<R>,
    request: Request,
    answer: Response,
    bytes: Vec<u8>,
}

impl<R: Runtime, H: Handler<R>> Slot<R, H> {
    /// A slot for a connection; the fixed client's connection is taken at once.
    pub async fn open(
        env: &RoundEnv<R>,
        acceptor: Arc<Acceptor<R>>,
        handler: H,
    ) -> Result<Self, Failure> {
        let mut slot = Self {
            wire: Wire::new(&acceptor.traffic, BUFFER_BYTES),
            acceptor,
            handler,
            request: Request::default(),
            answer: Response::default(),
            bytes: Vec::new(),
        };
        if slot.acceptor.client.is_some() {
            slot.next_connection(env).await?;
        }
        Ok(slot)
    }

    /// Awaits the next request, on any connection, and answers it.
    pub async fn operate(&mut self, env: &RoundEnv<R>, op: u64) -> Result<(), Failure> {
        if op == 0 {
            self.acceptor.begin_measurement().await?;
        }
        loop {
            if !self.wire.is_open() {
                self.next_connection(env).await?;
            }
            // `None` if the client closed it: the next request comes over another connection.
            if let Some(request_bytes) = self.next_request(env).await? {
                return self.respond(env, request_bytes).await;
            }
        }
    }

    /// Takes the next connection, and restarts the timeout for its first request.
    async fn next_connection(&mut self, env: &RoundEnv<R>) -> Result<(), Failure> {
        self.wire.received().clear();
        let accepted = env
            .runtime
            .timeout(self.acceptor.patience, self.acceptor.accept());
        match accepted.await {
            Ok(accepted) => self.wire.attach(accepted?),
            Err(_) => return Err(self.wait_timed_out()),
        }
        Ok(())
    }

    /// The length of the next request of this connection; `None` if the client closed it.
    async fn next_request(&mut self, env: &RoundEnv<R>) -> Result<Option<usize>, Failure> {
        let patience = self.acceptor.patience;
        match env.runtime.timeout(patience, self.read_request()).await {
            Ok(read) => read,
            Err(_) => Err(self.wait_timed_out()),
        }
    }

    /// Reads one request; `None` if the client closed the connection before it.
    async fn read_request(&mut self) -> Result<Option<usize>, Failure> {
        let mut transfer = self.wire.transfer();
        loop {
            match self.request.read(transfer.received().unread()) {
                Ok(Some(request_bytes)) => {
                    transfer.end();
                    return Ok(Some(request_bytes));
                }
                Ok(None) => {}
                Err(flaw) => {
                    // Refused with the reason; the transfer's end closes the connection.
                    let detail = flaw.to_string();
                    self.answer.text(flaw.status(), &detail);
                    self.answer.encode(&Request::default(), &mut self.bytes);
                    transfer.write(&mut self.bytes).await?;
                    return Err(Failure::new(BAD_REQUEST, detail));
                }
            }
            let more = transfer.read().await?;
            if !more && transfer.received().unread().is_empty() {
                return Ok(None);
            }
            if !more {
                return Err(Failure::new(
                    Failure::SHORT,
                    "the client closed the connection in the middle of a request",
                ));
            }
        }
    }

    /// The failure of a wait for a request that timed out.
    fn wait_timed_out(&mut self) -> Failure {
        let waited = format!("within {} ms", self.acceptor.patience.as_millis());
        let received = self.wire.received();
        let is_partial = !received.unread().is_empty();
        received.clear();
        if is_partial {
            let detail = format!("expected the rest of a request {waited}");
            Failure::new(Failure::TIMEOUT, detail)
        } else {
            Failure::new(IDLE, format!("no request {waited}"))
        }
    }

    /// Answers the request that was read, and keeps the connection if the client wants that.
    async fn respond(&mut self, env: &RoundEnv<R>, request_bytes: usize) -> Result<(), Failure> {
        let handled = self.make_answer(env).await;
        self.send_answer(env).await?;
        self.wire.received().consume(request_bytes);
        if !self.request.keep_alive() {
            self.wire.close();
        }
        handled
    }

    /// Encodes the handler's response to the request; a client gets one even if the handler fails.
    async fn make_answer(&mut self, env: &RoundEnv<R>) -> Result<(), Failure> {
        let Self {
            handler,
            request,
            answer,
            bytes,
            ..
        } = self;
        let handled = if request.is_get_or_head() {
            handler.answer(env, request.target(), answer).await
        } else {
            answer.text(405, "only GET and HEAD are supported");
            Ok(())
        };
        if handled.is_err() {
            answer.text(502, "the handler failed");
        }
        answer.encode(request, bytes);
        handled
    }

    async fn send_answer(&mut self, env: &RoundEnv<R>) -> Result<(), Failure> {
        let mut transfer = self.wire.request();
        let write = transfer.write(&mut self.bytes);
        match env.runtime.timeout(self.acceptor.patience, write).await {
            Ok(written) => written?,
            Err(_) => {
                return Err(Failure::new(
                    Failure::TIMEOUT,
                    "timed out writing a response",
                ));
            }
        }
        transfer.end();
        Ok(())
    }

    /// Serves the open connections to their end, after the clock has stopped.
    pub async fn close(&mut self, env: &RoundEnv<R>) {
        let Some(client) = &self.acceptor.client else {
            return;
        };
        if !self.acceptor.ending.swap(true, Ordering::Relaxed) {
            let message = client.send("\"end\"").await;
            self.note(message);
        }
        let served = self.serve_until_closed(env).await;
        self.note(served);
        self.serve_those_not_taken(env).await;
    }

    /// Serves the connections that still wait because fewer sessions ran than were requested.
    async fn serve_those_not_taken(&mut self, env: &RoundEnv<R>) {
        while self.acceptor.accepted.load(Ordering::Relaxed) < env.concurrency {
            let served = match self.next_connection(env).await {
                Ok(()) => self.serve_until_closed(env).await,
                Err(failure) => Err(failure),
            };
            let failed = served.is_err();
            self.note(served);
            if failed {
                return;
            }
        }
    }

    fn note(&self, outcome: Result<(), Failure>) {
        if let Err(failure) = outcome {
            self.acceptor
                .broken()
                .push(format!("after the last operation: {failure}"));
        }
    }

    async fn serve_until_closed(&mut self, env: &RoundEnv<R>) -> Result<(), Failure> {
        while self.wire.is_open() {
            match self.next_request(env).await? {
                Some(request_bytes) => self.respond(env, request_bytes).await?,
                None => return Ok(()),
            }
        }
        Ok(())
    }
}
