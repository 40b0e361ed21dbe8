//! Programs that the comparisons need beyond Rust: where they are, their version, how to install what is missing.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::failure::Failure;
use crate::text;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Program {
    pub(crate) name: &'static str,
    /// Command that installs it.
    pub(crate) install: &'static str,
    /// Argument that prints its version, if it has one.
    pub(crate) version: Option<&'static str>,
}

impl Program {
    /// Its path: on `PATH`, or where distributions and cargo keep programs.
    pub(crate) fn find(self) -> Result<PathBuf, Failure> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let found = find_in(
            self.name,
            std::env::split_paths(&path).chain(other_directories()),
        );
        found.ok_or_else(|| Failure::new(format!("{} is missing", self.name)).hint(self.install))
    }

    /// The line of its version output that has a number.
    pub(crate) fn version_text(self) -> Option<String> {
        let mut command = Command::new(self.find().ok()?);
        let output = command
            .arg(self.version?)
            .stdin(Stdio::null())
            .output()
            .ok()?;
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        let line = text
            .lines()
            .find(|line| line.contains(|c: char| c.is_ascii_digit()))?;
        text::first_line(line)
    }
}

fn find_in(name: &str, mut directories: impl Iterator<Item = PathBuf>) -> Option<PathBuf> {
    directories.find_map(|directory| Some(directory.join(name)).filter(|path| path.is_file()))
}

/// Directories of servers, of cargo's programs, and of PostgreSQL's, the highest version first.
fn other_directories() -> impl Iterator<Item = PathBuf> {
    let cargo = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cargo/bin"));
    let servers = ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from);
    cargo
        .into_iter()
        .chain(servers)
        .chain(postgres_directories(Path::new("/usr/lib/postgresql")))
}

fn postgres_directories(root: &Path) -> Vec<PathBuf> {
    let version = |path: &Path| {
        path.file_name()
            .and_then(OsStr::to_str)?
            .parse::<f64>()
            .ok()
    };
    let entries = fs::read_dir(root)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    let mut installed: Vec<(f64, PathBuf)> = entries
        .filter_map(|entry| Some((version(&entry.path())?, entry.path().join("bin"))))
        .collect();
    installed.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    installed
        .into_iter()
        .map(|(_, directory)| directory)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_postgres_comes_first_by_number_not_by_name() {
        let root = tempfile::tempdir().expect("a directory");
        for version in ["9.6", "15", "17", "common"] {
            fs::create_dir_all(root.path().join(version).join("bin")).expect("made");
        }
        let bin = |version: &str| root.path().join(version).join("bin");
        assert_eq!(
            postgres_directories(root.path()),
            [bin("17"), bin("15"), bin("9.6")]
        );
    }

    #[test]
    fn a_missing_program_says_how_to_install_it() {
        let program = Program {
            name: "no-such-program",
            install: "apt install no-such-package",
            version: None,
        };
        let failure = program.find().expect_err("missing").to_string();
        assert_eq!(
            failure,
            "no-such-program is missing\nhint: apt install no-such-package"
        );
        let shell = Program {
            name: "sh",
            ..program
        };
        assert!(shell.find().is_ok_and(|path| path.is_absolute()));
    }
}
