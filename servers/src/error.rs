//! The errors of a server process, and what to do about them.

use std::io;
use std::net::SocketAddr;

use crate::BehaviourError;

/// A server did not start, or did not keep running.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("unknown server `{name}`")]
    UnknownServer {
        name: String,
        expected: Vec<&'static str>,
    },
    #[error(transparent)]
    Behaviour(#[from] BehaviourError),
    #[error("the server `{server}` serves with at most {most} thread(s), not {requested}")]
    TooManyThreads {
        server: &'static str,
        requested: usize,
        most: usize,
    },
    #[error("the server `{server}` does not speak TLS")]
    NoTls { server: &'static str },
    #[error("cannot listen on {address}")]
    Listen {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("cannot pin the server to the CPUs {cpus:?}")]
    Pin { cpus: Vec<usize>, source: io::Error },
    #[error("cannot tie the server to the life of its parent")]
    Parent { source: io::Error },
    #[error("cannot start the server `{server}`")]
    Start {
        server: &'static str,
        source: io::Error,
    },
    #[error("cannot generate a certificate")]
    Certificate { source: io::Error },
    #[error("cannot write to the control channel")]
    Control { source: io::Error },
    /// A thread of the server panicked.
    #[error("the server `{server}` died while serving")]
    Died { server: &'static str },
}

impl ServeError {
    /// Wraps an error that kept `server` from starting.
    pub(crate) fn start(server: &'static str) -> impl Fn(io::Error) -> Self {
        move |source| ServeError::Start { server, source }
    }

    /// A remedy, if one is known.
    pub fn hint(&self) -> Option<String> {
        match self {
            ServeError::UnknownServer { expected, .. } => {
                Some(format!("the servers are {}", expected.join(", ")))
            }
            ServeError::TooManyThreads { most, .. } => Some(format!("ask for {most} thread(s)")),
            ServeError::NoTls { .. } => Some("leave out --tls".into()),
            ServeError::Listen { address, source } => Some(listen_hint(*address, source.kind())),
            ServeError::Pin { .. } => {
                Some("name CPUs that exist and that this process may use".into())
            }
            _ => None,
        }
    }
}

fn listen_hint(address: SocketAddr, kind: io::ErrorKind) -> String {
    let port = address.port();
    match kind {
        io::ErrorKind::AddrInUse => {
            format!("port {port} is in use; choose another, or port 0 for any free one")
        }
        io::ErrorKind::AddrNotAvailable => {
            format!("{} is not an address of this machine", address.ip())
        }
        io::ErrorKind::PermissionDenied => {
            format!("port {port} needs privileges; choose one above 1023, or port 0")
        }
        _ => "choose another address, or 127.0.0.1:0 for any free port".into(),
    }
}
