//! `photofinish report`: renders page and pictures from records alone.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;
use photofinish_reports::report;
use serde::Deserialize;

use crate::exit::{Exit, Failure};
use crate::output;
use crate::store::artifacts::{self, Pictures};
use crate::store::files::write_user_files;
use crate::store::{outputs, run_directory};

/// Render the report of a run (HTML and PNG) from its record
///
/// A run that was killed can be rendered too: its rounds are in a hidden directory next to the others.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish report photofinish-runs/latest
  photofinish report record.json --out somewhere")]
pub struct Report {
    /// Run directories or record.json files
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,

    /// Output directory [default: the run's own]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,

    /// Write the charts as SVG as well
    #[arg(long)]
    svg: bool,
}

/// The part of a record that names its run.
#[derive(Deserialize)]
struct RecordHead {
    id: String,
}

impl Report {
    pub fn execute(self) -> Result<Exit, Failure> {
        if self.runs.len() > 1 {
            self.check_directories()?;
        }
        let pictures = if self.svg {
            Pictures::PngAndSvg
        } else {
            Pictures::Png
        };
        for run in &self.runs {
            let record = run_directory::load(run)?;
            let directory = self.directory(run, &record.id);
            let files = artifacts::page_and_pictures(&report::Report::of(&record), pictures);
            write_user_files(&directory, &files)?;
            output::say(&directory.join(artifacts::PAGE).display().to_string())?;
        }
        Ok(Exit::Done)
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
