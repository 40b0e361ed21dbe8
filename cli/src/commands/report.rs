//! `photofinish report`: renders page and pictures from records alone.

mod site;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use photofinish_record::shard::ShardSet;
use photofinish_record::{PlannedScenario, Record};
use photofinish_reports::report;
use serde::Deserialize;

use super::serve::parse_address;
use crate::exit::{Exit, Failure};
use crate::output;
use crate::store::artifacts::{self, Pictures};
use crate::store::files::write_user_files;
use crate::store::{outputs, run_directory};

/// Render the report of a run (HTML and PNG) from its record
///
/// A run that was killed can be rendered too: its rounds are in a hidden directory next to the others. With --serve, all
/// runs of a directory can be read and compared in the browser.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish report photofinish-runs/latest
  photofinish report record.json --out somewhere
  photofinish report run-of-1 run-of-2 run-of-4 --scale-out charts
  photofinish report --serve")]
pub struct Report {
    /// Run directories, record.json or report.html files; with --serve, the parent of the runs [default: photofinish-runs]
    #[arg(required_unless_present = "serve", value_name = "RUN")]
    runs: Vec<PathBuf>,

    /// Output directory [default: the run's own]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Write the charts as SVG as well
    #[arg(long)]
    svg: bool,

    /// Write only charts of operations per second over the numbers of shards of these runs, into a directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["out", "serve"])]
    scale_out: Option<PathBuf>,

    /// Serve all runs as a local page, any two of them compared, until Ctrl-C; port 0 is any free port
    #[arg(
        long,
        value_name = "HOST:PORT",
        num_args = 0..=1,
        default_missing_value = "127.0.0.1:0",
        value_parser = parse_address,
        conflicts_with_all = ["out", "svg"]
    )]
    serve: Option<SocketAddr>,

    /// Allow --serve on addresses that other machines can reach
    #[arg(long, requires = "serve")]
    allow_remote: bool,
}

/// Refuses a record that lacks shards.
fn check_whole(run: &Path, record: &Record) -> Result<(), Failure> {
    let is_whole = |shards: &ShardSet| shards.missing().is_empty();
    if record.shards.as_ref().is_none_or(is_whole) {
        return Ok(());
    }
    let message = format!("{} lacks shards, and so has no rate", run.display());
    Err(Failure::usage(message).hint("name merged runs"))
}

/// Refuses runs whose scenarios of the same name are different work.
fn check_same_work(
    first_run: &Path,
    first: &Record,
    run: &Path,
    record: &Record,
) -> Result<(), Failure> {
    for scenario in &record.plan.scenarios {
        let mut others = first.plan.scenarios.iter();
        let is_other = |other: &&PlannedScenario| {
            other.name == scenario.name
                && (&other.workload, &other.params) != (&scenario.workload, &scenario.params)
        };
        if others.any(|other| is_other(&other)) {
            return Err(Failure::usage(format!(
                "`{}` is other work in {} than in {}",
                scenario.name,
                run.display(),
                first_run.display()
            ))
            .hint("compare runs of one scenario with the same parameters"));
        }
    }
    Ok(())
}

/// The part of a record that names its run.
#[derive(Deserialize)]
struct RecordHead {
    id: String,
}

impl Report {
    pub fn execute(self) -> Result<Exit, Failure> {
        if let Some(address) = self.serve {
            return self.serve(address);
        }
        let pictures = if self.svg {
            Pictures::PngAndSvg
        } else {
            Pictures::Png
        };
        if let Some(directory) = &self.scale_out {
            return self.scale_out(directory, pictures);
        }
        if self.runs.len() > 1 {
            self.check_directories()?;
        }
        for run in &self.runs {
            let record = run_directory::load(run)?;
            let directory = self.directory(run, &record.id);
            let report = report::Report::of(&record);
            write_user_files(&directory, artifacts::page_and_pictures(&report, pictures))?;
            output::say(&directory.join(artifacts::PAGE).display().to_string())?;
        }
        Ok(Exit::Done)
    }

    /// Charts over the runs' numbers of shards.
    fn scale_out(&self, directory: &Path, pictures: Pictures) -> Result<Exit, Failure> {
        let loaded = self.runs.iter().map(|run| run_directory::load(run));
        let records = loaded.collect::<Result<Vec<Record>, Failure>>()?;
        for (run, record) in self.runs.iter().zip(&records) {
            check_whole(run, record)?;
            check_same_work(&self.runs[0], &records[0], run, record)?;
        }
        let reports: Vec<report::Report<'_>> = records.iter().map(report::Report::of).collect();
        let charts = photofinish_reports::scale_out(&reports);
        if charts.is_empty() {
            return Err(Failure::usage(
                "these runs have no closed load with different numbers of shards",
            )
            .hint("name merged runs of the same scenario; a run of one machine is one shard"));
        }
        for path in write_user_files(directory, artifacts::of_charts(charts, pictures))? {
            output::say(&path.display().to_string())?;
        }
        Ok(Exit::Done)
    }

    /// Serves the runs of one directory, to this machine unless others are allowed.
    fn serve(&self, address: SocketAddr) -> Result<Exit, Failure> {
        if !self.allow_remote && !address.ip().is_loopback() {
            let message = format!("other machines can reach {}", address.ip());
            return Err(Failure::usage(message).hint(
                "serve on 127.0.0.1, or add --allow-remote to let everyone read the runs who can connect",
            ));
        }
        let parent = match self.runs.as_slice() {
            [] => PathBuf::from("photofinish-runs"),
            [parent] => parent.clone(),
            _ => {
                return Err(Failure::usage("--serve takes one directory of runs")
                    .hint("name the parent of the run directories, such as photofinish-runs"));
            }
        };
        if !parent.is_dir() {
            let message = format!("no directory at {}", parent.display());
            return Err(Failure::usage(message)
                .hint("name the parent of the run directories; `photofinish run` makes one"));
        }
        site::serve(parent, address)
    }

    /// Fails if two different runs would be written to one directory.
    fn check_directories(&self) -> Result<(), Failure> {
        let mut taken: BTreeMap<PathBuf, String> = BTreeMap::new();
        for run in &self.runs {
            let RecordHead { id } = run_directory::load_head(run)?;
            let directory = outputs::real(&self.directory(run, &id));
            if taken
                .insert(directory, id.clone())
                .is_some_and(|other| other != id)
            {
                let message = format!(
                    "the report of {} would replace that of another run",
                    run.display()
                );
                return Err(Failure::usage(message)
                    .hint("add --out DIR, in which each run gets a directory of its own"));
            }
        }
        Ok(())
    }

    /// Output directory of a run's page. Several runs must not overwrite each other's pages.
    fn directory(&self, run: &Path, id: &str) -> PathBuf {
        match &self.out {
            Some(out) if self.runs.len() > 1 => out.join(id),
            Some(out) => out.clone(),
            None if run.is_dir() => run.to_owned(),
            None => run.parent().unwrap_or(Path::new("")).to_owned(),
        }
    }
}
