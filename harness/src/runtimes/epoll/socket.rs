//! Sockets of the event loop: a connection or a listener with its registration.

use std::future::{Future, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::rc::Rc;
use std::task::Poll;

use send_wrapper::SendWrapper;
use socket2::{Domain, SockAddr, SockRef, Socket, Type};

use super::Epoll;
use super::source::Source;
use crate::buffer::Buffer;
use crate::runtime::Moved;
use crate::runtimes::floor::Floor;
use crate::runtimes::transfer;

/// A socket that the loop watches. Dropping it ends the registration, and closes it.
struct Registered {
    socket: Socket,
    source: Rc<Source>,
    place: usize,
    runtime: Floor<Epoll>,
}

impl Registered {
    fn new(runtime: &Floor<Epoll>, socket: Socket) -> io::Result<Self> {
        let (place, source) = runtime.driver().register(&socket)?;
        Ok(Self {
            socket,
            source,
            place,
            runtime: runtime.clone(),
        })
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.runtime.driver().forget(self.place);
    }
}

pub(in crate::runtimes) struct Stream(SendWrapper<Registered>);

impl Stream {
    pub(super) fn connect(
        runtime: &Floor<Epoll>,
        address: SocketAddr,
    ) -> impl Future<Output = io::Result<Self>> + Send {
        SendWrapper::new(async move {
            let socket = Socket::new(Domain::for_address(address), Type::STREAM, None)?;
            socket.set_nonblocking(true)?;
            socket.set_tcp_nodelay(true)?;
            match socket.connect(&address.into()) {
                Err(error) if error.raw_os_error() != Some(nix::libc::EINPROGRESS) => {
                    return Err(error);
                }
                _ => {}
            }
            let registered = Registered::new(runtime, socket)?;
            let writing = &registered.source.writing;
            poll_fn(|context| {
                writing.poll_call(context, || match registered.socket.take_error()? {
                    Some(error) => Err(error),
                    None => registered.socket.peer_addr().map_err(not_connected_yet),
                })
            })
            .await?;
            Ok(Self(SendWrapper::new(registered)))
        })
    }

    pub(super) fn connect_unix(runtime: &Floor<Epoll>, path: &Path) -> io::Result<Self> {
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)?;
        Ok(Self(SendWrapper::new(Registered::new(runtime, socket)?)))
    }
}

/// A connection in progress has no peer yet.
fn not_connected_yet(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotConnected => io::ErrorKind::WouldBlock.into(),
        _ => error,
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }
}

impl crate::runtime::Stream for Stream {
    fn read(&mut self, buffer: &mut Buffer) -> impl Future<Output = io::Result<usize>> + Send {
        SendWrapper::new(poll_fn(move |context| {
            let spare = buffer.spare();
            let room = spare.len();
            let call = || io::Read::read(&mut &self.0.socket, spare);
            let read = self.0.source.reading.poll_moving(context, room, call);
            read.map_ok(|count| {
                buffer.commit(count);
                count
            })
        }))
    }

    fn write_all(&mut self, bytes: &mut Vec<u8>) -> impl Future<Output = io::Result<()>> + Send {
        let mut written = 0;
        SendWrapper::new(poll_fn(move |context| {
            while written < bytes.len() {
                let left = &bytes[written..];
                let call = || self.0.socket.send(left);
                match self.0.source.writing.poll_moving(context, left.len(), call) {
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    Poll::Ready(Ok(count)) => written += count,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                    Poll::Pending => return Poll::Pending,
                }
            }
            Poll::Ready(Ok(()))
        }))
    }

    fn transfer(
        &mut self,
        bytes: &[u8],
        buffer: &mut Buffer,
    ) -> impl Future<Output = io::Result<Moved>> + Send {
        SendWrapper::new(poll_fn(move |context| {
            let Registered { socket, source, .. } = &*self.0;
            let send = || socket.send(bytes);
            let written = source.writing.poll_moving(context, bytes.len(), send);
            if let Poll::Ready(count) = written {
                return Poll::Ready(count.map(Moved::Written));
            }
            let spare = buffer.spare();
            let room = spare.len();
            let receive = || io::Read::read(&mut &*socket, spare);
            let read = source.reading.poll_moving(context, room, receive);
            read.map_ok(|count| transfer::committed(buffer, count))
        }))
    }

    fn is_stale(&self) -> bool {
        transfer::is_stale(self)
    }
}

pub(in crate::runtimes) struct Listener {
    registered: SendWrapper<Registered>,
    runtime: Floor<Epoll>,
}

impl Listener {
    pub(super) fn new(runtime: &Floor<Epoll>, listener: TcpListener) -> io::Result<Self> {
        Ok(Self {
            registered: SendWrapper::new(Registered::new(runtime, listener.into())?),
            runtime: runtime.clone(),
        })
    }
}

impl crate::runtime::Listener<Stream> for Listener {
    fn accept(&mut self) -> impl Future<Output = io::Result<Stream>> + Send {
        SendWrapper::new(async move {
            let Registered { socket, source, .. } = &*self.registered;
            let accept = || socket.accept();
            let accepted = poll_fn(|context| source.reading.poll_call(context, accept));
            let (connection, _) = accepted.await?;
            connection.set_nonblocking(true)?;
            connection.set_tcp_nodelay(true)?;
            let registered = Registered::new(&self.runtime, connection)?;
            Ok(Stream(SendWrapper::new(registered)))
        })
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        let address = SockRef::from(&self.registered.socket).local_addr()?;
        address
            .as_socket()
            .ok_or_else(|| io::Error::other("not an IP address"))
    }
}
