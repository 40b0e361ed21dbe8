//! A place for one connection at a time: a request awaited, read and answered, and the connections it serves to the
//! end.
//!
//! What fails or is given up closes its connection, because the stream is out of its place while it is in use. The end
//! has an order, so that the counts of both sides can be equal: the client is told to stop, each connection is served
//! until the client closes it, and so are those that nobody had taken yet.
//!
//! What all places share is in `house.rs`; what requests and answers are as bytes, in `protocol/http_server.rs`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use photofinish_harness::buffer::Buffer;
use photofinish_harness::runtime::{Runtime, Stream as _};
use photofinish_harness::workload::{Failure, RoundEnv};

use super::Handler;
use super::house::House;
use crate::protocol::http_server::{Request, RequestFlaw, Response};

/// Kind of failure: nobody asked for anything in time.
const IDLE: &str = "idle";

/// Kind of failure: a request that was refused with a status that says why.
const BAD_REQUEST: &str = "bad-request";

/// Room for several common requests to arrive in one read.
const BUFFER_BYTES: usize = 4 * 1024;

/// A place for one connection at a time.
pub struct Place<R: Runtime, H> {
    house: Arc<House<R>>,
    handler: H,
    /// Out of its place while in use: what fails or is given up closes it.
    stream: Option<R::Stream>,
    received: Buffer,
    asked: Request,
    answer: Response,
    bytes: Vec<u8>,
}

impl<R: Runtime, H: Handler<R>> Place<R, H> {
    /// A place for a connection; the fixed client's connection is taken at once.
    pub(in crate::workloads) async fn open(
        env: &RoundEnv<R>,
        house: Arc<House<R>>,
        handler: H,
    ) -> Result<Self, Failure> {
        let mut place = Self::new(house, handler);
        if place.house.client.is_some() {
            place.stream = Some(place.next_connection(env).await?);
        }
        Ok(place)
    }

    fn new(house: Arc<House<R>>, handler: H) -> Self {
        Self {
            house,
            handler,
            stream: None,
            received: Buffer::with_capacity(BUFFER_BYTES),
            asked: Request::default(),
            answer: Response::default(),
            bytes: Vec::new(),
        }
    }

    /// Awaits the next request, from whichever connection, and answers it.
    pub(in crate::workloads) async fn operate(
        &mut self,
        env: &RoundEnv<R>,
        op: u64,
    ) -> Result<(), Failure> {
        if op == 0 {
            self.house.begin_measurement().await?;
        }
        loop {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => self.next_connection(env).await?,
            };
            // `None` where the client closed it: the request to be answered comes over another one.
            if let Some(request_bytes) = self.next_request(env, &mut stream).await? {
                return self.respond(env, stream, request_bytes).await;
            }
        }
    }

    /// The next connection, whose first request is awaited with patience anew.
    async fn next_connection(&mut self, env: &RoundEnv<R>) -> Result<R::Stream, Failure> {
        self.received.clear();
        let patience = self.house.patience;
        match env.runtime.timeout(patience, self.house.accept()).await {
            Ok(accepted) => accepted,
            Err(_) => Err(self.waited_in_vain()),
        }
    }

    /// The length of the next request of this connection; `None` where the client closed it.
    async fn next_request(
        &mut self,
        env: &RoundEnv<R>,
        stream: &mut R::Stream,
    ) -> Result<Option<usize>, Failure> {
        let patience = self.house.patience;
        let read = env.runtime.timeout(patience, self.read_request(stream));
        match read.await {
            Ok(read) => read,
            Err(_) => Err(self.waited_in_vain()),
        }
    }

    /// Reads one request; `None` where the client closed the connection before it.
    async fn read_request(&mut self, stream: &mut R::Stream) -> Result<Option<usize>, Failure> {
        loop {
            match self.asked.read(self.received.unread()) {
                Ok(Some(request_bytes)) => return Ok(Some(request_bytes)),
                Ok(None) => {}
                Err(flaw) => return Err(self.refuse(stream, &flaw).await?),
            }
            let count = stream.read(&mut self.received).await?;
            self.house.traffic.read(count);
            if count == 0 && self.received.unread().is_empty() {
                return Ok(None);
            }
            if count == 0 {
                return Err(Failure::new(Failure::SHORT, "a client left in mid-request"));
            }
        }
    }

    /// Tells a client what is wrong with its request; gives the failure that the request is.
    async fn refuse(
        &mut self,
        stream: &mut R::Stream,
        flaw: &RequestFlaw,
    ) -> Result<Failure, Failure> {
        let told = flaw.to_string();
        self.answer.text(flaw.status(), &told);
        self.answer.encode(&Request::default(), &mut self.bytes);
        stream.write_all(&mut self.bytes).await?;
        self.house.traffic.wrote(self.bytes.len());
        Ok(Failure::new(BAD_REQUEST, told))
    }

    /// Why there is no request, after the patience with it is at an end.
    fn waited_in_vain(&mut self) -> Failure {
        let waited = format!("within {} ms", self.house.patience.as_millis());
        let begun = !self.received.unread().is_empty();
        self.received.clear();
        match begun {
            true => Failure::new(
                Failure::TIMEOUT,
                format!("a request was not whole {waited}"),
            ),
            false => Failure::new(IDLE, format!("nobody asked for anything {waited}")),
        }
    }

    /// Answers the request that was read, and keeps the connection if the client wants that.
    async fn respond(
        &mut self,
        env: &RoundEnv<R>,
        mut stream: R::Stream,
        request_bytes: usize,
    ) -> Result<(), Failure> {
        let handled = self.make_answer(env).await;
        self.send_answer(env, &mut stream).await?;
        self.received.consume(request_bytes);
        if self.asked.keep_alive() {
            self.stream = Some(stream);
        }
        handled
    }

    /// What the handler makes of the request that was read, as bytes; a client is answered also where it fails.
    async fn make_answer(&mut self, env: &RoundEnv<R>) -> Result<(), Failure> {
        let Self {
            handler,
            asked,
            answer,
            bytes,
            ..
        } = self;
        let handled = match asked.is_get_or_head() {
            true => handler.answer(env, asked.target(), answer).await,
            false => {
                answer.text(405, "GET and HEAD are all that there is");
                Ok(())
            }
        };
        if handled.is_err() {
            answer.text(502, "this went wrong");
        }
        answer.encode(asked, bytes);
        handled
    }

    async fn send_answer(
        &mut self,
        env: &RoundEnv<R>,
        stream: &mut R::Stream,
    ) -> Result<(), Failure> {
        let Self { bytes, house, .. } = self;
        let written = env.runtime.timeout(house.patience, stream.write_all(bytes));
        match written.await {
            Ok(written) => written?,
            Err(_) => return Err(Failure::new(Failure::TIMEOUT, "an answer was not taken")),
        }
        house.traffic.wrote(bytes.len());
        house.traffic.answered();
        Ok(())
    }

    /// Serves what is under way to its end, after the clock has stopped.
    pub(in crate::workloads) async fn close(mut self, env: &RoundEnv<R>) {
        let Some(client) = &self.house.client else {
            return;
        };
        if !self.house.ending.swap(true, Ordering::Relaxed) {
            let told = client.say("\"end\"").await;
            self.note(told);
        }
        let served = self.serve_until_closed(env).await;
        self.note(served);
        self.serve_those_not_taken(env).await;
    }

    /// Where fewer sessions ran than were asked for, the others' connections still wait.
    async fn serve_those_not_taken(&mut self, env: &RoundEnv<R>) {
        while self.house.accepted.load(Ordering::Relaxed) < env.concurrency {
            let served = match self.next_connection(env).await {
                Ok(stream) => {
                    self.stream = Some(stream);
                    self.serve_until_closed(env).await
                }
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
            self.house
                .broken()
                .push(format!("after the last operation: {failure}"));
        }
    }

    async fn serve_until_closed(&mut self, env: &RoundEnv<R>) -> Result<(), Failure> {
        while let Some(mut stream) = self.stream.take() {
            match self.next_request(env, &mut stream).await? {
                Some(request_bytes) => self.respond(env, stream, request_bytes).await?,
                None => return Ok(()),
            }
        }
        Ok(())
    }
}
