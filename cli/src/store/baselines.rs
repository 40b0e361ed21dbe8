//! Baselines: named records for later comparisons.
//!
//! A baseline is a whole record, with its raw rounds and the machine, in a file of its own: `NAME.json` in a directory that
//! can be put under version control. `commands::gate` and `commands::compare` compare with it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use photofinish_record::Record;

use crate::exit::{Failure, OrFail};
use crate::store::files::write_user_file;
use crate::store::outputs::real;
use crate::store::run_directory;

/// Longest name: with `.json`, a file name of most file systems.
const LONGEST_NAME_BYTES: usize = 250;

/// The default directory of baselines.
pub const DIRECTORY: &str = "photofinish-baselines";

pub struct Baselines<'a> {
    directory: &'a Path,
}

impl<'a> Baselines<'a> {
    /// The baselines in `directory`, which need not exist.
    pub fn of(directory: &'a Path) -> Self {
        Self { directory }
    }

    /// The file of the baseline `name`.
    pub fn path(&self, name: &str) -> Result<PathBuf, Failure> {
        let plain = |character: char| character.is_alphanumeric() || "-_.".contains(character);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            return Err(
                Failure::usage(format!("`{name}` is not a valid name for a baseline"))
                    .hint("use letters, digits, `-`, `_` and `.`, such as `main`"),
            );
        }
        if name.len() > LONGEST_NAME_BYTES {
            let message = format!(
                "expected a name for a baseline of at most {LONGEST_NAME_BYTES} bytes, got {}",
                name.len()
            );
            return Err(Failure::usage(message).hint("choose a shorter name, such as `main`"));
        }
        Ok(self.directory.join(format!("{name}.json")))
    }

    /// Checks that files can be made in the directory, or that it can be made. Leaves nothing behind.
    pub fn check_writable(&self) -> Result<(), Failure> {
        let directory = real(self.directory);
        let existing = directory.ancestors().find(|ancestor| ancestor.exists());
        let made = existing.map_or(Ok(()), |existing| tempfile::tempfile_in(existing).map(drop));
        made.map_err(|error| {
            Failure::could_not_run(format!(
                "cannot keep baselines in {}",
                self.directory.display()
            ))
            .caused_by(error)
            .hint("use --baselines to choose a writable directory")
        })
    }

    /// All names, in order.
    pub fn names(&self) -> Result<Vec<String>, Failure> {
        let entries = match fs::read_dir(self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                let directory = self.directory.display();
                let message = format!("cannot read {directory}");
                return Err(Failure::could_not_run(message)
                    .caused_by(error)
                    .hint("use --baselines to name a directory that you can read"));
            }
        };
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
            .collect();
        names.sort();
        Ok(names)
    }

    /// The record of the baseline of that name.
    pub fn load(&self, name: &str) -> Result<Record, Failure> {
        let path = self.path(name)?;
        if !path.is_file() {
            return Err(self.absent(name));
        }
        run_directory::load(&path)
    }

    /// The path of the baseline of that name, or the path itself.
    pub fn path_of(&self, name_or_path: &str) -> PathBuf {
        let named = self.path(name_or_path).ok().filter(|path| path.is_file());
        named.unwrap_or_else(|| PathBuf::from(name_or_path))
    }

    /// The baseline of that name, or the record at that path.
    pub fn find(&self, name_or_path: &str) -> Result<Record, Failure> {
        let path = self.path_of(name_or_path);
        if !path.exists() {
            return Err(self.absent(name_or_path));
        }
        run_directory::load(&path)
    }

    /// Keeps a record under a name, in place of an older one. Returns its path.
    pub fn keep(&self, name: &str, record: &Record) -> Result<PathBuf, Failure> {
        let file = self.path(name)?;
        let mut contents = serde_json::to_vec(record).or_fail("cannot write the record as JSON")?;
        contents.push(b'\n');
        write_user_file(&file, &contents)
            .map_err(|failure| failure.hint("use --baselines to choose a writable directory"))?;
        Ok(file)
    }

    /// Removes the baseline of that name.
    pub fn remove(&self, name: &str) -> Result<(), Failure> {
        let path = self.path(name)?;
        fs::remove_file(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.absent(name),
            _ => {
                Failure::could_not_run(format!("cannot remove {}", path.display())).caused_by(error)
            }
        })
    }

    fn absent(&self, name: &str) -> Failure {
        let known = self.names().unwrap_or_default();
        let failure = Failure::could_not_run(format!(
            "unknown baseline `{name}` in {}",
            self.directory.display()
        ));
        if known.is_empty() {
            failure.hint("`photofinish run … --save-baseline NAME` keeps one")
        } else {
            failure.hint(format!("there are: {}", known.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_escape_its_directory_is_refused() {
        let baselines = Baselines::of(Path::new("there"));
        for name in ["", "../x", "a/b", ".hidden", "a b"] {
            let failure = baselines.path(name).expect_err(name);
            assert_eq!(failure.exit(), crate::exit::Exit::Usage, "{name}");
        }
        let path = baselines.path("main-1.0").expect("a name");
        assert_eq!(path, Path::new("there/main-1.0.json"));
    }

    #[test]
    fn an_unknown_name_is_refused_with_the_known_ones() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("main.json"), "{}").expect("written");
        let baselines = Baselines::of(directory.path());
        let failure = baselines.load("mian").expect_err("not there").to_string();
        assert!(failure.contains("there are: main"), "{failure}");
    }
}
