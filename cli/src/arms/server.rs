//! The server of an arm: a command supplied by the user, restarted for each round on a free port of 127.0.0.1.
//!
//! The orchestrator starts this same program as a guard. The guard runs the command in its own process group, waits
//! until it accepts connections, reports the address, and at the end of stdin ends the command and everything that it
//! has started. It adopts orphans: a shell that dies before its server would otherwise hand the server and its CPU time
//! to init. If the server dies, the guard ends too, so that the round fails with the reason.

use std::collections::BTreeSet;
use std::io::Read;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, getpgid};
use photofinish_harness::os;
use photofinish_record::cpu_list;
use serde_json::json;

use crate::exit::{Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::output;
use crate::process::guard::{self, ReservedAddress};
use crate::process::server::ServerProcess;
use crate::process::this_program;

/// Placeholder for the port in a command and in a URL.
pub const PORT: &str = "{port}";

/// Timeout for the server to accept connections.
const READY: Duration = Duration::from_secs(30);

/// Timeout for all processes to end after SIGTERM, and again after SIGKILL.
const LEAVING: Duration = Duration::from_secs(3);

/// Polling interval while the server starts or ends.
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Polling interval while the server runs.
const LOOK_AFTER: Duration = Duration::from_millis(100);

/// Bytes of stderr kept for an error message.
const LAST_WORDS: usize = 600;

/// Starts `command` under a guard on the `cpus`, and waits until it accepts connections.
pub fn start(
    command: &str,
    cpus: &[usize],
    interrupt: &Interrupt,
) -> Result<ServerProcess, Failure> {
    let mut guard = Command::new(this_program()?);
    guard.args(["arm-server", "--cpus", &cpu_list(cpus)]);
    // On stdin: it may hold a password, and everybody can read arguments.
    ServerProcess::start_told(command, guard, Some(&json!(command).to_string()), interrupt)
}

/// Runs the guard: starts the server, reports its address, waits for the end of stdin, and leaves nothing behind.
pub fn guard(command: &str, cpus: &[usize]) -> Result<(), Failure> {
    let interrupt = Interrupt::on_signals()?;
    os::pin_process(cpus).or_fail("cannot pin the server")?;
    os::adopt_orphans();
    let (_on_interrupt, end) = guard::end(&interrupt);
    let mut server = Server::start(command)?;
    let address = server.reserved.address;
    output::emit_json_line(&json!({ "ready": "arm", "address": address }))?;
    guard::look_after(&end, LOOK_AFTER, || server.lives())
}

/// A running server; dropping it ends it and everything that it has started.
struct Server {
    process: Child,
    reserved: ReservedAddress,
    last_words: Arc<Mutex<Vec<u8>>>,
}

impl Server {
    fn start(command: &str) -> Result<Self, Failure> {
        let failed = |error| Failure::could_not_run("it cannot be started").caused_by(error);
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
        let last_words = Arc::default();
        if let Some(stderr) = process.stderr.take() {
            let last_words = Arc::clone(&last_words);
            thread::spawn(move || keep_last_words(stderr, &last_words));
        }
        let mut server = Self {
            process,
            reserved,
            last_words,
        };
        server.wait_until_ready()?;
        Ok(server)
    }

    fn wait_until_ready(&mut self) -> Result<(), Failure> {
        let address = self.reserved.address;
        let deadline = Instant::now() + READY;
        while Instant::now() < deadline {
            self.lives()?;
            if TcpStream::connect_timeout(&address, LOOK_AFTER).is_ok() {
                // If another process has taken the port, this one has ended or is about to.
                return self.lives();
            }
            thread::sleep(LOOK_AGAIN);
        }
        let (port, seconds) = (address.port(), READY.as_secs());
        Err(Failure::could_not_run(format!(
            "nothing accepted connections at 127.0.0.1:{port} within {seconds} s"
        )))
    }

    fn lives(&mut self) -> Result<(), Failure> {
        match self.process.try_wait() {
            Ok(Some(status)) => {
                // The rest of stderr may still be on its way.
                thread::sleep(LOOK_AGAIN);
                let words = self
                    .last_words
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                let words = String::from_utf8_lossy(&words);
                let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
                let said = match words.as_str() {
                    "" => String::new(),
                    words => format!("; end of its stderr: {words}"),
                };
                Err(Failure::could_not_run(format!(
                    "it ended with {status}{said}"
                )))
            }
            _ => Ok(()),
        }
    }

    fn group(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.id()).expect("process ids fit"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let group = self.group();
        // Fails only if no process is left.
        let _ = killpg(group, Signal::SIGTERM);
        let deadline = Instant::now() + LEAVING;
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
    }
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
        let surplus = kept.len().saturating_sub(LAST_WORDS);
        kept.drain(..surplus);
    }
}
