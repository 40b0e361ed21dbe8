//! `photofinish merge`: one record of the records of a run's shards.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use clap::Args;
use photofinish_record::merge::Merger;
use photofinish_record::{Completion, Record};
use photofinish_reports::report::Report;
use photofinish_reports::terminal;
use photofinish_scenarios::plan::plan_hash;
use photofinish_scenarios::scenario::parse_length;

use super::run;
use crate::exit::{Exit, Failure, OrFail};
use crate::output;
use crate::run::measuring;
use crate::run::shards::RECORDS;
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
  photofinish merge shard-0/record.json shard-1/record.json shard-2/record.json")]
pub struct Merge {
    /// Stores of sharded runs, run directories or record.json files
    #[arg(required = true, value_name = "DIR|FILE")]
    records: Vec<PathBuf>,

    /// Wait until all shards have left their records in the store
    #[arg(long, value_name = "TIME", value_parser = parse_length)]
    wait: Option<Duration>,

    /// Parent of the run directory of the merged run
    #[arg(long, value_name = "DIR", default_value = "photofinish-runs")]
    out: PathBuf,
}

impl Merge {
    pub fn execute(self) -> Result<Exit, Failure> {
        if let Some(limit) = self.wait {
            wait(&self.records, limit)?;
        }
        let mut merger = Merger::default();
        for path in files(&self.records)? {
            let record = run_directory::load(&path)?;
            merger.add(record).map_err(|error| {
                Failure::usage(format!("{} cannot be merged: {error}", path.display()))
                    .hint("name the store of one run, or the record of each of its shards once")
            })?;
        }
        let mut record = merger
            .finish()
            .map_err(|error| Failure::usage(error.to_string()))?;
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
        let ended_early = match &record.completion {
            Completion::Failed { reason } => Some(format!("the run failed: {reason}")),
            Completion::Interrupted | Completion::Complete => None,
        };
        let exit = run::exit(&record, &report.summary)?;
        ended_early.map_or(Ok(exit), |reason| Err(Failure::could_not_run(reason)))
    }
}

/// Time between two looks at the stores.
const LOOK: Duration = Duration::from_millis(500);

/// Time for shards to leave their records once one of them has ended the run: a killed one never does.
const GRACE: Duration = Duration::from_secs(10);

/// Waits until each store has the records of all of its shards; what is missing after `limit`, or some time after the end of
/// the run, is missing.
fn wait(stores: &[PathBuf], limit: Duration) -> Result<(), Failure> {
    let since = Instant::now();
    for store in stores {
        let mut ended: Option<Instant> = None;
        let is_over = |ended: Option<Instant>| ended.is_some_and(|ended| ended.elapsed() >= GRACE);
        while since.elapsed() < limit && !is_over(ended) && !is_complete(store)? {
            if store.join("ended").exists() {
                ended.get_or_insert_with(Instant::now);
            }
            thread::sleep(LOOK);
        }
    }
    Ok(())
}

fn is_complete(store: &Path) -> Result<bool, Failure> {
    let left = match fs::read_dir(store.join(RECORDS)) {
        Ok(entries) => entries
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .collect(),
        Err(_) => Vec::new(),
    };
    let left: Vec<&PathBuf> = left.iter().filter(|path| is_record(path)).collect();
    let Some(first) = left.first() else {
        return Ok(false);
    };
    let shards = run_directory::load(first)?.shards;
    Ok(shards.is_none_or(|shards| left.len() >= shards.count.get() as usize))
}

fn is_record(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "json")
}

/// The record before its first round, as a run directory begins.
fn unmeasured(record: &Record) -> Record {
    Record {
        rounds: Vec::new(),
        ..record.clone()
    }
}

/// The records in these places: those in a store, and the others as they are.
fn files(places: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    for place in places {
        let records = place.join(RECORDS);
        if records.is_dir() {
            all.extend(in_folder(&records)?);
        } else if place.is_dir() && !place.join(run_directory::RECORD).is_file() {
            return Err(nothing_left(place));
        } else {
            all.push(place.clone());
        }
    }
    Ok(all)
}

/// A store without records.
fn nothing_left(store: &Path) -> Failure {
    Failure::usage(format!("no shard has left a record in {}", store.display()))
        .hint("shards leave their records when they have ended; --wait TIME waits for them")
}

/// The files of a folder, in order, without those still being written.
fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = || format!("cannot list {}", folder.display());
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).or_fail(unreadable())? {
        let path = entry.or_fail(unreadable())?.path();
        if is_record(&path) {
            all.push(path);
        }
    }
    if all.is_empty() {
        return Err(nothing_left(folder));
    }
    all.sort();
    Ok(all)
}
