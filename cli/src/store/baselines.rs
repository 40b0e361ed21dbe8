//! Baselines: records with a name, kept to be compared with later.
//!
//! A baseline is a whole record, with its raw rounds and the machine, in one file of its own: `NAME.json` in a directory
//! that can be put under version control. Comparing with one is the business of `commands::gate` and `commands::compare`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use photofinish_record::Record;

use crate::exit::Failure;
use crate::store::run_directory::{self, RunFile, write_files};

/// Where baselines are where nothing is said.
pub const DIRECTORY: &str = "photofinish-baselines";

/// The baselines in a directory.
pub struct Baselines<'a> {
    directory: &'a Path,
}

impl<'a> Baselines<'a> {
    /// Those in `directory`, which need not be there yet.
    pub fn of(directory: &'a Path) -> Self {
        Self { directory }
    }

    /// Where the baseline of that name is.
    pub fn place(&self, name: &str) -> Result<PathBuf, Failure> {
        let plain = |character: char| character.is_alphanumeric() || "-_.".contains(character);
        let sound = !name.is_empty() && !name.starts_with('.') && name.chars().all(plain);
        match sound {
            true => Ok(self.directory.join(format!("{name}.json"))),
            false => Err(
                Failure::usage(format!("`{name}` is no name for a baseline"))
                    .hint("use letters, digits, `-`, `_` and `.`, such as `main`"),
            ),
        }
    }

    /// All names, in order.
    pub fn names(&self) -> Result<Vec<String>, Failure> {
        let entries = match fs::read_dir(self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                let place = self.directory.display();
                return Err(Failure::could_not_run(format!("cannot read {place}")).caused_by(error));
            }
        };
        let mut names: Vec<String> = entries
            .filter_map(Result::ok)
            .filter_map(|entry| {
                Some(
                    entry
                        .file_name()
                        .to_str()?
                        .strip_suffix(".json")?
                        .to_owned(),
                )
            })
            .collect();
        names.sort();
        Ok(names)
    }

    /// The record of the baseline of that name.
    pub fn load(&self, name: &str) -> Result<Record, Failure> {
        let place = self.place(name)?;
        match place.is_file() {
            true => run_directory::load(&place),
            false => Err(self.absent(name)),
        }
    }

    /// A record by a baseline's name, or by its place.
    pub fn find(&self, name_or_place: &str) -> Result<Record, Failure> {
        let named = self
            .place(name_or_place)
            .ok()
            .filter(|place| place.is_file());
        match named {
            Some(place) => run_directory::load(&place),
            None if Path::new(name_or_place).exists() => {
                run_directory::load(Path::new(name_or_place))
            }
            None => Err(self.absent(name_or_place)),
        }
    }

    /// Keeps a record under a name; one of that name is replaced whole. Returns where it is.
    pub fn keep(&self, name: &str, record: &Record) -> Result<PathBuf, Failure> {
        let place = self.place(name)?;
        let mut contents = serde_json::to_vec(record).map_err(|error| {
            Failure::could_not_run("cannot write the record as JSON").caused_by(error)
        })?;
        contents.push(b'\n');
        let path = place.file_name().map(PathBuf::from).unwrap_or_default();
        write_files(self.directory, &[RunFile { path, contents }])?;
        Ok(place)
    }

    /// Removes the baseline of that name.
    pub fn remove(&self, name: &str) -> Result<(), Failure> {
        let place = self.place(name)?;
        fs::remove_file(&place).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => self.absent(name),
            _ => Failure::could_not_run(format!("cannot remove {}", place.display()))
                .caused_by(error),
        })
    }

    fn absent(&self, name: &str) -> Failure {
        let known = self.names().unwrap_or_default();
        let failure = Failure::could_not_run(format!(
            "there is no baseline `{name}` in {}",
            self.directory.display()
        ));
        match known.is_empty() {
            true => failure.hint("`photofinish run … --save-baseline NAME` keeps one"),
            false => failure.hint(format!("there are: {}", known.join(", "))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_could_lead_elsewhere_is_refused() {
        let baselines = Baselines::of(Path::new("there"));
        for name in ["", "../x", "a/b", ".hidden", "a b"] {
            let failure = baselines.place(name).expect_err(name);
            assert_eq!(failure.exit(), crate::exit::Exit::Usage, "{name}");
        }
        let place = baselines.place("main-1.0").expect("a name");
        assert_eq!(place, Path::new("there/main-1.0.json"));
    }

    #[test]
    fn of_a_baseline_that_is_not_there_those_that_are_get_told() {
        let directory = tempfile::tempdir().expect("a directory");
        fs::write(directory.path().join("main.json"), "{}").expect("written");
        let baselines = Baselines::of(directory.path());
        let failure = baselines.load("mian").expect_err("not there").to_string();
        assert!(failure.contains("there are: main"), "{failure}");
    }
}
