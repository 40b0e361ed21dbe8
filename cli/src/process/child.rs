//! A child process that speaks in lines: spawned, listened to with a deadline, and gone when dropped.
//!
//! Workers, mock servers and a throwaway PostgreSQL are all met through this. Each child leads a process group of its
//! own, so that a Ctrl-C on the terminal reaches the orchestrator alone, which still wants the children's counts.
//! Children must be spawned from the main thread: some ask the kernel to be killed when the *thread* that started them
//! ends. What the lines mean is the business of `worker` and `process::server`.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::interrupt::{Interrupt, Listener};

/// Lines of stderr that are kept for an error message.
const LAST_LINES: usize = 8;

/// How long a child that has closed its stdout may take to end.
const ENDING: Duration = Duration::from_secs(10);

/// How long the last words of a child that has ended may take to arrive. They are in the pipe already; only a process of
/// its own that it left behind can hold the pipe open for longer.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Longest pause between two looks at whether a child has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// A running child. Dropping it kills it.
pub struct LineProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    heard: Receiver<Heard>,
    last_words: Arc<Mutex<VecDeque<String>>>,
    /// Disconnected once stderr has been read to its end.
    stderr_ended: Receiver<()>,
    /// Held so that the interrupt can wake this process's listener.
    _on_interrupt: Arc<Listener>,
    interrupt: Interrupt,
}

/// What there is to hear while waiting for a child.
enum Heard {
    Line(String),
    StdoutEnded,
    Interrupted,
}

/// Why there was no line.
#[derive(Debug)]
pub enum NoLine {
    /// The deadline passed.
    TimedOut(Duration),
    /// The child is gone; how it ended, in words.
    Ended(String),
    /// An end of the whole run was asked for.
    Interrupted,
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
        let (sender, heard) = mpsc::channel();
        let on_interrupt = wake_by(sender.clone());
        interrupt.subscribe(&on_interrupt);
        if let Some(stdout) = child.stdout.take() {
            thread::spawn(move || forward_lines(stdout, &sender));
        }
        let last_words = Arc::default();
        let (reading_stderr, stderr_ended) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            let last_words = Arc::clone(&last_words);
            thread::spawn(move || {
                keep_last_lines(stderr, &last_words);
                drop(reading_stderr);
            });
        }
        Ok(Self {
            stdin: child.stdin.take(),
            child,
            heard,
            last_words,
            stderr_ended,
            _on_interrupt: on_interrupt,
            interrupt: interrupt.clone(),
        })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes a line to the child's stdin. An error means that it does not listen any more.
    pub fn tell(&mut self, line: &str) -> io::Result<()> {
        let stdin = self.stdin.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        stdin.write_all(line.as_bytes())?;
        stdin.write_all(b"\n")?;
        stdin.flush()
    }

    /// Ends the child's stdin.
    pub fn hang_up(&mut self) {
        self.stdin = None;
    }

    /// The child's next line, for which it may take as long as `patience`.
    pub fn next_line(&mut self, patience: Duration) -> Result<String, NoLine> {
        if self.interrupt.requested() {
            return Err(NoLine::Interrupted);
        }
        match self.heard.recv_timeout(patience) {
            Ok(Heard::Line(line)) => Ok(line),
            Ok(Heard::Interrupted) => Err(NoLine::Interrupted),
            Ok(Heard::StdoutEnded) | Err(RecvTimeoutError::Disconnected) => {
                Err(NoLine::Ended(self.how_it_ended()))
            }
            Err(RecvTimeoutError::Timeout) => Err(NoLine::TimedOut(patience)),
        }
    }

    /// Whether the child has ended already.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Waits until the child has ended, at most for `patience`, and kills it beyond that; whether it ended by itself.
    pub fn end_within(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(None) if Instant::now() < deadline => thread::sleep(LOOK_AGAIN),
                Ok(Some(_)) => return true,
                Ok(None) | Err(_) => {
                    self.kill();
                    return false;
                }
            }
        }
    }

    /// How the child ended, with its last words: `was killed by SIGKILL`. Waits for its end.
    pub fn how_it_ended(&mut self) -> String {
        self.end_within(ENDING);
        let ended = match self.child.wait() {
            Ok(status) => describe(status),
            Err(error) => format!("cannot be waited for: {error}"),
        };
        // Nothing is ever sent: this returns when the reader is done, or gives up on it.
        let _ = self.stderr_ended.recv_timeout(LAST_WORDS);
        let last_words = self
            .last_words
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let last_words = Vec::from_iter(last_words.iter().map(String::as_str)).join("; ");
        match last_words.is_empty() {
            true => ended,
            false => format!("{ended}; its last words: {last_words}"),
        }
    }

    fn kill(&mut self) {
        // Both fail only for a child that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for LineProcess {
    fn drop(&mut self) {
        self.kill();
    }
}

fn wake_by(sender: Sender<Heard>) -> Arc<Listener> {
    Arc::new(move || {
        // Nobody waits any more: then nobody needs waking.
        let _ = sender.send(Heard::Interrupted);
    })
}

fn forward_lines(stdout: impl Read, sender: &Sender<Heard>) {
    for line in BufReader::new(stdout).lines() {
        let Ok(line) = line else { break };
        if sender.send(Heard::Line(line)).is_err() {
            return;
        }
    }
    let _ = sender.send(Heard::StdoutEnded);
}

fn keep_last_lines(stderr: impl Read, kept: &Mutex<VecDeque<String>>) {
    for line in BufReader::new(stderr).lines() {
        let Ok(line) = line else { return };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() == LAST_LINES {
            kept.pop_front();
        }
        kept.push_back(line.trim().to_owned());
    }
}

fn describe(status: ExitStatus) -> String {
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
    fn a_child_is_told_and_answers_in_lines() {
        let mut child = shell("read line; echo \"heard $line\"");
        child.tell("this").expect("it listens");
        assert_eq!(child.next_line(PATIENCE).expect("an answer"), "heard this");
        assert!(child.end_within(PATIENCE));
    }

    #[test]
    fn a_killed_child_is_told_from_one_that_failed() {
        let check = |script: &str, expected: &str| match shell(script).next_line(PATIENCE) {
            Err(NoLine::Ended(how)) => assert_eq!(how, expected),
            other => panic!("{other:?}"),
        };
        check("kill -9 $$", "was killed by SIGKILL");
        check("exit 3", "ended with exit code 3");
        check(
            "echo oops >&2; exit 3",
            "ended with exit code 3; its last words: oops",
        );
    }

    #[test]
    fn a_silent_child_runs_into_the_deadline_and_is_gone_when_dropped() {
        let mut child = shell("exec sleep 600");
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.child.id()).expect("a pid"));
        assert!(matches!(
            child.next_line(Duration::from_millis(10)),
            Err(NoLine::TimedOut(_))
        ));
        drop(child);
        assert!(nix::sys::signal::kill(pid, None).is_err(), "{pid} lives");
    }
}
