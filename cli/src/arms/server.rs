//! The server of an arm: a command supplied by the user, restarted for each round on a free port of 127.0.0.1.
//!
//! The orchestrator starts this same program as a guard. The guard runs the command in its own process group, waits
//! until it is ready (`readiness`), reports the address, and at the end of stdin ends the command and everything that
//! it has started. It adopts orphans: a shell that dies before its server would otherwise hand the server and its CPU
//! time to init. If the server dies, the guard ends too, so that the round fails with the reason. If the guard itself
//! is killed, the orchestrator adopts and stops the remaining processes.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgid, getsid};
use photofinish_harness::os;
use photofinish_record::cpu_list;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::arms::programs::{self, Program};
use crate::arms::readiness::Readiness;
use crate::cleaning;
use crate::exit::{Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::output;
use crate::process::guard::{self, ReservedAddress};
use crate::process::server::ServerProcess;
use crate::process::{describe, this_program};
use crate::store::redaction;

/// Placeholder for the port in a command and in a URL.
pub const PORT: &str = "{port}";

/// Rejects a command without a placeholder for its port; `program` is an example for the hint.
pub fn check_port(option: &str, command: &str, program: &str) -> Result<(), Failure> {
    if command.contains(PORT) {
        return Ok(());
    }
    Err(Failure::usage(format!(
        "{option}: the command has no {PORT} where its port goes"
    ))
    .hint(format!(
        "such as '{program} --port {PORT}', or 'PORT={PORT} {program}'"
    )))
}

/// Timeout for the server to be ready.
const READY: Duration = Duration::from_secs(30);

/// Timeout for all processes to end after SIGTERM, and again after SIGKILL.
pub const LEAVING: Duration = Duration::from_secs(3);

/// Timeout after SIGTERM for a server that has exceeded [`LEAVING`] before.
const LEAVING_AGAIN: Duration = Duration::from_millis(500);

/// Polling interval while the server starts or ends.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Polling interval while the server runs.
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// Bytes of stderr quoted in an error message.
const LAST_WORDS: usize = 600;

/// Bytes of stderr kept: a secret must be recognised before it is cut.
const LAST_OUTPUT: usize = 8 << 10;

/// A running server under its guard; dropping it ends both.
pub struct ArmServer {
    /// The address at which it listens.
    pub address: SocketAddr,
    /// `None` once it is being stopped.
    process: Option<ServerProcess>,
    group: Option<Pid>,
    /// The shell's complaint about a command not found, although the server started.
    pub complaint: Option<String>,
    /// The programs of its processes; empty if unknown.
    pub programs: Vec<Program>,
}

impl ArmServer {
    /// Starts `command` under a guard on the `cpus`, and waits until it is ready: at the URL of `probe`, in which [`PORT`]
    /// stands for its port, if that is HTTP, else as soon as it accepts connections. A `stubborn` one gets little time to
    /// end.
    pub fn start(
        command: &str,
        probe: &Probe,
        stubborn: bool,
        cpus: &[usize],
        interrupt: &Interrupt,
    ) -> Result<Self, Failure> {
        let mut guard = Command::new(this_program()?);
        guard.args(["arm-server", "--cpus", &cpu_list(cpus)]);
        // On stdin: it may hold a password, and arguments are visible to everybody.
        let order = json!({ "command": command, "probe": probe, "stubborn": stubborn }).to_string();
        let process = ServerProcess::start_with(command, guard, Some(&order), interrupt)?;
        let ready = process.ready();
        let group = ready["group"]
            .as_i64()
            .and_then(|pid| i32::try_from(pid).ok());
        Ok(Self {
            address: process.address(),
            group: group.map(Pid::from_raw),
            complaint: ready["complaint"]
                .as_str()
                .map(|line| cleaning::one_line(&redaction::text(line))),
            programs: Vec::deserialize(&ready["programs"]).unwrap_or_default(),
            process: Some(process),
        })
    }

    fn process(&mut self) -> &mut ServerProcess {
        self.process.as_mut().expect("it is not being stopped")
    }

    /// Fails with its exit status if it has ended.
    pub fn check_alive(&mut self) -> Result<(), Failure> {
        self.process().check_alive()
    }

    /// Stops it; false if it had to be killed because it did not end within [`LEAVING`]. Fails if any of its processes
    /// survive.
    pub fn end(mut self) -> Result<bool, Failure> {
        let begin = Instant::now();
        self.process.take().map_or(Ok(()), ServerProcess::end)?;
        Ok(begin.elapsed() < LEAVING)
    }
}

impl Drop for ArmServer {
    fn drop(&mut self) {
        drop(self.process.take());
        let Some(group) = self.group else { return };
        // Anything that is left has survived its guard. Each child that ends may leave its own children to this process.
        let deadline = Instant::now() + LEAVING;
        while Instant::now() < deadline {
            let left: Vec<_> = children().filter(|it| is_left(*it, group)).collect();
            if left.is_empty() {
                return;
            }
            for child in left {
                let _ = kill(child, Signal::SIGKILL);
                let _ = waitpid(child, Some(WaitPidFlag::WNOHANG));
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
}

/// True if an adopted child belongs to the server that was started as `group`: this program's own children lead groups
/// in its own session.
fn is_left(child: Pid, group: Pid) -> bool {
    getpgid(Some(child)) == Ok(group) || getsid(Some(child)) != getsid(None)
}

/// The request whose answer shows that a server is ready.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// With [`PORT`] in place of the port.
    pub url: String,
    /// True if the answer must be a success; otherwise any answer does, except those of a server that is still
    /// starting.
    pub must_succeed: bool,
}

impl Probe {
    /// The probe of the server at the URL `target`: the path `ready` if there is one, else the path of the scenario.
    pub fn of(target: &str, ready: Option<&str>, params: &Value) -> Self {
        Self {
            url: match ready {
                Some(path) => format!("http://127.0.0.1:{PORT}{path}"),
                None => url(target, params),
            },
            must_succeed: ready.is_some(),
        }
    }
}

/// The URL of the target, with the path of the scenario.
fn url(target: &str, params: &Value) -> String {
    let has_path = target.splitn(4, '/').nth(3).is_some();
    let path = params["path"].as_str().or(params["paths"][0].as_str());
    match path.filter(|_| !has_path) {
        Some(path) => format!("{target}{path}"),
        None => target.to_owned(),
    }
}

/// Runs the guard: starts the server, reports its address, waits for the end of stdin, and leaves nothing behind.
pub fn guard(command: &str, probe: &Probe, stubborn: bool, cpus: &[usize]) -> Result<(), Failure> {
    let interrupt = Interrupt::on_signals()?;
    os::pin_process(cpus).or_fail("cannot pin the server")?;
    os::adopt_orphans();
    let (_on_interrupt, end) = guard::end(&interrupt)?;
    let mut server = Server::start(command)?;
    let served = server.serve(probe, &end);
    let left = server.end(if stubborn { LEAVING_AGAIN } else { LEAVING });
    served.and(left)
}

/// A running server.
struct Server {
    process: Child,
    reserved: ReservedAddress,
    last_words: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    fn start(command: &str) -> Result<Self, Failure> {
        let failed = |error| Failure::could_not_run("cannot be started").caused_by(error);
        let reserved = ReservedAddress::choose().map_err(failed)?;
        let line = command.replace(PORT, &reserved.address.port().to_string());
        let mut process = Command::new("sh")
            .args(["-c", &line])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .map_err(failed)?;
        let stderr = process.stderr.take();
        let server = Self {
            process,
            reserved,
            last_words: Arc::default(),
        };
        if let Some(stderr) = stderr {
            let last_words = Arc::clone(&server.last_words);
            let read = move || keep_last_words(stderr, &last_words);
            if let Err(error) = thread::Builder::new().spawn(read) {
                server.end(LEAVING)?;
                return Err(failed(error).hint(os::RAISE_THREAD_LIMIT));
            }
        }
        Ok(server)
    }

    /// Waits until it is ready, reports that, and waits for the `end`.
    fn serve(&mut self, probe: &Probe, end: &Receiver<()>) -> Result<(), Failure> {
        let address = self.reserved.address;
        let url = probe.url.replace(PORT, &address.port().to_string());
        let mut readiness = Readiness::of(address, &url, probe.must_succeed);
        let deadline = Instant::now() + READY;
        while !readiness.is_ready() {
            self.lives(true)?;
            if Instant::now() >= deadline {
                let (problem, seconds) = (readiness.problem(), READY.as_secs());
                return Err(Failure::could_not_run(format!(
                    "was not ready within {seconds} s: {problem}"
                )));
            }
            if end.recv_timeout(LOOK_AGAIN) != Err(RecvTimeoutError::Timeout) {
                return Ok(());
            }
        }
        // If another process has taken the port, this one has ended or is about to.
        self.lives(true)?;
        output::emit_json_line(&json!({
            "ready": "arm",
            "address": address,
            "group": self.process.id(),
            "complaint": not_found(&self.words()),
            "programs": programs::serving(address.port()),
        }))?;
        guard::look_after(end, LOOK_AFTER, || self.lives(false))
    }

    /// The end of its stderr.
    fn words(&self) -> String {
        let words = self
            .last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&words).into_owned()
    }

    fn lives(&mut self, starting: bool) -> Result<(), Failure> {
        let Ok(Some(status)) = self.process.try_wait() else {
            return Ok(());
        };
        // The rest of stderr may still be on its way.
        thread::sleep(LOOK_AGAIN);
        let words = redaction::text(&self.words());
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let end = words.ceil_char_boundary(words.len().saturating_sub(LAST_WORDS));
        let said = match &words[end..] {
            "" => String::new(),
            words => format!("; end of its stderr: {words}"),
        };
        let when = if starting { " before it was ready" } else { "" };
        let failure = Failure::could_not_run(format!("{}{when}{said}", how_it_ended(status)));
        Err(if status.success() {
            failure.hint(
                "the command ended without an error: it is run by `sh` and must stay in the foreground, without `&` or `&>` \
                 at its end",
            )
        } else {
            failure.hint(format!(
                "run the command by hand, with a free port in place of {PORT}, and see why it ends"
            ))
        })
    }

    fn group(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.id()).expect("process ids fit"))
    }

    /// Stops it and everything it started, with `patience` after SIGTERM; fails if anything survives.
    fn end(&self, patience: Duration) -> Result<(), Failure> {
        let group = self.group();
        // Fails only if no process is left.
        let _ = killpg(group, Signal::SIGTERM);
        let deadline = Instant::now() + patience;
        let mut signalled = BTreeSet::new();
        while reap() && Instant::now() < deadline {
            for child in children() {
                // A process outside the group has not received the signal yet. A second signal would cut its clean-up
                // short.
                if getpgid(Some(child)) != Ok(group) && signalled.insert(child) {
                    let _ = kill(child, Signal::SIGTERM);
                }
            }
            thread::sleep(LOOK_AGAIN);
        }
        while reap() && Instant::now() < deadline + LEAVING {
            for child in children() {
                let _ = kill(child, Signal::SIGKILL);
            }
            thread::sleep(LOOK_AGAIN);
        }
        let port = self.reserved.address.port();
        let listeners = os::listeners_on(port).unwrap_or_default().into_iter();
        let left = children()
            .map(|pid| pid.to_string())
            .chain(listeners.map(|pid| pid.to_string()));
        let left = left
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect::<Vec<_>>();
        if left.is_empty() {
            return Ok(());
        }
        Err(Failure::could_not_run(format!("is still running (pid {})", left.join(", "))).hint(
            "later rounds would be measured beside it; its command must end it on SIGTERM, such as \
             `exec docker run --rm …`",
        ))
    }
}

/// The way in which a command ended. A shell that outlives a killed server reports that as an exit code.
fn how_it_ended(status: ExitStatus) -> String {
    const KILLED: i32 = 128;
    match status.code() {
        Some(code) if code > KILLED && Signal::try_from(code - KILLED).is_ok() => {
            describe(ExitStatus::from_raw(code - KILLED))
        }
        _ => describe(status),
    }
}

/// The shell's first complaint about a command not found.
fn not_found(words: &str) -> Option<&str> {
    let mut lines = words.lines();
    lines.find(|line| line.starts_with("sh: ") && line.ends_with("not found"))
}

fn children() -> impl Iterator<Item = Pid> {
    let all = os::children().into_iter();
    all.filter_map(|pid| Some(Pid::from_raw(i32::try_from(pid).ok()?)))
}

/// Reaps all children that have ended, including adopted ones; true if any are still running.
fn reap() -> bool {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) => return true,
            Ok(_) => {}
            Err(_) => return false,
        }
    }
}

fn keep_last_words(mut stderr: ChildStderr, kept: &Mutex<Vec<u8>>) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = stderr.read(&mut buffer) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.extend_from_slice(&buffer[..read]);
        let surplus = kept.len().saturating_sub(LAST_OUTPUT);
        kept.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_sends_the_scenarios_own_request() {
        let check = |target: &str, params: Value, expected: &str| {
            assert_eq!(url(target, &params), expected);
        };
        let target = "http://127.0.0.1:{port}";
        check(
            target,
            json!({ "path": "/x?y=1" }),
            "http://127.0.0.1:{port}/x?y=1",
        );
        check(
            target,
            json!({ "paths": ["/a", "/b"] }),
            "http://127.0.0.1:{port}/a",
        );
        check(target, json!({}), target);
        let own = "http://127.0.0.1:{port}/items";
        check(own, json!({ "path": "/x" }), own);
    }

    #[test]
    fn a_shells_report_of_a_killed_server_is_recognised() {
        let check = |raw: i32, expected: &str| {
            assert_eq!(how_it_ended(ExitStatus::from_raw(raw)), expected);
        };
        check(137 << 8, "was killed by SIGKILL");
        check(9, "was killed by SIGKILL");
        check(3 << 8, "ended with exit code 3");
        check(255 << 8, "ended with exit code 255");
    }
}
