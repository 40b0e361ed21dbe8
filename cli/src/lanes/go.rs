//! The program of the lanes of Go, which `photofinish setup go` builds from the sources in this program.
//!
//! Nothing here reaches a network: the module has the standard library alone.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::managed::{
    self, Installation, Stamp, Version, answer, configured, finish, require_at_least, version_in,
    write_files,
};
use super::sources;
use crate::exit::Failure;

/// Oldest version of the compiler: that of the module.
const OLDEST: Version = (1, 19);

const PROGRAM: &str = "photofinish-go";

/// The stamp of a directory with a built program.
fn stamp() -> Stamp {
    let texts: Vec<&str> = sources::GO.iter().map(|(_, text)| *text).collect();
    Stamp::of("photofinish-sources.sha256", &texts)
}

/// The command that starts the lane, or the failure with the remedy.
pub(super) fn command() -> Result<Vec<String>, Failure> {
    let built = managed::directory("go").filter(|directory| stamp().is_current(directory));
    let directory = built.ok_or_else(|| {
        Failure::usage(
            "its program is not built; `photofinish setup go` builds it, with a compiler of Go",
        )
    })?;
    Ok(vec![directory.join(PROGRAM).to_string_lossy().into_owned()])
}

/// A program to be built.
#[derive(Debug)]
pub struct Build {
    directory: PathBuf,
    go: PathBuf,
}

impl Build {
    /// A build with the compiler `go`, `PHOTOFINISH_GO`, or `go`.
    pub fn new(go: Option<PathBuf>) -> Result<Self, Failure> {
        let go = go.or_else(|| configured("PHOTOFINISH_GO"));
        let go = go.unwrap_or_else(|| PathBuf::from("go"));
        require_version(&go)?;
        Ok(Self {
            directory: managed::require_directory("go")?,
            go,
        })
    }
}

/// The failure if the compiler is missing or too old.
fn require_version(go: &Path) -> Result<(), Failure> {
    let shown = go.display();
    let missing = || {
        Failure::usage(format!(
            "the lane go needs a compiler, and `{shown}` cannot be started"
        ))
        .hint("install Go, or name its command: --go /path/to/go")
    };
    // `go version go1.19.8 linux/amd64`
    let text = answer(Command::new(go).arg("version").env("GOTOOLCHAIN", "local"));
    let text = text.ok_or_else(missing)?;
    let version = text.split_whitespace().nth(2).unwrap_or_default();
    let found = version_in(version).ok_or_else(missing)?;
    let is = format!("`{shown}` is Go");
    let hint = "name another one: --go /path/to/go".to_owned();
    require_at_least(OLDEST, found, &is, "the lane needs", hint)
}

impl Installation for Build {
    fn directory(&self) -> &Path {
        &self.directory
    }

    fn is_made(&self) -> bool {
        stamp().is_current(&self.directory) && self.directory.join(PROGRAM).exists()
    }

    fn announcement(&self) -> String {
        "building the lane go, without a network,".to_owned()
    }

    fn make(&self) -> Result<(), Failure> {
        stamp().remove(&self.directory);
        write_files(&self.directory, sources::GO)?;
        let mut build = Command::new(&self.go);
        build
            .args(["build", "-buildvcs=false", "-o", PROGRAM, "."])
            .current_dir(&self.directory)
            // Only what is here, however the user builds programs of their own.
            .envs([
                ("GOPROXY", "off"),
                ("GOTOOLCHAIN", "local"),
                ("GOWORK", "off"),
            ])
            .env("GO111MODULE", "on")
            .env_remove("GOFLAGS");
        finish(&mut build, "cannot build the lane go", None)?;
        stamp().write(&self.directory)
    }
}
