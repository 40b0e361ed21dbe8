//! The interpreter of the Python lanes, and the environment with their packages that `photofinish setup python` makes.
//!
//! Nothing here reaches a network but [`Environment::make`], which runs pip or uv. The lock with the hashes of all packages is
//! part of this program.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::managed::{
    self, Installation, Stamp, Version, answer, configured, finish, require_at_least, version_in,
    write_files,
};
use crate::exit::Failure;

/// Pinned packages with their hashes, as pip and uv read them.
const LOCK: &str = include_str!("../../lanes/python/packages.lock");

/// Modules that the packages provide: imported after the installation, so that a broken one is found there.
const MODULES: &str = "aiofiles, aiohttp, asyncpg, psycopg, psycopg_pool, uvloop, websockets";

/// Oldest version that the pinned packages support.
const OLDEST: Version = (3, 11);

/// The stamp of a managed environment.
fn stamp() -> Stamp {
    Stamp::of("photofinish-lock.sha256", &[LOCK])
}

/// The interpreter of Python lanes: `PHOTOFINISH_PYTHON`, that of the active virtual environment, that of the managed
/// environment, or `python3`.
fn interpreter() -> PathBuf {
    let managed = || {
        let environment = managed::directory("python")?;
        stamp()
            .exists(&environment)
            .then(|| python_of(&environment))
    };
    of_user()
        .or_else(managed)
        .unwrap_or_else(|| PathBuf::from("python3"))
}

/// The interpreter that the user's environment names.
fn of_user() -> Option<PathBuf> {
    let active = || Some(python_of(&configured("VIRTUAL_ENV")?));
    configured("PHOTOFINISH_PYTHON").or_else(active)
}

/// The command that starts a script, or the failure with the remedy.
pub(super) fn command(script: &str) -> Result<Vec<String>, Failure> {
    let python = interpreter();
    version(&python)?;
    Ok(vec![
        python.to_string_lossy().into_owned(),
        script.to_owned(),
    ])
}

fn python_of(environment: &Path) -> PathBuf {
    environment.join("bin/python3")
}

/// Major and minor version of an interpreter.
fn version(python: &Path) -> Result<Version, Failure> {
    let missing = || {
        Failure::usage(format!(
            "Python lanes need an interpreter, and `{}` cannot be started",
            python.display()
        ))
        .hint("install python3, or name an interpreter: PHOTOFINISH_PYTHON=/path/to/python3")
    };
    let mut command = Command::new(python);
    command.args(["-c", "import sys; print(*sys.version_info[:2])"]);
    let text = answer(&mut command).ok_or_else(missing)?;
    version_in(&text).ok_or_else(missing)
}

/// The program that installs packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Installer {
    Pip,
    Uv,
}

/// A managed environment to be made.
#[derive(Debug)]
pub struct Environment {
    directory: PathBuf,
    python: PathBuf,
    installer: Installer,
}

impl Installation for Environment {
    fn directory(&self) -> &Path {
        &self.directory
    }

    fn is_made(&self) -> bool {
        stamp().is_current(&self.directory) && version(&self.own_python()).is_ok()
    }

    fn announcement(&self) -> String {
        let packages = LOCK.lines().filter(|line| line.contains("==")).count();
        format!("downloading {packages} packages from a package index")
    }

    fn make(&self) -> Result<(), Failure> {
        self.make_environment()?;
        write_files(&self.directory, &[("packages.lock", LOCK)])?;
        self.install(&self.directory.join("packages.lock"))?;
        let mut import = Command::new(self.own_python());
        import.args(["-c", &format!("import {MODULES}")]);
        finish(
            &mut import,
            "the installed packages cannot be imported",
            None,
        )?;
        stamp().write(&self.directory)
    }
}

impl Environment {
    /// An environment for the interpreter `python`, or that of the user's environment.
    pub fn new(python: Option<PathBuf>, installer: Installer) -> Result<Self, Failure> {
        let python = python.or_else(of_user);
        let python = python.unwrap_or_else(|| PathBuf::from("python3"));
        let is = format!("`{}` is Python", python.display());
        let hint = "name another one with --python".to_owned();
        let needed_by = "the packages of the lanes need";
        require_at_least(OLDEST, version(&python)?, &is, needed_by, hint)?;
        Ok(Self {
            directory: managed::require_directory("python")?,
            python,
            installer,
        })
    }

    fn own_python(&self) -> PathBuf {
        python_of(&self.directory)
    }

    /// An environment without packages, in place of one that is there.
    fn make_environment(&self) -> Result<(), Failure> {
        let (mut command, hint) = match self.installer {
            Installer::Pip => {
                let mut command = Command::new(&self.python);
                command.args(["-m", "venv", "--clear"]).arg(&self.directory);
                (command, "install python3-venv, or use --with uv")
            }
            Installer::Uv => {
                let mut command = Command::new("uv");
                command.args(["venv", "--quiet", "--clear", "--no-project", "--python"]);
                command.args([&self.python, &self.directory]);
                (command, "install uv, or leave out --with")
            }
        };
        finish(
            &mut command,
            "cannot make the virtual environment",
            Some(hint),
        )
    }

    fn install(&self, lock: &Path) -> Result<(), Failure> {
        let python = self.own_python();
        let mut command = match self.installer {
            Installer::Pip => {
                let mut command = Command::new(python);
                command.args(["-m", "pip", "install", "--quiet", "--retries=1"]);
                command.args(["--disable-pip-version-check", "--no-input"]);
                command
            }
            Installer::Uv => {
                let mut command = Command::new("uv");
                command
                    .args(["pip", "install", "--quiet", "--python"])
                    .arg(python);
                command
            }
        };
        let exactly = [
            "--no-deps",
            "--require-hashes",
            "--only-binary=:all:",
            "--requirement",
        ];
        command.args(exactly).arg(lock);
        let hint = "it needs a network, or an index or mirror in the configuration of pip or uv";
        finish(&mut command, "cannot install the packages", Some(hint))
    }
}
