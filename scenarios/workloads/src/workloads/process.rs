//! `process`: a child process that runs to its end, and another one that is killed at a deadline.
//!
//! Starting and waiting block, so both are offloaded. The killed child is waited for as well, since it would otherwise
//! remain as a zombie; this is checked for both.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use photofinish_harness::os;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};

use super::params::{params, require};
use super::parts::{self, joined, wait};
use super::tallies::{ensure, no_shorter};

#[derive(Debug)]
pub struct Process {
    deadline: Duration,
}

params! {
    /// Deadline at which the second child is killed, in units.
    deadline: f64 = 1.0,
}

/// The longest deadline, in units, and the lifetime of the second child.
const LONGEST: f64 = 1_000.0;
const LIFE_S: &str = "3600";

/// The script of the first child: it prints its argument, and ends with a status of its own.
const SCRIPT: &str = "echo \"operation $0\"; exit 7";
const STATUS: i32 = 7;
const SIGKILL: i32 = 9;

impl Workload for Process {
    const ABOUT: About = About {
        name: "process",
        class: "processes",
        operation: "one child process that exits, and one killed after 1 unit",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    no_session!();

    fn new(params: Params, unit: Duration) -> Result<Self, ParamError> {
        let sound = (0.0..=LONGEST).contains(&params.deadline);
        require(sound, "deadline", || {
            format!("expected 0 to {LONGEST} units")
        })?;
        Ok(Self {
            deadline: unit.mul_f64(params.deadline),
        })
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), op: u64) -> Result<(), Failure> {
        let talking = parts::start(&env.runtime, talk(env.runtime.clone(), op));
        let killing = kill_at(env.runtime.clone(), self.deadline);
        let killing = parts::start(&env.runtime, killing);
        joined(vec![talking, killing]).await.map(drop)
    }
}

async fn talk<R: Runtime>(runtime: R, number: u64) -> Result<(), Failure> {
    let exit = parts::offload(&runtime, move || run_to_its_end(number)).await??;
    exit.check_output(number)
}

async fn kill_at<R: Runtime>(runtime: R, deadline: Duration) -> Result<(), Failure> {
    let mut sleeper = parts::offload(&runtime, Sleeper::start).await??;
    let begun = Instant::now();
    wait(&runtime, deadline).await?;
    no_shorter(
        deadline,
        begun.elapsed(),
        "the life of a child to be killed",
    )?;
    parts::offload(&runtime, move || sleeper.end())
        .await??
        .check_killed()
}

fn run_to_its_end(number: u64) -> io::Result<ChildExit> {
    let child = Command::new("/bin/sh")
        .args(["-c", SCRIPT, &number.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let pid = child.id();
    let output = child.wait_with_output()?;
    Ok(ChildExit {
        status: output.status,
        output: output.stdout,
        left_behind: os::is_child(pid) == Some(true),
    })
}

/// A child that would live for an hour; dropping this kills it.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> io::Result<Self> {
        let mut command = Command::new("sleep");
        let command = command.arg(LIFE_S).stdin(Stdio::null());
        command.stdout(Stdio::null()).spawn().map(Self)
    }

    fn end(&mut self) -> io::Result<ChildExit> {
        self.0.kill()?;
        let status = self.0.wait()?;
        Ok(ChildExit {
            status,
            output: Vec::new(),
            left_behind: os::is_child(self.0.id()) == Some(true),
        })
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // Neither has an effect on a child that has been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The end of a child.
#[derive(Debug)]
struct ChildExit {
    status: ExitStatus,
    output: Vec<u8>,
    /// True if it has not been waited for.
    left_behind: bool,
}

impl ChildExit {
    fn check_output(&self, number: u64) -> Result<(), Failure> {
        let (status, said) = (self.status, String::from_utf8_lossy(&self.output));
        ensure(said == format!("operation {number}\n"), || {
            format!("the child of operation {number} said {said:?}")
        })?;
        ensure(status.code() == Some(STATUS), || {
            format!("expected the child to end with exit status: {STATUS}, got {status}")
        })?;
        self.check_waited_for()
    }

    fn check_killed(&self) -> Result<(), Failure> {
        let status = self.status;
        ensure(status.signal() == Some(SIGKILL), || {
            format!("expected the child to be killed, got {status}")
        })?;
        self.check_waited_for()
    }

    fn check_waited_for(&self) -> Result<(), Failure> {
        ensure(!self.left_behind, || {
            "a child was left as a zombie".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tallies::detail;
    use super::*;

    #[test]
    fn unexpected_output_and_exit_codes_of_a_child_are_caught() {
        let sound = run_to_its_end(5).expect("a shell");
        assert_eq!(detail(sound.check_output(5)), "");
        assert_eq!(
            detail(sound.check_output(6)),
            "the child of operation 6 said \"operation 5\\n\""
        );
        let other = ChildExit {
            status: ExitStatus::from_raw(0),
            ..sound
        };
        assert_eq!(
            detail(other.check_output(5)),
            "expected the child to end with exit status: 7, got exit status: 0"
        );
    }

    #[test]
    fn a_child_not_killed_or_not_reaped_is_caught() {
        let killed = Sleeper::start().and_then(|mut sleeper| sleeper.end());
        let killed = killed.expect("a child");
        assert_eq!(detail(killed.check_killed()), "");
        let zombie = ChildExit {
            left_behind: true,
            ..killed
        };
        assert_eq!(
            detail(zombie.check_killed()),
            "a child was left as a zombie"
        );
        let by_itself = ChildExit {
            status: ExitStatus::from_raw(0),
            ..zombie
        };
        assert_eq!(
            detail(by_itself.check_killed()),
            "expected the child to be killed, got exit status: 0"
        );
    }
}
