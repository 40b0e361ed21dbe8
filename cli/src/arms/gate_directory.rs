//! Locked directories for gates, outside any project: in the user's cache, else in the directory for temporary files.
//!
//! A place is held by a file lock, which the system releases with the process, however it ends. Places of a repository
//! are kept for the next gate; those of a single run are removed with it, or, after a kill, by the next gate.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::unistd::geteuid;
use photofinish_record::hex;
use sha2::{Digest, Sha256};

use crate::exit::{Failure, OrFail};
use crate::store::files::FileLock;
use crate::store::past_runs::{self, Leftover};

/// The lock of a place. It holds the path of the repository; it is empty if the place belongs to a single run.
const LOCK: &str = "lock";

/// Age at which an unused place of a repository is removed.
const UNUSED: Duration = Duration::from_hours(30 * 24);

/// Maximum time between creating a directory and locking it.
const UNLOCKED: Duration = Duration::from_mins(1);

/// A directory that no other gate uses while this value lives.
pub struct GateDirectory {
    directory: PathBuf,
    _lock: FileLock,
    /// Removes the directory of a single run.
    _run: Option<tempfile::TempDir>,
}

impl GateDirectory {
    /// The first place of `repository` that no other gate uses, with the contents left by the last gate.
    pub fn of_repository(repository: &Path) -> Result<Self, Failure> {
        let root = root(Some(repository))?;
        let path = repository.as_os_str().as_encoded_bytes();
        let key = hex(&Sha256::digest(path)[..6]);
        let name = repository.file_name().unwrap_or_default();
        let name = format!("{}-{key}", name.to_string_lossy());
        (0..)
            .map(|number: u32| claim(root.join(format!("{name}-{number}")), path))
            .find_map(Result::transpose)
            .expect("one of so many is free")
            .or_fail(format!("cannot use {}", root.display()))
    }

    /// An empty place for a single run, outside `repository`.
    pub fn of_run(repository: Option<&Path>) -> Result<Self, Failure> {
        let root = root(repository)?;
        let failed = format!("cannot create a directory in {}", root.display());
        let run = tempfile::Builder::new().prefix("run-").tempdir_in(&root);
        let run = run.or_fail(&*failed)?;
        let claimed = claim(run.path().to_owned(), b"").or_fail(failed)?;
        let place = claimed.expect("the name is new");
        Ok(Self {
            _run: Some(run),
            ..place
        })
    }

    pub fn path(&self) -> &Path {
        &self.directory
    }
}

/// The directory of all places, without those that have been abandoned.
fn root(repository: Option<&Path>) -> Result<PathBuf, Failure> {
    let root = roots().find_map(|root| {
        let inside = repository.is_some_and(|repository| is_inside(&root, repository));
        (!inside && fs::create_dir_all(&root).is_ok()).then_some(root)
    });
    let root = root.ok_or_else(|| {
        Failure::could_not_run("no writable directory for builds outside the project")
            .hint("set XDG_CACHE_HOME to a writable directory")
    })?;
    sweep(&root);
    Ok(root)
}

/// The parents of gate directories: in the user's cache and in the directory for temporary files.
fn roots() -> impl Iterator<Item = PathBuf> {
    let absolute = |name| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let home = || absolute("HOME").map(|home| home.join(".cache"));
    let cache = absolute("XDG_CACHE_HOME").or_else(home);
    let caches = cache.into_iter().chain([std::env::temp_dir()]);
    caches.map(|cache| cache.join("photofinish").join("gate"))
}

/// This user's gate directories that no gate uses: checkouts and builds kept for the next gate, and those of killed
/// gates.
pub fn leftovers() -> Vec<Leftover> {
    let entries = roots().flat_map(|root| fs::read_dir(root).into_iter().flatten().flatten());
    entries
        .filter_map(|entry| leftover(&entry.path()))
        .collect()
}

fn leftover(place: &Path) -> Option<Leftover> {
    let path = place.join(LOCK);
    let found = path.symlink_metadata().ok()?;
    let is_own = found.is_file() && found.uid() == geteuid().as_raw();
    let lock = File::open(&path).ok().filter(|_| is_own)?;
    let lock = FileLock::claim(lock).ok()??;
    let place = place.to_owned();
    Some(Leftover {
        what: place.display().to_string(),
        size_bytes: past_runs::size_bytes(&place),
        age: past_runs::age(&path),
        remove: Box::new(move || {
            fs::remove_dir_all(place)?;
            drop(lock);
            Ok(Vec::new())
        }),
    })
}

/// Tools look for their configuration in the directories above.
fn is_inside(path: &Path, directory: &Path) -> bool {
    let mut existing = path.ancestors().filter_map(|path| path.canonicalize().ok());
    existing
        .next()
        .is_some_and(|path| path.starts_with(directory))
}

/// Locks a directory. `None` if another process holds the lock.
fn claim(directory: PathBuf, owner: &[u8]) -> io::Result<Option<GateDirectory>> {
    fs::create_dir_all(&directory)?;
    let path = directory.join(LOCK);
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)?;
    let Some(lock) = FileLock::claim(lock)? else {
        return Ok(None);
    };
    if !path.exists() {
        // Another gate has just removed it.
        return Ok(None);
    }
    fs::write(&path, owner)?;
    Ok(Some(GateDirectory {
        directory,
        _lock: lock,
        _run: None,
    }))
}

/// Removes places of killed runs, of repositories that are gone, and those unused for a long time.
fn sweep(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        let lock = entry.path().join(LOCK);
        let is_older_than = |age| {
            let modified = lock.metadata().and_then(|lock| lock.modified());
            let passed = |modified| SystemTime::now().duration_since(modified).ok();
            modified.ok().and_then(passed) > Some(age)
        };
        let Ok(owner) = fs::read_to_string(&lock) else {
            continue;
        };
        let abandoned = match owner.as_str() {
            "" => is_older_than(UNLOCKED),
            repository => !Path::new(repository).exists() || is_older_than(UNUSED),
        };
        if abandoned && let Ok(Some(_lock)) = File::open(&lock).and_then(FileLock::claim) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_once_and_released() {
        let root = tempfile::tempdir().expect("a directory");
        let directory = root.path().join("a");
        let claim = || claim(directory.clone(), b"/nowhere").expect("a lock");
        let held = claim().expect("free");
        assert!(claim().is_none());
        sweep(root.path());
        assert!(directory.exists(), "held");
        drop(held);
        assert!(claim().is_some());
        sweep(root.path());
        assert!(!directory.exists(), "its repository is gone");
    }

    #[test]
    fn a_path_inside_the_project_is_recognised_before_it_exists() {
        let project = tempfile::tempdir().expect("a directory");
        let project = project.path().canonicalize().expect("it exists");
        assert!(is_inside(&project.join("a/b"), &project));
        assert!(!is_inside(&project.with_extension("other"), &project));
    }
}
