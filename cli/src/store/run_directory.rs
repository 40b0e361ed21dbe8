//! The directory of a run: made before anything is measured, complete when it gets its name.
//!
//! Until the end everything is in a hidden directory beside the final place; a rename makes it visible, so a run
//! directory is whole or not there. Each finished round is appended to a file there at once: a run whose orchestrator
//! was killed can still be reported on. When the disk is full at the end, the record goes to the directory for
//! temporary files instead.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use photofinish_record::{Record, Round};

use crate::exit::Failure;

/// The name of the record in a run directory.
pub const RECORD: &str = "record.json";

/// Rounds so far, one JSON document per line; only in the hidden directory of a run that goes on or was killed.
const PARTIAL_ROUNDS: &str = "rounds.partial.jsonl";

/// Files that workloads make; removed when the run ends.
const WORK: &str = "work";

/// The name under which the newest run is found.
const LATEST: &str = "latest";

/// A run directory in the making. Dropping it leaves what was written so far.
pub struct RunDirectory {
    hidden: PathBuf,
    destination: PathBuf,
    partial_rounds: File,
}

/// A file of a run directory: its path in there, and its contents.
pub struct RunFile {
    /// Relative to the run directory.
    pub path: PathBuf,
    /// What is in it.
    pub contents: Vec<u8>,
}

impl RunDirectory {
    /// Makes the directory of the run `id` below `parent`; `record` is the record so far, without rounds.
    pub fn make(parent: &Path, record: &Record) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::could_not_run(format!(
                "cannot make a run directory in {}",
                parent.display()
            ))
            .caused_by(error)
            .hint("name a directory that can be written to, on a disk with room, with --out")
        };
        let hidden = parent.join(format!(".{}.partial", record.id));
        fs::create_dir_all(hidden.join(WORK)).map_err(failed)?;
        // Links and working directories must not change where it is.
        let hidden = hidden.canonicalize().map_err(failed)?;
        let made = Self::begin(&hidden, record).map_err(failed);
        match made {
            Ok(partial_rounds) => Ok(Self {
                destination: parent.join(&record.id),
                hidden,
                partial_rounds,
            }),
            Err(failure) => {
                // Nothing was measured yet, so nothing is lost.
                let _ = fs::remove_dir_all(&hidden);
                Err(failure)
            }
        }
    }

    fn begin(hidden: &Path, record: &Record) -> io::Result<File> {
        write_file(&hidden.join(RECORD), &json(record)?)?;
        OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(hidden.join(PARTIAL_ROUNDS))
    }

    /// Where workloads make their files.
    pub fn work_dir(&self) -> PathBuf {
        self.hidden.join(WORK)
    }

    /// Puts a finished round where a killed orchestrator leaves it behind.
    pub fn keep(&mut self, round: &Round) -> Result<(), Failure> {
        let append = || -> io::Result<()> {
            let mut line = serde_json::to_vec(round)?;
            line.push(b'\n');
            (&self.partial_rounds).write_all(&line)
        };
        append().map_err(|error| self.full(error))
    }

    fn full(&self, error: io::Error) -> Failure {
        let place = self.hidden.display();
        Failure::could_not_run(format!("cannot write to {place}, so the run was ended"))
            .caused_by(error)
            .hint("make room, or name a directory on another disk with --out")
    }

    /// Puts the plan, which has grown, where a killed orchestrator leaves it behind.
    pub fn keep_plan(&self, record: &Record) -> Result<(), Failure> {
        self.keep_record(record).map_err(|error| self.full(error))
    }

    /// Writes the record where it stays behind even if nothing else can be made of it.
    pub fn keep_record(&self, record: &Record) -> io::Result<()> {
        write_file(&self.hidden.join(RECORD), &json(record)?)
    }

    /// Removes what the workloads made.
    fn remove_work(&self) {
        // What stays behind is seen by the user and does no harm.
        let _ = fs::remove_dir_all(self.work_dir());
    }

    /// Writes the record and the other `files`, and gives the directory its name; returns where it is.
    pub fn complete(self, record: &Record, files: &[RunFile]) -> Result<PathBuf, Failure> {
        self.remove_work();
        match self.write_whole(record, files) {
            Ok(()) => {
                // A link is a convenience; a run without it is complete.
                let _ = point_latest_to(&self.destination);
                Ok(self.destination)
            }
            Err(error) => Err(self.rescue(record, error)),
        }
    }

    fn write_whole(&self, record: &Record, files: &[RunFile]) -> io::Result<()> {
        write_file(&self.hidden.join(RECORD), &json(record)?)?;
        for file in files {
            write_file(&self.hidden.join(&file.path), &file.contents)?;
        }
        fs::remove_file(self.hidden.join(PARTIAL_ROUNDS))?;
        fs::rename(&self.hidden, &self.destination)
    }

    fn rescue(self, record: &Record, error: io::Error) -> Failure {
        let elsewhere = std::env::temp_dir().join(format!("photofinish-{}.{RECORD}", record.id));
        let rescued = json(record).and_then(|contents| write_file(&elsewhere, &contents));
        let failure = Failure::could_not_run(format!(
            "cannot write the run to {}",
            self.destination.display()
        ))
        .caused_by(error);
        match rescued {
            Ok(()) => {
                let _ = fs::remove_dir_all(&self.hidden);
                let record = elsewhere.display();
                failure.hint(format!(
                    "the record is in {record}; make room, then `photofinish report {record}`"
                ))
            }
            Err(_) => failure.hint(format!(
                "what could be written is in {}",
                self.hidden.display()
            )),
        }
    }
}

fn json(record: &Record) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(record)?;
    text.push(b'\n');
    Ok(text)
}

/// Puts a file in its place whole: what stood there stays until the new one is complete.
fn write_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let written = fill(&fresh, contents).and_then(|()| fs::rename(&fresh, path));
    written.inspect_err(|_| {
        // On a full disk, what was written of it is in the way.
        let _ = fs::remove_file(&fresh);
    })
}

fn fill(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(contents)?;
    // A rename may reach the disk before the data does.
    file.sync_all()
}

fn point_latest_to(destination: &Path) -> io::Result<()> {
    let (Some(parent), Some(name)) = (destination.parent(), destination.file_name()) else {
        return Ok(());
    };
    let fresh = parent.join(format!(".{LATEST}.{}", std::process::id()));
    std::os::unix::fs::symlink(name, &fresh)?;
    fs::rename(&fresh, parent.join(LATEST)).inspect_err(|_| {
        let _ = fs::remove_file(&fresh);
    })
}

/// Writes files below `directory`, for people who asked for them there.
pub fn write_files(directory: &Path, files: &[RunFile]) -> Result<(), Failure> {
    let mut each = files.iter();
    each.try_for_each(|file| write_file(&directory.join(&file.path), &file.contents))
        .map_err(|error| {
            Failure::could_not_run(format!("cannot write to {}", directory.display()))
                .caused_by(error)
                .hint("name a directory that can be written to with --out")
        })
}

/// Reads the record of a run: from its directory, or from the file itself.
pub fn load(path: &Path) -> Result<Record, Failure> {
    let file = match path.is_dir() {
        true => path.join(RECORD),
        false => path.to_owned(),
    };
    let text = fs::read_to_string(&file).map_err(|error| {
        Failure::could_not_run(format!("cannot read {}", file.display()))
            .caused_by(error)
            .hint("name a run directory, such as photofinish-runs/latest, or a record.json")
    })?;
    let mut record = understand(&text, &file)?;
    if record.rounds.is_empty() {
        record.rounds = partial_rounds(&file.with_file_name(PARTIAL_ROUNDS));
    }
    Ok(record)
}

fn understand(text: &str, file: &Path) -> Result<Record, Failure> {
    use photofinish_record::RECORD_SCHEMA;
    let no_record = |cause: String| {
        Failure::could_not_run(format!("{} is no record of this version", file.display()))
            .caused_by(cause)
            .hint(format!(
                "this version reads `{RECORD_SCHEMA}`; `photofinish schema record` describes it"
            ))
    };
    let record: Record =
        serde_json::from_str(text).map_err(|error| no_record(error.to_string()))?;
    match record.schema.as_str() {
        RECORD_SCHEMA => Ok(record),
        other => Err(no_record(format!("its schema is `{other}`"))),
    }
}

/// The rounds a killed orchestrator left behind; the last line may be cut off.
fn partial_rounds(file: &Path) -> Vec<Round> {
    let Ok(file) = File::open(file) else {
        return Vec::new();
    };
    let lines = BufReader::new(file).lines().map_while(Result::ok);
    lines
        .map_while(|line| serde_json::from_str(&line).ok())
        .collect()
}
