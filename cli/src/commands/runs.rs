//! `photofinish runs`: lists past runs and cleans up after killed ones.
//!
//! Another kind of leftover is a function and a line in [`KINDS`].

use std::path::{Path, PathBuf};

use clap::Args;
use photofinish_reports::rule::Verdict;
use photofinish_reports::{describe, units};
use serde_json::{Value, json};

use crate::arms::gate_directory;
use crate::cleaning;
use crate::exit::{Exit, Failure, OrFail};
use crate::output;
use crate::store::past_runs::{self, Leftover, PastRun, Verdicts};

/// Finds leftovers; the argument is the parent of the run directories. Each function ensures that no process uses them
/// any more, and that this program made them.
const KINDS: [fn(&Path) -> Vec<Leftover>; 2] =
    [past_runs::leftovers, |_| gate_directory::leftovers()];

/// Maximum number of paths of other files to name.
const MOST_NAMED: usize = 5;

/// List past runs, and clean up after killed runs and gates
///
/// A run that was killed stays in a hidden directory next to the others, and can be reported on like any other. A gate
/// keeps checkouts and builds of a repository in the user's cache, for the next one.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish runs
  photofinish runs --prune")]
pub struct Runs {
    /// Parent of the run directories
    #[arg(long, value_name = "DIR", default_value = "photofinish-runs")]
    out: PathBuf,

    /// List all runs, not only the newest
    #[arg(long)]
    all: bool,

    /// Remove killed runs, with the rounds that they had finished, and the gates' checkouts and builds; complete and
    /// interrupted runs stay, and so does everything in use
    #[arg(long)]
    prune: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Runs {
    pub fn execute(self) -> Result<Exit, Failure> {
        let leftovers = KINDS.into_iter().flat_map(|kind| kind(&self.out));
        let (removed, left) = if self.prune {
            (prune(leftovers)?, Vec::new())
        } else {
            (Vec::new(), leftovers.collect())
        };
        let message = format!("cannot read {}", self.out.display());
        let runs = past_runs::list(&self.out).or_fail(message)?;
        if self.json {
            let left: Vec<_> = left.iter().map(entry).collect();
            output::emit_json(&json!({
                "schema": "photofinish-runs/1", "runs": runs, "removed": removed, "leftovers": left,
            }))?;
        } else {
            self.tell(&runs, &removed, &left)?;
        }
        Ok(Exit::Done)
    }

    fn tell(&self, runs: &[PastRun], removed: &[String], left: &[Leftover]) -> Result<(), Failure> {
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
        let older = if self.all {
            0
        } else {
            runs.len().saturating_sub(NEWEST)
        };
        if older > 0 {
            let older = describe::plural(older, "older run");
            output::say(&format!("{older}; `photofinish runs --all` lists them too"))?;
        }
        if let newest @ [_, ..] = &runs[older..] {
            output::say(&table(newest, output::width()))?;
            if newest.iter().any(|run| run.verdicts != Verdicts::default()) {
                output::say("▲ faster than the reference, ▼ slower, = tie, ? inconclusive")?;
            }
        }
        for leftover in left {
            let (size, age) = (units::bytes(leftover.size_bytes as f64), age(leftover));
            output::advise(&format!("left behind: {} ({size}{age})", leftover.what));
        }
        if !left.is_empty() {
            output::advise("hint: `photofinish runs --prune` removes what was left behind");
        }
        Ok(())
    }
}

/// A leftover in the JSON list.
fn entry(leftover: &Leftover) -> Value {
    json!({
        "path": leftover.what,
        "size_bytes": leftover.size_bytes,
        "age_s": leftover.age.map(|age| age.as_secs()),
    })
}

/// The time since a leftover was last used, in words.
fn age(leftover: &Leftover) -> String {
    let minutes = leftover.age.map(|age| age.as_secs() / 60);
    match minutes {
        None => String::new(),
        Some(minutes @ 0..120) => format!(", {minutes} min old"),
        Some(minutes @ 120..2880) => format!(", {} h old", minutes / 60),
        Some(minutes) => format!(", {} days old", minutes / 60 / 24),
    }
}

/// Removes all leftovers. Returns their names.
fn prune(leftovers: impl Iterator<Item = Leftover>) -> Result<Vec<String>, Failure> {
    let mut removed = Vec::new();
    for leftover in leftovers {
        let size = units::bytes(leftover.size_bytes as f64);
        let age = age(&leftover);
        let what = leftover.what;
        let others = (leftover.remove)().or_fail(format!("cannot remove {what}"))?;
        removed.push(format!("{what} ({size}{age}){}", except(&others)));
    }
    Ok(removed)
}

/// The note on files that stay because no run made them.
fn except(others: &[PathBuf]) -> String {
    let names = others.iter().map(|path| path.display().to_string());
    let named = names.take(MOST_NAMED).collect::<Vec<_>>().join(", ");
    match others.len().saturating_sub(MOST_NAMED) {
        _ if others.is_empty() => String::new(),
        0 => format!(", except what no run made: {named}"),
        more => format!(", except what no run made: {named} and {more} more"),
    }
}

/// Runs listed unless all are wanted.
const NEWEST: usize = 16;

/// A run per line under headings, its scenarios below it if they do not fit.
fn table(runs: &[PastRun], width: usize) -> String {
    let results: Vec<_> = runs.iter().map(result).collect();
    let widest = results.iter().map(|it| it.chars().count()).max();
    let widest = widest.unwrap_or_default().max("result".len());
    let heading = format!(
        "{:16}  {:23}  {:widest$}  {:>7}  scenarios",
        "started (UTC)", "run", "result", "size"
    );
    let mut lines = vec![output::strong(&heading)];
    for (run, result) in runs.iter().zip(results) {
        let started = describe::time(&run.started_utc);
        let started = cleaning::one_line(started.get(..16).unwrap_or(&started));
        let size = units::bytes(run.size_bytes as f64);
        let line = format!(
            "{started:16}  {:23}  {result:widest$}  {size:>7}",
            cleaning::one_line(&run.id)
        );
        let scenarios = run.scenarios.join(", ");
        if line.chars().count() + 2 + scenarios.chars().count() <= width {
            lines.push(format!("{line}  {scenarios}"));
        } else {
            lines.push(line);
            lines.push(format!("  {}", output::hanging(&scenarios, width)));
        }
    }
    lines.join("\n")
}

/// The end of a run in a few words: a gate's verdict, the counts of a run's verdicts, or its state.
fn result(run: &PastRun) -> String {
    let counts = [
        (Verdict::Faster, run.verdicts.faster),
        (Verdict::Slower, run.verdicts.slower),
        (Verdict::Tie, run.verdicts.tie),
        (Verdict::Inconclusive, run.verdicts.inconclusive),
    ];
    let counts = counts.iter().filter(|(_, count)| *count > 0);
    let counts = counts.map(|(verdict, count)| format!("{}{count}", describe::glyph(*verdict)));
    let counts = counts.collect::<Vec<_>>().join(" ");
    match run.verdict {
        Some(verdict) => verdict.to_owned(),
        None if counts.is_empty() => run.status.name().to_owned(),
        None => counts,
    }
}
