//! `photofinish show`: prints the tables of a past run again.

use std::path::PathBuf;

use clap::Args;
use photofinish_record::Record;
use photofinish_reports::report::Report;
use photofinish_reports::terminal;

use crate::exit::{Exit, Failure};
use crate::output;
use crate::store::past_runs;
use crate::store::run_directory::{self, record_file};

/// Print the tables of a past run or gate again
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish show
  photofinish show 20261120T183000Z-3fa9c1
  photofinish show some/where/record.json")]
pub struct Show {
    #[command(flatten)]
    run: RunArgument,
}

/// A past run.
#[derive(Args)]
pub struct RunArgument {
    /// Run directory, record.json, report.html, or id of a run [default: the newest]
    #[arg(value_name = "RUN")]
    run: Option<PathBuf>,

    /// Parent of the run directories
    #[arg(long, value_name = "DIR", default_value = "photofinish-runs")]
    out: PathBuf,
}

impl RunArgument {
    pub fn path(&self) -> PathBuf {
        let found = run_directory::find(&self.out, self.run.as_deref());
        if self.run.is_some() || record_file(&found).is_file() {
            return found;
        }
        // A copy of the runs may lack the link, and the run that it leads to may have been removed.
        let runs = past_runs::ids(&self.out).into_iter();
        let mut runs = runs.map(|id| self.out.join(id));
        let newest = runs.rfind(|run| record_file(run).is_file());
        newest.unwrap_or(found)
    }
}

impl Show {
    pub fn execute(self) -> Result<Exit, Failure> {
        let path = self.run.path();
        let record = run_directory::load(&path)?;
        output::say(&tables(&record))?;
        let page = run_directory::page_of(&path);
        if page.is_file() && !output::is_quiet() {
            output::say(&format!("\nReport: {}", page.display()))?;
        }
        Ok(Exit::Done)
    }
}

fn tables(record: &Record) -> String {
    let report = Report::of(record);
    match &report.gate {
        Some(gate) => terminal::gate(gate, output::style()),
        None => terminal::render_in(&report, output::style(), output::detail()),
    }
}
