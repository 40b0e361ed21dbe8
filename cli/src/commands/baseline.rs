//! `photofinish baseline`: records with a name, listed, shown, promoted and removed.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use photofinish_record::Record;
use photofinish_reports::report::Report;
use photofinish_reports::{describe, terminal};

use crate::exit::{Exit, Failure};
use crate::output;
use crate::store::baselines::{Baselines, DIRECTORY};
use crate::store::run_directory;

/// Lists, shows, promotes and removes records that are kept to be compared with
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish run http-get --save-baseline main
  photofinish baseline list
  photofinish baseline promote photofinish-runs/latest main
  photofinish compare main photofinish-runs/latest")]
pub struct Baseline {
    #[command(subcommand)]
    what: What,

    /// Where baselines are
    #[arg(long, value_name = "DIR", default_value = DIRECTORY, global = true)]
    baselines: PathBuf,
}

#[derive(Subcommand)]
enum What {
    /// Lists them with their age and machine
    List,
    /// Shows the numbers of one
    Show {
        /// Its name
        name: String,
    },
    /// Keeps a run, or another baseline, under a name; one of that name is replaced
    Promote {
        /// A run directory, a record.json, or the name of a baseline
        run: String,
        /// The name to keep it under
        name: String,
    },
    /// Removes one
    Remove {
        /// Its name
        name: String,
    },
}

impl Baseline {
    /// Does it.
    pub fn execute(self) -> Result<Exit, Failure> {
        let baselines = Baselines::of(&self.baselines);
        match self.what {
            What::List => list(&baselines)?,
            What::Show { name } => {
                let record = baselines.load(&name)?;
                output::say(&format!("{}\n", in_short(&name, &record)))?;
                output::say(&terminal::render(&Report::of(&record), output::style()))?;
            }
            What::Promote { run, name } => {
                let record = match Path::new(&run).exists() {
                    true => run_directory::load(Path::new(&run))?,
                    false => baselines.load(&run)?,
                };
                let place = baselines.keep(&name, &record)?;
                output::say(&place.display().to_string())?;
            }
            What::Remove { name } => baselines.remove(&name)?,
        }
        Ok(Exit::Done)
    }
}

fn list(baselines: &Baselines<'_>) -> Result<(), Failure> {
    let names = baselines.names()?;
    if names.is_empty() {
        output::advise(
            "There are no baselines; `photofinish run … --save-baseline NAME` keeps one.",
        );
    }
    for name in names {
        let line = match baselines.load(&name) {
            Ok(record) => in_short(&name, &record),
            Err(failure) => format!("{name}  unreadable: {}", failure.in_one_line()),
        };
        output::say(&line)?;
    }
    Ok(())
}

fn in_short(name: &str, record: &Record) -> String {
    let mut scenarios: Vec<&str> = Vec::new();
    for scenario in &record.plan.scenarios {
        scenarios.push(&scenario.name);
    }
    format!(
        "{name}  {} · {} · {} · {}",
        describe::time(&record.started_utc),
        scenarios.join(", "),
        describe::plural(record.rounds.len(), "round"),
        describe::machine(&record.machine)
    )
}
