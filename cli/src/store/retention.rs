//! Removal of old runs: which ones a rule lets go, and the files that are theirs.
//!
//! A directory is a run's only if its name is the id in its record and this program wrote that record. The newest run and
//! the one that `latest` points to always stay. Baselines are files elsewhere, and files that no run wrote stay.

use std::fs;
use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use photofinish_record::{Tool, UtcTime};
use serde::Deserialize;

use crate::store::artifacts::{CHARTS, HISTOGRAM_LOG, PAGE};
use crate::store::files::is_unfinished;
use crate::store::past_runs::{Leftover, directories, size_bytes};
use crate::store::run_directory::{LATEST, LOCK, RECORD, load_head};
use crate::store::run_id;

/// The runs to keep: each limit that is given keeps some.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retention {
    /// The newest runs, this many.
    pub keep: Option<NonZeroUsize>,
    /// Runs that began less than this long ago.
    pub older_than: Option<Duration>,
}

impl Retention {
    /// True if no run is to be removed.
    pub fn is_unlimited(&self) -> bool {
        self.keep.is_none() && self.older_than.is_none()
    }
}

/// The parts of a record that tell whose it is.
#[derive(Deserialize)]
struct Head {
    id: String,
    tool: Tool,
    started_utc: String,
}

struct StoredRun {
    path: PathBuf,
    started: UtcTime,
}

/// The runs in `parent` that the rule lets go, oldest first.
pub fn expired(parent: &Path, retention: Retention) -> io::Result<Vec<Leftover>> {
    if retention.is_unlimited() {
        return Ok(Vec::new());
    }
    let mut runs: Vec<_> = directories(parent)?.filter_map(stored_run).collect();
    runs.sort_by(|one, other| (one.started, &one.path).cmp(&(other.started, &other.path)));
    let newest = retention.keep.map_or(1, NonZeroUsize::get);
    runs.truncate(runs.len().saturating_sub(newest));
    let latest = fs::read_link(parent.join(LATEST)).ok();
    runs.retain(|run| run.path.file_name() != latest.as_deref().and_then(Path::file_name));
    let now = UtcTime::now();
    let age = |run: &StoredRun| now.since(run.started);
    let too_old = |run: &StoredRun| {
        let limit = retention.older_than;
        limit.is_none_or(|limit| age(run).is_some_and(|age| age > limit))
    };
    runs.retain(too_old);
    let leftover = |run: StoredRun| Leftover {
        what: run.path.display().to_string(),
        size_bytes: size_bytes(&run.path),
        age: age(&run),
        remove: Box::new(move || remove(&run.path)),
    };
    Ok(runs.into_iter().map(leftover).collect())
}

/// The run in a directory; `None` if the directory is not one of this program's.
fn stored_run(path: PathBuf) -> Option<StoredRun> {
    let name = path.file_name()?.to_str()?;
    if !run_id::is_one(name) || !is_file(&path.join(RECORD)) {
        return None;
    }
    let head: Head = load_head(&path).ok()?;
    let is_own = head.id == name && head.tool.name == env!("CARGO_PKG_NAME");
    let started = head.started_utc.parse().ok()?;
    is_own.then_some(StoredRun { path, started })
}

/// True for a file that is not a link.
fn is_file(path: &Path) -> bool {
    path.symlink_metadata().is_ok_and(|found| found.is_file())
}

/// Removes the files of a complete run. Returns the paths of other files, which stay.
fn remove(run: &Path) -> io::Result<Vec<PathBuf>> {
    let charts = run.join(CHARTS);
    let has_charts = charts.symlink_metadata().is_ok_and(|found| found.is_dir());
    let folders = [Some(run), has_charts.then_some(charts.as_path())];
    for folder in folders.into_iter().flatten() {
        for entry in fs::read_dir(folder)?.flatten() {
            let path = entry.path();
            if is_file(&path) && is_removable(&path, folder != run) {
                fs::remove_file(path)?;
            }
        }
    }
    let _ = fs::remove_dir(charts);
    // Last: until then another process can resume if this one is killed.
    fs::remove_file(run.join(RECORD))?;
    match fs::remove_dir(run) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            let entries = fs::read_dir(run)?;
            entries.map(|entry| Ok(entry?.path())).collect()
        }
        removed => removed.map(|()| Vec::new()),
    }
}

/// True for a file of a run, apart from its record.
fn is_removable(file: &Path, is_chart: bool) -> bool {
    let name = file.file_name().unwrap_or_default();
    let extension = file.extension().unwrap_or_default();
    let is_picture = is_chart && (extension == "png" || extension == "svg");
    let is_artifact = !is_chart && [PAGE, HISTOGRAM_LOG, LOCK].iter().any(|own| name == *own);
    is_picture || is_artifact || is_unfinished(name)
}

/// Parses an age: `12h`, `30d`, `8w`.
pub fn parse_age(text: &str) -> Result<Duration, String> {
    const HOUR_S: u64 = 60 * 60;
    let read = || {
        let text = text.trim();
        let (at, unit) = text.char_indices().next_back()?;
        let number: u64 = text[..at].trim().parse().ok()?;
        let hours = match unit {
            'h' => 1,
            'd' => 24,
            'w' => 24 * 7,
            _ => return None,
        };
        Some(Duration::from_secs(number.checked_mul(hours * HOUR_S)?))
    };
    read()
        .ok_or_else(|| "expected an age in hours, days or weeks, such as 12h, 30d or 8w".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_whole_hours_days_and_weeks() {
        let hours = |hours: u64| Some(Duration::from_secs(hours * 3600));
        for (text, expected) in [
            ("12h", hours(12)),
            (" 30 d", hours(720)),
            ("2w", hours(336)),
            ("0d", hours(0)),
            ("30", None),
            ("30m", None),
            ("-1d", None),
            ("1é", None),
            ("", None),
            ("99999999999999999999w", None),
            ("9999999999999999999w", None),
        ] {
            assert_eq!(parse_age(text).ok(), expected, "{text}");
        }
    }
}
