//! Sampling a worker's stacks, kernel included, with `perf` of Linux.
//!
//! By a software clock, since virtual machines often lack hardware counters, and unwound by DWARF, since few programs
//! keep frame pointers. `fold` makes lines of the record of what `perf` prints.

mod fold;

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::cleaning;
use crate::exit::{Exit, Failure, OrFail as _};
use crate::interrupt::Interrupt;
use crate::process::{LineProcess, NoLine, this_program};
use fold::Fold;

/// Samples per second of CPU time: prime, to avoid lockstep with periodic work.
const SAMPLES_HZ: u32 = 499;

/// Bytes of each stack that are kept for unwinding; functions further out are lost.
const STACK: &str = "dwarf,16384";

/// Time within which `perf` must begin, or end after its worker.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time within which `perf` must print the next line; it first reads all samples.
const READING: Duration = Duration::from_secs(60);

/// Pause between two looks at `perf`.
const POLL: Duration = Duration::from_millis(2);

/// Samples the workers of rounds that are not among the results.
pub struct Sampler {
    data: PathBuf,
    interrupt: Interrupt,
    current: RefCell<Option<LineProcess>>,
}

/// The folded stacks of a worker.
pub struct Stacks {
    pub folded: Vec<String>,
    /// True if the kernel was not sampled.
    pub user_only: bool,
}

/// Checks that `perf` is installed and may sample, and, if one `of_this_program` is to be sampled, that this program has
/// symbols.
pub fn check(of_this_program: bool, interrupt: &Interrupt) -> Result<(), Failure> {
    let mut probe = perf("record");
    probe.args(["--event=cpu-clock", "--output=/dev/null", "true"]);
    let mut probe = match LineProcess::spawn(probe, interrupt) {
        Ok(probe) => probe,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::could_not_run("--profile needs `perf`, which is not installed").hint(
                "install it with `apt install linux-perf` (Debian), `apt install linux-tools-generic` (Ubuntu) or `dnf install perf`",
            ));
        }
        Err(error) => {
            return Err(Failure::could_not_run("`perf` cannot be started").caused_by(error));
        }
    };
    if !ends(&mut probe, interrupt)? {
        return Err(Failure::could_not_run("`perf` did not end within 10 s"));
    }
    if !probe.succeeded() {
        let how = cleaning::cut(&probe.how_it_ended(), 400);
        let denied = ["perf_event_paranoid", "ermission", "not permitted"];
        let hint = if how.contains("not found for kernel") {
            Some("install the one of this kernel: `apt install linux-tools-$(uname -r)`")
        } else if denied.iter().any(|word| how.contains(word)) {
            Some(
                "as root, `sysctl kernel.perf_event_paranoid=2` allows it; containers also need the capability PERFMON",
            )
        } else {
            None
        };
        let failure = Failure::could_not_run(format!("`perf` cannot sample here: it {how}"));
        return Err(failure.maybe_hint(hint.map(str::to_owned)));
    }
    if of_this_program && !has_symbols(&this_program()?).unwrap_or(true) {
        return Err(Failure::could_not_run(
            "this build has no symbols, so a profile would show no names of functions",
        )
        .hint(
            "run it from a build with symbols: `cargo run --profile profiling -- run … --profile`",
        ));
    }
    Ok(())
}

impl Sampler {
    /// A sampler with its files in `directory`.
    pub fn new(directory: &Path, interrupt: &Interrupt) -> Self {
        Self {
            data: directory.join("perf.data"),
            interrupt: interrupt.clone(),
            current: RefCell::default(),
        }
    }

    /// Begins to sample a worker.
    pub fn begin(&self, worker: u32) -> Result<(), Failure> {
        // A leftover file would look like a started recording.
        let _ = fs::remove_file(&self.data);
        let mut command = perf("record");
        command
            .args(["--event=cpu-clock", "--call-graph", STACK])
            .arg(format!("--freq={SAMPLES_HZ}"))
            .arg(format!("--pid={worker}"))
            .arg("--output")
            .arg(&self.data);
        let perf = LineProcess::spawn(command, &self.interrupt);
        let mut perf = perf.or_fail("`perf` cannot be started")?;
        perf.hang_up();
        let deadline = Instant::now() + PATIENCE;
        // It writes its header once its events are open.
        while !fs::metadata(&self.data).is_ok_and(|data| data.len() > 0) {
            if self.interrupt.requested() {
                return Err(Failure::new(Exit::Interrupted, "interrupted"));
            }
            if perf.has_ended() {
                let how = perf.how_it_ended();
                return Err(Failure::could_not_run(format!(
                    "before sampling, `perf` {how}"
                )));
            }
            if Instant::now() > deadline {
                return Err(Failure::could_not_run("`perf` did not begin within 10 s"));
            }
            thread::sleep(POLL);
        }
        self.current.replace(Some(perf));
        Ok(())
    }

    /// The stacks of the worker, which has ended.
    pub fn end(&self) -> Result<Stacks, Failure> {
        let perf = self.current.take();
        let mut perf = perf.ok_or_else(|| Failure::could_not_run("no worker was started"))?;
        if !ends(&mut perf, &self.interrupt)? {
            return Err(Failure::could_not_run(
                "`perf` was still running 10 s after its worker ended",
            ));
        }
        let stacks = self.read();
        let _ = fs::remove_file(&self.data);
        stacks
    }

    fn read(&self) -> Result<Stacks, Failure> {
        let mut command = perf("script");
        command
            .args([
                "--force",
                "--no-inline",
                "--fields=comm,event,ip,sym",
                "--input",
            ])
            .arg(&self.data);
        let script = LineProcess::spawn(command, &self.interrupt);
        let mut script = script.or_fail("`perf` cannot be started")?;
        script.hang_up();
        let mut fold = Fold::default();
        let how = loop {
            match script.next_line(READING) {
                Ok(line) => fold.line(&line),
                Err(NoLine::Ended(how)) => break how,
                Err(NoLine::TimedOut(_)) => {
                    return Err(Failure::could_not_run(
                        "`perf script` printed nothing for 60 s",
                    ));
                }
                Err(NoLine::Interrupted) => {
                    return Err(Failure::new(Exit::Interrupted, "interrupted"));
                }
            }
        };
        if !script.succeeded() {
            let how = cleaning::cut(&how, 400);
            return Err(Failure::could_not_run(format!("`perf script` {how}")));
        }
        let user_only = fold.is_user_only();
        let folded = fold.stacks();
        if folded.is_empty() {
            return Err(Failure::could_not_run(
                "`perf` has no sample: the worker used no CPU time",
            ));
        }
        Ok(Stacks { folded, user_only })
    }
}

/// True if a process ends by itself in time.
fn ends(process: &mut LineProcess, interrupt: &Interrupt) -> Result<bool, Failure> {
    let deadline = Instant::now() + PATIENCE;
    while !process.has_ended() {
        if interrupt.requested() {
            return Err(Failure::new(Exit::Interrupted, "interrupted"));
        }
        if Instant::now() > deadline {
            return Ok(false);
        }
        thread::sleep(POLL);
    }
    Ok(true)
}

fn perf(command: &str) -> Command {
    let mut perf = Command::new("perf");
    perf.arg(command).env("LC_ALL", "C");
    perf
}

/// True if an executable, in ELF of 64 bits, has a table of symbols.
fn has_symbols(program: &Path) -> io::Result<bool> {
    const SECTION: usize = 64;
    const SYMBOLS: u32 = 2;
    let mut file = File::open(program)?;
    let mut header = [0; 64];
    file.read_exact(&mut header)?;
    let sections = u64::from_ne_bytes(header[40..48].try_into().expect("eight"));
    let count = u16::from_ne_bytes(header[60..62].try_into().expect("two"));
    let mut table = vec![0; SECTION * usize::from(count)];
    file.seek(SeekFrom::Start(sections))?;
    file.read_exact(&mut table)?;
    let mut kinds = table.chunks(SECTION).map(|section| &section[4..8]);
    Ok(kinds.any(|kind| kind == SYMBOLS.to_ne_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_test_has_symbols_and_an_installed_program_has_none() {
        let program = std::env::current_exe().expect("a path");
        assert!(has_symbols(&program).expect("read"));
        assert!(!has_symbols(Path::new("/bin/sh")).expect("read"));
    }
}
