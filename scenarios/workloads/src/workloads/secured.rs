//! TLS over a stream: the sans-IO client of `protocol/tls.rs`, pumped.
//!
//! Generic over the stream alone, so that it is compiled once for a runtime and not for each workload. Traffic is counted
//! as ciphertext, which is what the server's side of the connection counts too.

use photofinish_harness::buffer::Buffer;
use photofinish_harness::runtime::{Moved, Stream};
use photofinish_harness::traffic::TrafficCounter;
use photofinish_harness::workload::Failure;

use crate::protocol::tls::{Plaintext, RECORD_BYTES, TlsClient, TlsConfig, TlsError};

/// Kind of failure: the handshake failed, or bytes that are not valid TLS.
pub(super) const TLS: &str = "tls";

/// Room for an answer of one byte and for surplus bytes, which are refused.
const PREFACE_BYTES: usize = 64;

/// Room for a whole record in one read.
const BUFFER_BYTES: usize = RECORD_BYTES + 256;

/// An unencrypted exchange before the handshake.
#[derive(Clone, Copy, Debug)]
pub(super) struct Preface {
    pub(super) request: &'static [u8],
    /// Checks the beginning of the answer.
    pub(super) accept: fn(&[u8]) -> Result<(), Failure>,
}

impl Preface {
    /// Sends the request and checks the answer.
    pub(super) async fn exchange(
        self,
        stream: &mut impl Stream,
        traffic: &TrafficCounter,
    ) -> Result<(), Failure> {
        stream.write_all(&mut self.request.to_vec()).await?;
        traffic.wrote(self.request.len());
        let mut answer = Buffer::with_capacity(PREFACE_BYTES);
        let count = stream.read(&mut answer).await?;
        traffic.read(count);
        (self.accept)(answer.unread())
    }
}

/// A stream whose handshake is complete.
pub(super) struct Secured<S> {
    stream: S,
    client: TlsClient,
    /// Ciphertext that was read and not processed.
    received: Buffer,
    /// Ciphertext to be written.
    out: Vec<u8>,
    /// The part of a write that [`Secured::transfer`] has begun; the same bytes have to be passed until it is moved.
    begun: Option<Begun>,
    /// True if the input ended without the peer's announcement.
    truncated: bool,
}

/// A write in progress.
struct Begun {
    plain_bytes: usize,
    /// Written bytes of the ciphertext in `out`.
    written: usize,
}

impl<S: Stream> Secured<S> {
    /// Performs the handshake.
    pub(super) async fn begin(
        stream: S,
        config: &TlsConfig,
        traffic: &TrafficCounter,
    ) -> Result<Box<Self>, Failure> {
        let mut out = Vec::new();
        let client = TlsClient::begin(config, &mut out).map_err(failure)?;
        let mut secured = Box::new(Self {
            stream,
            client,
            received: Buffer::with_capacity(BUFFER_BYTES),
            out,
            begun: None,
            truncated: false,
        });
        while secured.client.is_handshaking() {
            secured.send(traffic).await?;
            if !secured.fill(traffic).await? {
                let detail = "the server closed the connection during the TLS handshake";
                return Err(Failure::new(Failure::SHORT, detail));
            }
        }
        secured.send(traffic).await?;
        traffic.secured(secured.is_resumed());
        Ok(secured)
    }

    /// True if the handshake resumed an earlier session.
    pub(super) fn is_resumed(&self) -> bool {
        self.client.is_resumed()
    }

    /// Reads plaintext into the spare room of `plain`; 0 at the end of input.
    pub(super) async fn read(
        &mut self,
        plain: &mut Buffer,
        traffic: &TrafficCounter,
    ) -> Result<usize, Failure> {
        loop {
            if let Some(count) = self.take(plain) {
                return Ok(count);
            }
            // A reply to what came, such as an update of keys.
            self.flush(traffic).await?;
            self.fill(traffic).await?;
        }
    }

    /// Writes all of `plain`.
    pub(super) async fn write_all(
        &mut self,
        plain: &[u8],
        traffic: &TrafficCounter,
    ) -> Result<(), Failure> {
        for part in plain.chunks(RECORD_BYTES) {
            self.client.write(part, &mut self.out);
            self.flush(traffic).await?;
        }
        Ok(())
    }

    /// Like [`Stream::transfer`]: writes the beginning of `bytes`, at most one record, or reads into `plain`.
    pub(super) async fn transfer(
        &mut self,
        bytes: &[u8],
        plain: &mut Buffer,
        traffic: &TrafficCounter,
    ) -> Result<Moved, Failure> {
        loop {
            if let Some(count) = self.take(plain) {
                return Ok(Moved::Read(count));
            }
            if !self.received.unread().is_empty() {
                self.process()?;
                continue;
            }
            let begun = self.begun.get_or_insert_with(|| {
                let plain_bytes = bytes.len().min(RECORD_BYTES);
                self.client.write(&bytes[..plain_bytes], &mut self.out);
                Begun {
                    plain_bytes,
                    written: 0,
                }
            });
            let rest = &self.out[begun.written..];
            let moved = match self.stream.transfer(rest, &mut self.received).await {
                Ok(moved) => moved,
                Err(broken) => {
                    // Otherwise it would keep the answer that the server gave before from being read.
                    self.out.clear();
                    self.begun = None;
                    return Err(broken.into());
                }
            };
            match moved {
                Moved::Written(count) => {
                    traffic.wrote(count);
                    begun.written += count;
                    if count == 0 || begun.written == self.out.len() {
                        let moved = if count == 0 { 0 } else { begun.plain_bytes };
                        self.out.clear();
                        self.begun = None;
                        return Ok(Moved::Written(moved));
                    }
                }
                Moved::Read(count) => {
                    traffic.read(count);
                    self.process()?;
                }
            }
        }
    }

    /// True if the peer has closed an idle connection or sent unsolicited data, which `plain` then begins with; session tickets
    /// are neither.
    pub(super) async fn is_stale(&mut self, plain: &mut Buffer, traffic: &TrafficCounter) -> bool {
        loop {
            if self.take(plain).is_some() {
                return true;
            }
            if !self.stream.is_stale() {
                return false;
            }
            // There is something to read: this does not wait.
            if self.fill(traffic).await.is_err() {
                return true;
            }
        }
    }

    /// The protocol that the peer chose in the handshake.
    pub(super) fn protocol(&self) -> Option<&[u8]> {
        self.client.protocol()
    }

    /// True if the input ended without the peer's announcement.
    pub(super) fn is_truncated(&self) -> bool {
        self.truncated
    }

    /// Moves plaintext that has arrived, or the end of it; `None` if more ciphertext is needed.
    fn take(&mut self, plain: &mut Buffer) -> Option<usize> {
        match self.client.read(plain.spare()) {
            Plaintext::Bytes(count) => {
                plain.commit(count);
                Some(count)
            }
            Plaintext::None => None,
            Plaintext::End => Some(0),
            Plaintext::Truncated => {
                self.truncated = true;
                Some(0)
            }
        }
    }

    /// Reads ciphertext and processes it; false at the end of input.
    async fn fill(&mut self, traffic: &TrafficCounter) -> Result<bool, Failure> {
        let mut more = true;
        if self.received.unread().is_empty() {
            let count = self.stream.read(&mut self.received).await?;
            traffic.read(count);
            more = count > 0;
        }
        if let Err(error) = self.process() {
            // The peer learns the reason, if it listens.
            let _unheard = self.flush(traffic).await;
            return Err(error);
        }
        Ok(more)
    }

    fn process(&mut self) -> Result<(), Failure> {
        let taken = self.client.feed(self.received.unread(), &mut self.out);
        self.received.consume(taken.map_err(failure)?);
        Ok(())
    }

    /// Writes the ciphertext that waits.
    async fn flush(&mut self, traffic: &TrafficCounter) -> Result<(), Failure> {
        if self.out.is_empty() {
            return Ok(());
        }
        let written = self.stream.write_all(&mut self.out).await;
        if written.is_ok() {
            traffic.wrote(self.out.len());
        }
        self.out.clear();
        Ok(written?)
    }

    /// Like [`Secured::flush`], but after a reset the failure is the server's alert, if it sent one.
    async fn send(&mut self, traffic: &TrafficCounter) -> Result<(), Failure> {
        let Err(broken) = self.flush(traffic).await else {
            return Ok(());
        };
        if broken.kind != Failure::RESET {
            return Err(broken);
        }
        match self.fill(traffic).await {
            Err(alert) if alert.kind == TLS => Err(alert),
            _ => Err(broken),
        }
    }
}

fn failure(error: TlsError) -> Failure {
    let failure = Failure::new(TLS, error.to_string());
    match error.hint() {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}
