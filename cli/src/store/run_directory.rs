//! The directory of a run: created before anything is measured, renamed when it is complete.
//!
//! Until the end everything is in a hidden directory next to the final one, so a run directory is either complete or
//! absent. Each finished round is immediately appended to a file there: a run whose orchestrator was killed can still
//! be reported on. If the disk is full at the end, the record goes to the directory for temporary files.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use photofinish_record::{RECORD_SCHEMA, Record, Round};
use photofinish_reports::formats;

use crate::exit::Failure;

/// The name of the record in a run directory.
pub const RECORD: &str = "record.json";

/// Finished rounds, one JSON document per line; only in the hidden directory of a run that is not complete.
const PARTIAL_ROUNDS: &str = "rounds.partial.jsonl";

/// The directory for workloads' files; removed when the run ends.
const WORK: &str = "work";

/// A link to the newest run.
const LATEST: &str = "latest";

/// The hidden directory of a run. Dropping it leaves its files in place.
pub struct RunDirectory {
    hidden: PathBuf,
    destination: PathBuf,
    partial_rounds: File,
}

impl RunDirectory {
    /// Creates the directory of a run in `parent`; `record` has no rounds yet.
    pub fn make(parent: &Path, record: &Record) -> Result<Self, Failure> {
        let failed = |error: io::Error| {
            Failure::could_not_run(format!(
                "cannot make a run directory in {}",
                parent.display()
            ))
            .caused_by(error)
            .hint("use --out to choose a writable directory on a disk with free space")
        };
        let hidden = parent.join(format!(".{}.partial", record.id));
        fs::create_dir_all(hidden.join(WORK)).map_err(failed)?;
        // Later changes to links and the working directory must not matter.
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

    /// The directory for workloads' files.
    pub fn work_dir(&self) -> PathBuf {
        self.hidden.join(WORK)
    }

    /// Stores a finished round, so that it survives this process.
    pub fn keep(&mut self, round: &Round) -> Result<(), Failure> {
        let append = || -> io::Result<()> {
            let mut line = serde_json::to_vec(round)?;
            line.push(b'\n');
            (&self.partial_rounds).write_all(&line)
        };
        append().map_err(|error| self.full(error))
    }

    fn full(&self, error: io::Error) -> Failure {
        let directory = self.hidden.display();
        Failure::could_not_run(format!("cannot write to {directory}, so the run was ended"))
            .caused_by(error)
            .hint("free some space, or use --out to choose a directory on another disk")
    }

    /// Stores the record with a plan that has grown.
    pub fn keep_plan(&self, record: &Record) -> Result<(), Failure> {
        self.keep_record(record).map_err(|error| self.full(error))
    }

    /// Writes the record, so that it survives a failure to render it.
    pub fn keep_record(&self, record: &Record) -> io::Result<()> {
        write_file(&self.hidden.join(RECORD), &json(record)?)
    }

    /// Writes the record and `files`, and renames the directory. Returns its path.
    pub fn complete(self, record: &Record, files: &[formats::File]) -> Result<PathBuf, Failure> {
        // Files that cannot be removed do no harm.
        let _ = fs::remove_dir_all(self.work_dir());
        match self.write_whole(record, files) {
            Ok(()) => {
                // A link is a convenience; a run without it is complete.
                let _ = point_latest_to(&self.destination);
                Ok(self.destination)
            }
            Err(error) => Err(self.rescue(record, error)),
        }
    }

    fn write_whole(&self, record: &Record, files: &[formats::File]) -> io::Result<()> {
        self.keep_record(record)?;
        for file in files {
            write_file(&self.hidden.join(&file.name), &file.bytes)?;
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
                    "the record is in {record}; free some space, then run `photofinish report {record}`"
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

/// Writes a file atomically: an older version stays until the new one is complete.
fn write_file(path: &Path, contents: &[u8]) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(".new");
    let fresh = PathBuf::from(fresh);
    let written = fill(&fresh, contents).and_then(|()| fs::rename(&fresh, path));
    written.inspect_err(|_| {
        // On a full disk, an incomplete file would only take up space.
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

/// Writes files into the user's `directory`.
pub fn write_files(directory: &Path, files: &[formats::File]) -> Result<(), Failure> {
    let mut each = files.iter();
    each.try_for_each(|file| write_user_file(&directory.join(&file.name), &file.bytes))
}

/// Writes a file that the user named.
pub fn write_user_file(path: &Path, contents: &[u8]) -> Result<(), Failure> {
    write_file(path, contents).map_err(|error| {
        Failure::could_not_run(format!("cannot write {}", path.display()))
            .caused_by(error)
            .hint("use --out to choose a writable directory")
    })
}

/// Reads the record of a run: from its directory, or from the file itself.
pub fn load(path: &Path) -> Result<Record, Failure> {
    let file = if path.is_dir() {
        path.join(RECORD)
    } else {
        path.to_owned()
    };
    let text = fs::read_to_string(&file).map_err(|error| {
        Failure::could_not_run(format!("cannot read {}", file.display()))
            .caused_by(error)
            .hint("name a run directory, such as photofinish-runs/latest, or a record.json")
    })?;
    let mut record = parse(&text, &file)?;
    if record.rounds.is_empty() {
        record.rounds = partial_rounds(&file.with_file_name(PARTIAL_ROUNDS));
    }
    Ok(record)
}

fn parse(text: &str, file: &Path) -> Result<Record, Failure> {
    let failed = |cause: String| {
        Failure::could_not_run(format!(
            "{} is not a record of this version",
            file.display()
        ))
        .caused_by(cause)
        .hint(format!(
            "this version reads `{RECORD_SCHEMA}`; `photofinish schema record` describes it"
        ))
    };
    let record: Record = serde_json::from_str(text).map_err(|error| failed(error.to_string()))?;
    match record.schema.as_str() {
        RECORD_SCHEMA => Ok(record),
        other => Err(failed(format!("its schema is `{other}`"))),
    }
}

/// The rounds of a killed run; the last line may be incomplete.
fn partial_rounds(file: &Path) -> Vec<Round> {
    let Ok(file) = File::open(file) else {
        return Vec::new();
    };
    let lines = BufReader::new(file).lines().map_while(Result::ok);
    lines
        .map_while(|line| serde_json::from_str(&line).ok())
        .collect()
}
