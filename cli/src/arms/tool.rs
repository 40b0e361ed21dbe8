//! Runs git and cargo so that an interruption ends them and everything they started.
//!
//! Neither sees the environment of a surrounding git hook: `GIT_DIR` and `GIT_INDEX_FILE` would point git, and anything
//! that calls it, to the user's repository and index from any directory.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::exit::{Exit, Failure};
use crate::interrupt::Interrupt;

/// Interval between checks for the end of a tool.
const POLL: Duration = Duration::from_millis(10);

/// Time for a tool to end after SIGTERM.
const LEAVING: Duration = Duration::from_secs(3);

/// Settings of git: no hooks, which are for the user's own actions; tags in a file that can be written; submodules from
/// the disk.
const SETTINGS: [&str; 3] = [
    "core.hooksPath=/dev/null",
    "init.defaultRefFormat=files",
    "protocol.file.allow=always",
];

/// The output of a tool that has ended.
pub struct Output {
    pub succeeded: bool,
    pub stdout: String,
    /// Empty if it went to the user's terminal.
    pub stderr: String,
}

/// A command for `program` in `directory`.
pub fn command(program: impl AsRef<OsStr>, directory: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(directory);
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GIT_") {
            command.env_remove(name);
        }
    }
    command
}

/// A command for cargo in `directory`: the one that this directory's own toolchain file selects.
pub fn cargo(directory: &Path) -> Command {
    let mut cargo = command("cargo", directory);
    if std::env::var_os("CARGO").is_some() {
        // This program was started by cargo, which has set this for the project it was started in.
        cargo.env_remove("RUSTUP_TOOLCHAIN");
    }
    cargo
}

/// Runs git. Returns its stdout.
pub fn git(directory: &Path, arguments: &[&str], interrupt: &Interrupt) -> Result<String, Failure> {
    let failed = || Failure::could_not_run(format!("git {} failed", arguments[0]));
    let mut git = command("git", directory);
    // Even `git status` writes to the index, as a cache.
    git.arg("--no-optional-locks");
    for setting in SETTINGS {
        git.args(["-c", setting]);
    }
    git.args(arguments);
    let output = run(git, false, interrupt)
        .map_err(|error| failed().caused_by(error).hint("git must be installed"))??;
    if output.succeeded {
        Ok(output.stdout.trim().to_owned())
    } else {
        Err(failed().caused_by(output.stderr.trim().to_owned()))
    }
}

/// Runs a command to its end. The outer error means that it could not be started, the inner one an interruption.
pub fn run(
    mut command: Command,
    stderr_is_shown: bool,
    interrupt: &Interrupt,
) -> io::Result<Result<Output, Failure>> {
    // Not pipes: a daemon that the tool leaves behind would hold them open.
    let (mut stdout, mut stderr) = (tempfile::tempfile()?, tempfile::tempfile()?);
    command.stdin(Stdio::null()).stdout(stdout.try_clone()?);
    if !stderr_is_shown {
        command.stderr(stderr.try_clone()?);
    }
    let mut child = command.process_group(0).spawn()?;
    Ok(match wait(&mut child, interrupt)? {
        None => Err(Failure::new(Exit::Interrupted, "interrupted")),
        Some(status) => Ok(Output {
            succeeded: status.success(),
            stdout: contents(&mut stdout)?,
            stderr: contents(&mut stderr)?,
        }),
    })
}

fn contents(file: &mut File) -> io::Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Waits for the end of a group's leader. `None` if the group was ended by an interruption.
fn wait(child: &mut Child, interrupt: &Interrupt) -> io::Result<Option<ExitStatus>> {
    while !interrupt.requested() {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        thread::sleep(POLL);
    }
    let group = Pid::from_raw(i32::try_from(child.id()).expect("process ids fit"));
    // Fails only if no process is left.
    let _ = killpg(group, Signal::SIGTERM);
    let deadline = Instant::now() + LEAVING;
    while child.try_wait()?.is_none() && Instant::now() < deadline {
        thread::sleep(POLL);
    }
    let _ = killpg(group, Signal::SIGKILL);
    child.wait()?;
    Ok(None)
}
