//! `photofinish baseline`: lists, shows, promotes and removes named records.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use photofinish_record::Record;
use photofinish_reports::report::Report;
use photofinish_reports::{describe, terminal};
use serde_json::{Value, json};

use crate::exit::{Exit, Failure};
use crate::output;
use crate::store::baselines::{Baselines, DIRECTORY};

/// List, show, promote and remove records kept for comparisons
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish run http-get --save-baseline main
  photofinish baseline list
  photofinish baseline promote photofinish-runs/latest main
  photofinish compare main photofinish-runs/latest")]
pub struct Baseline {
    #[command(subcommand)]
    action: Action,

    /// Directory of the baselines
    #[arg(long, value_name = "DIR", default_value = DIRECTORY, global = true)]
    baselines: PathBuf,
}

#[derive(Subcommand)]
enum Action {
    /// List the baselines with their time and machine
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the results of a baseline
    Show {
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Keep a run or another baseline under a name, replacing any older one
    Promote {
        /// A run directory, record.json, report.html, or the name of a baseline
        run: String,
        /// The name of the baseline
        name: String,
    },
    /// Remove a baseline
    Remove {
        #[arg(value_name = "NAME")]
        name: String,
    },
}

impl Baseline {
    pub fn execute(self) -> Result<Exit, Failure> {
        let baselines = Baselines::of(&self.baselines);
        match self.action {
            Action::List { json: true } => output::emit_json(&listed(&baselines)?)?,
            Action::List { json: false } => list(&baselines)?,
            Action::Show { name } => {
                let record = baselines.load(&name)?;
                let heading = output::hanging(&line(&name, &record), output::width());
                output::say(&format!("{heading}\n"))?;
                output::say(&terminal::render(&Report::of(&record), output::style()))?;
            }
            Action::Promote { run, name } => {
                let file = baselines.keep(&name, &baselines.find(&run)?)?;
                output::say(&file.display().to_string())?;
            }
            Action::Remove { name } => baselines.remove(&name)?,
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
        let text = match baselines.load(&name) {
            Ok(record) => line(&name, &record),
            Err(failure) => format!("{name}: unreadable: {}", failure.in_one_line()),
        };
        output::say(&output::hanging(&text, output::width()))?;
    }
    Ok(())
}

fn listed(baselines: &Baselines<'_>) -> Result<Value, Failure> {
    let entry = |name: String| match baselines.load(&name) {
        Ok(record) => json!({
            "name": name,
            "started_utc": record.started_utc,
            "scenarios": scenarios(&record),
            "rounds": record.rounds.len(),
            "machine": record.machine,
        }),
        Err(failure) => json!({ "name": name, "error": failure.in_one_line() }),
    };
    let baselines = baselines.names()?.into_iter().map(entry);
    Ok(json!({
        "schema": "photofinish-baselines/1", "baselines": baselines.collect::<Vec<_>>(),
    }))
}

fn scenarios(record: &Record) -> Vec<&str> {
    let scenarios = record.plan.scenarios.iter();
    scenarios.map(|scenario| &*scenario.name).collect()
}

fn line(name: &str, record: &Record) -> String {
    format!(
        "{name}: {} · {} · {} · {}",
        describe::time(&record.started_utc),
        scenarios(record).join(", "),
        describe::plural(record.rounds.len(), "round"),
        describe::machine(&record.machine)
    )
}
