//! A WebSocket connection over whichever runtime's TCP: what the real-time workloads talk through.
//!
//! It joins the sans-IO client with the runtime's stream and counts what goes over the wire. Whatever fails or is
//! cancelled on the way leaves a connection that is not used again. What must be heard is said by the workloads.

use std::net::SocketAddr;
use std::time::Duration;

use photofinish_harness::buffer::Buffer;
use photofinish_harness::runtime::{Runtime, Stream as _};
use photofinish_harness::traffic::TrafficCounter;
use photofinish_harness::workload::{Failure, RoundEnv};
use url::Url;

use crate::protocol::http::path_and_query;
use crate::protocol::websocket::{Client, Utf8Bytes, WebSocketError};

/// Name of the target that WebSocket workloads talk to.
pub(super) const TARGET: &str = "ws";

/// How long a message may take before it counts as lost; without a limit, a lost one would hold up the round for ever.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Room for several short messages to arrive in one read.
const BUFFER_BYTES: usize = 4 * 1024;

/// Where the target is, and the path that its URL names.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    address: SocketAddr,
    authority: String,
    path: Option<String>,
}

impl Endpoint {
    /// The endpoint of this round.
    pub(super) fn of<R>(env: &RoundEnv<R>) -> Result<Self, Failure> {
        let cannot = |detail: String| Failure::new(Failure::IO, detail);
        let text = &env.targets[TARGET].url;
        let url = Url::parse(text).map_err(|error| cannot(error.to_string()))?;
        let address = url.socket_addrs(|| None)?.into_iter().next();
        Ok(Self {
            address: address
                .ok_or_else(|| cannot(format!("`{}` has no address", url.authority())))?,
            authority: url.authority().to_owned(),
            path: path_and_query(&url, text),
        })
    }

    /// What to ask for where the scenario says `path`: a path in the target's URL wins.
    pub(super) fn uri(&self, path: &str) -> String {
        let path = self.path.as_deref().unwrap_or(path);
        format!("ws://{}{path}", self.authority)
    }
}

/// A connection that is opened when asked to, and not used again after a failure.
pub(super) struct Connection<R: Runtime> {
    runtime: R,
    address: SocketAddr,
    uri: String,
    traffic: TrafficCounter,
    live: Option<Box<Live<R>>>,
}

/// What there is of a connection while it is open.
struct Live<R: Runtime> {
    stream: R::Stream,
    client: Client,
    received: Buffer,
    traffic: TrafficCounter,
}

impl<R: Runtime> Connection<R> {
    /// One to `uri`, which [`Endpoint::uri`] made; not open yet.
    pub(super) fn new(env: &RoundEnv<R>, endpoint: &Endpoint, uri: String) -> Self {
        Self {
            runtime: env.runtime.clone(),
            address: endpoint.address,
            uri,
            traffic: env.traffic[TARGET].clone(),
            live: None,
        }
    }

    /// Whether it can be used.
    pub(super) fn is_open(&self) -> bool {
        self.live.is_some()
    }

    /// Leaves without goodbye what answered wrongly: what still comes over it is of no use.
    pub(super) fn abandon(&mut self) {
        self.live = None;
    }

    /// Connects, and shakes hands.
    pub(super) async fn open(&mut self) -> Result<(), Failure> {
        self.live = None;
        let client = Client::new(&self.uri).map_err(failure)?;
        let stream = self.runtime.connect(self.address).await?;
        self.traffic.connected();
        // Boxed: it moves in and out of its place with every exchange.
        let mut live = Box::new(Live {
            stream,
            client,
            received: Buffer::with_capacity(BUFFER_BYTES),
            traffic: self.traffic.clone(),
        });
        live.shake_hands().await?;
        self.live = Some(live);
        Ok(())
    }

    /// Sends one message.
    pub(super) async fn say(&mut self, text: &str) -> Result<(), Failure> {
        let mut live = self.take()?;
        live.client.send(text).map_err(failure)?;
        live.write().await?;
        self.live = Some(live);
        Ok(())
    }

    /// Waits for the next message.
    pub(super) async fn hear(&mut self) -> Result<Utf8Bytes, Failure> {
        let mut live = self.take()?;
        let text = live.hear().await.map_err(Broken::into_failure)?;
        self.live = Some(live);
        Ok(text)
    }

    /// A message that has arrived together with the last one, where there is one.
    pub(super) fn overhear(&mut self) -> Result<Option<Utf8Bytes>, Failure> {
        let mut live = self.take()?;
        let more = live.client.receive().map_err(failure)?;
        self.live = Some(live);
        Ok(more)
    }

    /// Says goodbye and waits for the server's; gives the messages that still came.
    pub(super) async fn leave(&mut self) -> Result<Vec<Utf8Bytes>, Failure> {
        let mut live = self.take()?;
        live.client.close().map_err(failure)?;
        let mut late = Vec::new();
        loop {
            match live.hear().await {
                Ok(text) => late.push(text),
                Err(Broken::Protocol(WebSocketError::Closed)) => return Ok(late),
                Err(broken) => return Err(broken.into_failure()),
            }
        }
    }

    /// Out of its place while in use: a failed or cancelled exchange leaves a connection nobody may use again.
    fn take(&mut self) -> Result<Box<Live<R>>, Failure> {
        let gone = || Failure::new(Failure::SHORT, "the connection was not open any more");
        self.live.take().ok_or_else(gone)
    }
}

impl<R: Runtime> Live<R> {
    async fn shake_hands(&mut self) -> Result<(), Failure> {
        self.write().await?;
        while !self.client.open().map_err(failure)? {
            self.read().await?;
        }
        Ok(())
    }

    async fn hear(&mut self) -> Result<Utf8Bytes, Broken> {
        loop {
            let heard = self.client.receive();
            // Also after an error: the answer to the server's close wants to be sent.
            self.write().await.map_err(Broken::Other)?;
            match heard {
                Ok(Some(text)) => return Ok(text),
                Ok(None) => self.read().await.map_err(Broken::Other)?,
                Err(error) => return Err(Broken::Protocol(error)),
            }
        }
    }

    async fn write(&mut self) -> Result<(), Failure> {
        let outgoing = self.client.outgoing();
        if outgoing.is_empty() {
            return Ok(());
        }
        self.stream.write_all(outgoing).await?;
        self.traffic.wrote(outgoing.len());
        outgoing.clear();
        Ok(())
    }

    async fn read(&mut self) -> Result<(), Failure> {
        let count = self.stream.read(&mut self.received).await?;
        if count == 0 {
            self.client.end_of_input();
        }
        self.traffic.read(count);
        self.client.feed(self.received.unread());
        self.received.clear();
        Ok(())
    }
}

/// Why nothing was heard.
enum Broken {
    Protocol(WebSocketError),
    Other(Failure),
}

impl Broken {
    fn into_failure(self) -> Failure {
        match self {
            Self::Protocol(error) => failure(error),
            Self::Other(failure) => failure,
        }
    }
}

fn failure(error: WebSocketError) -> Failure {
    Failure::new(error.kind(), error.to_string())
}
