//! Files that a command writes where the user asked: no two to the same place, and none over what it reads or keeps.
//!
//! Checked before anything is measured. Paths are equal if they lead to the same file, however they are spelled.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use crate::exit::Failure;
use crate::store::run_directory::{RECORD, is_part_of_run};

/// Files to be written and files to be kept.
#[derive(Default)]
pub struct Outputs {
    /// The option that names a file, by its real path.
    taken: BTreeMap<PathBuf, String>,
}

impl Outputs {
    /// A file that must stay as it is.
    pub fn keep(&mut self, path: &Path) {
        let name = format!("{}, which is read", path.display());
        self.taken.insert(real(path), name);
    }

    /// A file to be written, as `option` says. A device or a pipe takes any number of files.
    pub fn write(&mut self, option: &str, path: &Path) -> Result<(), Failure> {
        if path.exists() && !path.is_file() && !path.is_dir() {
            return Ok(());
        }
        let refused = |reason: String| Err(Failure::usage(format!("{option}: {reason}")));
        if path.is_dir() {
            let reason = format!("expected a file, got the directory {}", path.display());
            return refused(reason).map_err(|failure| failure.hint("add the name of a file to it"));
        }
        let real = real(path);
        if is_part_of_run(&real) {
            let reason = format!("{} is part of a finished run", path.display());
            let hint = format!("choose another name: its {RECORD} and report stay as they are");
            return refused(reason).map_err(|failure| failure.hint(hint));
        }
        match self.taken.insert(real, format!("the file of {option}")) {
            None => Ok(()),
            Some(other) => refused(format!("it would replace {other}"))
                .map_err(|failure| failure.hint("give each output a file of its own")),
        }
    }
}

/// The path without links, `.` and `..`; its last components need not exist.
pub fn real(path: &Path) -> PathBuf {
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let existing = absolute.ancestors().find_map(|ancestor| {
        let found = ancestor.canonicalize().ok()?;
        Some((found, absolute.strip_prefix(ancestor).ok()?))
    });
    let (mut real, rest) = existing.unwrap_or((PathBuf::new(), &absolute));
    for part in rest.components() {
        match part {
            Component::ParentDir => drop(real.pop()),
            Component::CurDir => {}
            part => real.push(part),
        }
    }
    real
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    /// Goal: a file is written once, however its path is spelled. Method: pairs of paths in a directory.
    #[test]
    fn different_paths_to_one_file_are_one_file() {
        let directory = tempfile::tempdir().expect("a directory");
        let at = |name: &str| directory.path().join(name);
        fs::create_dir(at("d")).expect("made");
        fs::write(at("file"), "").expect("written");
        symlink(at("file"), at("link")).expect("linked");
        symlink(at("d"), at("e")).expect("linked");
        for (one, two, is_one) in [
            ("a", "a", true),
            ("a", "./a", true),
            ("a", "d/../a", true),
            ("a", "nowhere/../a", true),
            ("file", "link", true),
            ("d/new", "e/new", true),
            ("d/new/x", "e/new/x", true),
            ("a", "b", false),
            ("d/a", "a", false),
        ] {
            let mut outputs = Outputs::default();
            outputs.write("--one", &at(one)).expect("the first");
            let second = outputs.write("--two", &at(two));
            assert_eq!(second.is_err(), is_one, "{one} and {two}");
            let mut outputs = Outputs::default();
            outputs.keep(&at(one));
            let read = outputs.write("--two", &at(two));
            assert_eq!(read.is_err(), is_one, "{one} and {two}");
        }
        let mut outputs = Outputs::default();
        outputs.write("--one", &at("d")).expect_err("a directory");
        for _ in 0..2 {
            outputs
                .write("--one", Path::new("/dev/null"))
                .expect("a device");
        }
    }
}
