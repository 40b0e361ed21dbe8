//! `photofinish report`: renders page and pictures from records alone.

use std::path::{Path, PathBuf};

use clap::Args;
use photofinish_reports::report;

use crate::exit::{Exit, Failure};
use crate::output;
use crate::store::artifacts;
use crate::store::files::write_user_files;
use crate::store::run_directory;

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
}

impl Report {
    pub fn execute(self) -> Result<Exit, Failure> {
        for run in &self.runs {
            let record = run_directory::load(run)?;
            let directory = self.directory(run, &record.id);
            write_user_files(
                &directory,
                &artifacts::page_and_pictures(&report::Report::of(&record)),
            )?;
            output::say(&directory.join(artifacts::PAGE).display().to_string())?;
        }
        Ok(Exit::Done)
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
