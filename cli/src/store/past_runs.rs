//! Past runs in a directory, and the leftovers of killed ones.
//!
//! A hidden directory is left behind if the lock in it is free: the system releases it with the process, so this needs
//! no trust in process ids. Only directories with a name, a lock and a record such as `run_directory` makes are
//! touched.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use photofinish_record::{Completion, Record};
use photofinish_reports::gate::GateReport;
use photofinish_reports::rule::Verdict;
use photofinish_reports::summary::{Group, Summary};
use photofinish_reports::{describe, units};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use crate::store::files::FileLock;
use crate::store::run_directory::{
    LOCK, RECORD, WORK, count_partial_rounds, hidden_name, load, load_head, remove_own_files,
};
use crate::store::run_id;

/// A run, as listed.
#[derive(Serialize)]
pub struct PastRun {
    pub id: String,
    pub path: PathBuf,
    pub started_utc: String,
    pub scenarios: Vec<String>,
    pub rounds: usize,
    pub status: Status,
    /// The verdict of a gate: `pass`.
    pub verdict: Option<&'static str>,
    /// Verdicts of the runtimes by their headline metrics; all 0 of a gate, a search, and a run that is not complete.
    pub verdicts: Verdicts,
    pub size_bytes: u64,
}

/// Verdicts, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdicts {
    pub faster: usize,
    pub slower: usize,
    pub tie: usize,
    pub inconclusive: usize,
}

impl Verdicts {
    fn of(record: &Record) -> Self {
        let mut counts = Self::default();
        if record.search.is_some() {
            return counts;
        }
        let summary = Summary::of(record);
        let groups = summary.groups();
        let comparisons = groups.iter().flat_map(Group::comparisons);
        for verdict in comparisons.filter_map(|(_, comparison)| comparison.verdict) {
            *match verdict {
                Verdict::Faster => &mut counts.faster,
                Verdict::Slower => &mut counts.slower,
                Verdict::Tie => &mut counts.tie,
                Verdict::Inconclusive => &mut counts.inconclusive,
            } += 1;
        }
        counts
    }
}

/// The state of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Complete,
    Interrupted,
    Failed,
    /// In its hidden directory, its process gone.
    Killed,
    /// In its hidden directory, its process alive, or on a file system without locks.
    Running,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Killed => "killed",
            Self::Running => "running",
        }
    }
}

/// The parts of a record needed for the list.
#[derive(Deserialize)]
struct Head {
    id: String,
    started_utc: String,
    completion: Completion,
    plan: HeadPlan,
    rounds: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct HeadPlan {
    scenarios: Vec<HeadScenario>,
    #[serde(default)]
    gate: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct HeadScenario {
    name: String,
}

/// The runs in `parent`, oldest first. Other directories are left out.
pub fn list(parent: &Path) -> io::Result<Vec<PastRun>> {
    let mut runs: Vec<_> = directories(parent)?.filter_map(past_run).collect();
    // An id has only the second, and then a random part.
    runs.sort_by(|one, other| (&one.started_utc, &one.id).cmp(&(&other.started_utc, &other.id)));
    Ok(runs)
}

/// The ids of the runs in `parent`, oldest first; none if it cannot be read.
pub fn ids(parent: &Path) -> Vec<String> {
    let directories = directories(parent).into_iter().flatten();
    let names = directories.filter_map(|path| path.file_name()?.to_str().map(str::to_owned));
    let mut ids: Vec<String> = names.filter(|name| run_id::is_one(name)).collect();
    ids.sort();
    ids
}

fn past_run(path: PathBuf) -> Option<PastRun> {
    let head: Head = load_head(&path).ok()?;
    let name = path.file_name()?.to_str()?;
    let hidden = name == hidden_name(&head.id);
    let status = match head.completion {
        _ if hidden && LeftBehind::claim(&path).is_some() => Status::Killed,
        _ if hidden => Status::Running,
        Completion::Complete => Status::Complete,
        Completion::Interrupted => Status::Interrupted,
        Completion::Failed { .. } => Status::Failed,
    };
    let is_gate = head.plan.gate.is_some();
    let complete = (status == Status::Complete).then(|| load(&path).ok());
    let complete = complete.flatten();
    let gate = complete.as_ref().filter(|_| is_gate);
    let run = complete.as_ref().filter(|_| !is_gate);
    Some(PastRun {
        verdict: gate.and_then(|record| Some(GateReport::of(record).ok()?.verdict.name())),
        verdicts: run.map(Verdicts::of).unwrap_or_default(),
        scenarios: head.plan.scenarios.into_iter().map(|it| it.name).collect(),
        rounds: match head.rounds.len() {
            0 => count_partial_rounds(&path),
            rounds => rounds,
        },
        size_bytes: size_bytes(&path),
        id: head.id,
        started_utc: head.started_utc,
        status,
        path,
    })
}

/// The directories in `parent`, which need not exist; links are left out.
pub fn directories(parent: &Path) -> io::Result<impl Iterator<Item = PathBuf>> {
    let entries = match fs::read_dir(parent) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        entries => Some(entries?),
    };
    let entries = entries.into_iter().flatten().filter_map(Result::ok);
    Ok(entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| entry.path()))
}

/// Bytes of all files below `path`, links not followed.
pub fn size_bytes(path: &Path) -> u64 {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => {
            let entries = fs::read_dir(path).into_iter().flatten();
            entries
                .filter_map(|entry| Some(size_bytes(&entry.ok()?.path())))
                .sum()
        }
        Ok(found) => found.len(),
        Err(_) => 0,
    }
}

/// The hidden directory of a killed run. While this value lives, no other process claims it.
struct LeftBehind {
    path: PathBuf,
    _lock: FileLock,
}

impl LeftBehind {
    /// `None` if the directory is not one of this program's, or its process may be alive.
    fn claim(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?;
        let id = name.strip_prefix('.')?.strip_suffix(".partial")?;
        let is_file = |name| {
            path.join(name)
                .symlink_metadata()
                .is_ok_and(|it| it.is_file())
        };
        if !run_id::is_one(id) || !is_file(LOCK) || !is_file(RECORD) {
            return None;
        }
        let lock = File::open(path.join(LOCK)).ok()?;
        Some(Self {
            path: path.to_owned(),
            _lock: FileLock::claim(lock).ok()??,
        })
    }

    /// Removes the workloads' files. Returns their size; `None` if there is no directory for them any more.
    fn clear(&self) -> Option<u64> {
        let work = self.path.join(WORK);
        work.symlink_metadata().ok().filter(|it| it.is_dir())?;
        let size = size_bytes(&work);
        fs::remove_dir_all(work).ok()?;
        Some(size)
    }
}

/// Removes the workloads' files of killed runs in `parent`. Returns a sentence for each of these runs, once.
pub fn sweep(parent: &Path) -> Vec<String> {
    let directories = directories(parent).into_iter().flatten();
    let left_behind = directories.filter_map(|path| LeftBehind::claim(&path));
    let swept = left_behind.filter_map(|run| Some(sentence(&run, run.clear()?)));
    swept.collect()
}

fn sentence(run: &LeftBehind, removed: u64) -> String {
    let path = run.path.display();
    let files = match removed {
        0 => String::new(),
        size => format!("; {} of its files were removed", units::bytes(size as f64)),
    };
    let rounds = count_partial_rounds(&run.path);
    let kept = match rounds {
        0 => "it had not finished a round".to_owned(),
        rounds => format!(
            "its {} are kept: photofinish report {path}",
            describe::plural(rounds, "round")
        ),
    };
    format!(
        "an earlier run was killed{files}; {kept}\nhint: `photofinish runs --prune` removes such runs"
    )
}

/// A leftover of a process, no longer in use.
pub struct Leftover {
    /// A path, or a name.
    pub what: String,
    pub size_bytes: u64,
    /// Time since its last use, if known.
    pub age: Option<Duration>,
    /// Removes what this program made. Returns the paths of other files, which stay.
    pub remove: Box<dyn FnOnce() -> io::Result<Vec<PathBuf>>>,
}

/// Time since a file was written.
pub fn age(file: &Path) -> Option<Duration> {
    file.metadata().ok()?.modified().ok()?.elapsed().ok()
}

/// The killed runs in `parent`.
pub fn leftovers(parent: &Path) -> Vec<Leftover> {
    let directories = directories(parent).into_iter().flatten();
    let left_behind = directories.filter_map(|path| LeftBehind::claim(&path));
    let leftover = |run: LeftBehind| Leftover {
        what: run.path.display().to_string(),
        size_bytes: size_bytes(&run.path),
        age: age(&run.path.join(RECORD)),
        remove: Box::new(move || remove_own_files(&run.path)),
    };
    left_behind.map(leftover).collect()
}
