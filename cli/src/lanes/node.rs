//! The interpreter of the lane `node`, and the directory with its packages that `photofinish setup node` makes.
//!
//! Nothing here reaches a network but [`Packages::make`], which runs npm. The lock with the hashes of all packages is part of
//! this program.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::managed::{
    self, Installation, Stamp, Version, answer, configured, finish, require_at_least, version_in,
    write_files,
};
use crate::exit::Failure;

/// What npm installs: the packages that are used, and all that they need, pinned and with their hashes.
const FILES: [(&str, &str); 2] = [
    (
        "package.json",
        include_str!("../../lanes/node/package.json"),
    ),
    (
        "package-lock.json",
        include_str!("../../lanes/node/package-lock.json"),
    ),
];

/// Oldest version that has all functions that the lane calls.
const OLDEST: Version = (18, 14);

/// The stamp of a directory of packages.
fn stamp() -> Stamp {
    Stamp::of(
        "photofinish-lock.sha256",
        &FILES.map(|(_, content)| content),
    )
}

/// The interpreter: `PHOTOFINISH_NODE`, or `node`.
fn interpreter() -> PathBuf {
    configured("PHOTOFINISH_NODE").unwrap_or_else(|| PathBuf::from("node"))
}

/// The directory of packages that `photofinish setup node` made. Node itself looks by `NODE_PATH` for what is not there.
fn modules() -> Option<PathBuf> {
    let directory = managed::directory("node")?;
    let is_made = stamp().exists(&directory);
    is_made.then(|| directory.join("node_modules"))
}

/// The command that starts a script, or the failure with the remedy.
pub(super) fn command(script: &str) -> Result<Vec<String>, Failure> {
    let node = interpreter();
    require_version(&node, "PHOTOFINISH_NODE=/path/to/node")?;
    let mut command = vec![node.to_string_lossy().into_owned(), script.to_owned()];
    command.extend(modules().map(|modules| format!("--modules={}", modules.display())));
    Ok(command)
}

/// The failure if an interpreter is missing or too old; `option` names another one.
fn require_version(node: &Path, option: &str) -> Result<(), Failure> {
    let shown = node.display();
    let missing = || {
        Failure::usage(format!(
            "the lane node needs an interpreter, and `{shown}` cannot be started"
        ))
        .hint(format!("install nodejs, or name an interpreter: {option}"))
    };
    let text = answer(Command::new(node).arg("--version")).ok_or_else(missing)?;
    let found = version_in(&text).ok_or_else(missing)?;
    let is = format!("`{shown}` is Node.js");
    let hint = format!("name another one: {option}");
    require_at_least(OLDEST, found, &is, "the lane needs", hint)
}

/// A directory of packages to be made.
#[derive(Debug)]
pub struct Packages {
    directory: PathBuf,
    node: PathBuf,
}

impl Packages {
    /// Packages for the interpreter `node`, or that of the user's environment.
    pub fn new(node: Option<PathBuf>) -> Result<Self, Failure> {
        let node = node.unwrap_or_else(interpreter);
        require_version(&node, "--node /path/to/node")?;
        Ok(Self {
            directory: managed::require_directory("node")?,
            node,
        })
    }

    /// The npm beside the interpreter, which Node's own packages install there, or else the one in the search path.
    fn npm(&self) -> PathBuf {
        let beside = self.node.with_file_name("npm");
        if beside.is_absolute() && beside.exists() {
            beside
        } else {
            PathBuf::from("npm")
        }
    }
}

impl Installation for Packages {
    fn directory(&self) -> &Path {
        &self.directory
    }

    fn is_made(&self) -> bool {
        stamp().is_current(&self.directory)
    }

    fn announcement(&self) -> String {
        let [_, (_, lock)] = FILES;
        let packages = lock.matches("\"node_modules/").count();
        format!("downloading {packages} packages from the registry of npm")
    }

    fn make(&self) -> Result<(), Failure> {
        stamp().remove(&self.directory);
        write_files(&self.directory, &FILES)?;
        let mut install = Command::new(self.npm());
        install.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
        let hint = "it needs npm and a network, or a registry in the configuration of npm";
        finish(
            install.current_dir(&self.directory),
            "cannot install the packages",
            Some(hint),
        )?;
        let mut load = Command::new(&self.node);
        load.args(["-e", "require('pg'); require('ws')"]);
        finish(
            load.current_dir(&self.directory),
            "the installed packages cannot be loaded",
            None,
        )?;
        stamp().write(&self.directory)
    }
}
