//! The server `wiremock`: scripted responses by the crate of that name, for scenarios with a bounded number of
//! requests.
//!
//! Wiremock serves with one thread and keeps every matched request in memory forever, so a gate in front of all mocks
//! counts requests and turns them away beyond a bound. `wiremock/front.rs` shields it from disconnecting clients,
//! endless bodies and a lack of descriptors. What wiremock does not expose (bytes, connections, requests in flight) is
//! not counted. The behaviour is read in `wiremock/behaviour.rs`; for throughput and more faults there is
//! `http.rs`.

mod behaviour;
mod front;

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use ::wiremock::matchers::{any, path, query_param};
use ::wiremock::{Match, Mock, MockServer, Request, ResponseTemplate};
use tokio::runtime::Runtime;
use tokio::sync::Notify;

use crate::connections::accept_forever;
use crate::{Count, Counts, Running, ServeError, ServerKind, Startup, Stop};
use behaviour::{Behaviour, Response};
use front::Front;

/// The entry in the list of servers.
pub(crate) static KIND: ServerKind = ServerKind {
    name: "wiremock",
    summary: "HTTP/1.1 with scripted responses: sequences, delays, closed or reset connections; for a limited number of \
              requests",
    counted: &[
        Count::Requests,
        Count::Unmatched,
        Count::Refused,
        Count::Faults,
    ],
    most_threads: Some(NonZeroUsize::MIN),
    alpn: Some(&["http/1.1"]),
    check_behaviour: |behaviour| Behaviour::read(behaviour).map(drop),
    behaviour_schema: || schemars::schema_for!(Behaviour),
    start,
};

/// Wiremock selects the first matching mock with the smallest priority number.
const PRIORITY_OF_GATE: u8 = 1;
const PRIORITY_OF_MOCKS: u8 = 5;
const PRIORITY_OF_REST: u8 = 255;

/// Maximum memory for kept requests, which include their bodies.
const MOST_KEPT_BYTES: u64 = 256 << 20;

/// Approximate memory overhead of a kept request.
const KEPT_OVERHEAD_BYTES: u64 = 512;

fn start(startup: Startup) -> Result<Running, ServeError> {
    let behaviour = Behaviour::read(&startup.behaviour)?;
    let started = ServeError::start(KIND.name);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(&started)?;
    let Startup {
        listeners,
        counts,
        identity,
        stop,
        ..
    } = startup;
    let listener = listeners
        .into_iter()
        .next()
        .expect("the lifecycle opens a listening socket per thread");
    if behaviour.resets() {
        reset_when_closed(&listener).map_err(&started)?;
    }
    let gate = Arc::new(Gate::new(behaviour.max_requests.0.get(), counts.clone()));
    let inner = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(&started)?;
    let (server, front) = runtime.block_on(async {
        let server = MockServer::builder()
            .listener(inner)
            .disable_request_recording()
            .start()
            .await;
        let front = Front::connect(*server.address()).await;
        for mock in mocks(&behaviour, &gate, &counts) {
            server.register(mock).await;
        }
        (server, front)
    });
    let front = Arc::new(front.map_err(&started)?);
    let serve = move |stream| front.clone().serve(stream);
    let listener = {
        let _reactor = runtime.enter();
        tokio::net::TcpListener::from_std(listener).map_err(&started)?
    };
    let clients = accept_forever(listener, counts, identity, serve);
    let thread = thread::Builder::new()
        .name(KIND.name.into())
        .spawn(move || hold(&runtime, server, &gate, stop, clients))
        .map_err(&started)?;
    Ok(Running {
        threads: vec![thread],
    })
}

/// Makes every connection end with RST instead of FIN where this side closes it. Wiremock does not expose its
/// connections, but those that are accepted inherit the listening socket's linger time. What a response has put on its
/// way still arrives; only what the client was too slow to make room for would be lost, and a mock's answers are short.
fn reset_when_closed(listener: &TcpListener) -> io::Result<()> {
    socket2::SockRef::from(listener).set_linger(Some(Duration::ZERO))
}

/// Serves clients until the server has to stop, or until requests reach twice the gate's bound.
fn hold(
    runtime: &Runtime,
    server: MockServer,
    gate: &Gate,
    mut stop: Stop,
    clients: impl Future<Output = ()>,
) {
    runtime.block_on(async {
        tokio::select! {
            () = stop.stopped() => (),
            () = gate.overrun.notified() => (),
            () = clients => (),
        }
    });
    drop(server);
}

fn mocks(behaviour: &Behaviour, gate: &Arc<Gate>, counts: &Arc<Counts>) -> Vec<Mock> {
    let mut mocks = vec![refusing_mock(gate)];
    mocks.extend(
        behaviour
            .mocks
            .iter()
            .flat_map(|mock| sequence(mock, counts)),
    );
    mocks.push(mock_of_the_rest(behaviour, counts));
    mocks
}

/// Makes a sequence: one mock per response, which matches when it is its turn.
fn sequence<'a>(
    mock: &'a behaviour::Mock,
    counts: &'a Arc<Counts>,
) -> impl Iterator<Item = Mock> + 'a {
    let turns = Arc::new(Turns::of(mock));
    mock.respond
        .iter()
        .enumerate()
        .map(move |(response, asked)| {
            let turn = Turn {
                turns: turns.clone(),
                response,
            };
            mounted(mock, asked, turn, counts).with_priority(PRIORITY_OF_MOCKS)
        })
}

fn mounted(mock: &behaviour::Mock, response: &Response, turn: Turn, counts: &Arc<Counts>) -> Mock {
    let mut matching = match mock.prefix() {
        Some(prefix) => Mock::given(Beginning(prefix.to_owned())),
        None => Mock::given(path(mock.path.as_str())),
    };
    if let Some(name) = &mock.method {
        matching = matching.and(HasMethod(name.clone()));
    }
    for (key, value) in &mock.query {
        matching = matching.and(query_param(key, value));
    }
    // Last, since a request rejected by another matcher must not take a turn.
    let matching = matching.and(turn);
    if response.fault.is_some() {
        let counts = counts.clone();
        return matching.respond_with_err(move |_: &Request| {
            counts.faults.fetch_add(1, Relaxed);
            EndConnection
        });
    }
    matching.respond_with(template(response))
}

/// The method of a request, as the client sent it.
fn method(request: &Request) -> &str {
    let head = request.headers.get(front::METHOD);
    let head = head.and_then(|method| method.to_str().ok());
    head.unwrap_or(request.method.as_str())
}

struct HasMethod(String);

impl Match for HasMethod {
    fn matches(&self, request: &Request) -> bool {
        method(request).eq_ignore_ascii_case(&self.0)
    }
}

/// Matches paths with this prefix.
struct Beginning(String);

impl Match for Beginning {
    fn matches(&self, request: &Request) -> bool {
        request.url.path().starts_with(&self.0)
    }
}

/// Position in one mock's sequence of responses, kept per path.
struct Turns {
    /// The number of requests, from the start of the sequence, after which each response is used up.
    ends: Vec<u64>,
    requests: Mutex<HashMap<String, u64>>,
}

impl Turns {
    fn of(mock: &behaviour::Mock) -> Self {
        let ends = mock.respond.iter().scan(0_u64, |end, response| {
            *end = end.saturating_add(response.times.map_or(1, |times| times.get()));
            Some(*end)
        });
        Turns {
            ends: ends.collect(),
            requests: Mutex::new(HashMap::new()),
        }
    }

    /// The response to the next request after `asked` requests.
    fn response_after(&self, asked: u64) -> usize {
        let response = self.ends.iter().position(|end| asked < *end);
        response.unwrap_or(self.ends.len() - 1)
    }

    /// Takes the path's next turn, if it belongs to `response`.
    fn take(&self, path: &str, response: usize) -> bool {
        let mut asked = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        let before = asked.get(path).copied().unwrap_or(0);
        let is_its_turn = self.response_after(before) == response;
        if is_its_turn {
            asked.insert(path.to_owned(), before + 1);
        }
        is_its_turn
    }
}

/// A matcher for the turn of one response: for each request, wiremock tries the mocks in order until one matches.
struct Turn {
    turns: Arc<Turns>,
    response: usize,
}

impl Match for Turn {
    fn matches(&self, request: &Request) -> bool {
        self.turns.take(request.url.path(), self.response)
    }
}

fn template(response: &Response) -> ResponseTemplate {
    let (content_type, body) = response.content();
    let template =
        ResponseTemplate::new(response.status.unwrap_or(200)).set_body_raw(body, content_type);
    match response.delay {
        Some(delay) => template.set_delay(delay.get()),
        None => template,
    }
}

/// Wiremock ends the connection on a responder's error, without an answer.
#[derive(Debug)]
struct EndConnection;

impl fmt::Display for EndConnection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ended on purpose")
    }
}

impl std::error::Error for EndConnection {}

/// Responds with 404 if no mock matches, and lists the mocks.
fn mock_of_the_rest(behaviour: &Behaviour, counts: &Arc<Counts>) -> Mock {
    let known: Vec<_> = behaviour
        .mocks
        .iter()
        .map(|mock| format!("{} {}", mock.method.as_deref().unwrap_or("any"), mock.path))
        .collect();
    let known = if known.is_empty() {
        "nothing".into()
    } else {
        known.join(", ")
    };
    let counts = counts.clone();
    let not_found = move |request: &Request| {
        counts.unmatched.fetch_add(1, Relaxed);
        let received = format!("{} {}", method(request), request.url.path());
        ResponseTemplate::new(404).set_body_string(format!(
            "no mock matches {received}; mocked here: {known}\n"
        ))
    };
    Mock::given(any())
        .respond_with(not_found)
        .with_priority(PRIORITY_OF_REST)
}

/// Sees every request before any mock does, counts it, and turns it away beyond the bound.
struct Gate {
    max_requests: u64,
    kept_bytes: AtomicU64,
    counts: Arc<Counts>,
    /// Notified at twice either bound, when the server has to close: wiremock keeps refused requests as well.
    overrun: Notify,
}

impl Gate {
    fn new(max_requests: u64, counts: Arc<Counts>) -> Self {
        Gate {
            max_requests,
            kept_bytes: AtomicU64::new(0),
            counts,
            overrun: Notify::new(),
        }
    }

    /// Counts the request; true if it exceeds the bound.
    fn is_full_for(&self, request: &Request) -> bool {
        let number = self.counts.requests.fetch_add(1, Relaxed) + 1;
        let size = kept_size_bytes(request);
        let kept_bytes = self.kept_bytes.fetch_add(size, Relaxed) + size;
        let is_beyond = |times: u64| {
            number > self.max_requests.saturating_mul(times) || kept_bytes > MOST_KEPT_BYTES * times
        };
        if is_beyond(2) {
            self.overrun.notify_one();
        }
        is_beyond(1)
    }

    fn refuse(&self) -> ResponseTemplate {
        self.counts.refused.fetch_add(1, Relaxed);
        ResponseTemplate::new(503).set_body_string(format!(
            "this server keeps every request in memory and stops answering after {} requests or {MOST_KEPT_BYTES} \
             bytes; raise `max_requests`, or use the server `http`\n",
            self.max_requests
        ))
    }
}

fn kept_size_bytes(request: &Request) -> u64 {
    let headers: usize = request
        .headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum();
    (request.body.len() + request.url.as_str().len() + headers) as u64 + KEPT_OVERHEAD_BYTES
}

/// The gate as a matcher, which wiremock tries first, once per request.
struct WhenFull(Arc<Gate>);

impl Match for WhenFull {
    fn matches(&self, request: &Request) -> bool {
        self.0.is_full_for(request)
    }
}

fn refusing_mock(gate: &Arc<Gate>) -> Mock {
    let refusing = gate.clone();
    Mock::given(WhenFull(gate.clone()))
        .respond_with(move |_: &Request| refusing.refuse())
        .with_priority(PRIORITY_OF_GATE)
}
