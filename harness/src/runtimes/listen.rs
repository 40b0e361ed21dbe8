//! A listening socket as every runtime gets it: backlog 4096, address reusable immediately.
//!
//! The standard library's backlog is too small for a load generator's connection bursts, and each runtime would choose
//! its own; so the socket is made here, and each runtime wraps it in its own type.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

const BACKLOG: i32 = 4096;

/// A non-blocking (or, for blocking runtimes, blocking) listener on `address`.
pub(super) fn listener(address: SocketAddr, nonblocking: bool) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(nonblocking)?;
    Ok(socket.into())
}
