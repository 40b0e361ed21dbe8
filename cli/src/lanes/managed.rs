//! The directories that `photofinish setup` makes for lanes, one for each language, and the programs that fill them.
//!
//! A directory is complete once it has its stamp: the hash of what it was made from, written last.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use photofinish_record::hex;
use sha2::{Digest, Sha256};

use crate::exit::{Failure, OrFail};

/// What `photofinish setup LANGUAGE` makes.
pub trait Installation {
    /// The directory that holds all of it.
    fn directory(&self) -> &Path;

    /// True if it is there, made from the sources in this program.
    fn is_made(&self) -> bool;

    /// The work ahead, with what it takes from a network.
    fn announcement(&self) -> String;

    /// Makes it, in place of one that is there.
    fn make(&self) -> Result<(), Failure>;
}

/// The directory for the lanes of a language, whether or not it exists; `None` without a home directory.
pub(super) fn directory(language: &str) -> Option<PathBuf> {
    let absolute = |name| {
        let path = env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let home = || absolute("HOME").map(|home| home.join(".local/share"));
    let data = || Some(absolute("XDG_DATA_HOME").or_else(home)?.join("photofinish"));
    let parent = absolute("PHOTOFINISH_DATA").or_else(data)?;
    Some(parent.join(language))
}

/// The same, or the failure with the remedy.
pub(super) fn require_directory(language: &str) -> Result<PathBuf, Failure> {
    directory(language).ok_or_else(|| {
        Failure::could_not_run(format!("no directory for the lanes of `{language}`"))
            .hint("set PHOTOFINISH_DATA to an absolute path")
    })
}

/// A path in the user's environment, if it is set.
pub(super) fn configured(variable: &str) -> Option<PathBuf> {
    let value = env::var_os(variable).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// A version of an interpreter or compiler: major and minor number.
pub(super) type Version = (u32, u32);

/// The first two numbers in a text such as `v18.14.0` or `go1.22rc1`.
pub(super) fn version_in(text: &str) -> Option<Version> {
    let mut numbers = text
        .split(|letter: char| !letter.is_ascii_digit())
        .filter(|digits| !digits.is_empty())
        .map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// The failure if `found` is older than `oldest`; `is` says what the program is (`` `node` is Node.js ``), `needed_by` what needs
/// it, and `hint` how to name another one.
pub(super) fn require_at_least(
    oldest: Version,
    found: Version,
    is: &str,
    needed_by: &str,
    hint: String,
) -> Result<(), Failure> {
    if found >= oldest {
        return Ok(());
    }
    let shown = |(major, minor): Version| format!("{major}.{minor}");
    let (found, oldest) = (shown(found), shown(oldest));
    Err(Failure::usage(format!("{is} {found}, and {needed_by} {oldest}")).hint(hint))
}

/// The file in a directory with the hash of what it was made from.
#[derive(Debug)]
pub(super) struct Stamp {
    file: &'static str,
    hash: String,
}

impl Stamp {
    /// The stamp `file` of a directory made from these texts.
    pub fn of(file: &'static str, texts: &[&str]) -> Self {
        let mut digest = Sha256::new();
        for text in texts {
            digest.update(text);
        }
        Self {
            file,
            hash: hex(digest.finalize()),
        }
    }

    /// True if the directory was completed, from whatever.
    pub fn exists(&self, directory: &Path) -> bool {
        directory.join(self.file).exists()
    }

    /// True if the directory was completed from these texts.
    pub fn is_current(&self, directory: &Path) -> bool {
        let stamp = fs::read_to_string(directory.join(self.file));
        stamp.is_ok_and(|stamp| stamp == self.hash)
    }

    /// Takes the directory for incomplete until it is written again.
    pub fn remove(&self, directory: &Path) {
        let _ = fs::remove_file(directory.join(self.file));
    }

    pub fn write(&self, directory: &Path) -> Result<(), Failure> {
        let cannot = format!("cannot make {}", directory.display());
        fs::write(directory.join(self.file), &self.hash).or_fail(cannot)
    }
}

/// Writes files with these names and texts to a directory, which is made if it is missing.
pub(super) fn write_files(directory: &Path, files: &[(&str, &str)]) -> Result<(), Failure> {
    let cannot = || format!("cannot write to {}", directory.display());
    fs::create_dir_all(directory).or_fail(cannot())?;
    for (name, text) in files {
        fs::write(directory.join(name), text).or_fail(cannot())?;
    }
    Ok(())
}

/// Runs a command to its end. Its failure has the last line that it wrote.
pub(super) fn finish(
    command: &mut Command,
    failed: &str,
    hint: Option<&str>,
) -> Result<(), Failure> {
    let program = Path::new(command.get_program()).display().to_string();
    let fail = |reason: String| {
        let failure = Failure::could_not_run(format!("{failed}: `{program}` {reason}"));
        failure.maybe_hint(hint.map(str::to_owned))
    };
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(fail(format!("says: {}", last_words(&output)))),
        Err(error) => Err(fail(format!("cannot be started: {error}"))),
    }
}

/// The last line with an error, or the last line.
fn last_words(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let text = if text.trim().is_empty() {
        String::from_utf8_lossy(&output.stdout)
    } else {
        text
    };
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let last = lines
        .clone()
        .rfind(|line| line.to_lowercase().starts_with("error"));
    last.or_else(|| lines.next_back())
        .unwrap_or("nothing")
        .to_owned()
}

/// What a command writes to its standard output; `None` if it fails.
pub(super) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    output.status.success().then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_the_first_two_numbers() {
        assert_eq!(version_in("v18.14.0"), Some((18, 14)));
        assert_eq!(version_in("go1.22rc1"), Some((1, 22)));
        assert_eq!(version_in("3 11\n"), Some((3, 11)));
        assert_eq!(version_in("devel"), None);
        assert_eq!(version_in("99999999999.1"), None);
    }

    #[test]
    fn an_older_version_is_refused_with_both() {
        let require =
            |found| require_at_least((3, 11), found, "`p` is Python", "it needs", String::new());
        assert!(require((3, 11)).is_ok() && require((4, 0)).is_ok());
        let refused = require((3, 9)).expect_err("older");
        assert!(
            refused
                .to_string()
                .contains("`p` is Python 3.9, and it needs 3.11"),
            "{refused}"
        );
    }
}
