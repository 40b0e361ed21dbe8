//! A child process with a line-based protocol: reads have a deadline and a bound, and dropping it kills it.
//!
//! Each child leads its own process group, so that a Ctrl-C on the terminal reaches only the orchestrator; whatever is
//! left of the group is killed once the child has ended. On Linux a worker or embedded server dies with the *thread*
//! that started it. `worker` and `server` define the lines.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::interrupt::{Interrupt, Listener};

/// Maximum length of a line of stdout, in bytes: a reply holds histograms, and in an audit 100,000 times per session.
const LONGEST_LINE: usize = 64 << 20;

/// Maximum number of queued lines of stdout; beyond that the child has to wait.
const WAITING_LINES: usize = 16;

/// Lines of stderr that are kept for an error message.
const LAST_LINES: usize = 8;

/// Maximum length of these lines, in bytes; a longer one counts as several.
const LONGEST_LAST_LINE: usize = 1 << 10;

/// Time within which a child that has closed its stdout must exit.
const ENDING: Duration = Duration::from_secs(10);

/// Time to read the rest of stderr of a child that has exited. It is already in the pipe; only a process that the child
/// left behind can hold the pipe open for longer.
const STDERR_END: Duration = Duration::from_secs(1);

/// Pause between two checks that a child has ended.
const POLL: Duration = Duration::from_millis(2);

/// A running child. Dropping it kills it.
pub struct LineProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    events: Receiver<Event>,
    last_lines: Arc<Mutex<VecDeque<String>>>,
    /// Disconnected once stderr has been read to its end.
    stderr_ended: Receiver<()>,
    /// Held so that the interrupt can wake this process's listener.
    _on_interrupt: Arc<Listener>,
    interrupt: Interrupt,
}

enum Event {
    Line(String),
    LineTooLong,
    StdoutEnded,
    Interrupted,
}

/// The reason no line was read.
#[derive(Debug)]
pub enum NoLine {
    /// The deadline passed.
    TimedOut(Duration),
    /// The child has ended: `was killed by SIGKILL`.
    Ended(String),
    /// The user asked the whole run to end.
    Interrupted,
}

/// The problem of a process that timed out.
pub fn no_answer(patience: Duration) -> String {
    format!("gave no answer for {} s", patience.as_secs())
}

impl LineProcess {
    /// Starts `command` with all three standard streams piped.
    pub fn spawn(mut command: Command, interrupt: &Interrupt) -> io::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()?;
        let (sender, events) = mpsc::sync_channel(WAITING_LINES);
        let on_interrupt: Arc<Listener> = {
            let sender = sender.clone();
            Arc::new(move || {
                // Fails if the receiver is gone, or has lines to read: it then checks for interrupts before it waits.
                let _ = sender.try_send(Event::Interrupted);
            })
        };
        interrupt.subscribe(&on_interrupt);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let last_lines = Arc::default();
        let (reading_stderr, stderr_ended) = mpsc::channel();
        let process = Self {
            stdin: child.stdin.take(),
            child,
            events,
            last_lines: Arc::clone(&last_lines),
            stderr_ended,
            _on_interrupt: on_interrupt,
            interrupt: interrupt.clone(),
        };
        // If the thread cannot be started, dropping the process ends it.
        if let Some(stdout) = stdout {
            thread::Builder::new().spawn(move || forward_lines(stdout, &sender))?;
        }
        if let Some(stderr) = stderr {
            thread::Builder::new().spawn(move || {
                keep_last_lines(stderr, &last_lines);
                drop(reading_stderr);
            })?;
        }
        Ok(process)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to the child's stdin. An error means that the child has closed it.
    pub fn tell(&mut self, line: &str) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        stdin.write_all(line.as_bytes())?;
        stdin.write_all(b"\n")?;
        stdin.flush()
    }

    /// Closes the child's stdin.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// The child's next line, within `patience`.
    pub fn next_line(&mut self, patience: Duration) -> Result<String, NoLine> {
        if self.interrupt.requested() {
            return Err(NoLine::Interrupted);
        }
        match self.events.recv_timeout(patience) {
            Ok(Event::Line(line)) => Ok(line),
            Ok(Event::Interrupted) => Err(NoLine::Interrupted),
            Ok(Event::LineTooLong) => {
                self.kill();
                let most = LONGEST_LINE >> 20;
                Err(NoLine::Ended(format!(
                    "sent a line of more than {most} MiB"
                )))
            }
            Ok(Event::StdoutEnded) | Err(RecvTimeoutError::Disconnected) => {
                Err(NoLine::Ended(self.how_it_ended()))
            }
            Err(RecvTimeoutError::Timeout) => Err(NoLine::TimedOut(patience)),
        }
    }

    /// True if the child has ended.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits up to `patience` for the child to end, then kills it. True if it ended by itself.
    pub fn end_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
                Ok(Some(_)) => {
                    self.kill_group();
                    return true;
                }
                Ok(None) | Err(_) => {
                    self.kill();
                    return false;
                }
            }
        }
    }

    /// True if the child ended by itself with exit code 0. Waits for it.
    pub fn succeeded(&mut self) -> bool {
        self.end_within(ENDING) && self.child.wait().is_ok_and(|status| status.success())
    }

    /// The way in which the child ended, with the last lines of its stderr: `was killed by SIGKILL`. Waits for it.
    pub fn how_it_ended(&mut self) -> String {
        self.end_within(ENDING);
        let ended = match self.child.wait() {
            Ok(status) => describe(status),
            Err(error) => format!("cannot be waited for: {error}"),
        };
        // Nothing is ever sent: this returns when the reader is done, or at the deadline.
        let _ = self.stderr_ended.recv_timeout(STDERR_END);
        let last_lines = self
            .last_lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last_lines = Vec::from_iter(last_lines.iter().map(String::as_str)).join("; ");
        if last_lines.is_empty() {
            ended
        } else {
            format!("{ended}; end of its stderr: {last_lines}")
        }
    }

    fn kill(&mut self) {
        // All fail only if no process is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.kill_group();
    }

    /// Kills the processes that the child has left behind in its group. As long as there are any, its number is not
    /// given to another process.
    fn kill_group(&self) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
        }
    }
}

impl Drop for LineProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Reads one line without its end, or `most` bytes of a longer one; `None` at the end of the input.
fn read_line(input: &mut impl BufRead, most: usize) -> Option<String> {
    let mut line = Vec::new();
    let read = input.take(most as u64).read_until(b'\n', &mut line);
    if !matches!(read, Ok(1..)) {
        return None;
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Some(String::from_utf8_lossy(&line).into_owned())
}

fn forward_lines(stdout: impl Read, sender: &SyncSender<Event>) {
    let mut stdout = BufReader::new(stdout);
    while let Some(line) = read_line(&mut stdout, LONGEST_LINE) {
        let too_long = line.len() >= LONGEST_LINE;
        let event = if too_long {
            Event::LineTooLong
        } else {
            Event::Line(line)
        };
        if sender.send(event).is_err() || too_long {
            return;
        }
    }
    let _ = sender.send(Event::StdoutEnded);
}

fn keep_last_lines(stderr: impl Read, kept: &Mutex<VecDeque<String>>) {
    let mut stderr = BufReader::new(stderr);
    while let Some(line) = read_line(&mut stderr, LONGEST_LAST_LINE) {
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == LAST_LINES {
            kept.pop_front();
        }
        kept.push_back(line.trim().to_owned());
    }
}

/// The way in which a process ended: `was killed by SIGKILL`.
pub fn describe(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(number), _) => match Signal::try_from(number) {
            Ok(signal) => format!("was killed by {signal}"),
            Err(_) => format!("was killed by signal {number}"),
        },
        (None, Some(code)) => format!("ended with exit code {code}"),
        (None, None) => "ended".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> LineProcess {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        LineProcess::spawn(command, &Interrupt::default()).expect("a shell")
    }

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn a_child_is_talked_to_in_lines() {
        let mut child = shell("read line; echo \"heard $line\"");
        child.tell("this").expect("it listens");
        assert_eq!(child.next_line(PATIENCE).expect("an answer"), "heard this");
        assert!(child.end_within(PATIENCE));
    }

    #[test]
    fn a_killed_child_is_distinguished_from_one_that_failed() {
        let check = |script: &str, expected: &str| match shell(script).next_line(PATIENCE) {
            Err(NoLine::Ended(how)) => assert_eq!(how, expected),
            other => panic!("{other:?}"),
        };
        check("kill -9 $$", "was killed by SIGKILL");
        check("exit 3", "ended with exit code 3");
        check(
            "echo oops >&2; exit 3",
            "ended with exit code 3; end of its stderr: oops",
        );
    }

    #[test]
    fn a_silent_child_hits_the_deadline_and_dies_when_dropped() {
        let mut child = shell("exec sleep 600");
        let pid = Pid::from_raw(i32::try_from(child.child.id()).expect("a pid"));
        assert!(matches!(
            child.next_line(Duration::from_millis(10)),
            Err(NoLine::TimedOut(_))
        ));
        drop(child);
        assert!(nix::sys::signal::kill(pid, None).is_err(), "{pid} lives");
    }

    #[test]
    fn a_childs_output_is_bounded() {
        // Endless lines on stdout, and an endless line on stderr: the child blocks, and nothing accumulates here.
        let mut child = shell("yes one & exec tr '\\n' x </dev/zero >&2");
        assert_eq!(child.next_line(PATIENCE).expect("a line"), "one");
        thread::sleep(Duration::from_millis(200));
        let kept = child.last_lines.lock().expect("not poisoned");
        assert!(kept.iter().all(|line| line.len() <= LONGEST_LAST_LINE));
        drop(kept);
        let mut child = shell("exec tr '\\0' x </dev/zero");
        match child.next_line(PATIENCE) {
            Err(NoLine::Ended(how)) => assert_eq!(how, "sent a line of more than 64 MiB"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn processes_started_by_a_child_end_with_it() {
        for script in ["sleep 600 & echo $!", "sleep 600 & echo $!; sleep 600"] {
            let mut child = shell(script);
            let grandchild = child.next_line(PATIENCE).expect("a number");
            let grandchild = Pid::from_raw(grandchild.parse().expect("a number"));
            child.end_within(Duration::from_millis(100));
            drop(child);
            let deadline = Instant::now() + PATIENCE;
            let state = format!("/proc/{grandchild}/stat");
            let alive = || {
                let stat = std::fs::read_to_string(&state).unwrap_or_default();
                stat.rsplit(')')
                    .next()
                    .is_some_and(|rest| rest.contains(" S "))
            };
            while alive() {
                assert!(Instant::now() < deadline, "{grandchild} lives");
                thread::sleep(POLL);
            }
        }
    }
}
