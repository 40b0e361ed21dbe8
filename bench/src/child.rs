//! Child processes: programs that run to their end, and servers that run until they are dropped.
//!
//! Each has its own process group. `end` sends SIGTERM to the process, then SIGKILL to the group.

use std::io::Read;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::cpus;
use crate::failure::{Failure, OrFail as _};
use crate::interrupt::Interrupt;

/// Interval of checks for timeout and interrupt; long, since each takes CPU time.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Polling interval while a child is expected to end.
const EXIT_POLL: Duration = Duration::from_millis(10);

/// Grace before SIGKILL.
const GRACE: Duration = Duration::from_secs(10);

/// Limit on each output stream kept.
const LARGEST_OUTPUT_BYTES: u64 = 4 << 20;

/// The result of a program that has ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Output {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// True for exit code 0.
    pub(crate) success: bool,
    /// CPU time of the process and its descendants.
    pub(crate) cpu: Duration,
    pub(crate) wall: Duration,
}

/// Runs a program to its end, pinned if `cpu` is given.
pub(crate) fn run(
    mut command: Command,
    cpu: Option<usize>,
    longest: Duration,
    interrupt: &Interrupt,
) -> Result<Output, Failure> {
    interrupt.check()?;
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let cpu_before = cpus::of_ended_children()?;
    let start = Instant::now();
    let mut child = Background::spawn(command, cpu)?;
    let (done, texts) = child.read_to_end();
    child.wait_for(&done, start + longest, interrupt)?;
    child.wait_until(start + longest, interrupt)?;
    let status = child.process.wait().or_fail("wait for a program")?;
    let wall = start.elapsed();
    let [stdout, stderr] = texts.map(|text| text.join().unwrap_or_default());
    Ok(Output {
        stdout,
        stderr,
        success: status.success(),
        cpu: cpus::of_ended_children()?.saturating_sub(cpu_before),
        wall,
    })
}

/// A process that is ended when dropped.
#[derive(Debug)]
pub(crate) struct Background {
    name: String,
    process: Child,
}

impl Background {
    /// Starts a process, on one CPU if there is one to pin it to.
    pub(crate) fn spawn(mut command: Command, cpu: Option<usize>) -> Result<Self, Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.process_group(0);
        let spawned = match cpu {
            Some(cpu) => cpus::pinned(cpu, || command.spawn())?,
            None => command.spawn(),
        };
        let process = spawned.or_fail(&format!("start {name}"))?;
        Ok(Self { name, process })
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// True until the process has ended.
    pub(crate) fn lives(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(None))
    }

    pub(crate) fn take_stdout(&mut self) -> Option<impl Read + use<>> {
        self.process.stdout.take()
    }

    /// Reads stdout and stderr on two threads; the channel closes once both are at their end.
    fn read_to_end(&mut self) -> (Receiver<()>, [thread::JoinHandle<String>; 2]) {
        let (alive, done) = mpsc::channel();
        let stdout = read_on_thread(self.process.stdout.take(), alive.clone());
        let stderr = read_on_thread(self.process.stderr.take(), alive);
        (done, [stdout, stderr])
    }

    /// Waits for the end of the output; ends the process if that takes too long.
    fn wait_for(
        &mut self,
        done: &Receiver<()>,
        deadline: Instant,
        interrupt: &Interrupt,
    ) -> Result<(), Failure> {
        loop {
            match done.recv_timeout(CHECK_INTERVAL) {
                Err(RecvTimeoutError::Timeout) => {}
                Ok(()) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.go_on(deadline, interrupt)?;
        }
    }

    /// Waits until the process has ended; one that closed its output may still run.
    fn wait_until(&mut self, deadline: Instant, interrupt: &Interrupt) -> Result<(), Failure> {
        while still_runs(self.pid()) {
            self.go_on(deadline, interrupt)?;
            thread::sleep(EXIT_POLL);
        }
        Ok(())
    }

    /// Ends the process at its deadline or at an interrupt.
    fn go_on(&mut self, deadline: Instant, interrupt: &Interrupt) -> Result<(), Failure> {
        let in_time = interrupt.check().and_then(|()| {
            if Instant::now() < deadline {
                return Ok(());
            }
            Err(Failure::new(format!("{} timed out", self.name)))
        });
        if in_time.is_err() {
            self.end();
        }
        in_time
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.process.id()).expect("process ids fit"))
    }

    /// Ends the process, gracefully if it can, and kills the rest of its group.
    fn end(&mut self) {
        let id = self.pid();
        // These fail only if the process or the group is gone.
        let _ = kill(id, Signal::SIGTERM);
        let deadline = Instant::now() + GRACE;
        while Instant::now() < deadline && still_runs(id) {
            thread::sleep(EXIT_POLL);
        }
        // The process has not been waited for, so its id cannot have been reused.
        let _ = killpg(id, Signal::SIGKILL);
        let _ = self.process.wait();
    }
}

/// True until the process has ended; does not reap it.
fn still_runs(id: Pid) -> bool {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    matches!(waitid(Id::Pid(id), flags), Ok(WaitStatus::StillAlive))
}

impl Drop for Background {
    fn drop(&mut self) {
        if self.lives() {
            self.end();
        }
    }
}

fn read_on_thread(
    pipe: Option<impl Read + Send + 'static>,
    alive: mpsc::Sender<()>,
) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // A read error only truncates the output.
            let _ = pipe
                .by_ref()
                .take(LARGEST_OUTPUT_BYTES)
                .read_to_end(&mut bytes);
            let _ = std::io::copy(&mut pipe, &mut std::io::sink());
        }
        drop(alive);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn output_status_and_cpu_time_are_those_of_the_program() {
        let burn =
            "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo out; echo err >&2; exit 3";
        let output = run(
            shell(burn),
            None,
            Duration::from_secs(60),
            &Interrupt::default(),
        )
        .expect("ran");
        assert_eq!(
            (output.stdout.as_str(), output.stderr.as_str()),
            ("out\n", "err\n")
        );
        assert!(!output.success);
        assert!(output.cpu > Duration::from_millis(1), "{:?}", output.cpu);
    }

    #[test]
    fn a_program_past_its_timeout_is_ended() {
        let failure = run(
            shell("sleep 600"),
            None,
            Duration::from_millis(200),
            &Interrupt::default(),
        );
        let message = failure.expect_err("too late").to_string();
        assert_eq!(message, "sh timed out");
    }

    #[test]
    fn a_dropped_server_and_its_children_are_gone() {
        let mut command = shell("sleep 600 & echo $!; wait");
        command.stdout(Stdio::piped());
        let mut server = Background::spawn(command, None).expect("started");
        let mut line = [0; 16];
        let read = server
            .take_stdout()
            .expect("piped")
            .read(&mut line)
            .expect("an id");
        let child: i32 = std::str::from_utf8(&line[..read])
            .expect("digits")
            .trim()
            .parse()
            .expect("an id");
        drop(server);
        let deadline = Instant::now() + GRACE;
        while nix::sys::signal::kill(Pid::from_raw(child), None).is_ok() && !is_zombie(child) {
            assert!(Instant::now() < deadline, "{child} still runs");
            thread::sleep(EXIT_POLL);
        }
    }

    /// True for a process that has ended and is not yet collected by the process that adopted it.
    fn is_zombie(id: i32) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        stat.rsplit_once(')')
            .is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
    }
}
