//! A port that refuses connections for as long as it is held.
//!
//! The socket is bound, so that no one else gets the port (nor does an outgoing connection, which might connect to
//! itself), and does not listen, so that connections are refused.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

/// A local port without a listener.
#[derive(Debug)]
pub(super) struct ClosedPort {
    _bound: Socket,
    /// The address at which connections are refused.
    pub(super) address: SocketAddr,
}

impl ClosedPort {
    /// Takes a free port.
    pub(super) fn hold() -> io::Result<Self> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, Some(Protocol::TCP))?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = socket.local_addr()?.as_socket();
        Ok(Self {
            _bound: socket,
            address: address.expect("a socket of IPv4 has an address of it"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_to_a_closed_port_is_refused() {
        let port = ClosedPort::hold().expect("a port");
        let refused = std::net::TcpStream::connect(port.address).expect_err("refused");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    }
}
