//! A program of others with a workload of its own: the example, as its readers would run it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use photofinish_harness::runtimes::default_runtimes;
use photofinish_record::{Outcome, Record};

use crate::support::{Finished, Sandbox, TINY, program};

/// The built example, beside the program. Cargo builds examples before it runs all tests, but not before one of them.
fn example() -> PathBuf {
    static BUILT: OnceLock<()> = OnceLock::new();
    let directory = program().parent().expect("the program is in a directory");
    let example = directory.join("examples/own-workload");
    BUILT.get_or_init(|| {
        // With the features of the package alone, which are fewer than those of the workspace, Cargo would compile most
        // crates once more.
        if !is_current(&example) {
            build(directory.ends_with("release"));
        }
    });
    example
}

fn build(release: bool) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--example", "own-workload"]);
    if release {
        cargo.arg("--release");
    }
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    Finished::of(&mut cargo).check(0, &[]);
}

/// True if a program is newer than all of its sources, which Cargo lists beside it, and than the lock file.
fn is_current(program: &Path) -> bool {
    let modified = |path: &Path| fs::metadata(path).and_then(|found| found.modified());
    let Ok(built) = modified(program) else {
        return false;
    };
    let list = fs::read_to_string(program.with_extension("d")).unwrap_or_default();
    let (_, sources) = list.split_once(": ").unwrap_or_default();
    let lock = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    let mut sources = sources.split_whitespace().map(PathBuf::from).chain([lock]);
    !list.is_empty() && sources.all(|source| modified(&source).is_ok_and(|time| time < built))
}

fn scenario() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/own_workload.toml")
}

fn run(sandbox: &Sandbox, arguments: &[&str]) -> Finished {
    let mut command = Command::new(example());
    command.args(arguments).current_dir(sandbox.path());
    Finished::of(&mut command)
}

#[test]
fn a_custom_workload_runs_under_every_runtime() {
    let sandbox = Sandbox::new();
    let scenario = scenario();
    let file = scenario.to_str().expect("UTF-8");
    run(&sandbox, &[&["run", file], &TINY[..]].concat()).check(0, &[]);
    let record: Record = sandbox.record();
    let mut measured: Vec<&str> = Vec::new();
    for round in &record.rounds {
        let Outcome::Ok(outcome) = &round.outcome else {
            panic!("{:?}", round.outcome)
        };
        assert!(outcome.worker.ops > 0 && outcome.worker.errors.is_empty());
        measured.push(&record.plan.cells[round.cell].runtime);
    }
    for runtime in default_runtimes() {
        let rounds = measured.iter().filter(|name| **name == runtime.name);
        assert_eq!(rounds.count(), 2, "{}", runtime.name);
    }
}

#[test]
fn a_custom_workload_is_listed_and_its_parameters_are_checked() {
    let sandbox = Sandbox::new();
    let listed = run(&sandbox, &["list", "--all"]).check(0, &[]);
    assert!(listed.stdout.contains("shout"), "{}", listed.stdout);
    let scenario = scenario();
    let file = scenario.to_str().expect("UTF-8");
    let expected_text = ["expected one non-empty line"];
    run(&sandbox, &["plan", file, "--set=word="]).check(2, &expected_text);
    run(&sandbox, &["plan", file, "--set=params.wort=x"]).check(2, &["word"]);
}
