//! A directory as the place to meet.
//!
//! A file is written under a temporary name, and linked to its own, which fails if another process was first. Existence is
//! asked by listing a directory, since network file systems cache that a file is missing for much longer.

use std::fs;
use std::io::{self, ErrorKind, Write as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::Store;

/// Files are stamped with the time of the last tick.
const TICK: Duration = Duration::from_millis(10);

/// A directory that all shards reach.
#[derive(Clone, Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Store for Directory {
    fn place(&self) -> String {
        self.path.display().to_string()
    }

    fn create(&self, name: &str, content: &[u8]) -> io::Result<bool> {
        let path = self.path.join(name);
        let folder = path.parent().unwrap_or(&self.path);
        fs::create_dir_all(folder)?;
        let mut file = tempfile::Builder::new()
            .prefix(".writing-")
            .tempfile_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(true),
            Err(failed) if failed.error.kind() == ErrorKind::AlreadyExists => Ok(false),
            Err(failed) => Err(failed.error),
        }
    }

    /// Without those still being written.
    fn names(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path.join(folder)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if !name.starts_with('.') {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn find(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        let (folder, own) = name.rsplit_once('/').unwrap_or(("", name));
        if !self.names(folder)?.iter().any(|name| name == own) {
            return Ok(None);
        }
        self.read(name)
    }

    fn read(&self, name: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            content => content.map(Some),
        }
    }

    fn stamp(&self, name: &str) -> io::Result<(SystemTime, Duration)> {
        let modified = fs::metadata(self.path.join(name))?.modified()?;
        Ok((modified, TICK))
    }

    fn longest_look(&self) -> Duration {
        Duration::from_millis(50)
    }
}
