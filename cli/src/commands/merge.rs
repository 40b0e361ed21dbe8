//! `photofinish merge`: one record of the records of a run's shards.

use std::fmt::Display;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use photofinish_harness::meeting::{ENDED, Meeting, MeetingError};
use photofinish_record::merge::Merger;
use photofinish_record::{Completion, Record};
use photofinish_reports::report::Report;
use photofinish_reports::terminal;
use photofinish_scenarios::plan::plan_hash;
use photofinish_scenarios::scenario::parse_length;

use super::run;
use crate::exit::{Exit, Failure, OrFail};
use crate::meeting_place::MeetingPlace;
use crate::output;
use crate::run::shards::RECORDS;
use crate::run::{identity, measuring};
use crate::store::run_directory::{self, RunDirectory};
use crate::store::run_id::RunId;

/// Merge the records of a run's shards into one
///
/// Counts and histograms are added, percentiles are read after the addition, and throughput is operations over the common
/// window. Without all shards the record is partial: it can be read, and has no verdict (exit code 5).
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish merge /shared/run-42
  photofinish merge s3://bucket/run-42
  photofinish merge shard-0/record.json shard-1/record.json shard-2/record.json")]
pub struct Merge {
    /// Stores of sharded runs, run directories or record.json files; a store s3://BUCKET/PREFIX gets the merged record as well
    #[arg(required = true, value_name = "DIR|FILE")]
    records: Vec<MeetingPlace>,

    /// Wait until all shards have left their records in the store
    #[arg(long, value_name = "TIME", value_parser = parse_length)]
    wait: Option<Duration>,

    /// Parent of the run directory of the merged run
    #[arg(long, value_name = "DIR", default_value = "photofinish-runs")]
    out: PathBuf,
}

impl Merge {
    pub fn execute(self) -> Result<Exit, Failure> {
        let sources = self.sources()?;
        if let Some(limit) = self.wait {
            wait(&sources, limit)?;
        }
        let mut merger = Merger::default();
        for source in &sources {
            source.add_to(&mut merger)?;
        }
        let mut record = merger
            .finish()
            .map_err(|error| Failure::usage(error.to_string()))?;
        identity::compare_merged(&mut record);
        record.id = RunId::now()?.id;
        record.plan_hash = plan_hash(&record.plan, record.seed);
        let directory = RunDirectory::make(&self.out, &unmeasured(&record))?;
        let report = Report::of(&record);
        let path = measuring::write(&report, directory)?;
        output::say(&terminal::render_in(
            &report,
            output::style(),
            output::detail(),
        ))?;
        if !output::is_quiet() {
            output::say(&format!(
                "\nRecord: {}",
                path.join(run_directory::RECORD).display()
            ))?;
        }
        for source in &sources {
            source.keep(&record.id, &path)?;
        }
        let ended_early = match &record.completion {
            Completion::Failed { reason } => Some(format!("the run failed: {reason}")),
            Completion::Interrupted | Completion::Complete => None,
        };
        let exit = run::exit(&record, &report.summary)?;
        ended_early.map_or(Ok(exit), |reason| Err(Failure::could_not_run(reason)))
    }

    fn sources(&self) -> Result<Vec<Source>, Failure> {
        let source = |place: &MeetingPlace| {
            let may_come = self.wait.is_some();
            match place {
                MeetingPlace::Directory(path) if is_record_of_run(path, may_come) => {
                    Ok(Source::Record(path.clone()))
                }
                _ => Ok(Source::Store {
                    place: place.clone(),
                    meeting: place.open()?,
                }),
            }
        };
        self.records.iter().map(source).collect()
    }
}

/// True for a record or a run's directory; false for a store, which `may_come` later.
fn is_record_of_run(path: &Path, may_come: bool) -> bool {
    let is_store = path.is_dir() || (may_come && !path.exists());
    !is_store || path.join(run_directory::RECORD).is_file()
}

/// A place with records.
enum Source {
    /// A record, or a run's directory.
    Record(PathBuf),
    Store {
        place: MeetingPlace,
        meeting: Meeting,
    },
}

impl Source {
    fn add_to(&self, merger: &mut Merger) -> Result<(), Failure> {
        match self {
            Self::Record(path) => add(merger, &path.display(), run_directory::load(path)?),
            Self::Store { place, meeting } => {
                let names = records(meeting).map_err(|error| unusable(place, &error))?;
                if names.is_empty() {
                    return Err(nothing_left(place));
                }
                for name in names {
                    let record = load(place, meeting, &name)?;
                    add(merger, &format_args!("{place}/{name}"), record)?;
                }
                Ok(())
            }
        }
    }

    /// Keeps the merged run in a store that is not a directory: the job that merges may have no other place that lasts.
    fn keep(&self, id: &str, run: &Path) -> Result<(), Failure> {
        let Self::Store {
            place: place @ MeetingPlace::Bucket(_),
            meeting,
        } = self
        else {
            return Ok(());
        };
        let folder = format!("merged/{id}");
        for file in [run_directory::RECORD, "report.html"] {
            let content = fs::read(run.join(file)).or_fail(format!("cannot read {file}"))?;
            let created = meeting.create(&format!("{folder}/{file}"), &content);
            created.map_err(|error| unusable(place, &error))?;
        }
        if !output::is_quiet() {
            output::say(&format!("Kept in {place}/{folder}"))?;
        }
        Ok(())
    }
}

fn add(merger: &mut Merger, name: &dyn Display, record: Record) -> Result<(), Failure> {
    merger.add(record).map_err(|error| {
        Failure::usage(format!("{name} cannot be merged: {error}"))
            .hint("name the store of one run, or the record of each of its shards once")
    })
}

/// The names of the records in a store, in order.
fn records(meeting: &Meeting) -> Result<Vec<String>, MeetingError> {
    let names = meeting.names(RECORDS)?.into_iter();
    let mut names: Vec<String> = names
        .filter(|name| name.ends_with(".json"))
        .map(|name| format!("{RECORDS}/{name}"))
        .collect();
    names.sort();
    Ok(names)
}

fn load(place: &MeetingPlace, meeting: &Meeting, name: &str) -> Result<Record, Failure> {
    if let MeetingPlace::Directory(path) = place {
        return run_directory::load(&path.join(name));
    }
    let content = meeting.read(name);
    let content = content.map_err(|error| unusable(place, &error))?;
    run_directory::parse(&format_args!("{place}/{name}"), &content)
}

fn unusable(place: &MeetingPlace, error: &MeetingError) -> Failure {
    Failure::could_not_run(error.to_string()).hint(place.advice())
}

/// Time between two looks at the stores.
const LOOK: Duration = Duration::from_millis(500);

/// Time for shards to leave their records once one of them has ended the run: a killed one never does.
const GRACE: Duration = Duration::from_secs(10);

/// Waits until each store has the records of all of its shards; what is missing after `limit`, or some time after the end of
/// the run, is missing.
fn wait(sources: &[Source], limit: Duration) -> Result<(), Failure> {
    let since = Instant::now();
    for source in sources {
        let Source::Store { place, meeting } = source else {
            continue;
        };
        let unusable = |error: MeetingError| unusable(place, &error);
        let (mut ended, mut expected): (Option<Instant>, Option<usize>) = (None, None);
        while since.elapsed() < limit {
            let left = records(meeting).map_err(unusable)?;
            if let (None, Some(first)) = (expected, left.first()) {
                let shards = load(place, meeting, first)?.shards;
                expected = Some(shards.map_or(1, |shards| shards.count.get() as usize));
            }
            let is_over = ended.is_some_and(|ended| ended.elapsed() >= GRACE);
            if is_over || expected.is_some_and(|expected| left.len() >= expected) {
                break;
            }
            if ended.is_none() && meeting.find(ENDED).map_err(unusable)?.is_some() {
                ended = Some(Instant::now());
            }
            thread::sleep(LOOK);
        }
    }
    Ok(())
}

/// The record before its first round, as a run directory begins.
fn unmeasured(record: &Record) -> Record {
    Record {
        rounds: Vec::new(),
        ..record.clone()
    }
}

/// A store without records.
fn nothing_left(store: &MeetingPlace) -> Failure {
    Failure::could_not_run(format!("no shard has left a record in {store}"))
        .hint("shards leave their records when they have ended; --wait TIME waits for them")
}
