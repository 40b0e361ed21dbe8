//! An embedded server as the orchestrator sees it: a child with a ready line that answers for its counts.
//!
//! It is this same program, started as `photofinish serve`, so that nothing needs installing and versions always match.
//! A throwaway PostgreSQL (`targets::local_postgres`) speaks the same lines. Waiting is bounded everywhere; dropping
//! the process ends it.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use photofinish_record::ServerCounts;
use serde::Deserialize;
use serde_json::Value;

use crate::exit::Failure;
use crate::interrupt::Interrupt;
use crate::process::child::{LineProcess, NoLine};
use crate::request::placement;

/// How long a server may take to listen: loading tables of a million rows takes a while.
const READY: Duration = Duration::from_secs(60);

/// How long a server may take to answer a question.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a server may take to notice that its clients have left.
const SETTLING: Duration = Duration::from_secs(2);

/// How long a server may take to end; a database has files to put away.
const ENDING: Duration = Duration::from_secs(20);

/// Pause between two questions whether it has noticed.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// A server that listens.
pub struct ServerProcess {
    name: String,
    process: LineProcess,
    address: SocketAddr,
    ready: Value,
}

/// What went wrong with a server.
#[derive(Debug)]
pub enum Trouble {
    /// An end of the whole run was asked for.
    Interrupted,
    /// It did not start, or died, or fell silent; in one sentence.
    Broken(String),
}

impl Trouble {
    fn from_silence(name: &str, no_line: NoLine) -> Self {
        match no_line {
            NoLine::Interrupted => Self::Interrupted,
            NoLine::Ended(how) => Self::Broken(format!("the server `{name}` {how}")),
            NoLine::TimedOut(patience) => Self::Broken(format!(
                "the server `{name}` gave no answer for {} s",
                patience.as_secs()
            )),
        }
    }

    fn broken(name: &str, what: impl std::fmt::Display) -> Self {
        Self::Broken(format!("the server `{name}` {what}"))
    }
}

impl From<Trouble> for Failure {
    fn from(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Interrupted => Self::new(crate::exit::Exit::Interrupted, "interrupted"),
            Trouble::Broken(what) => Self::could_not_run(what),
        }
    }
}

#[derive(Deserialize)]
struct ReadyLine {
    address: SocketAddr,
}

#[derive(Deserialize)]
struct CountsLine {
    counts: Counted,
}

#[derive(Deserialize)]
struct Counted {
    /// Clients that have not left yet, where the server knows.
    open_connections: Option<u64>,
    #[serde(flatten)]
    counts: ServerCounts,
}

impl ServerProcess {
    /// Starts the embedded server `name` on the `cpus`, and waits until it listens.
    pub fn start(
        name: &str,
        behaviour: &Value,
        cpus: &[usize],
        interrupt: &Interrupt,
    ) -> Result<Self, Trouble> {
        let program = std::env::current_exe().map_err(|error| Trouble::broken(name, error))?;
        let mut command = Command::new(program);
        command.args([
            "serve",
            name,
            "--with-parent",
            "--cpus",
            &placement::list(cpus),
        ]);
        if !behaviour.is_null() {
            command.arg("--behaviour").arg(behaviour.to_string());
        }
        Self::start_command(name, command, interrupt)
    }

    /// Starts a server by any command that speaks the same lines.
    pub fn start_command(
        name: &str,
        command: Command,
        interrupt: &Interrupt,
    ) -> Result<Self, Trouble> {
        let mut process = LineProcess::spawn(command, interrupt)
            .map_err(|error| Trouble::broken(name, format_args!("cannot be started: {error}")))?;
        let line = process.next_line(READY).map_err(|no_line| {
            // It may be in the middle of something that has to be put away.
            end(&mut process);
            Trouble::from_silence(name, no_line)
        })?;
        // What it said instead is not repeated: the ready line of a database holds a password.
        let unready = |_| Trouble::broken(name, "said something else instead of where it listens");
        let ready: Value = serde_json::from_str(&line).map_err(unready)?;
        let ReadyLine { address } = ReadyLine::deserialize(&ready).map_err(unready)?;
        Ok(Self {
            name: name.to_owned(),
            process,
            address,
            ready,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    /// Its whole ready line.
    pub fn ready(&self) -> &Value {
        &self.ready
    }

    fn tell(&mut self, line: &str) -> Result<(), Trouble> {
        match self.process.tell(line) {
            Ok(()) => Ok(()),
            Err(_) => Err(Trouble::broken(&self.name, self.process.how_it_ended())),
        }
    }

    /// Whether it has died.
    pub fn is_gone(&mut self) -> bool {
        self.process.has_ended()
    }

    /// Nothing where it lives; how it ended where it does not.
    pub fn still_there(&mut self) -> Result<(), Trouble> {
        match self.process.has_ended() {
            true => Err(Trouble::broken(&self.name, self.process.how_it_ended())),
            false => Ok(()),
        }
    }

    /// What it counted, once all its clients have left; of clients that stay it is asked no longer than two seconds.
    ///
    /// A client that has read the last byte may be ahead of the server's own count of it, hence the wait.
    pub fn settled_counts(&mut self) -> Result<ServerCounts, Trouble> {
        let deadline = Instant::now() + SETTLING;
        loop {
            let counted = self.ask_counts()?;
            let settled = counted.open_connections.unwrap_or(0) == 0;
            if settled || Instant::now() > deadline {
                return Ok(counted.counts);
            }
            std::thread::sleep(ASK_AGAIN);
        }
    }

    /// What it has counted so far.
    pub fn counts_so_far(&mut self) -> Result<ServerCounts, Trouble> {
        Ok(self.ask_counts()?.counts)
    }

    fn ask_counts(&mut self) -> Result<Counted, Trouble> {
        self.tell("counts")?;
        let line = self
            .process
            .next_line(ANSWER)
            .map_err(|no_line| Trouble::from_silence(&self.name, no_line))?;
        let line: CountsLine = serde_json::from_str(&line).map_err(|_| {
            Trouble::broken(
                &self.name,
                format_args!("answered `{line}` instead of its counts"),
            )
        })?;
        Ok(line.counts)
    }
}

/// The end of its stdin has a server tidy up and end; beyond some patience it is killed.
fn end(process: &mut LineProcess) {
    process.hang_up();
    process.end_within(ENDING);
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}
