//! The `Workload` trait: one operation, written once for all runtimes.
//!
//! A workload is constructed from its parameters, opens sessions (connections, buffers, state) before the clock starts,
//! and performs operations on them. It neither stamps time nor counts operations: the measuring loop in `measure` does
//! both around [`Workload::operate`], the same for every runtime. Failures of the system under test are values, by
//! kind.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::ops::Deref;
use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::memo::Memo;
use crate::observed::Observed;
use crate::parts::Parts;
use crate::runtime::{Capability, Runtime, TaskError};
use crate::traffic::TrafficCounter;
use photofinish_record::load::Stop;
use photofinish_record::protocol::TargetAddress;
use photofinish_record::{Failures, Traffic};

/// Facts about a workload for lists, reports and plans.
#[derive(Clone, Copy, Debug)]
pub struct About {
    /// Its name: `http-get`.
    pub name: &'static str,
    /// Its class: `http`, `files`, `database`, `floor`, ...
    pub class: &'static str,
    /// One operation, in one line.
    pub operation: &'static str,
    /// Names of the targets it talks to: `http`, `db`.
    pub targets: &'static [&'static str],
    /// Capabilities it requires of a runtime beyond reading, writing and waiting.
    pub needs: &'static [Capability],
}

/// One operation and the life of a round around it, for every runtime.
///
/// A round is [`new`](Self::new), [`prepare`](Self::prepare), [`open`](Self::open) for each session, then
/// [`operate`](Self::operate) repeatedly, [`close`](Self::close) for each session, [`finish`](Self::finish). A workload
/// whose sessions share nothing writes [`nothing_shared!`](crate::nothing_shared), one whose sessions keep no state
/// [`no_session!`](crate::no_session).
pub trait Workload: Send + Sync + Sized + 'static {
    const ABOUT: About;
    /// True to compile it for each runtime's concrete type: for workloads that measure the cost of a runtime's calls, or the
    /// memory of a task. Others share one type for all asynchronous runtimes, at the cost of a branch per call.
    const STATIC_DISPATCH: bool = false;
    /// A struct with defaults that refuses unknown fields.
    type Params: DeserializeOwned + Serialize + JsonSchema + Default;
    /// State that all sessions of a round share: reference answers, a pool of connections, a listener.
    type Shared<R: Runtime>: Send + Sync + 'static;
    /// One concurrent client: its connections, buffers and state.
    type Session<R: Runtime>: Send + 'static;

    /// Checks before anything runs what the types cannot check.
    fn new(params: Self::Params, unit: Duration) -> Result<Self, ParamError>;

    /// Capabilities required of a runtime with these parameters; [`About::needs`] unless a parameter asks for more.
    fn needs(&self) -> &'static [Capability] {
        Self::ABOUT.needs
    }

    /// Names of writes that are the same in every round, so that a server that stores them sees each one again.
    fn repeated_writes(&self) -> Vec<String> {
        Vec::new()
    }

    /// Names of the parts of an operation that are timed and counted separately, at most
    /// [`Part::MOST`](photofinish_record::Part::MOST): requests of a flow, statements of a transaction. A session records
    /// them by their index here, through [`RoundEnv::parts`].
    fn parts(&self) -> Vec<String> {
        Vec::new()
    }

    /// Runs once per round, before any session: schemas, files, reference answers.
    fn prepare<R: Runtime>(
        &self,
        env: &Env<R>,
    ) -> impl Future<Output = Result<Self::Shared<R>, Failure>> + Send;

    /// Opens session number `index`, before the clock starts.
    fn open<R: Runtime>(
        &self,
        env: &Env<R, Self::Shared<R>>,
        index: u32,
    ) -> impl Future<Output = Result<Self::Session<R>, Failure>> + Send;

    /// Performs operation number `op`. A session whose connection has broken reconnects here, in the next operation.
    fn operate<R: Runtime>(
        &self,
        env: &Env<R, Self::Shared<R>>,
        session: &mut Self::Session<R>,
        op: u64,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Closes a session after the clock has stopped, with a proper goodbye for servers that expect it. The session is
    /// dropped as soon as this returns or its time is up.
    fn close<R: Runtime>(
        &self,
        env: &Env<R, Self::Shared<R>>,
        session: &mut Self::Session<R>,
    ) -> impl Future<Output = ()> + Send {
        let _ = (env, session);
        async {}
    }

    /// Descriptions of the expectations over the whole round that its totals violate.
    fn violations(&self, totals: &Totals) -> Vec<String> {
        let _ = totals;
        Vec::new()
    }

    /// Cleans up once per round, after all sessions are closed; returns violated expectations that only I/O can detect.
    fn finish<R: Runtime>(
        &self,
        env: &Env<R, Self::Shared<R>>,
        totals: &Totals,
    ) -> impl Future<Output = Result<Vec<String>, Failure>> + Send {
        let _ = (env, totals);
        async { Ok(Vec::new()) }
    }

    /// Removes from servers what [`prepare`](Self::prepare) put there, if that, the round or [`finish`](Self::finish)
    /// failed.
    fn abandon<R: Runtime>(&self, env: &RoundEnv<R>) -> impl Future<Output = ()> + Send {
        let _ = env;
        async {}
    }
}

/// Reads the parameters of a workload. The error knows its place in them.
///
/// For everybody who reads them: what serde generates for fifty sets of parameters is compiled once.
#[inline(never)]
pub fn read_params<W: Workload>(
    params: &Value,
) -> Result<W::Params, serde_path_to_error::Error<serde_json::Error>> {
    serde_path_to_error::deserialize(params)
}

/// The members `Shared` and `prepare` of a [`Workload`] whose sessions share nothing.
#[macro_export]
macro_rules! nothing_shared {
    () => {
        type Shared<R: $crate::runtime::Runtime> = ();

        async fn prepare<R: $crate::runtime::Runtime>(
            &self,
            _: &$crate::workload::Env<R>,
        ) -> Result<(), $crate::workload::Failure> {
            Ok(())
        }
    };
}

/// The members `Session` and `open` of a [`Workload`] whose sessions keep no state.
#[macro_export]
macro_rules! no_session {
    () => {
        type Session<R: $crate::runtime::Runtime> = ();

        async fn open<R: $crate::runtime::Runtime>(
            &self,
            _: &$crate::workload::Env<R, Self::Shared<R>>,
            _: u32,
        ) -> Result<(), $crate::workload::Failure> {
            Ok(())
        }
    };
}

/// Operations and traffic of a whole round, warm-up included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    pub sessions: u32,
    pub succeeded: u64,
    pub failed: u64,
    /// Traffic since [`Workload::prepare`] returned, by target name.
    pub traffic: BTreeMap<String, Traffic>,
}

/// The environment of a workload: its round, and what [`Workload::prepare`] returned.
#[derive(Debug)]
pub struct Env<R, S = ()> {
    round: RoundEnv<R>,
    /// State that all sessions share.
    pub shared: S,
}

impl<R> Env<R> {
    /// The same environment with shared state.
    pub fn share<S>(self, shared: S) -> Env<R, S> {
        let Self { round, shared: () } = self;
        Env { round, shared }
    }
}

impl<R> RoundEnv<R> {
    /// The same round under another runtime.
    pub fn under<Q>(&self, runtime: Q) -> RoundEnv<Q> {
        RoundEnv {
            runtime,
            seed: self.seed,
            concurrency: self.concurrency,
            targets: self.targets.clone(),
            work_dir: self.work_dir.clone(),
            directory: self.directory.clone(),
            run: self.run.clone(),
            round: self.round,
            warmup: self.warmup,
            traffic: self.traffic.clone(),
            memo: self.memo.clone(),
            observed: self.observed.clone(),
            parts: self.parts.clone(),
        }
    }
}

impl<R> From<RoundEnv<R>> for Env<R> {
    fn from(round: RoundEnv<R>) -> Self {
        Self { round, shared: () }
    }
}

impl<R, S> Deref for Env<R, S> {
    type Target = RoundEnv<R>;

    fn deref(&self) -> &RoundEnv<R> {
        &self.round
    }
}

/// The part of the environment that does not depend on what a workload shares.
#[derive(Debug)]
pub struct RoundEnv<R> {
    pub runtime: R,
    /// The seed of every draw.
    pub seed: u64,
    /// Requested number of sessions; `sync` runs only one.
    pub concurrency: u32,
    pub targets: BTreeMap<String, TargetAddress>,
    /// A directory for files, reused over the rounds of a run.
    pub work_dir: PathBuf,
    /// The directory of the scenario file, to which the files in the parameters are relative.
    pub directory: PathBuf,
    /// The run's id.
    pub run: String,
    /// Number of the round in the run, from 1; a repeated round has a number of its own.
    pub round: u64,
    /// The phase before the measurement.
    pub warmup: Stop,
    /// Counters of the traffic over sockets, by target name; compared with the servers' own counts.
    pub traffic: BTreeMap<String, TrafficCounter>,
    /// Values that all sessions share whatever the workload: TLS settings with the sessions to resume.
    pub memo: Memo,
    /// Values that the workload observes itself, in addition to the times of its operations.
    pub observed: Observed,
    /// Recordings of the operations' parts: a session gets its handle in [`Workload::open`] with
    /// [`Parts::recorder`], and records within [`Workload::operate`] only.
    pub parts: Parts,
}

/// An invalid parameter.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParamError {
    /// The parameter's name, dotted if nested.
    pub param: String,
    /// The error and a valid value.
    pub message: String,
}

/// A failed operation: data, not an error of the tool.
///
/// Boxed, so that a `Result<(), Failure>` fits in a register as it passes up through the levels of an operation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", .0.kind, .0.detail)]
pub struct Failure(Box<FailureContent>);

/// The content of a [`Failure`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailureContent {
    /// Its kind, under which it is counted: one of the constants of [`Failure`] or a protocol's own (`status`, `23505`).
    pub kind: &'static str,
    /// Description, free of secrets.
    pub detail: String,
    /// The remedy, if known; shown when this fails a round.
    pub hint: Option<Box<str>>,
}

impl Deref for Failure {
    type Target = FailureContent;

    fn deref(&self) -> &FailureContent {
        &self.0
    }
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
    /// The peer closed a connection that was kept for later requests, before it answered this one.
    pub const CLOSED_IDLE: &'static str = "closed-idle";
    /// No local port was left to connect from: this machine's limit, not the peer's.
    pub const PORTS: &'static str = Failures::PORTS;
    /// An answer with a status that means failure.
    pub const STATUS: &'static str = "status";
    /// A complete answer with the wrong content: violates identity, regardless of the error budget.
    pub const WRONG_CONTENT: &'static str = "wrong-content";
    /// The workload needs certain paths of a server, and does not know them.
    pub const PATHS: &'static str = "paths";
    /// The operation was still running when its phase was ended.
    pub const UNFINISHED: &'static str = Failures::UNFINISHED;
    /// The system refused to start a thread.
    pub const THREADS: &'static str = "threads";
    /// Not a failure: the workload's data end here, and with them the session's part of the phase.
    pub const ROWS_END: &'static str = "rows-end";
    /// A spawned part panicked.
    pub const PANIC: &'static str = "panic";
    /// Another error of the operating system.
    pub const IO: &'static str = Failures::IO;

    /// A failure of this kind. A detail may quote a server, so it is cut to 1 KiB.
    #[cold]
    pub fn new(kind: &'static str, detail: impl Into<String>) -> Self {
        Self(Box::new(FailureContent {
            kind,
            detail: cut(detail.into()),
            hint: None,
        }))
    }

    /// The same failure with a remedy.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<Box<str>>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// The same failure without a remedy.
    #[must_use]
    pub fn without_hint(mut self) -> Self {
        self.0.hint = None;
        self
    }

    /// The same failure with another description.
    #[must_use]
    pub fn described(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = detail.into();
        self
    }

    /// Its description alone.
    pub fn into_detail(self) -> String {
        self.0.detail
    }

    /// A complete answer with the wrong content.
    pub fn wrong_content(detail: impl Into<String>) -> Self {
        Self::new(Self::WRONG_CONTENT, detail)
    }
}

/// Longest detail of a failure, in bytes.
const LONGEST_DETAIL: usize = 1 << 10;

/// Cuts a long text, and appends its full length.
fn cut(mut text: String) -> String {
    let bytes = text.len();
    if bytes > LONGEST_DETAIL {
        text.truncate(text.floor_char_boundary(LONGEST_DETAIL));
        text.shrink_to_fit();
        text.push_str(&format!("… ({bytes} bytes in total)"));
    }
    text
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
            io::ErrorKind::StorageFull => {
                return Self::new(Self::IO, error.to_string()).hint(
                    "a run's files are in its directory: choose another disk with `--out DIR`",
                );
            }
            _ => Self::IO,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::NoThread(_) => {
                Self::new(Self::THREADS, error.to_string()).hint(crate::os::RAISE_THREAD_LIMIT)
            }
            _ => Self::new(Self::PANIC, error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_detail_is_cut_and_its_length_is_reported() {
        let detail = Failure::wrong_content("ä".repeat(600)).into_detail();
        assert!(detail.ends_with("ä… (1200 bytes in total)"), "{detail}");
        assert_eq!(detail.matches('ä').count(), 512);
        assert_eq!(Failure::wrong_content("short").detail, "short");
    }

    #[test]
    fn only_an_unassignable_address_means_port_exhaustion() {
        let kind = |error| Failure::from(io::Error::from(error)).kind;
        assert_eq!(kind(io::ErrorKind::AddrNotAvailable), Failure::PORTS);
        assert_eq!(kind(io::ErrorKind::ConnectionRefused), Failure::REFUSED);
        assert_eq!(kind(io::ErrorKind::AddrInUse), Failure::IO);
    }
}
