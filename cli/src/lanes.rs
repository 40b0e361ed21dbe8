//! Lanes: runtimes in other languages, each a worker program that speaks the worker protocol (docs/PROTOCOL.md).
//!
//! Some are shipped, as sources inside this program (`shipped`); `--lane CMD` adds one's own. A lane is asked what it is
//! (`describe`) when it is requested, and only then. Rounds start it through `photofinish launch`, which pins the process
//! before the interpreter runs.

pub mod conformance;
pub mod go;
mod languages;
pub mod managed;
pub mod node;
pub mod python;
mod recording_server;
mod shipped;
mod sources;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use photofinish_harness::runtime::Descriptor;
use photofinish_harness::runtimes::descriptor;
use photofinish_record::protocol::{LaneDescription, WORKER_PROTOCOL, WorkerDescription};
use photofinish_record::{ForeignWorker, Plan};
use photofinish_scenarios::plan::Lane;
use photofinish_workloads::registry::{WorkloadEntry, workloads};

use crate::exit::{Failure, OrFail};
use crate::interrupt::Interrupt;
use crate::process::{LineProcess, NoLine, no_answer};

pub use shipped::{SHIPPED, group, source};

/// Time within which a worker must describe itself: an interpreter starts in a tenth of it.
const DESCRIBING: Duration = Duration::from_secs(10);

/// Longest warm-up that a lane may ask for, in ns.
const LONGEST_WARMUP_NS: u64 = 60_000_000_000;

/// A requested command for a lane of the user's own, split into words as a shell without expansions would.
#[derive(Clone, Debug)]
pub struct OwnLane {
    command: Vec<String>,
}

impl std::str::FromStr for OwnLane {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let command: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        if command.is_empty() {
            return Err("expected a command, such as `python3 worker.py`".to_owned());
        }
        Ok(Self { command })
    }
}

/// The lanes among `requested`, described by themselves: shipped ones by name, the floors of their languages if
/// `with_floors`, and all of `own`.
pub fn requested(
    requested: &[String],
    with_floors: bool,
    own: &[OwnLane],
) -> Result<Vec<Lane>, Failure> {
    let mut lanes = Vec::new();
    for shipped in shipped::chosen(requested, with_floors) {
        lanes.push(shipped.describe()?);
    }
    for OwnLane { command } in own {
        let described = describe(command, None)?;
        lanes.extend(described.into_iter().map(|description| Lane {
            worker: ForeignWorker {
                stack: description.stack.clone(),
                command: command.clone(),
                sha256: None,
                min_warmup_ns: description.min_warmup_ns,
                versions: description.versions.clone(),
            },
            description,
            everywhere: true,
        }));
    }
    Ok(lanes)
}

/// The answer of `command describe`, run in `directory`.
fn describe(command: &[String], directory: Option<&Path>) -> Result<Vec<LaneDescription>, Failure> {
    let shown = command.join(" ");
    let failed = |how: &dyn std::fmt::Display| {
        Failure::usage(format!("`{shown} describe` {how}"))
            .hint("a worker answers `describe` with one line of JSON; see docs/PROTOCOL.md")
    };
    let mut process = Command::new(&command[0]);
    process.args(&command[1..]).arg("describe");
    if let Some(directory) = directory {
        process.current_dir(directory);
    }
    clear_environment(&mut process);
    let mut worker = LineProcess::spawn(process, &Interrupt::default())
        .map_err(|error| failed(&format_args!("cannot be started: {error}")))?;
    worker.hang_up();
    let line = worker.next_line(DESCRIBING).map_err(|how| match how {
        NoLine::Ended(how) => failed(&how),
        NoLine::TimedOut(_) | NoLine::Interrupted => failed(&no_answer(DESCRIBING)),
    })?;
    let description: WorkerDescription = serde_json::from_slice(line.as_bytes())
        .map_err(|error| failed(&format_args!("gave an invalid answer: {error}")))?;
    if description.protocol != WORKER_PROTOCOL {
        let other = description.protocol;
        return Err(failed(&format_args!(
            "speaks protocol {other}, expected {WORKER_PROTOCOL}"
        )));
    }
    let mut lanes = description.lanes.iter();
    if let Some(lane) = lanes.find(|lane| lane.min_warmup_ns > Some(LONGEST_WARMUP_NS)) {
        return Err(failed(&format_args!(
            "asks for a warm-up of more than {} s in each round of `{}`",
            LONGEST_WARMUP_NS / 1_000_000_000,
            lane.name
        )));
    }
    Ok(description.lanes)
}

/// Variables that change an interpreter's speed unasked; lanes set what they need.
const CLEARED: [&str; 11] = [
    "AIOHTTP_NO_EXTENSIONS",
    "GODEBUG",
    "GOGC",
    "GOMAXPROCS",
    "GOMEMLIMIT",
    "NODE_OPTIONS",
    "PYTHONASYNCIODEBUG",
    "PYTHONDEVMODE",
    "PYTHONTRACEMALLOC",
    "UV_THREADPOOL_SIZE",
    "UV_USE_IO_URING",
];

/// Removes those, and proxies: `http_proxy` and its like.
fn clear_environment(command: &mut Command) {
    for name in CLEARED {
        command.env_remove(name);
    }
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().to_lowercase().ends_with("_proxy") {
            command.env_remove(name);
        }
    }
}

/// The workers of a run's lanes, ready to be started: shipped scripts are in a directory of the run.
#[derive(Debug, Default)]
pub struct Launches {
    commands: BTreeMap<String, Vec<OsString>>,
}

impl Launches {
    /// The lanes of `plan`, with the shipped scripts written to `directory`.
    pub fn ready(plan: &Plan, directory: &Path) -> Result<Self, Failure> {
        let mut commands = BTreeMap::new();
        for (name, traits) in &plan.runtimes {
            let Some(worker) = &traits.worker else {
                continue;
            };
            let command = match SHIPPED.iter().find(|lane| lane.name == *name) {
                Some(shipped) if worker.sha256.is_some() => {
                    shipped.write_to(directory)?;
                    shipped.command_in(&worker.command, directory)
                }
                _ => worker.command.iter().map(OsString::from).collect(),
            };
            commands.insert(name.clone(), command);
        }
        Ok(Self { commands })
    }

    /// The command of the lane `runtime`, which starts its worker on `cpus`; `None` if `runtime` is not a lane.
    pub fn command(&self, runtime: &str, cpus: &[usize]) -> Option<Result<Command, Failure>> {
        let lane = self.commands.get(runtime)?;
        Some(launched(lane, cpus))
    }
}

/// The command that starts a worker on `cpus`, given its own command in words; still without its argument.
fn launched(words: &[OsString], cpus: &[usize]) -> Result<Command, Failure> {
    let cpus: Vec<String> = cpus.iter().map(usize::to_string).collect();
    let mut command = Command::new(crate::process::this_program()?);
    command.args(["launch", "--cpus", &cpus.join(","), "--"]);
    command.args(words);
    clear_environment(&mut command);
    Ok(command)
}

/// The command of a worker, and the directory of its scripts if it is shipped.
#[derive(Debug)]
pub struct LaneCommand {
    words: Vec<OsString>,
    directory: Option<tempfile::TempDir>,
    /// True for this program, which keeps the schedules of open loads by itself.
    is_own: bool,
}

/// The lanes of a worker: a runtime of this program or a shipped lane by name, or a command in words.
pub fn worker(words: &[String]) -> Result<(LaneCommand, Vec<LaneDescription>), Failure> {
    if let [name] = words
        && let Some(runtime) = descriptor(name)
    {
        let command = LaneCommand {
            words: vec![crate::process::this_program()?.into()],
            directory: None,
            is_own: true,
        };
        return Ok((command, vec![own_runtime(runtime)]));
    }
    let shipped = match words {
        [name] => SHIPPED.iter().find(|lane| lane.name == *name),
        _ => None,
    };
    let (command, directory) = match shipped {
        Some(lane) => lane
            .unpacked()
            .map(|(command, directory)| (command, Some(directory)))?,
        None => (words.to_vec(), None),
    };
    let path = directory.as_ref().map(tempfile::TempDir::path);
    let mut lanes = describe(&command, path)?;
    if let Some(shipped) = shipped {
        lanes.retain(|lane| lane.name == shipped.name);
    }
    let words = command.into_iter().map(OsString::from).collect();
    let command = LaneCommand {
        words,
        directory,
        is_own: false,
    };
    Ok((command, lanes))
}

/// A runtime of this program, described as a lane.
fn own_runtime(runtime: &Descriptor) -> LaneDescription {
    let can = |entry: &&WorkloadEntry| runtime.refusal(entry.about.needs).is_none();
    LaneDescription {
        name: runtime.name.to_owned(),
        family: runtime.family,
        stack: "Rust".to_owned(),
        summary: runtime.summary.to_owned(),
        workloads: workloads()
            .filter(can)
            .map(|entry| entry.about.name.to_owned())
            .collect(),
        cannot: BTreeMap::new(),
        open_load: true,
        min_warmup_ns: None,
        versions: BTreeMap::new(),
    }
}

/// A directory for the scripts of a lane that is only asked what it is.
fn scratch() -> Result<tempfile::TempDir, Failure> {
    tempfile::tempdir().or_fail("cannot make a temporary directory for the scripts of lanes")
}
