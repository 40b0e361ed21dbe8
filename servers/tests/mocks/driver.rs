//! Starts a server in this process and drives it as an orchestrator does, through pipes in place of stdin and stdout.
//!
//! No protocol of any server lives here; read `client.rs` next.

use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Write, pipe};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use photofinish_servers::{CountsSnapshot, Ready, ServeError, ServeOptions, serve};
use serde_json::Value;

/// Far beyond what anything here takes; reached only when something hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// A server under test.
pub(crate) struct Server {
    pub(crate) ready: Ready,
    pub(crate) ready_line: String,
    stdin: PipeWriter,
    stdout: BufReader<PipeReader>,
    thread: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    pub(crate) fn start(kind: &'static str, behaviour: Value) -> Self {
        Server::start_with(
            kind,
            ServeOptions {
                behaviour,
                ..ServeOptions::default()
            },
        )
    }

    pub(crate) fn start_with_threads(kind: &'static str, threads: usize) -> Self {
        let threads = NonZeroUsize::new(threads).unwrap();
        Server::start_with(
            kind,
            ServeOptions {
                threads,
                ..ServeOptions::default()
            },
        )
    }

    pub(crate) fn start_with(kind: &'static str, options: ServeOptions) -> Self {
        let options = ServeOptions {
            with_parent: true,
            ..options
        };
        let ((commands, stdin), (answers, stdout)) = (pipe().unwrap(), pipe().unwrap());
        let thread = thread::spawn(move || serve(kind, options, commands, stdout));
        let mut stdout = BufReader::new(answers);
        let mut ready_line = String::new();
        stdout.read_line(&mut ready_line).unwrap();
        let ready = serde_json::from_str(&ready_line)
            .unwrap_or_else(|error| panic!("{error} in {ready_line:?}"));
        Server {
            ready,
            ready_line,
            stdin,
            stdout,
            thread,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.ready.address
    }

    /// Says a line and returns the answering one.
    pub(crate) fn ask(&mut self, command: &str) -> String {
        writeln!(self.stdin, "{command}").unwrap();
        let mut answer = String::new();
        self.stdout.read_line(&mut answer).unwrap();
        answer
    }

    pub(crate) fn counts(&mut self) -> CountsSnapshot {
        let mut answer: Value = serde_json::from_str(&self.ask("counts")).unwrap();
        serde_json::from_value(answer["counts"].take()).unwrap()
    }

    /// The counts once `settled` holds of them; what a server notices later than its client needs this.
    pub(crate) fn counts_when(
        &mut self,
        settled: impl Fn(&CountsSnapshot) -> bool,
    ) -> CountsSnapshot {
        let begin = Instant::now();
        loop {
            let counts = self.counts();
            if settled(&counts) {
                return counts;
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "the counts never became as expected: {counts:?}"
            );
            thread::yield_now();
        }
    }

    /// Says `stop` and returns how the server ended.
    pub(crate) fn stop(mut self) -> Result<(), ServeError> {
        writeln!(self.stdin, "stop").unwrap();
        self.thread.join().unwrap()
    }

    /// Closes its stdin, as a parent that goes away does, and returns how the server ended.
    pub(crate) fn abandon(self) -> Result<(), ServeError> {
        drop(self.stdin);
        self.thread.join().unwrap()
    }
}
