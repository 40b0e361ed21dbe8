//! The worker as a server: what `serve-http` and `serve-gateway` share.
//!
//! A session is a place for one connection, and takes the next one when that is closed: so a task, a thread or an entry of
//! a queue serves a connection, as the runtime understands sessions, and `sync` serves one at a time. An operation awaits
//! the next request, answers it, and ends when the answer is written. Under the fixed client, which sends a request as soon
//! as it has an answer, its time is thus the whole turn of a connection: the request, the answer, the client between them,
//! and all waiting for the runtime to notice. What the client alone sees is told by it (`client_latency`).
//!
//! The end has an order, so that the counts of both sides can be equal: the client is told to stop, each connection is
//! served until the client closes it, and so are those that nobody had taken yet. Where the user says on which address to
//! listen, the client stays away, and whoever comes is served; who asks badly, half or not at all is a failed operation.

use std::any::Any;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use photofinish_harness::buffer::Buffer;
use photofinish_harness::latency::Latencies;
use photofinish_harness::runtime::{Listener as _, Runtime, Semaphore as _, Stream as _};
use photofinish_harness::traffic::TrafficCounter;
use photofinish_harness::workload::{Env, Failure, ParamError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::params::require;
use crate::protocol::http::HttpTarget;
use crate::protocol::http_server::{Answer, Asked};

/// Name of the target that loads a worker which serves.
pub(crate) const CLIENT: &str = "client";

/// Kind of failure: nobody asked for anything in time.
const IDLE: &str = "idle";

/// Kind of failure: a request that was refused with a status that says why.
const BAD_REQUEST: &str = "bad-request";

/// Room for several common requests to arrive in one read.
const BUFFER_BYTES: usize = 4 * 1024;

/// Parameters of all workloads that serve.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Params {
    /// Where to listen for clients of one's own, such as `127.0.0.1:8080`; empty for the fixed client and any free port.
    pub listen: String,
    /// How long to wait for a request, and for an answer to be taken, in ms; a connection is given up then.
    pub patience_ms: NonZeroU32,
}

impl Default for Params {
    fn default() -> Self {
        Self {
            listen: String::new(),
            patience_ms: const { NonZeroU32::new(10_000).expect("not zero") },
        }
    }
}

/// What a connection is answered with.
pub trait Handler<R: Runtime>: Send + 'static {
    /// Answers a GET of `target`.
    fn answer(
        &mut self,
        env: &Env<R>,
        target: &str,
        answer: &mut Answer,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// The serving side of one round, in the hands of a workload.
#[derive(Debug)]
pub(super) struct Serving {
    listen: Option<SocketAddr>,
    patience: Duration,
    /// The `House` of whichever runtime.
    house: OnceLock<Box<dyn Any + Send + Sync>>,
}

impl Serving {
    pub(super) fn new(params: &Params) -> Result<Self, ParamError> {
        let listen = params.listen.parse().ok();
        require(
            params.listen.is_empty() || listen.is_some(),
            "listen",
            || {
                format!(
                    "`{}` is no address to listen on; write one such as 127.0.0.1:8080",
                    params.listen
                )
            },
        )?;
        Ok(Self {
            listen,
            patience: Duration::from_millis(params.patience_ms.get().into()),
            house: OnceLock::new(),
        })
    }

    /// Listens, and has the fixed client connect, unless others are awaited.
    pub(super) async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<(), Failure> {
        let any_port = SocketAddr::from(([127, 0, 0, 1], 0));
        let address = self.listen.unwrap_or(any_port);
        let listener = env.runtime.listen(address).await.map_err(|error| {
            Failure::new(Failure::IO, format!("cannot listen on {address}: {error}"))
        })?;
        let address = listener.local_address()?;
        let client = match self.listen {
            Some(_) => None,
            None => Some(Client::load(env, address, self.patience).await?),
        };
        let house = House {
            listener: Mutex::new(Some(listener)),
            turn: env.runtime.semaphore(NonZeroU32::MIN),
            accepted: AtomicU32::new(0),
            // What others send is counted by nobody else, so it stands beside nothing.
            traffic: match self.listen {
                Some(_) => TrafficCounter::default(),
                None => env.traffic[CLIENT].clone(),
            },
            patience: self.patience,
            client,
            ending: AtomicBool::new(false),
            broken: Mutex::default(),
        };
        self.house.get_or_init(|| Box::new(Arc::new(house)));
        Ok(())
    }

    fn house<R: Runtime>(&self) -> &Arc<House<R>> {
        let house = self.house.get().expect("prepared before any session");
        house.downcast_ref().expect("one runtime in a round")
    }

    /// A place for a connection; the fixed client's connection is taken at once.
    pub(super) async fn open<R: Runtime, H: Handler<R>>(
        &self,
        env: &Env<R>,
        handler: H,
    ) -> Result<Place<R, H>, Failure> {
        let house = self.house::<R>().clone();
        let mut place = Place::new(house, handler);
        if place.house.client.is_some() {
            place.stream = Some(place.next_connection(env).await?);
        }
        Ok(place)
    }

    /// Asks the client what it saw; what must not be comes back as sentences.
    pub(super) async fn finish<R: Runtime>(&self, env: &Env<R>) -> Result<Vec<String>, Failure> {
        let house = self.house::<R>();
        // Whoever waits at the door by now, after a broken connection, is not to wait for ever.
        drop(house.listener().take());
        let mut broken = std::mem::take(&mut *house.broken());
        if let Some(client) = &house.client {
            let report = client.report(env, self.patience).await?;
            report.tell(env);
            broken.extend(report.violations());
        }
        Ok(broken)
    }
}

/// What all places for connections share.
struct House<R: Runtime> {
    /// `None` while somebody waits for the next connection.
    listener: Mutex<Option<R::Listener>>,
    /// One permit: who has it may wait for the next connection.
    turn: R::Semaphore,
    accepted: AtomicU32,
    traffic: TrafficCounter,
    patience: Duration,
    client: Option<Client<R>>,
    /// Whether the client was told to stop.
    ending: AtomicBool,
    /// What failed after the last operation.
    broken: Mutex<Vec<String>>,
}

impl<R: Runtime> House<R> {
    fn listener(&self) -> MutexGuard<'_, Option<R::Listener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn broken(&self) -> MutexGuard<'_, Vec<String>> {
        self.broken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client is to forget the warm-up: once in a round, by the session that performs the first measured operation.
    async fn begin_measurement(&self) -> Result<(), Failure> {
        match &self.client {
            Some(client) => client.say("\"measure\"").await,
            None => Ok(()),
        }
    }

    async fn accept(&self) -> Result<R::Stream, Failure> {
        let _turn = self.turn.acquire().await;
        let mut lent = Lent::from(self);
        let listener = lent.listener.as_mut();
        let listener =
            listener.ok_or_else(|| Failure::new(Failure::IO, "nobody listens any more"))?;
        let stream = listener.accept().await?;
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.traffic.connected();
        Ok(stream)
    }
}

/// The listener while somebody waits at it; back in its place also when the wait is given up.
struct Lent<'a, R: Runtime> {
    house: &'a House<R>,
    listener: Option<R::Listener>,
}

impl<'a, R: Runtime> From<&'a House<R>> for Lent<'a, R> {
    fn from(house: &'a House<R>) -> Self {
        let listener = house.listener().take();
        Self { house, listener }
    }
}

impl<R: Runtime> Drop for Lent<'_, R> {
    fn drop(&mut self) {
        *self.house.listener() = self.listener.take();
    }
}

/// A place for one connection at a time.
pub struct Place<R: Runtime, H> {
    house: Arc<House<R>>,
    handler: H,
    /// Out of its place while in use: what fails or is given up closes it.
    stream: Option<R::Stream>,
    received: Buffer,
    asked: Asked,
    answer: Answer,
    bytes: Vec<u8>,
}

impl<R: Runtime, H: Handler<R>> Place<R, H> {
    fn new(house: Arc<House<R>>, handler: H) -> Self {
        Self {
            house,
            handler,
            stream: None,
            received: Buffer::with_capacity(BUFFER_BYTES),
            asked: Asked::default(),
            answer: Answer::default(),
            bytes: Vec::new(),
        }
    }

    /// Awaits the next request, from whichever connection, and answers it.
    pub(super) async fn operate(&mut self, env: &Env<R>, op: u64) -> Result<(), Failure> {
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
    async fn next_connection(&mut self, env: &Env<R>) -> Result<R::Stream, Failure> {
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
        env: &Env<R>,
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
                Err(flaw) => {
                    self.answer.text(flaw.status(), &flaw.to_string());
                    self.answer.encode(&Asked::refused(), &mut self.bytes);
                    stream.write_all(&mut self.bytes).await?;
                    self.house.traffic.wrote(self.bytes.len());
                    return Err(Failure::new(BAD_REQUEST, flaw.to_string()));
                }
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
        env: &Env<R>,
        mut stream: R::Stream,
        request_bytes: usize,
    ) -> Result<(), Failure> {
        let Self {
            handler,
            asked,
            answer,
            bytes,
            house,
            ..
        } = self;
        let handled = match asked.is_for_showing() {
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
        let written = env.runtime.timeout(house.patience, stream.write_all(bytes));
        match written.await {
            Ok(written) => written?,
            Err(_) => return Err(Failure::new(Failure::TIMEOUT, "an answer was not taken")),
        }
        house.traffic.wrote(bytes.len());
        house.traffic.answered();
        self.received.consume(request_bytes);
        if self.asked.keep_alive() {
            self.stream = Some(stream);
        }
        handled
    }

    /// Serves what is under way to its end, after the clock has stopped.
    pub(super) async fn close(mut self, env: &Env<R>) {
        let Some(client) = &self.house.client else {
            return;
        };
        if !self.house.ending.swap(true, Ordering::Relaxed) {
            let told = client.say("\"end\"").await;
            self.note(told);
        }
        let served = self.serve_until_closed(env).await;
        self.note(served);
        // Where fewer sessions ran than were asked for, the others' connections still wait.
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

    async fn serve_until_closed(&mut self, env: &Env<R>) -> Result<(), Failure> {
        while let Some(mut stream) = self.stream.take() {
            match self.next_request(env, &mut stream).await? {
                Some(request_bytes) => self.respond(env, stream, request_bytes).await?,
                None => return Ok(()),
            }
        }
        Ok(())
    }
}

/// The fixed client, at the other end of the connection over which it is told what to do.
struct Client<R: Runtime> {
    /// `None` while it is in use, and after a failure.
    stream: Mutex<Option<R::Stream>>,
    traffic: TrafficCounter,
}

/// What the client tells in the end.
#[derive(Debug, Deserialize)]
struct Report {
    wrong: Tally,
    broken: Tally,
    latency: Latencies,
    left_waiting: u32,
}

#[derive(Debug, Deserialize)]
struct Tally {
    count: u64,
    example: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Reply {
    Loading(NonZeroU32),
    Report(Box<Report>),
    Error(String),
}

impl<R: Runtime> Client<R> {
    /// Has it open a connection to `address` for each session that was asked for, and ask from then on.
    async fn load(env: &Env<R>, address: SocketAddr, patience: Duration) -> Result<Self, Failure> {
        let traffic = env.traffic[CLIENT].clone();
        let stream = env.runtime.connect(client_address(env)?).await?;
        traffic.connected();
        let client = Self {
            stream: Mutex::new(Some(stream)),
            traffic,
        };
        let command = json!({"load": {"address": address, "connections": env.concurrency}});
        match client.ask(env, &command.to_string(), patience).await? {
            Reply::Loading(connections) if connections.get() == env.concurrency => Ok(client),
            other => Err(unexpected(&other)),
        }
    }

    fn stream(&self) -> MutexGuard<'_, Option<R::Stream>> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_stream(&self) -> Result<R::Stream, Failure> {
        let stream = self.stream().take();
        stream.ok_or_else(|| Failure::new(Failure::IO, "the client cannot be reached any more"))
    }

    async fn say(&self, command: &str) -> Result<(), Failure> {
        let mut stream = self.take_stream()?;
        self.say_over(&mut stream, command).await?;
        *self.stream() = Some(stream);
        Ok(())
    }

    async fn say_over(&self, stream: &mut R::Stream, command: &str) -> Result<(), Failure> {
        let mut line = format!("{command}\n").into_bytes();
        stream.write_all(&mut line).await?;
        self.traffic.wrote(line.len());
        Ok(())
    }

    async fn ask(&self, env: &Env<R>, command: &str, patience: Duration) -> Result<Reply, Failure> {
        let mut stream = self.take_stream()?;
        self.say_over(&mut stream, command).await?;
        let replied = env.runtime.timeout(patience, self.hear(&mut stream)).await;
        let reply =
            replied.map_err(|_| Failure::new(Failure::TIMEOUT, "the client is silent"))??;
        *self.stream() = Some(stream);
        Ok(reply)
    }

    async fn hear(&self, stream: &mut R::Stream) -> Result<Reply, Failure> {
        let mut received = Buffer::with_capacity(BUFFER_BYTES);
        while !received.unread().ends_with(b"\n") {
            let count = stream.read(&mut received).await?;
            self.traffic.read(count);
            if count == 0 {
                return Err(Failure::new(Failure::SHORT, "the client left"));
            }
        }
        let told = |error| Failure::new(Failure::IO, format!("the client told nonsense: {error}"));
        serde_json::from_slice(received.unread()).map_err(told)
    }

    async fn report(&self, env: &Env<R>, patience: Duration) -> Result<Report, Failure> {
        match self.ask(env, "\"report\"", patience).await? {
            Reply::Report(report) => Ok(*report),
            other => Err(unexpected(&other)),
        }
    }
}

fn client_address<R>(env: &Env<R>) -> Result<SocketAddr, Failure> {
    let cannot = |detail: String| Failure::new(Failure::IO, detail);
    let target = HttpTarget::parse(&env.targets[CLIENT].url);
    let target = target.map_err(|error| cannot(error.to_string()))?;
    let mut addresses = (target.host.as_str(), target.port).to_socket_addrs()?;
    let address = addresses.next();
    address.ok_or_else(|| cannot(format!("`{}` has no address", target.host)))
}

fn unexpected(reply: &Reply) -> Failure {
    let told = match reply {
        Reply::Error(error) => format!("the client refused: {error}"),
        Reply::Loading(_) | Reply::Report(_) => "the client answered something else".to_owned(),
    };
    Failure::new(Failure::IO, told)
}

impl Report {
    fn tell<R>(&self, env: &Env<R>) {
        env.observed.times("client_latency", &self.latency);
        env.observed
            .number("connections_left_waiting", f64::from(self.left_waiting));
    }

    fn violations(&self) -> Vec<String> {
        let told = |tally: &Tally, what: &str| {
            let Tally { count, example } = tally;
            (*count > 0).then(|| format!("the client saw {count} {what}, such as: {example}"))
        };
        let wrong = told(&self.wrong, "wrong answers");
        let broken = told(&self.broken, "connections break");
        wrong.into_iter().chain(broken).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_is_none_is_refused_with_one_that_is() {
        let listening = |listen: &str| {
            let params = Params {
                listen: listen.to_owned(),
                ..Params::default()
            };
            Serving::new(&params).map(|serving| serving.listen)
        };
        assert_eq!(listening("").expect("sound"), None);
        let there = listening("127.0.0.1:8080").expect("sound");
        assert_eq!(there, Some(SocketAddr::from(([127, 0, 0, 1], 8080))));
        let error = listening("localhost").expect_err("no address");
        assert!(error.message.contains("127.0.0.1:8080"), "{error}");
    }

    #[test]
    fn wrong_answers_and_broken_connections_are_violations_and_waiting_is_none() {
        let tally = |count| Tally {
            count,
            example: "an example".to_owned(),
        };
        let violations = |wrong, broken| {
            let report = Report {
                wrong: tally(wrong),
                broken: tally(broken),
                latency: Latencies::default(),
                left_waiting: 15,
            };
            report.violations()
        };
        assert!(violations(0, 0).is_empty());
        assert_eq!(
            violations(2, 1),
            [
                "the client saw 2 wrong answers, such as: an example",
                "the client saw 1 connections break, such as: an example",
            ]
        );
    }
}
