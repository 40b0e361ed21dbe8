//! The interface of a server: a name, a check of its behaviour, and a function that starts it.
//!
//! The lifecycle in `serve.rs` binds the listening sockets and hands them over in a [`Startup`]; the server answers
//! with its [`Running`] threads. No protocol lives here. Read `connections.rs` next for the accept loop that servers
//! on tokio share.

use std::net::TcpListener;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

use crate::tls::Identity;
use crate::{BehaviourError, Count, Counts, SERVERS, ServeError};

/// One kind of mock server: its name, its behaviour, and the function that starts it.
#[derive(Debug)]
pub struct ServerKind {
    /// The name on the command line, in scenarios and in the ready line.
    pub name: &'static str,
    /// One line for lists.
    pub summary: &'static str,
    /// The counts it keeps; every other field of its snapshot is null.
    pub counted: &'static [Count],
    /// Maximum number of serving threads; `None` if unlimited.
    pub most_threads: Option<NonZeroUsize>,
    /// Protocols to offer in the TLS handshake (ALPN), the preferred one first; `None` without TLS support.
    pub alpn: Option<&'static [&'static str]>,
    /// Checks a behaviour without starting anything.
    pub check_behaviour: fn(&serde_json::Value) -> Result<(), BehaviourError>,
    /// The JSON Schema of its behaviour.
    pub behaviour_schema: fn() -> schemars::Schema,
    /// Starts serving on its own threads and returns at once.
    pub start: fn(Startup) -> Result<Running, ServeError>,
}

/// The server called `name`.
pub fn find(name: &str) -> Option<&'static ServerKind> {
    SERVERS.iter().copied().find(|kind| kind.name == name)
}

/// Input to [`ServerKind::start`].
#[derive(Debug)]
pub struct Startup {
    /// The behaviour, as JSON; `{}` selects every default.
    pub behaviour: serde_json::Value,
    /// One listening, non-blocking socket per thread, all with the same address; there is at least one.
    pub listeners: Vec<TcpListener>,
    /// Counters that the server updates.
    pub counts: Arc<Counts>,
    /// Certificate and key, for TLS.
    pub identity: Option<Identity>,
    /// Tells the server's threads to stop.
    pub stop: Stop,
}

/// The threads of a started server; they end once [`Stop`] is signalled.
#[derive(Debug)]
pub struct Running {
    /// Joined at the end of the process.
    pub threads: Vec<JoinHandle<()>>,
}

/// The receiving side of "stop serving", held by each thread of a server.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

impl Stop {
    /// A stop signal, and the sender that raises it by sending `true` or by being dropped.
    pub fn new() -> (watch::Sender<bool>, Stop) {
        let (sender, receiver) = watch::channel(false);
        (sender, Stop(receiver))
    }

    /// True once the stop signal is sent, for code that cannot wait.
    pub fn is_sent(&self) -> bool {
        *self.0.borrow()
    }

    /// Returns once the stop signal is sent, or its sender is dropped.
    pub async fn stopped(&mut self) {
        // An error means that the sender is gone, which is also a reason to stop.
        let _ = self.0.wait_for(|stopped| *stopped).await;
    }
}
