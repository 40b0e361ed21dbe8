//! The orchestrator's side of an embedded server: a child that prints a ready line and answers requests for its counts.
//!
//! The child is this same program, started as `photofinish serve`, so nothing has to be installed and versions always
//! match. A throwaway PostgreSQL (`targets::local_postgres`) speaks the same protocol. Every wait is bounded; dropping
//! the process ends it.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use photofinish_harness::os::RAISE_THREAD_LIMIT;
use photofinish_record::{ServerCounts, cpu_list};
use serde::Deserialize;
use serde_json::Value;

use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;
use crate::process::child::{LineProcess, NoLine, no_answer};
use crate::process::guard::FailureLine;
use crate::process::this_program;

/// Time within which a server must listen: loading tables of a million rows takes a while.
const READY: Duration = Duration::from_secs(60);

/// Time within which a server must answer a request.
const ANSWER: Duration = Duration::from_secs(10);

/// Time within which a server must notice that its clients have left.
const SETTLING: Duration = Duration::from_secs(2);

/// Time within which a server must exit; a database has files to write.
const ENDING: Duration = Duration::from_secs(20);

/// Interval between requests for the number of clients left.
const ASK_AGAIN: Duration = Duration::from_millis(5);

/// Placeholder for an argument that is sent as the first line of stdin.
pub const STDIN: &str = "-";

/// A server that listens.
pub struct ServerProcess {
    name: String,
    process: LineProcess,
    address: SocketAddr,
    ready: Value,
}

/// The address at which processes of this machine reach a server that listens at `address`, which may be every address.
pub fn own_address(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address {
            SocketAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn failed(name: &str, problem: impl std::fmt::Display) -> Failure {
    Failure::could_not_run(format!("the server `{name}` {problem}"))
}

fn silence(name: &str, no_line: NoLine) -> Failure {
    match no_line {
        NoLine::Interrupted => Failure::new(Exit::Interrupted, "interrupted"),
        NoLine::Ended(how) => failed(name, how),
        NoLine::TimedOut(patience) => failed(name, no_answer(patience)),
    }
}

/// The failure in a guard's line, if it is one.
fn reported(name: &str, line: &str) -> Option<Failure> {
    let FailureLine { failed: how, hint } = serde_json::from_str(line).ok()?;
    Some(failed(name, how).maybe_hint(hint))
}

#[derive(Deserialize)]
struct ReadyLine {
    address: SocketAddr,
}

#[derive(Deserialize)]
struct CountsLine {
    counts: SettlingCounts,
}

#[derive(Deserialize)]
struct SettlingCounts {
    /// Clients that have not left yet, if the server knows.
    open_connections: Option<u64>,
    #[serde(flatten)]
    counts: ServerCounts,
}

impl ServerProcess {
    /// Starts the embedded server `name` on the `cpus`, and waits until it listens.
    pub fn start(
        name: &str,
        behaviour: &Value,
        tls: bool,
        cpus: &[usize],
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Self::start_on(address, name, behaviour, tls, cpus, interrupt)
    }

    /// Like [`Self::start`], at a free port of this address, which other machines may reach.
    pub fn start_on(
        address: IpAddr,
        name: &str,
        behaviour: &Value,
        tls: bool,
        cpus: &[usize],
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let mut command = Command::new(this_program()?);
        command.args(["serve", name, "--with-parent", "--cpus", &cpu_list(cpus)]);
        command.args([
            "--allow-remote",
            "--listen",
            &SocketAddr::new(address, 0).to_string(),
        ]);
        if tls {
            command.arg("--tls");
        }
        // On stdin: it may hold a password, and arguments are visible to everybody.
        let behaviour = (!behaviour.is_null()).then(|| behaviour.to_string());
        if behaviour.is_some() {
            command.args(["--behaviour", STDIN]);
        }
        Self::start_with(name, command, behaviour.as_deref(), interrupt)
    }

    /// Starts a server with any command that speaks the same protocol.
    pub fn start_command(
        name: &str,
        command: Command,
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        Self::start_with(name, command, None, interrupt)
    }

    /// Like [`Self::start_command`], with `first_line` on the server's stdin.
    pub fn start_with(
        name: &str,
        command: Command,
        first_line: Option<&str>,
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let mut process = LineProcess::spawn(command, interrupt).map_err(|error| {
            let threads = error.kind() == ErrorKind::WouldBlock;
            failed(name, format_args!("cannot be started: {error}"))
                .maybe_hint(threads.then(|| RAISE_THREAD_LIMIT.to_owned()))
        })?;
        if let Some(first_line) = first_line {
            // If it has ended already, the missing ready line reveals that.
            let _ = process.tell(first_line);
        }
        let line = process.next_line(READY).map_err(|no_line| {
            // Its startup may have left files that only it can remove.
            end(&mut process);
            silence(name, no_line)
        })?;
        if let Some(failure) = reported(name, &line) {
            end(&mut process);
            return Err(failure);
        }
        // The error does not quote the line: a database's ready line contains a password.
        let unready = |_| failed(name, "printed no ready line");
        let ready: Value = serde_json::from_str(&line).map_err(unready)?;
        let ReadyLine { address } = ReadyLine::deserialize(&ready).map_err(unready)?;
        Ok(Self {
            name: name.to_owned(),
            process,
            address,
            ready,
        })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn id(&self) -> u32 {
        self.process.id()
    }

    pub fn ready(&self) -> &Value {
        &self.ready
    }

    /// The certificate of a TLS server, in PEM.
    pub fn certificate(&self) -> Option<String> {
        self.ready["certificate"].as_str().map(str::to_owned)
    }

    fn tell(&mut self, line: &str) -> Result<(), Failure> {
        self.process
            .tell(line)
            .map_err(|_| failed(&self.name, self.process.how_it_ended()))
    }

    /// Fails with its exit status if it has ended.
    pub fn check_alive(&mut self) -> Result<(), Failure> {
        if self.process.has_ended() {
            let how = self.process.how_it_ended();
            let reported = self.reported();
            return Err(reported.unwrap_or_else(|| failed(&self.name, how)));
        }
        Ok(())
    }

    /// The failure reported by a guard before it ended.
    fn reported(&mut self) -> Option<Failure> {
        let line = self.process.next_line(ANSWER).ok()?;
        reported(&self.name, &line)
    }

    /// Stops it; fails with the guard's report.
    pub fn end(mut self) -> Result<(), Failure> {
        end(&mut self.process);
        self.reported().map_or(Ok(()), Err)
    }

    /// Its counts once all clients have left, or after two seconds.
    ///
    /// A client that has read the last byte may be ahead of the server's count of it, hence the wait.
    pub fn settled_counts(&mut self) -> Result<ServerCounts, Failure> {
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

    pub fn counts_so_far(&mut self) -> Result<ServerCounts, Failure> {
        Ok(self.ask_counts()?.counts)
    }

    fn ask_counts(&mut self) -> Result<SettlingCounts, Failure> {
        self.tell("counts")?;
        let line = self
            .process
            .next_line(ANSWER)
            .map_err(|no_line| silence(&self.name, no_line))?;
        let line: CountsLine = serde_json::from_str(&line).map_err(|_| {
            failed(
                &self.name,
                format_args!("was asked for its counts and answered `{line}`"),
            )
        })?;
        Ok(line.counts)
    }
}

/// Closes the server's stdin, which makes it exit, and kills it if it does not.
fn end(process: &mut LineProcess) {
    process.hang_up();
    process.end_within(ENDING);
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}
