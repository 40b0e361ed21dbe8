//! A WebSocket connection over a [`Wire`], for the real-time workloads.
//!
//! It joins the sans-IO client with the wire. After a failure or a cancelled exchange the connection is not used again.
//! The workloads check the messages.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{Failure, RoundEnv};
use url::Url;

use super::wire::{Dialer, Route, Transfer, Wire, invalid, within};
use crate::protocol::http::path_and_query;
use crate::protocol::websocket::{Client, Utf8Bytes, WebSocketError};
use crate::protocol::{ServerLocation, host};

/// Name of the target that WebSocket workloads talk to.
pub(super) const TARGET: &str = "ws";

/// Time after which a message counts as lost; without a limit, a lost one would block the round forever.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// Advice if there is no opening handshake.
const NO_ENDPOINT: &str = "is it a WebSocket endpoint? its URL may need a path: --target ws=ws://HOST:PORT/PATH; a page \
                           is measured with --target http=http://…, PostgreSQL with --target db=postgres://…";

/// Maximum number of unexpected messages whose text a round keeps; the others are only counted.
const MOST_KEPT: u64 = 10;

/// Input after this side's close, in bytes, after which the connection is closed without the server's.
const MOST_LATE_BYTES: u64 = 1 << 20;

/// Room for several short messages to arrive in one read.
const BUFFER_BYTES: usize = 4 * 1024;

/// Unexpected messages of a round: the first ones as text, and the total number.
#[derive(Debug, Default)]
pub(super) struct Unasked {
    seen: Mutex<(u64, Vec<String>)>,
}

impl Unasked {
    /// Notes a message, as formatted by `describe`.
    pub(super) fn note(&self, text: &str, describe: impl FnOnce(&str) -> Failure) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, kept) = &mut *seen;
        *count += 1;
        if *count <= MOST_KEPT {
            kept.push(describe(text).into_detail());
        }
    }

    /// Takes out one sentence for each of the first messages, and one for the rest.
    pub(super) fn take(&self) -> Vec<String> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, mut kept) = std::mem::take(&mut *seen);
        if count > MOST_KEPT {
            kept.push(format!("{} more unexpected messages", count - MOST_KEPT));
        }
        kept
    }
}

/// The WebSocket target: its address, and a path if its URL has one.
#[derive(Clone, Debug)]
pub(super) struct Endpoint {
    route: Route,
    authority: String,
    path: Option<String>,
}

impl Endpoint {
    /// The endpoint of this round.
    pub(super) fn of<R>(env: &RoundEnv<R>) -> Result<Self, Failure> {
        let text = &env.targets[TARGET].url;
        let url = Url::parse(text).map_err(invalid)?;
        let port = url.port_or_known_default().unwrap_or_default();
        let host = host(&url).ok_or_else(|| invalid("expected a host"))?;
        Ok(Self {
            route: Route::of(env, TARGET, &ServerLocation::Host(host, port))?,
            authority: url.authority().to_owned(),
            path: path_and_query(&url, text),
        })
    }

    /// The URI of `path`: a path in the target's URL wins.
    pub(super) fn uri(&self, path: &str) -> String {
        let path = self.path.as_deref().unwrap_or(path);
        format!("ws://{}{path}", self.authority)
    }
}

/// A connection that is opened on request, and not used again after a failure.
pub(super) struct Connection<R: Runtime> {
    dialer: Dialer<R>,
    uri: String,
    wire: Wire<R>,
    /// `None` until it is opened.
    client: Option<Client>,
}

impl<R: Runtime> Connection<R> {
    /// A connection to `uri`, which [`Endpoint::uri`] made; not open yet.
    pub(super) fn new(env: &RoundEnv<R>, endpoint: &Endpoint, uri: String) -> Self {
        let dialer = Dialer::new(env, TARGET, endpoint.route.clone());
        Self {
            wire: dialer.wire(BUFFER_BYTES),
            dialer,
            uri,
            client: None,
        }
    }

    /// True if it can be used.
    pub(super) fn is_open(&self) -> bool {
        self.wire.is_open()
    }

    /// Closes without a closing handshake; anything still in transit is dropped.
    pub(super) fn abandon(&mut self) {
        self.wire.close();
    }

    /// Connects, and performs the opening handshake, within [`PATIENCE`].
    pub(super) async fn open(&mut self) -> Result<(), Failure> {
        self.wire.close();
        let client = self.client.insert(Client::new(&self.uri).map_err(failure)?);
        let wire = &mut self.wire;
        let dialer = &self.dialer;
        let opening = async {
            wire.open(dialer).await?;
            let mut handshake = wire.transfer();
            flush(&mut handshake, client).await?;
            while !client.open().map_err(failure)? {
                feed(&mut handshake, client).await?;
            }
            handshake.end();
            Ok(())
        };
        let what = "connecting and the opening handshake";
        let opened = within(dialer.runtime(), PATIENCE, what, opening).await;
        opened.map_err(|failure| match failure.kind {
            Failure::REFUSED | Failure::RESET => failure,
            _ => failure.hint(NO_ENDPOINT),
        })
    }

    /// Sends one message.
    pub(super) async fn send(&mut self, text: &str) -> Result<(), Failure> {
        let (mut transfer, client) = self.transfer()?;
        client.send(text).map_err(failure)?;
        flush(&mut transfer, client).await?;
        transfer.end();
        Ok(())
    }

    /// Waits for the next message.
    pub(super) async fn receive(&mut self) -> Result<Utf8Bytes, Failure> {
        let (mut transfer, client) = self.transfer()?;
        let text = receive(&mut transfer, client).await?;
        let text = text.ok_or_else(|| failure(WebSocketError::Closed))?;
        transfer.end();
        Ok(text)
    }

    /// A message that has arrived together with the last one, if there is one.
    pub(super) fn try_receive(&mut self) -> Result<Option<Utf8Bytes>, Failure> {
        let (transfer, client) = self.transfer()?;
        let more = client.receive().map_err(failure)?;
        transfer.end();
        Ok(more)
    }

    /// Performs the closing handshake, and passes on the messages that arrive in the meantime.
    ///
    /// # Errors
    ///
    /// A failure of kind `too-large` if the server goes on sending instead of closing.
    pub(super) async fn close(&mut self, mut late: impl FnMut(&str) + Send) -> Result<(), Failure> {
        let (mut transfer, client) = self.transfer()?;
        client.close().map_err(failure)?;
        let mut bytes = 0;
        while let Some(text) = receive(&mut transfer, client).await? {
            late(&text);
            bytes += text.len() as u64;
            if bytes > MOST_LATE_BYTES {
                let problem = "the server went on sending after the close";
                return Err(Failure::new("too-large", problem));
            }
        }
        Ok(())
    }

    fn transfer(&mut self) -> Result<(Transfer<'_, R>, &mut Client), Failure> {
        match &mut self.client {
            Some(client) if self.wire.is_open() => Ok((self.wire.transfer(), client)),
            _ => Err(Failure::new(
                Failure::SHORT,
                "the connection is not open any more",
            )),
        }
    }
}

/// Limits `exchange` to [`PATIENCE`]; `lost` says what did not happen.
pub(super) async fn in_time<R: Runtime, T: Send>(
    runtime: &R,
    lost: &str,
    exchange: impl Future<Output = Result<T, Failure>> + Send,
) -> Result<T, Failure> {
    match runtime.timeout(PATIENCE, exchange).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Failure::new(Failure::TIMEOUT, not_in_time(lost))),
    }
}

/// `lost`, with the time waited.
pub(super) fn not_in_time(lost: &str) -> String {
    format!("{lost} within {} s", PATIENCE.as_secs())
}

/// The next message; `None` once the closing handshake is complete.
async fn receive<R: Runtime>(
    transfer: &mut Transfer<'_, R>,
    client: &mut Client,
) -> Result<Option<Utf8Bytes>, Failure> {
    loop {
        let received = client.receive();
        // Also after an error: the answer to the server's close has to be sent.
        flush(transfer, client).await?;
        match received {
            Ok(Some(text)) => return Ok(Some(text)),
            Ok(None) => feed(transfer, client).await?,
            Err(WebSocketError::Closed) => return Ok(None),
            Err(error) => return Err(failure(error)),
        }
    }
}

async fn flush<R: Runtime>(
    transfer: &mut Transfer<'_, R>,
    client: &mut Client,
) -> Result<(), Failure> {
    let outgoing = client.outgoing();
    if !outgoing.is_empty() {
        transfer.write(outgoing).await?;
        outgoing.clear();
    }
    Ok(())
}

async fn feed<R: Runtime>(
    transfer: &mut Transfer<'_, R>,
    client: &mut Client,
) -> Result<(), Failure> {
    if !transfer.read().await? {
        client.end_of_input();
    }
    let received = transfer.received();
    client.feed(received.unread());
    received.clear();
    Ok(())
}

fn failure(error: WebSocketError) -> Failure {
    Failure::new(error.kind(), error.to_string())
}
