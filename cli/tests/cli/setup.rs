//! `photofinish setup`: installs from the lock once, tells a failure in one sentence, and its interpreter is that of the lanes.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::support::{Finished, Sandbox, TINY, python};

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
