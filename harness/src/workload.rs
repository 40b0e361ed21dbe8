//! The `Workload` trait: what one operation does, written once for all runtimes.
//!
//! A workload is made from its parameters, opens sessions (connections, buffers, state) before the clock starts, and
//! performs operations on them. It neither stamps time nor counts operations: the measuring loop in `measure` does both
//! around [`Workload::operate`], the same for every runtime. Failures of the system under test are values, by kind.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::observed::Observed;
use crate::runtime::{Capability, Runtime};
use crate::traffic::TrafficCounter;
use photofinish_record::Failures;
use photofinish_record::protocol::TargetAddress;

/// What a workload is, for lists, reports and plans.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Its name: `http-get`.
    pub name: &'static str,
    /// Its class: `http`, `files`, `database`, `floor`, ...
    pub class: &'static str,
    /// What one operation does, in one line.
    pub operation: &'static str,
    /// The targets it talks to, by name: `http`, `db`.
    pub targets: &'static [&'static str],
    /// What it needs of a runtime beyond reading, writing and waiting.
    pub needs: &'static [Capability],
}

/// What one operation does, for every runtime.
pub trait Workload: Send + Sync + Sized + 'static {
    /// What it is.
    const ABOUT: About;
    /// Its parameters: a struct with defaults that refuses unknown fields.
    type Params: DeserializeOwned + Serialize + JsonSchema + Default;
    /// One concurrent client: its connections, buffers and state.
    type Session<R: Runtime>: Send + 'static;

    /// Checks what the types cannot, before anything runs.
    fn new(params: Self::Params, unit: Duration) -> Result<Self, ParamError>;

    /// What it needs of a runtime with these parameters: as its [`About`] says, where a parameter does not ask for more.
    fn needs(&self) -> &'static [Capability] {
        Self::ABOUT.needs
    }

    /// Once per round, before any session: schemas, files, reference answers.
    fn prepare<R: Runtime>(
        &self,
        env: &Env<R>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        let _ = env;
        async { Ok(()) }
    }

    /// Opens session number `index`, before the clock starts.
    fn open<R: Runtime>(
        &self,
        env: &Env<R>,
        index: u32,
    ) -> impl Future<Output = Result<Self::Session<R>, Failure>> + Send;

    /// Performs operation number `op`. A session whose connection broke reconnects here, at the next operation.
    fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut Self::Session<R>,
        op: u64,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Ends a session after the clock stopped, taking leave of servers politely.
    fn close<R: Runtime>(
        &self,
        env: &Env<R>,
        session: Self::Session<R>,
    ) -> impl Future<Output = ()> + Send {
        let _ = env;
        async { drop(session) }
    }

    /// Once per round, after all sessions: what must hold over the whole of it, and cleaning up. `totals` tells how
    /// many operations ran. Violated expectations come back as sentences.
    fn finish<R: Runtime>(
        &self,
        env: &Env<R>,
        totals: Totals,
    ) -> impl Future<Output = Result<Vec<String>, Failure>> + Send {
        let _ = (env, totals);
        async { Ok(Vec::new()) }
    }

    /// Removes from servers what [`prepare`](Self::prepare) put there, after a round that failed on its way to
    /// [`finish`](Self::finish) or in it.
    fn abandon<R: Runtime>(&self, env: &Env<R>) -> impl Future<Output = ()> + Send {
        let _ = env;
        async {}
    }
}

/// Operations of a whole round, warm-up included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Sessions that ran.
    pub sessions: u32,
    /// Operations that succeeded.
    pub succeeded: u64,
    /// Operations that failed.
    pub failed: u64,
}

/// What surrounds a workload in one round.
#[derive(Debug)]
pub struct Env<R> {
    /// The runtime it runs under.
    pub runtime: R,
    /// The seed of every draw.
    pub seed: u64,
    /// Sessions asked for; `sync` runs one all the same.
    pub concurrency: u32,
    /// Where each target is, by name.
    pub targets: BTreeMap<String, TargetAddress>,
    /// A directory for files, reused over the rounds of a run.
    pub work_dir: PathBuf,
    /// What went over the sockets, by target name; compared with the servers' own counts.
    pub traffic: BTreeMap<String, TrafficCounter>,
    /// What the workload observes itself, beside the time that is taken around its operations.
    pub observed: Observed,
}

/// A parameter that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParamError {
    /// The parameter's name, dotted where nested.
    pub param: String,
    /// What is wrong, and what would be right.
    pub message: String,
}

/// A failed operation: data, not an error of the tool.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {detail}")]
pub struct Failure {
    /// Its kind, under which it is counted: one of the constants below or a protocol's own (`status`, `23505`).
    pub kind: &'static str,
    /// What happened, in words, without secrets.
    pub detail: String,
}

impl Failure {
    /// The peer refused the connection.
    pub const REFUSED: &'static str = "refused";
    /// The host's name has no address.
    pub const UNKNOWN_HOST: &'static str = "unknown-host";
    /// The peer reset or aborted the connection.
    pub const RESET: &'static str = "reset";
    /// A deadline passed.
    pub const TIMEOUT: &'static str = "timeout";
    /// The peer closed before the answer was complete.
    pub const SHORT: &'static str = "short";
    /// No local port was left to connect from: this machine's limit, not the peer's.
    pub const PORTS: &'static str = Failures::PORTS;
    /// An answer with a status that means failure.
    pub const STATUS: &'static str = "status";
    /// A complete answer with the wrong content: breaks identity, whatever the error budget.
    pub const WRONG_CONTENT: &'static str = "wrong-content";
    /// A spawned part panicked.
    pub const PANIC: &'static str = "panic";
    /// Another error of the operating system.
    pub const IO: &'static str = "io";

    /// A failure of this kind.
    pub fn new(kind: &'static str, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
        }
    }

    /// A complete answer with the wrong content.
    pub fn wrong_content(detail: impl Into<String>) -> Self {
        Self::new(Self::WRONG_CONTENT, detail)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::ConnectionRefused => Self::REFUSED,
            io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Self::RESET,
            io::ErrorKind::TimedOut => Self::TIMEOUT,
            io::ErrorKind::UnexpectedEof => Self::SHORT,
            io::ErrorKind::AddrNotAvailable => {
                return Self::new(
                    Self::PORTS,
                    format!("no local port is left to connect from: {error}"),
                );
            }
            _ => Self::IO,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<crate::runtime::TaskError> for Failure {
    fn from(error: crate::runtime::TaskError) -> Self {
        Self::new(Self::PANIC, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_cannot_be_assigned_is_a_want_of_ports_and_no_other_error_is() {
        let kind = |error| Failure::from(io::Error::from(error)).kind;
        assert_eq!(kind(io::ErrorKind::AddrNotAvailable), Failure::PORTS);
        assert_eq!(kind(io::ErrorKind::ConnectionRefused), Failure::REFUSED);
        assert_eq!(kind(io::ErrorKind::AddrInUse), Failure::IO);
    }
}
