//! A connection of the orchestrator to a target: one deadline over all of it, ended by an interrupt at any time.
//!
//! Probes and reads of counts go through here; a server that drops packets, sends a byte a second or never stops
//! sending costs no more than [`PATIENCE`]. The address that accepts the connection is the one that workers connect to.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use photofinish_record::PeerAddress;
use photofinish_workloads::protocol::tls::{Plaintext, TlsClient, TlsConfig, TlsError};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;

/// Deadline of a whole probe, from connecting to the end of the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Advice if the TLS handshake fails.
const NO_TLS: &str =
    "does the server speak TLS on this port? if not, use http:// or ws://, or sslmode=disable";

/// Maximum time between checks for an interrupt.
const LOOK: Duration = Duration::from_millis(50);

/// The server at the other end, for messages.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its URL without secrets.
    pub name: String,
    /// The protocol that it should speak: `HTTP/1.1`.
    pub protocol: &'static str,
    /// Advice if the connection is refused.
    pub hint: &'static str,
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    stream: Socket,
    tls: Option<Secured>,
    address: PeerAddress,
    peer: Peer,
    /// True if anything was received since the deadline was set.
    answered: bool,
    limit: Limit,
}

/// TLS over the stream, and ciphertext that was read and not processed.
#[derive(Debug)]
struct Secured {
    client: TlsClient,
    received: Vec<u8>,
}

/// The deadline of all waits.
#[derive(Clone)]
struct Limit {
    due: Instant,
    interrupt: Interrupt,
}

impl std::fmt::Debug for Limit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Limit").finish_non_exhaustive()
    }
}

/// The reason a wait ended without an event.
enum Stopped {
    Late,
    Interrupted,
    Failed(io::Error),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Failed(error)
    }
}

impl Connection {
    /// Connects to the first of `addresses` that accepts.
    pub fn open(
        peer: Peer,
        addresses: &[PeerAddress],
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let mut limit = Limit {
            due: Instant::now() + PATIENCE,
            interrupt: interrupt.clone(),
        };
        let due = limit.due;
        let mut last = Stopped::Late;
        for (index, address) in addresses.iter().enumerate() {
            // Each gets an equal share of the time left: one that drops packets must not take that of the next.
            let left = due.saturating_duration_since(Instant::now());
            let share = left / u32::try_from(addresses.len() - index).unwrap_or(u32::MAX);
            limit.due = Instant::now() + share;
            match connect(address, &limit) {
                Ok(stream) => {
                    limit.due = due;
                    return Ok(Self {
                        stream,
                        tls: None,
                        address: address.clone(),
                        peer,
                        answered: false,
                        limit,
                    });
                }
                Err(Stopped::Interrupted) => return Err(interrupted()),
                Err(stopped) => last = stopped,
            }
        }
        Err(unreachable(&peer, addresses, last))
    }

    /// The address that accepted it.
    pub fn address(&self) -> &PeerAddress {
        &self.address
    }

    /// The protocol that the peer chose in the TLS handshake, if any; `None` without TLS.
    pub fn protocol(&self) -> Option<Option<&[u8]>> {
        self.tls.as_ref().map(|tls| tls.client.protocol())
    }

    /// True once the deadline has passed or the run was interrupted.
    pub fn is_late(&self) -> bool {
        self.limit.check().is_err()
    }

    /// Sets a new deadline, for another request.
    pub fn renew(&mut self) {
        self.limit.due = Instant::now() + PATIENCE;
        self.answered = false;
    }

    /// Performs the TLS handshake.
    pub fn secure(mut self, config: &TlsConfig) -> Result<Self, Failure> {
        let mut out = Vec::new();
        let client = TlsClient::begin(config, &mut out).map_err(|error| self.no_tls(error))?;
        self.send(&out)?;
        let mut tls = Secured {
            client,
            received: Vec::new(),
        };
        while tls.client.is_handshaking() {
            if !self.fill(&mut tls)? {
                let Peer { name, .. } = &self.peer;
                let message = format!("{name} closed the connection during the TLS handshake");
                return Err(Failure::could_not_run(message).hint(NO_TLS));
            }
        }
        self.tls = Some(tls);
        Ok(self)
    }

    /// Reads ciphertext, processes it and sends the replies to it; false at the end of input.
    fn fill(&mut self, tls: &mut Secured) -> Result<bool, Failure> {
        let mut more = true;
        if tls.received.is_empty() {
            let mut part = [0; 8 * 1024];
            let count = self.receive(&mut part)?;
            more = count > 0;
            tls.received.extend_from_slice(&part[..count]);
        }
        let mut out = Vec::new();
        let fed = tls.client.feed(&tls.received, &mut out);
        self.send(&out)?;
        tls.received
            .drain(..fed.map_err(|error| self.no_tls(error))?);
        Ok(more)
    }

    fn no_tls(&self, error: TlsError) -> Failure {
        let hint = error.hint().unwrap_or(NO_TLS);
        Failure::could_not_run(format!("no TLS connection to {}", self.peer.name))
            .caused_by(error)
            .hint(hint)
    }

    /// Writes all of `bytes`. If the peer closes early, [`Connection::read`] still returns anything it sent.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        match &mut self.tls {
            None => self.send(bytes),
            Some(tls) => {
                let mut out = Vec::new();
                tls.client.write(bytes, &mut out);
                self.send(&out)
            }
        }
    }

    /// Reads what has arrived into `part`; 0 at the end of input.
    pub fn read(&mut self, part: &mut [u8]) -> Result<usize, Failure> {
        let Some(mut tls) = self.tls.take() else {
            return self.receive(part);
        };
        let count = loop {
            match tls.client.read(part) {
                Plaintext::Bytes(count) => break count,
                Plaintext::End | Plaintext::Truncated => break 0,
                Plaintext::None => self.fill(&mut tls)?,
            };
        };
        self.tls = Some(tls);
        Ok(count)
    }

    fn send(&self, mut bytes: &[u8]) -> Result<(), Failure> {
        while !bytes.is_empty() {
            match self.limit.retry(&self.stream, PollFlags::POLLOUT, || {
                (&self.stream).write(bytes)
            }) {
                Ok(count) => bytes = &bytes[count..],
                Err(Stopped::Failed(error)) if is_gone(&error) => return Ok(()),
                Err(stopped) => return Err(self.failure(stopped)),
            }
        }
        Ok(())
    }

    fn receive(&mut self, part: &mut [u8]) -> Result<usize, Failure> {
        let read = self.limit.retry(&self.stream, PollFlags::POLLIN, || {
            (&self.stream).read(part)
        });
        let count = read.map_err(|stopped| self.failure(stopped))?;
        self.answered |= count > 0;
        Ok(count)
    }

    fn failure(&self, stopped: Stopped) -> Failure {
        let Peer { name, protocol, .. } = &self.peer;
        let seconds = PATIENCE.as_secs();
        match stopped {
            Stopped::Interrupted => interrupted(),
            Stopped::Late if self.answered => Failure::could_not_run(format!(
                "{name} began to respond, but did not finish within {seconds} s"
            ))
            .hint("the probe sends one request and waits for the end of the response; use a URL whose response ends"),
            Stopped::Late => Failure::could_not_run(format!(
                "{name} accepted the connection but did not respond within {seconds} s"
            ))
            .hint(format!(
                "does it speak {protocol}, and is it free to respond? another client may hold its only connection"
            )),
            Stopped::Failed(error) => Failure::could_not_run(format!(
                "{name} accepted the connection but broke it before the end of the response"
            ))
            .caused_by(error)
            .hint(format!("does it speak {protocol}? its log may say why it closed")),
        }
    }
}

/// The failure to connect to any of `addresses`; `last` is the reason of the last.
fn unreachable(peer: &Peer, addresses: &[PeerAddress], last: Stopped) -> Failure {
    let tried: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    let tried = match tried.len() {
        0 | 1 => String::new(),
        _ => format!(" (tried {})", tried.join(", ")),
    };
    let failure = Failure::could_not_run(format!("no response from {}{tried}", peer.name));
    if let Stopped::Failed(error) = last {
        return failure.caused_by(error).hint(peer.hint);
    }
    let seconds = PATIENCE.as_secs();
    failure
        .caused_by(format!("connecting took longer than {seconds} s"))
        .hint(
            "packets are being dropped, by a firewall or because the server's accept queue is full",
        )
}

fn interrupted() -> Failure {
    Failure::new(Exit::Interrupted, "interrupted")
}

fn is_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe | ErrorKind::ConnectionReset
    )
}

fn connect(address: &PeerAddress, limit: &Limit) -> Result<Socket, Stopped> {
    let (domain, address) = match address {
        PeerAddress::Tcp(address) => (Domain::for_address(*address), SockAddr::from(*address)),
        PeerAddress::Unix(path) => (Domain::UNIX, SockAddr::unix(path)?),
    };
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    loop {
        match socket.connect(&address) {
            // The backlog of a Unix socket is full, and no event says when there is room.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(limit.check()?.min(LOOK));
            }
            Err(error) if error.raw_os_error() != Some(Errno::EINPROGRESS as i32) => {
                return Err(error.into());
            }
            _ => break,
        }
    }
    limit.wait(&socket, PollFlags::POLLOUT)?;
    match socket.take_error()? {
        None => Ok(socket),
        Some(error) => Err(error.into()),
    }
}

impl Limit {
    /// Calls `io` until it no longer would block.
    fn retry(
        &self,
        socket: &impl AsFd,
        event: PollFlags,
        mut io: impl FnMut() -> io::Result<usize>,
    ) -> Result<usize, Stopped> {
        loop {
            // Before each call: a peer that never stops sending never makes it wait.
            self.check()?;
            match io() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.wait(socket, event)?,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return Ok(result?),
            }
        }
    }

    /// The time left.
    fn check(&self) -> Result<Duration, Stopped> {
        if self.interrupt.requested() {
            return Err(Stopped::Interrupted);
        }
        match self.due.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Stopped::Late),
            left => Ok(left),
        }
    }

    fn wait(&self, socket: &impl AsFd, event: PollFlags) -> Result<(), Stopped> {
        loop {
            let left = self.check()?.min(LOOK) + Duration::from_millis(1);
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut watched = [PollFd::new(socket.as_fd(), event)];
            match poll(&mut watched, timeout) {
                Ok(0) | Err(Errno::EINTR) => {}
                Ok(_) => return Ok(()),
                Err(errno) => return Err(Stopped::Failed(errno.into())),
            }
        }
    }
}
