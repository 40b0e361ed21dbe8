//! `photofinish setup`: installs from the lock once, tells a failure in one sentence, and its interpreter is that of the lanes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::support::{Finished, Sandbox, TINY, python, skip_without};

/// An interpreter that makes environments with itself in them, and installs nothing. Everything else is for a real one.
const INTERPRETER: &str = r#"#!/bin/sh
case "$*" in
"-c import sys"*) echo "${PRETENDED_VERSION:-3 12}" ;;
"-m venv --clear "*) mkdir -p "$4/bin" && cp "$0" "$4/bin/python3" ;;
"-m pip install "*)
    echo "$@" >> "$PIP_LOG"
    [ -z "$NO_NETWORK" ] || { echo "WARNING: retrying" >&2; echo "ERROR: the index cannot be reached" >&2; exit 1; } ;;
"-c import aiofiles"*) ;;
*) exec python3 "$@" ;;
esac
"#;

struct Setting {
    sandbox: Sandbox,
    python: PathBuf,
}

impl Setting {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let python = sandbox.script("interpreter", INTERPRETER);
        Self { sandbox, python }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.sandbox.command(arguments);
        command
            .env("PIP_LOG", self.sandbox.path().join("pip.log"))
            .env_remove("PHOTOFINISH_DATA")
            .env_remove("PHOTOFINISH_PYTHON")
            .env_remove("VIRTUAL_ENV");
        command
    }

    fn setup(&self) -> Command {
        let python = self.python.to_str().expect("text");
        self.command(&["setup", "python", "--python", python])
    }

    #[track_caller]
    fn succeed(&self, said: &str, on_stderr: &[&str]) {
        let finished = Finished::of(&mut self.setup()).check(0, on_stderr);
        assert!(finished.stdout.contains(said), "{}", finished.stdout);
    }

    fn environment(&self) -> PathBuf {
        self.sandbox.path().join("data/photofinish/python")
    }

    /// The calls of pip so far.
    fn calls(&self) -> Vec<String> {
        let log = fs::read_to_string(self.sandbox.path().join("pip.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

#[test]
fn packages_are_installed_once_from_a_lock_with_hashes() {
    let setting = Setting::new();
    setting.succeed("is ready", &["downloading 17 packages"]);
    setting.succeed("is up to date", &[]);
    let calls = setting.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    for option in ["--require-hashes", "--no-deps", "--only-binary=:all:"] {
        assert!(calls[0].contains(option), "{}", calls[0]);
    }
    let lock = fs::read_to_string(setting.environment().join("packages.lock")).expect("a lock");
    let packages: Vec<_> = lock.lines().filter(|line| line.contains("==")).collect();
    assert_eq!(packages.len(), 17);
    for (number, package) in packages.iter().enumerate() {
        let own = lock.split(package).nth(1).unwrap_or_default();
        let next = packages.get(number + 1).and_then(|next| own.find(next));
        let own = &own[..next.unwrap_or(own.len())];
        assert!(own.contains("--hash=sha256:"), "{package} has no hash");
    }
}

#[test]
fn without_a_network_there_is_one_sentence_and_no_environment() {
    let setting = Setting::new();
    let mut offline = setting.setup();
    offline.env("NO_NETWORK", "1");
    let expected = [
        "cannot install the packages",
        "ERROR: the index cannot be reached",
        "needs a network",
    ];
    Finished::of(&mut offline).check(1, &expected);
    assert!(
        !setting
            .environment()
            .join("photofinish-lock.sha256")
            .exists()
    );
    // The next try does not take it for complete.
    setting.succeed("is ready", &[]);

    let mut old = setting.setup();
    old.env("PRETENDED_VERSION", "3 9");
    Finished::of(&mut old).check(2, &["is Python 3.9", "need 3.11", "--python"]);
    let mut without_uv = setting.command(&["setup", "python", "--with=uv", "--python=/nowhere"]);
    Finished::of(&mut without_uv).check(2, &["/nowhere", "cannot be started"]);
}

#[test]
fn lanes_run_with_the_interpreter_of_the_environment() {
    if python("asyncio", "asyncio").is_none() {
        return;
    }
    let setting = Setting::new();
    setting.succeed("is ready", &[]);
    let run = ["run", "null", "--runtimes=sync,asyncio"];
    Finished::of(&mut setting.command(&[&run[..], &TINY].concat())).check(0, &[]);
    let record = setting.sandbox.record();
    let worker = record.plan.runtimes["asyncio"]
        .worker
        .as_ref()
        .expect("a lane");
    let expected = setting.environment().join("bin/python3");
    assert_eq!(worker.command.first().map(PathBuf::from), Some(expected));
}

/// The data directory with the lane go, built once for all tests; `None` without Go.
pub fn built_go() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let build = || {
        let version = Command::new("go").arg("version").output();
        if !version.is_ok_and(|output| output.status.success()) {
            skip_without("go");
            return None;
        }
        let data = Path::new(env!("CARGO_TARGET_TMPDIR")).join("lanes");
        let sandbox = Sandbox::new();
        let mut setup = sandbox.command(&["setup", "go"]);
        setup.env("PHOTOFINISH_DATA", &data);
        Finished::of(&mut setup).check(0, &[]);
        Some(data)
    };
    BUILT.get_or_init(build).as_deref()
}

#[test]
fn go_is_built_once_without_a_network() {
    let Some(data) = built_go() else {
        return;
    };
    let sandbox = Sandbox::new();
    let setup = |arguments: &[&str]| {
        let mut command = sandbox.command(&[&["setup", "go"], arguments].concat());
        command.env("PHOTOFINISH_DATA", data);
        Finished::of(&mut command)
    };
    let again = setup(&[]).check(0, &[]);
    assert!(again.stdout.contains("is up to date"), "{}", again.stdout);
    let program = data.join("go/photofinish-go");
    let described = Command::new(program)
        .arg("describe")
        .output()
        .expect("it runs");
    let described: serde_json::Value = serde_json::from_slice(&described.stdout).expect("JSON");
    assert_eq!(described["lanes"][0]["name"], "go");

    setup(&["--go=/nowhere/go"]).check(2, &["/nowhere/go", "cannot be started", "--go"]);
    let old = sandbox.script("go", "#!/bin/sh\necho go version go1.18.1 linux/amd64\n");
    let old = format!("--go={}", old.display());
    setup(&[&old]).check(2, &["is Go 1.18", "needs 1.19"]);
}

/// A compiler that finds an error.
#[test]
fn a_failed_build_is_told_and_not_used() {
    let sandbox = Sandbox::new();
    let script = "#!/bin/sh\n[ \"$1\" = version ] && { echo go version go1.21.0 linux/amd64; exit; }\n\
                  echo './frame.go:1:1: disk full' >&2; exit 1\n";
    let go = sandbox.script("go", script);
    let mut command = sandbox.command(&["setup", "go"]);
    command.env("PHOTOFINISH_GO", go);
    Finished::of(&mut command).check(1, &["cannot build the lane go", "disk full"]);
    let data = sandbox.path().join("data/photofinish/go");
    assert!(data.join("frame.go").exists());
    assert!(!data.join("photofinish-sources.sha256").exists());
}

/// An npm that installs nothing, beside a Node that finds what it should have installed.
const NODE: &str = r#"#!/bin/sh
case "$*" in
"--version") echo "${PRETENDED_VERSION:-v20.11.0}" ;;
"-e require"*) [ -d node_modules/pg ] ;;
*) exec node "$@" ;;
esac
"#;

const NPM: &str = r#"#!/bin/sh
[ -z "$NO_NETWORK" ] || { echo "npm error network request failed" >&2; exit 1; }
echo "$@" >> "$NPM_LOG" && mkdir -p node_modules/pg
"#;

#[test]
fn packages_of_node_are_installed_once_from_a_lock() {
    let sandbox = Sandbox::new();
    fs::create_dir(sandbox.path().join("bin")).expect("made");
    let node = sandbox.script("bin/node", NODE);
    sandbox.script("bin/npm", NPM);
    let setup = |variables: &[(&str, &str)]| {
        let mut command = sandbox.command(&["setup", "node"]);
        command
            .env("PHOTOFINISH_NODE", &node)
            .env("NPM_LOG", sandbox.path().join("npm.log"))
            .env_remove("PHOTOFINISH_DATA")
            .envs(variables.iter().copied());
        Finished::of(&mut command)
    };
    let expected = [
        "cannot install the packages",
        "npm error network",
        "a network",
    ];
    setup(&[("NO_NETWORK", "1")]).check(1, &expected);
    let made = setup(&[]).check(0, &["downloading 15 packages"]);
    assert!(made.stdout.contains("is ready"), "{}", made.stdout);
    let again = setup(&[]).check(0, &[]);
    assert!(again.stdout.contains("is up to date"), "{}", again.stdout);
    setup(&[("PRETENDED_VERSION", "v16.20.0")]).check(2, &["is Node.js 16.20", "needs 18.14"]);

    let calls = fs::read_to_string(sandbox.path().join("npm.log")).expect("a log");
    assert_eq!(calls.lines().count(), 1, "{calls}");
    assert!(calls.starts_with("ci --ignore-scripts"), "{calls}");
    let directory = sandbox.path().join("data/photofinish/node");
    let lock = fs::read(directory.join("package-lock.json")).expect("a lock");
    let lock: serde_json::Value = serde_json::from_slice(&lock).expect("JSON");
    let packages = lock["packages"].as_object().expect("packages");
    for (name, package) in packages.iter().filter(|(name, _)| !name.is_empty()) {
        let hash = package["integrity"].as_str().unwrap_or_default();
        assert!(hash.starts_with("sha512-"), "{name} has no hash");
    }

    // The lane looks there.
    if Command::new("node").arg("--version").output().is_err() {
        skip_without("node");
        return;
    }
    let mut run = sandbox.command(&[&["run", "null", "--runtimes=sync,node"], &TINY[..]].concat());
    run.env("PHOTOFINISH_NODE", &node)
        .env_remove("PHOTOFINISH_DATA");
    Finished::of(&mut run).check(0, &[]);
    let record = sandbox.record();
    let worker = record.plan.runtimes["node"]
        .worker
        .as_ref()
        .expect("a lane");
    let modules = format!("--modules={}", directory.join("node_modules").display());
    assert_eq!(worker.command.last(), Some(&modules));
}
