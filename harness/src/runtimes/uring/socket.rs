//! Sockets of the ring. They are in blocking mode: the kernel does the waiting.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;

use send_wrapper::SendWrapper;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::Uring;
use super::ring::{Completed, Operation, Ring, Submission, Work};
use crate::buffer::Buffer;
use crate::runtime::Moved;
use crate::runtimes::floor::Floor;
use crate::runtimes::transfer;

/// The longest message that is copied. Copying takes less time than a turn of the loop.
const SMALL: usize = 4096;

pub(in crate::runtimes) struct Stream(SendWrapper<Connection>);

struct Connection {
    socket: Rc<OwnedFd>,
    ring: Rc<Ring>,
    /// The last small message, if it is not known to be sent.
    sending: Option<Submission>,
    /// Its buffer, kept for reuse.
    spare: Vec<u8>,
}

impl Stream {
    fn new(ring: &Rc<Ring>, socket: Rc<OwnedFd>) -> Self {
        Self(SendWrapper::new(Connection {
            socket,
            ring: Rc::clone(ring),
            sending: None,
            spare: Vec::new(),
        }))
    }

    pub(super) fn connect(
        runtime: &Floor<Uring>,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self>> + Send {
        SendWrapper::new(async move {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.set_tcp_nodelay(true)?;
            let socket = Rc::new(OwnedFd::from(socket));
            let ring = &runtime.driver().ring;
            let connect = ring.submit(Operation {
                descriptor: Rc::clone(&socket),
                work: Work::Connect(Box::new(address.into())),
                bytes: Vec::new(),
            });
            connect.await.result?;
            Ok(Self::new(ring, socket))
        })
    }

    pub(super) fn connect_unix(runtime: &Floor<Uring>, path: &Path) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)?;
        socket.set_nonblocking(false)?;
        Ok(Self::new(
            &runtime.driver().ring,
            Rc::new(OwnedFd::from(socket)),
        ))
    }
}

impl Connection {
    fn submit(&self, work: Work, bytes: Vec<u8>) -> Submission {
        self.ring.submit(Operation {
            descriptor: Rc::clone(&self.socket),
            work,
            bytes,
        })
    }

    /// Sends all of `bytes`, which come back in any case.
    async fn send(&self, mut bytes: Vec<u8>) -> (io::Result<()>, Vec<u8>) {
        let mut sent = 0;
        while sent < bytes.len() {
            let completed = self.submit(Work::Send(sent), bytes).await;
            bytes = completed.bytes;
            match completed.result {
                Ok(so_far) if so_far > sent => sent = so_far,
                Ok(_) => return (Err(io::ErrorKind::WriteZero.into()), bytes),
                Err(error) => return (Err(error), bytes),
            }
        }
        (Ok(()), bytes)
    }

    /// Waits for the previous small message.
    async fn sent(&mut self) -> io::Result<()> {
        let Some(sending) = &mut self.sending else {
            return Ok(());
        };
        let Completed { result, bytes, .. } = sending.await;
        self.sending = None;
        let length = bytes.len();
        self.spare = bytes;
        match result? {
            // The kernel sends all of a message, or fails.
            count if count < length => Err(io::ErrorKind::WriteZero.into()),
            _ => Ok(()),
        }
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }
}

impl crate::runtime::Stream for Stream {
    fn read(&mut self, buffer: &mut Buffer) -> impl Future<Output = io::Result<usize>> + Send {
        SendWrapper::new(async move {
            let (storage, offset) = buffer.lend();
            let Completed { result, bytes, .. } =
                self.0.submit(Work::Receive(offset), storage).await;
            buffer.give_back(bytes, *result.as_ref().unwrap_or(&0));
            result
        })
    }

    fn write_all(&mut self, bytes: &mut Vec<u8>) -> impl Future<Output = io::Result<()>> + Send {
        SendWrapper::new(async move {
            self.0.sent().await?;
            if bytes.len() <= SMALL {
                let mut message = std::mem::take(&mut self.0.spare);
                message.clear();
                message.extend_from_slice(bytes);
                self.0.sending = Some(self.0.submit(Work::SendNow, message));
                return Ok(());
            }
            let (result, lent) = self.0.send(std::mem::take(bytes)).await;
            *bytes = lent;
            result
        })
    }

    /// Uses readiness: a submitted kernel operation that loses a race could not be undone.
    fn transfer(
        &mut self,
        bytes: &[u8],
        buffer: &mut Buffer,
    ) -> impl Future<Output = io::Result<Moved>> + Send {
        SendWrapper::new(async move {
            self.0.sent().await?;
            loop {
                match transfer::write_now(self, bytes) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    written => return written.map(Moved::Written),
                }
                match transfer::read_now(self, buffer) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    read => return read.map(|count| transfer::committed(buffer, count)),
                }
                self.0.submit(Work::Ready, Vec::new()).await.result?;
            }
        })
    }

    fn is_stale(&self) -> bool {
        transfer::is_stale(self)
    }
}

pub(in crate::runtimes) struct Listener {
    listener: SendWrapper<Rc<OwnedFd>>,
    runtime: Floor<Uring>,
}

impl Listener {
    pub(super) fn new(runtime: &Floor<Uring>, listener: TcpListener) -> Self {
        Self {
            listener: SendWrapper::new(Rc::new(listener.into())),
            runtime: runtime.clone(),
        }
    }
}

impl crate::runtime::Listener<Stream> for Listener {
    fn accept(&mut self) -> impl Future<Output = io::Result<Stream>> + Send {
        SendWrapper::new(async move {
            let ring = &self.runtime.driver().ring;
            let accept = ring.submit(Operation {
                descriptor: Rc::clone(&self.listener),
                work: Work::Accept,
                bytes: Vec::new(),
            });
            let Completed {
                result, accepted, ..
            } = accept.await;
            result?;
            let socket = accepted.expect("an accepted connection has a descriptor");
            SockRef::from(&socket).set_tcp_nodelay(true)?;
            Ok(Stream::new(ring, Rc::new(socket)))
        })
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        let address = SockRef::from(&**self.listener).local_addr()?;
        address
            .as_socket()
            .ok_or_else(|| io::Error::other("not an IP address"))
    }
}
