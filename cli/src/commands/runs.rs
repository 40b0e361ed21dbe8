//! `photofinish runs`: lists past runs and cleans up after killed ones.
//!
//! Another kind of leftover is a function and a line in [`KINDS`].

use std::path::{Path, PathBuf};

use clap::Args;
use photofinish_reports::{describe, units};
use serde_json::json;

use crate::exit::{Exit, Failure, OrFail};
use crate::output;
use crate::store::past_runs::{self, Leftover, PastRun};

/// Finds leftovers; the argument is the parent of the run directories. Each function ensures that no process uses them
/// any more, and that this program made them.
const KINDS: [fn(&Path) -> Vec<Leftover>; 1] = [past_runs::leftovers];

/// List past runs, and remove what killed ones left behind
///
/// A run that was killed stays in a hidden directory next to the others, and can be reported on like any other.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish runs
  photofinish runs --prune")]
pub struct Runs {
    /// Parent of the run directories
    #[arg(long, value_name = "DIR", default_value = "photofinish-runs")]
    out: PathBuf,

    /// Remove killed runs, with the rounds that they had finished; complete and interrupted ones stay
    #[arg(long)]
    prune: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Runs {
    pub fn execute(self) -> Result<Exit, Failure> {
        let removed = if self.prune {
            prune(&self.out)?
        } else {
            Vec::new()
        };
        let message = format!("cannot read {}", self.out.display());
        let runs = past_runs::list(&self.out).or_fail(message)?;
        if self.json {
            output::emit_json(&json!({
                "schema": "photofinish-runs/1", "runs": runs, "removed": removed,
            }))?;
        } else {
            self.tell(&runs, &removed)?;
        }
        Ok(Exit::Done)
    }

    fn tell(&self, runs: &[PastRun], removed: &[String]) -> Result<(), Failure> {
        for what in removed {
            output::advise(&format!("removed {what}"));
        }
        if self.prune && removed.is_empty() {
            output::advise("Nothing was left behind.");
        }
        if runs.is_empty() {
            let out = self.out.display();
            output::advise(&format!(
                "There are no runs in {out}; `photofinish run` makes one."
            ));
        }
        let lines = runs.iter().map(|run| line(run, output::width()));
        output::say(&lines.collect::<Vec<_>>().join("\n"))
    }
}

/// Removes all leftovers. Returns their names.
fn prune(parent: &Path) -> Result<Vec<String>, Failure> {
    let mut removed = Vec::new();
    for leftover in KINDS.into_iter().flat_map(|kind| kind(parent)) {
        let Leftover {
            what,
            size_bytes,
            remove,
        } = leftover;
        remove().or_fail(format!("cannot remove {what}"))?;
        removed.push(format!("{what} ({})", units::bytes(size_bytes as f64)));
    }
    Ok(removed)
}

/// A run in one line, its scenarios below if they do not fit.
fn line(run: &PastRun, width: usize) -> String {
    let status = run.verdict.unwrap_or(run.status.name());
    let size = units::bytes(run.size_bytes as f64);
    let rounds = describe::plural(run.rounds, "round");
    let line = format!("{}  {status:11}  {rounds:>11}  {size:>8}", run.id);
    let scenarios = run.scenarios.join(", ");
    if line.chars().count() + 2 + scenarios.chars().count() <= width {
        return format!("{line}  {scenarios}");
    }
    format!("{line}\n  {}", output::hanging(&scenarios, width))
}
