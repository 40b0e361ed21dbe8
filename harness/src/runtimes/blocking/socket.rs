//! Blocking sockets that respect the thread's deadline (`SO_RCVTIMEO`, `SO_SNDTIMEO`, `poll`), as users of blocking
//! sockets set them up by hand.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use photofinish_record::PeerAddress;
use socket2::{Domain, SockAddr, Socket, Type};

use super::deadline::{has_deadline, patience, unless_elapsed};
use crate::buffer::Buffer;
use crate::runtime::{self, Elapsed, Moved};
use crate::runtimes::transfer;

#[derive(Debug)]
pub(in crate::runtimes) struct Stream {
    socket: Socket,
    read_timeout: Option<Duration>,
    write_timeout: Option<Duration>,
}

impl Stream {
    fn without_delay(socket: TcpStream) -> io::Result<Self> {
        socket.set_nodelay(true)?;
        Ok(Self {
            socket: socket.into(),
            read_timeout: None,
            write_timeout: None,
        })
    }

    fn read_once(&mut self, spare: &mut [u8]) -> Result<io::Result<usize>, Elapsed> {
        blocking_call(
            || {
                arm(&mut self.read_timeout, |limit| {
                    self.socket.set_read_timeout(limit)
                })
            },
            || (&self.socket).read(spare),
        )
    }

    fn write_once(&mut self, bytes: &[u8]) -> Result<io::Result<usize>, Elapsed> {
        blocking_call(
            || {
                arm(&mut self.write_timeout, |limit| {
                    self.socket.set_write_timeout(limit)
                })
            },
            || (&self.socket).write(bytes),
        )
    }
}

/// Calls `io` again if it is interrupted, or if it runs into the socket's timeout before the thread's deadline.
fn blocking_call(
    mut arm: impl FnMut() -> Result<io::Result<()>, Elapsed>,
    mut io: impl FnMut() -> io::Result<usize>,
) -> Result<io::Result<usize>, Elapsed> {
    loop {
        if let Err(error) = arm()? {
            return Ok(Err(error));
        }
        match io() {
            Err(error) if may_be_repeated(&error) => {}
            result => return Ok(result),
        }
    }
}

/// Sets the socket's timeout to fit the thread's deadline; `Err(Elapsed)` if that has passed.
///
/// The timeout may be shorter than the time left (a call that runs into it is repeated), never longer. So a timeout set
/// for an earlier operation also serves the next one with the same limit: a deadline costs a system call in the first
/// operation, as it does for users who set it once per connection, and none after that.
fn arm(
    timeout: &mut Option<Duration>,
    set: impl FnOnce(Option<Duration>) -> io::Result<()>,
) -> Result<io::Result<()>, Elapsed> {
    let fitting = match (patience()?, *timeout) {
        (None, None) => return Ok(Ok(())),
        (Some(left), Some(now)) if now <= left && left / 2 <= now => return Ok(Ok(())),
        // A little less than the time left, so that it also fits the next operation's slightly shorter time.
        (Some(left), _) => Some((left - left / 8).max(Duration::from_micros(1))),
        (None, Some(_)) => None,
    };
    *timeout = fitting;
    Ok(set(fitting))
}

fn may_be_repeated(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut
    )
}

impl runtime::Stream for Stream {
    async fn read(&mut self, buffer: &mut Buffer) -> io::Result<usize> {
        let count = unless_elapsed(self.read_once(buffer.spare())).await?;
        buffer.commit(count);
        Ok(count)
    }

    async fn transfer(&mut self, bytes: &[u8], buffer: &mut Buffer) -> io::Result<Moved> {
        let both = PollFlags::POLLIN | PollFlags::POLLOUT;
        loop {
            match transfer::write_now(&self.socket, bytes) {
                Err(error) if may_be_repeated(&error) => {}
                written => return written.map(Moved::Written),
            }
            if !wait(&self.socket, both).await?.contains(PollFlags::POLLIN) {
                continue;
            }
            match (&self.socket).read(buffer.spare()) {
                Err(error) if may_be_repeated(&error) => {}
                read => return read.map(|count| transfer::committed(buffer, count)),
            }
        }
    }

    fn is_stale(&self) -> bool {
        transfer::is_stale(&self.socket)
    }

    async fn write_all(&mut self, bytes: &mut Vec<u8>) -> io::Result<()> {
        let mut written = 0;
        while written < bytes.len() {
            let count = unless_elapsed(self.write_once(&bytes[written..])).await?;
            if count == 0 {
                return Err(ErrorKind::WriteZero.into());
            }
            written += count;
        }
        Ok(())
    }
}

pub(in crate::runtimes) async fn connect(address: &PeerAddress) -> io::Result<Stream> {
    match address {
        PeerAddress::Tcp(address) => connect_tcp(*address).await,
        PeerAddress::Unix(path) => connect_unix(path).await,
    }
}

async fn connect_tcp(address: SocketAddr) -> io::Result<Stream> {
    let socket = match unless_elapsed(patience()).await {
        None => TcpStream::connect(address),
        Some(left) => match TcpStream::connect_timeout(&address, left) {
            Err(error) if error.kind() == ErrorKind::TimedOut && patience().is_err() => {
                std::future::pending().await
            }
            result => result,
        },
    };
    Stream::without_delay(socket?)
}

/// The call waits while the backlog is full, for as long as the timeout for writes allows.
async fn connect_unix(path: &Path) -> io::Result<Stream> {
    let path = SockAddr::unix(path)?;
    loop {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        let write_timeout = unless_elapsed(patience()).await;
        socket.set_write_timeout(write_timeout)?;
        match socket.connect(&path) {
            Err(error) if may_be_repeated(&error) => {}
            Err(error) => return Err(error),
            Ok(()) => {
                return Ok(Stream {
                    socket,
                    read_timeout: None,
                    write_timeout,
                });
            }
        }
    }
}

#[derive(Debug)]
pub(in crate::runtimes) struct Listener {
    pub(super) socket: TcpListener,
}

/// Waits for any of `events` or the deadline; returns the events that occurred.
async fn wait(socket: &impl AsFd, events: PollFlags) -> io::Result<PollFlags> {
    loop {
        let left = unless_elapsed(patience()).await;
        let left_ms = left.map_or(PollTimeout::NONE, |left| {
            PollTimeout::try_from(left + Duration::from_millis(1)).unwrap_or(PollTimeout::MAX)
        });
        let mut watched = [PollFd::new(socket.as_fd(), events)];
        match poll(&mut watched, left_ms) {
            Ok(0) | Err(nix::errno::Errno::EINTR) => {}
            Ok(_) => return Ok(watched[0].revents().unwrap_or(events)),
            Err(errno) => return Err(errno.into()),
        }
    }
}

impl runtime::Listener<Stream> for Listener {
    async fn accept(&mut self) -> io::Result<Stream> {
        // Without a deadline the call itself waits.
        if has_deadline() {
            wait(&self.socket, PollFlags::POLLIN).await?;
        }
        loop {
            match self.socket.accept() {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                result => return Stream::without_delay(result?.0),
            }
        }
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}
