//! The directory of a run: created before anything is measured, renamed when it is complete.
//!
//! Until the end everything is in a hidden directory next to the final one, so a run directory is either complete or
//! absent. Each finished round is immediately appended to a file there: a run whose orchestrator was killed can still
//! be reported on. A lock on a file there, which the system releases with the process, tells a run that goes on from
//! what a killed one left behind (`past_runs`). If the disk is full at the end, the record goes to the directory for
//! temporary files.

use std::fmt::Display;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use photofinish_record::{RECORD_SCHEMA, Record, Round};
use photofinish_reports::{embedded, formats};
use serde::de::{DeserializeOwned, IgnoredAny};

use crate::exit::{Failure, OrFail};
use crate::store::artifacts::{CHARTS, HISTOGRAM_LOG, PAGE};
use crate::store::files::{self, write_below, write_file};

/// The name of the record in a run directory.
pub const RECORD: &str = "record.json";

/// Finished rounds, one JSON document per line; only in the hidden directory of a run that is not complete.
const PARTIAL_ROUNDS: &str = "rounds.partial.jsonl";

/// The directory for workloads' files; removed when the run ends.
pub const WORK: &str = "work";

/// A file that is locked as long as the run's process lives; only in the hidden directory. Lists the files
/// that are written last.
pub const LOCK: &str = ".lock";

/// A link to the newest run.
pub const LATEST: &str = "latest";

/// Maximum size of a record; one of 100,000 rounds has 300 MB.
const LARGEST_RECORD: u64 = 512 << 20;

/// Maximum size of one round in [`PARTIAL_ROUNDS`].
const LARGEST_ROUND: u64 = 16 << 20;

/// The hidden directory of a run. Dropping it leaves its files in place.
pub struct RunDirectory {
    hidden: PathBuf,
    destination: PathBuf,
    partial_rounds: File,
    /// `None` on a file system without locks.
    lock: Option<File>,
}

/// True for a file that a complete run consists of.
pub fn is_part_of_run(file: &Path) -> bool {
    let own = [RECORD, PAGE, HISTOGRAM_LOG].map(Path::new);
    let mut folders = file.ancestors().skip(1).take(2);
    let run = folders.find(|folder| folder.join(RECORD).is_file());
    let name = run.and_then(|run| file.strip_prefix(run).ok());
    name.is_some_and(|name| own.contains(&name) || name.starts_with(CHARTS))
}

/// The name of the hidden directory of the run `id`.
pub fn hidden_name(id: &str) -> String {
    format!(".{id}.partial")
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
        fs::create_dir_all(parent).map_err(failed)?;
        let hidden = parent.join(hidden_name(&record.id));
        fs::create_dir(&hidden).map_err(failed)?;
        // Later changes to links and the working directory must not matter.
        let hidden = hidden.canonicalize().map_err(failed)?;
        match Self::begin(&hidden, record).map_err(failed) {
            Ok((partial_rounds, lock)) => Ok(Self {
                destination: parent.join(&record.id),
                hidden,
                partial_rounds,
                lock,
            }),
            Err(failure) => {
                // Nothing was measured yet, so nothing is lost.
                let _ = fs::remove_dir_all(&hidden);
                Err(failure)
            }
        }
    }

    /// Locks the directory before it contains anything that another process might take for leftovers.
    fn begin(hidden: &Path, record: &Record) -> io::Result<(File, Option<File>)> {
        let lock = lock(&hidden.join(LOCK))?;
        fs::create_dir(hidden.join(WORK))?;
        write_file(&hidden.join(RECORD), &json(record)?)?;
        let rounds = OpenOptions::new()
            .create_new(true)
            .append(true)
            .open(hidden.join(PARTIAL_ROUNDS))?;
        Ok((rounds, lock))
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
    pub fn complete(
        self,
        record: &Record,
        files: impl IntoIterator<Item = formats::File>,
    ) -> Result<PathBuf, Failure> {
        // Files that cannot be removed do no harm.
        let _ = fs::remove_dir_all(self.work_dir());
        match self.write_whole(record, files) {
            Ok(()) => Ok(self.destination),
            Err(error) => Err(self.rescue(record, error)),
        }
    }

    fn write_whole(
        &self,
        record: &Record,
        files: impl IntoIterator<Item = formats::File>,
    ) -> io::Result<()> {
        self.keep_record(record)?;
        for file in files {
            self.announce(&file)?;
            write_below(&self.hidden, &file)?;
        }
        fs::remove_file(self.hidden.join(PARTIAL_ROUNDS))?;
        fs::rename(&self.hidden, &self.destination)?;
        // Last, so that no process takes the directory for leftovers in between. An extra file does no harm.
        let _ = fs::remove_file(self.destination.join(LOCK));
        Ok(())
    }

    /// Lists a file about to be written, so that after a kill it is known to be the run's own.
    fn announce(&self, file: &formats::File) -> io::Result<()> {
        match self.lock.as_ref() {
            Some(mut lock) => lock.write_all(format!("{}\n", file.name).as_bytes()),
            None => Ok(()),
        }
    }

    fn rescue(self, record: &Record, error: io::Error) -> Failure {
        let elsewhere = std::env::temp_dir().join(format!("photofinish-{}.{RECORD}", record.id));
        let rescued = json(record).and_then(|contents| write_new(&elsewhere, &contents));
        let failure = Failure::could_not_run(format!(
            "cannot write the run to {}",
            self.destination.display()
        ))
        .caused_by(error);
        match rescued {
            Ok(()) => {
                let _ = remove_own_files(&self.hidden);
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

/// Writes a file that is not there yet: in a directory that others can write to, an existing one may be a trap.
fn write_new(path: &Path, contents: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(contents)?;
    file.sync_all()
}

/// Removes what a killed run wrote to its hidden directory. Returns the paths of other files, which stay.
pub fn remove_own_files(hidden: &Path) -> io::Result<Vec<PathBuf>> {
    let announced = fs::read_to_string(hidden.join(LOCK))?;
    let announced = announced.lines().map(Path::new);
    let is_below = |path: &&Path| {
        path.components()
            .all(|part| matches!(part, Component::Normal(_)))
    };
    let own = announced
        .filter(is_below)
        .chain([RECORD, PARTIAL_ROUNDS].map(Path::new));
    let work = hidden.join(WORK);
    if work.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        fs::remove_dir_all(work)?;
    }
    let charts = hidden.join(CHARTS);
    let has_charts = charts.symlink_metadata().is_ok_and(|found| found.is_dir());
    for path in own.filter(|path| has_charts || !path.starts_with(CHARTS)) {
        remove_if_file(&hidden.join(path))?;
    }
    for folder in has_charts
        .then_some(charts.as_path())
        .into_iter()
        .chain([hidden])
    {
        for entry in fs::read_dir(folder)?.flatten() {
            if files::is_unfinished(&entry.file_name()) {
                remove_if_file(&entry.path())?;
            }
        }
    }
    // The lock goes last: until then another process can resume if this one is killed.
    remove_if_file(&hidden.join(LOCK))?;
    let _ = fs::remove_dir(charts);
    match fs::remove_dir(hidden) {
        Ok(()) => Ok(Vec::new()),
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            let entries = fs::read_dir(hidden)?;
            entries.map(|entry| Ok(entry?.path())).collect()
        }
        Err(error) => Err(error),
    }
}

/// Removes a file, which need not exist; a link or a directory stays.
fn remove_if_file(path: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_ok_and(|found| found.is_file()) {
        fs::remove_file(path)?;
    }
    Ok(())
}

/// Creates a file and locks it until this process ends; `None` if the file system has no locks.
fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = File::create_new(path)?;
    if file.lock().is_err() {
        // An unlocked file would mean that this process is gone.
        fs::remove_file(path)?;
        return Ok(None);
    }
    Ok(Some(file))
}

/// Points `latest` to a complete run.
pub fn point_latest_to(run: &Path) -> Result<(), Failure> {
    let (Some(parent), Some(name)) = (run.parent(), run.file_name()) else {
        return Ok(());
    };
    let latest = parent.join(LATEST);
    let fresh = parent.join(format!(".{LATEST}.{}", std::process::id()));
    let pointed = std::os::unix::fs::symlink(name, &fresh)
        .and_then(|()| fs::rename(&fresh, &latest))
        .inspect_err(|_| {
            let _ = fs::remove_file(&fresh);
        });
    let message = format!("{} does not point to this run", latest.display());
    if latest.is_dir() && !latest.is_symlink() {
        let reason = "it is a directory, not a link; rename or remove it";
        return pointed.or_fail(format!("{message}: {reason}"));
    }
    pointed.or_fail(message)
}

/// The run that a user names: by its path, or by its id among those in `parent`; the newest there without a name.
pub fn find(parent: &Path, named: Option<&Path>) -> PathBuf {
    let Some(named) = named else {
        return parent.join(LATEST);
    };
    let hidden = named.to_str().map(hidden_name).unwrap_or_default();
    let places = [named.to_owned(), parent.join(named), parent.join(hidden)];
    let found = places.into_iter().find(|place| place.exists());
    found.unwrap_or_else(|| named.to_owned())
}

/// Reads the record of a run: from its directory, or from the file itself.
pub fn load(path: &Path) -> Result<Record, Failure> {
    let file = record_file(path);
    let mut record: Record = read(&file)?;
    if record.rounds.is_empty() {
        record.rounds = partial_rounds(&file.with_file_name(PARTIAL_ROUNDS));
    }
    let wrong = |error| not_a_record(&file.display()).caused_by(error);
    record.check().map_err(wrong)?;
    Ok(record)
}

/// Reads parts of the record of a run, without its rounds.
pub fn load_head<T: DeserializeOwned>(run: &Path) -> Result<T, Failure> {
    read(&record_file(run))
}

/// The number of rounds of a run that was killed or is still running.
pub fn count_partial_rounds(run: &Path) -> usize {
    let read = |line: Vec<u8>| serde_json::from_slice::<IgnoredAny>(&line).ok();
    partial_lines(&run.join(PARTIAL_ROUNDS))
        .map_while(read)
        .count()
}

/// The file of a record: the path itself, or in the directory there.
pub fn record_file(path: &Path) -> PathBuf {
    if path.is_dir() {
        path.join(RECORD)
    } else {
        path.to_owned()
    }
}

/// The page of a run: the path itself if it is a page, otherwise the one beside the record, which need not exist.
pub fn page_of(path: &Path) -> PathBuf {
    let mut beginning = Vec::new();
    let file = File::open(path).map(|file| file.take(64));
    let is_page = path.is_file()
        && file.is_ok_and(|mut file| file.read_to_end(&mut beginning).is_ok())
        && embedded::is_page(&beginning);
    if is_page {
        path.to_owned()
    } else {
        record_file(path).with_file_name(PAGE)
    }
}

/// The record in the JSON text `name`, which is no file.
pub fn parse(name: &dyn Display, json: &[u8]) -> Result<Record, Failure> {
    Record::read(json).map_err(|error| not_a_record(name).caused_by(error))
}

fn not_a_record(name: &dyn Display) -> Failure {
    Failure::could_not_run(format!("{name} is not a record of this version")).hint(format!(
        "this version reads `{RECORD_SCHEMA}`; `photofinish schema record` describes it"
    ))
}

fn unusable_page(file: &Path, error: embedded::Error) -> Failure {
    let message = format!("cannot read the record of {}", file.display());
    let hint = match error {
        embedded::Error::Absent => format!(
            "pages of earlier versions, of large runs and of `compare` have none; name the run directory or its {RECORD}"
        ),
        _ => format!("name the run directory or its {RECORD}"),
    };
    Failure::could_not_run(message).caused_by(error).hint(hint)
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<T, Failure> {
    let text = read_bounded(file).map_err(|error| match error.kind() {
        io::ErrorKind::InvalidData => not_a_record(&file.display()).caused_by(error),
        io::ErrorKind::NotFound => {
            Failure::could_not_run(format!("no run at {}", file.display()))
                .hint("`photofinish runs` lists the runs; name a run directory, such as photofinish-runs/latest, or a record.json")
        }
        _ => Failure::could_not_run(format!("cannot read {}", file.display()))
            .caused_by(error)
            .hint("name a run directory, such as photofinish-runs/latest, or a record.json"),
    })?;
    let json = if embedded::is_page(text.as_bytes()) {
        embedded::extract(&text).map_err(|error| unusable_page(file, error))?
    } else {
        text.into_bytes()
    };
    photofinish_record::read(&json).map_err(|error| not_a_record(&file.display()).caused_by(error))
}

/// The text of a record or of a page. Reads a limited amount, and only if it begins like one: a device has no end.
fn read_bounded(file: &Path) -> io::Result<String> {
    let invalid = |message: &str| io::Error::new(io::ErrorKind::InvalidData, message);
    let too_large = || invalid(&format!("it is larger than {} MiB", LARGEST_RECORD >> 20));
    let file = File::open(file)?;
    if file.metadata()?.len() > LARGEST_RECORD {
        return Err(too_large());
    }
    let mut reader = BufReader::new(file.take(LARGEST_RECORD + 1));
    let beginning = reader.fill_buf()?;
    let first = beginning.trim_ascii_start().first();
    if first.is_some_and(|first| *first != b'{') && !embedded::is_page(beginning) {
        return Err(invalid("it begins neither with `{` nor like a page"));
    }
    let mut text = String::new();
    reader.read_to_string(&mut text)?;
    if text.len() as u64 > LARGEST_RECORD {
        return Err(too_large());
    }
    Ok(text)
}

/// The rounds of a killed run; the last line may be incomplete.
fn partial_rounds(file: &Path) -> Vec<Round> {
    let read = |line: Vec<u8>| photofinish_record::read(&line).ok();
    partial_lines(file).map_while(read).collect()
}

fn partial_lines(file: &Path) -> impl Iterator<Item = Vec<u8>> {
    let file = File::open(file).ok();
    let mut reader = file.map(|file| BufReader::new(file.take(LARGEST_RECORD)));
    std::iter::from_fn(move || {
        let mut line = Vec::new();
        let reader = reader.as_mut()?;
        let read = reader.take(LARGEST_ROUND).read_until(b'\n', &mut line);
        read.is_ok_and(|length| length > 0).then_some(line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Goal: a rescued record never overwrites another user's file. Method: a link where the record would go.
    #[test]
    fn a_rescued_record_overwrites_nothing_and_follows_no_link() {
        let directory = tempfile::tempdir().expect("a directory");
        let [target, link] = ["target", "link"].map(|name| directory.path().join(name));
        fs::write(&target, "mine").expect("written");
        std::os::unix::fs::symlink(&target, &link).expect("linked");
        for taken in [&target, &link] {
            write_new(taken, b"record").expect_err("it exists");
        }
        assert_eq!(fs::read(&target).expect("a file"), b"mine");
        write_new(&directory.path().join("new"), b"record").expect("written");
    }
}
