//! The interpreter of the Python lanes, and the environment with their packages that `photofinish setup python` makes.
//!
//! Nothing here reaches a network but [`Installation::make`], which runs pip or uv. The lock with the hashes of all packages is
//! part of this program.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use photofinish_record::hex;
use sha2::{Digest, Sha256};

use crate::exit::{Failure, OrFail};

/// Pinned packages with their hashes, as pip and uv read them.
const LOCK: &str = include_str!("../../lanes/python/packages.lock");

/// Modules that the packages provide: imported after the installation, so that a broken one is found there.
const MODULES: &str = "aiofiles, aiohttp, asyncpg, psycopg, psycopg_pool, uvloop, websockets";

/// Oldest version that the pinned packages support.
const OLDEST: (u32, u32) = (3, 11);

/// File in a managed environment with the hash of the lock that it was made from, written last.
const STAMP: &str = "photofinish-lock.sha256";

/// The interpreter of Python lanes: `PHOTOFINISH_PYTHON`, that of the active virtual environment, that of the managed
/// environment, or `python3`.
fn interpreter() -> PathBuf {
    let managed = || {
        let environment = managed()?;
        is_complete(&environment).then(|| python_of(&environment))
    };
    configured()
        .or_else(managed)
        .unwrap_or_else(|| PathBuf::from("python3"))
}

/// The interpreter that the user's environment names.
fn configured() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty());
    let active = || Some(python_of(Path::new(&set("VIRTUAL_ENV")?)));
    set("PHOTOFINISH_PYTHON").map(PathBuf::from).or_else(active)
}

/// The interpreter, or the failure with the remedy.
pub(super) fn require_interpreter() -> Result<PathBuf, Failure> {
    let python = interpreter();
    version(&python)?;
    Ok(python)
}

/// The directory of the managed environment, whether or not it exists; `None` without a home directory.
pub fn managed() -> Option<PathBuf> {
    let absolute = |name| {
        let path = env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let home = || absolute("HOME").map(|home| home.join(".local/share"));
    let data = || Some(absolute("XDG_DATA_HOME").or_else(home)?.join("photofinish"));
    Some(absolute("PHOTOFINISH_DATA").or_else(data)?.join("python"))
}

fn python_of(environment: &Path) -> PathBuf {
    environment.join("bin/python3")
}

/// True if an installation into this environment came to its end.
fn is_complete(environment: &Path) -> bool {
    environment.join(STAMP).exists()
}

fn lock_sha256() -> String {
    hex(Sha256::digest(LOCK))
}

/// Major and minor version of an interpreter.
fn version(python: &Path) -> Result<(u32, u32), Failure> {
    let missing = || {
        Failure::usage(format!(
            "Python lanes need an interpreter, and `{}` cannot be started",
            python.display()
        ))
        .hint("install python3, or name an interpreter: PHOTOFINISH_PYTHON=/path/to/python3")
    };
    let mut command = Command::new(python);
    command.args(["-c", "import sys; print(*sys.version_info[:2])"]);
    let output = command.stdin(Stdio::null()).output();
    let output = output.ok().filter(|output| output.status.success());
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let text = text.ok_or_else(missing)?;
    let numbers = text.split_whitespace().map(str::parse);
    match numbers.collect::<Result<Vec<u32>, _>>().as_deref() {
        Ok(&[major, minor]) => Ok((major, minor)),
        _ => Err(missing()),
    }
}

/// The program that installs packages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Installer {
    Pip,
    Uv,
}

/// A managed environment to be made.
#[derive(Debug)]
pub struct Installation {
    pub directory: PathBuf,
    python: PathBuf,
    installer: Installer,
}

impl Installation {
    /// An installation with the interpreter `python`, or that of the user's environment.
    pub fn new(python: Option<PathBuf>, installer: Installer) -> Result<Self, Failure> {
        let python = python.or_else(configured);
        let python = python.unwrap_or_else(|| PathBuf::from("python3"));
        let (major, minor) = version(&python)?;
        if (major, minor) < OLDEST {
            let (needed_major, needed_minor) = OLDEST;
            let message = format!(
                "`{}` is Python {major}.{minor}, and the packages of the lanes need {needed_major}.{needed_minor}",
                python.display()
            );
            return Err(Failure::usage(message).hint("name another one with --python"));
        }
        let directory = managed().ok_or_else(|| {
            Failure::could_not_run("no directory for the environment of the Python lanes")
                .hint("set PHOTOFINISH_DATA to an absolute path")
        })?;
        Ok(Self {
            directory,
            python,
            installer,
        })
    }

    /// True if the environment is there, made from the lock of this program.
    pub fn is_made(&self) -> bool {
        let stamp = fs::read_to_string(self.directory.join(STAMP));
        stamp.is_ok_and(|stamp| stamp == lock_sha256()) && version(&self.own_python()).is_ok()
    }

    /// Number of packages in the lock.
    pub fn packages() -> usize {
        LOCK.lines().filter(|line| line.contains("==")).count()
    }

    /// Makes the environment and installs the packages. Reaches the package index that the installer is configured for.
    pub fn make(&self) -> Result<(), Failure> {
        let cannot = format!("cannot make {}", self.directory.display());
        fs::create_dir_all(&self.directory).or_fail(cannot.clone())?;
        self.make_environment()?;
        let lock = self.directory.join("packages.lock");
        fs::write(&lock, LOCK).or_fail(cannot.clone())?;
        self.install(&lock)?;
        let mut import = Command::new(self.own_python());
        import.args(["-c", &format!("import {MODULES}")]);
        finish(
            &mut import,
            "the installed packages cannot be imported",
            None,
        )?;
        fs::write(self.directory.join(STAMP), lock_sha256()).or_fail(cannot)
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

/// Runs a command to its end. Its failure has the last line that it wrote.
fn finish(command: &mut Command, failed: &str, hint: Option<&str>) -> Result<(), Failure> {
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
