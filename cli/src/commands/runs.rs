//! `photofinish runs`: lists past runs and cleans up after killed ones.
//!
//! Another kind of leftover is a function and a line in [`KINDS`].

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use photofinish_reports::rule::Verdict;
use photofinish_reports::{describe, units};
use serde_json::{Value, json};

use crate::arms::gate_directory;
use crate::cleaning;
use crate::exit::{Exit, Failure, OrFail};
use crate::output;
use crate::request::parse_positive;
use crate::store::past_runs::{self, Leftover, PastRun, Verdicts};
use crate::store::retention::{Retention, expired, parse_age};

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
///
/// With --prune, a complete or interrupted run goes only if --keep or --older-than lets it go; given both, it must be
/// beyond both. The newest run, baselines, and files that no run wrote always stay.
#[derive(Args)]
#[command(after_help = "\
Examples:
  photofinish runs
  photofinish runs --prune
  photofinish runs --prune --keep 20 --older-than 30d --dry-run")]
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

    /// With --prune: also remove runs, but not the newest N
    #[arg(
        long,
        value_name = "N",
        requires = "prune",
        value_parser = parse_positive::<NonZeroUsize>,
        allow_hyphen_values = true
    )]
    keep: Option<NonZeroUsize>,

    /// With --prune: also remove runs that began longer ago than this, such as 12h, 30d or 8w
    #[arg(long, value_name = "AGE", requires = "prune", value_parser = parse_age)]
    older_than: Option<Duration>,

    /// With --prune: only say what would be removed
    #[arg(long, requires = "prune")]
    dry_run: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Runs {
    pub fn execute(self) -> Result<Exit, Failure> {
        let leftovers = KINDS.into_iter().flat_map(|kind| kind(&self.out));
        let message = format!("cannot read {}", self.out.display());
        let (removed, left) = if self.prune {
            let retention = Retention {
                keep: self.keep,
                older_than: self.older_than,
            };
            let expired = expired(&self.out, retention).or_fail(&message)?;
            (self.prune(leftovers.chain(expired))?, Vec::new())
        } else {
            (Vec::new(), leftovers.collect())
        };
        let runs = past_runs::list(&self.out).or_fail(message)?;
        if self.json {
            let left: Vec<_> = left.iter().map(entry).collect();
            let removed: Vec<_> = removed.iter().map(|it| &it.what).collect();
            output::emit_json(&json!({
                "schema": "photofinish-runs/1", "runs": runs, "removed": removed, "dry_run": self.dry_run,
                "leftovers": left,
            }))?;
        } else {
            self.tell(&runs, &removed, &left)?;
        }
        Ok(Exit::Done)
    }

    /// Removes what may go, unless it is a dry run.
    fn prune(&self, leftovers: impl Iterator<Item = Leftover>) -> Result<Vec<Removal>, Failure> {
        let removal = |leftover: Leftover| {
            let size = units::bytes(leftover.size_bytes as f64);
            let what = format!("{} ({size}{})", leftover.what, age(&leftover));
            let others = match self.dry_run {
                true => Vec::new(),
                false => {
                    let message = format!("cannot remove {}", leftover.what);
                    (leftover.remove)().map_err(|error| {
                        Failure::could_not_run(message)
                            .caused_by(error)
                            .hint("make it writable, or remove it yourself; what was removed before it is gone")
                    })?
                }
            };
            Ok(Removal {
                what: format!("{what}{}", except(&others)),
                size_bytes: leftover.size_bytes,
            })
        };
        leftovers.map(removal).collect()
    }

    fn tell_removed(&self, removed: &[Removal]) {
        let verb = if self.dry_run {
            "would remove"
        } else {
            "removed"
        };
        for removal in removed {
            output::advise(&format!("{verb} {}", removal.what));
        }
        let limited = self.keep.is_some() || self.older_than.is_some();
        if removed.is_empty() {
            output::advise(match limited {
                true => {
                    "Nothing to remove: no run is beyond these limits, and nothing was left behind."
                }
                false => "Nothing was left behind.",
            });
        }
        if let [_, _, ..] = removed {
            let size: u64 = removed.iter().map(|it| it.size_bytes).sum();
            let size = units::bytes(size as f64);
            output::advise(&format!("{verb} {size} in all"));
        }
        if self.dry_run && !removed.is_empty() {
            output::advise("hint: the same command without --dry-run removes it");
        }
    }

    fn tell(
        &self,
        runs: &[PastRun],
        removed: &[Removal],
        left: &[Leftover],
    ) -> Result<(), Failure> {
        if self.prune {
            self.tell_removed(removed);
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

/// Something that was removed, or would be.
struct Removal {
    /// Its path, size and age, and what stays of it.
    what: String,
    size_bytes: u64,
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
pub(super) fn result(run: &PastRun) -> String {
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
