//! Completions: what a shell offers for commands, options and the values that only this program knows.

use std::env;
use std::io::Write as _;
use std::process::Command;

use crate::support::{Finished, Sandbox, TINY, program};

/// Asks like bash does: an array of words, and the index of the last one.
const IN_BASH: &str = r#"
source <(photofinish completions bash)
complete -p photofinish >/dev/null || exit 1
ask() {
    COMP_WORDS=(photofinish "$@") COMP_CWORD=$# COMP_TYPE=9
    _clap_complete_photofinish photofinish "${@: -1}" "${@: -2:1}"
    printf '%s\n' "${COMPREPLY[@]}"
}
ask "$@"
"#;

/// The shell with the program in its PATH.
fn shell(sandbox: &Sandbox, name: &str, arguments: &[&str]) -> Command {
    let folder = program().parent().expect("a directory");
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = [folder.to_owned()]
        .into_iter()
        .chain(env::split_paths(&path));
    let mut command = Command::new(name);
    command
        .args(arguments)
        .current_dir(sandbox.path())
        .env("HOME", sandbox.path())
        .env("PATH", env::join_paths(folders).expect("a PATH"));
    command
}

#[track_caller]
fn offers(sandbox: &Sandbox, words: &[&str]) -> Vec<String> {
    let arguments = [&["-c", IN_BASH, "bash"], words].concat();
    let finished = Finished::of(&mut shell(sandbox, "bash", &arguments)).check(0, &[]);
    assert_eq!(finished.stderr, "");
    let lines = finished.stdout.lines().map(str::to_owned);
    lines.filter(|line| !line.is_empty()).collect()
}

/// Goal: a shell knows what only this program knows. Method: real bash, a run and a scenario file of the user's.
#[test]
fn bash_completes_scenarios_runtimes_metrics_parameters_and_runs() {
    let sandbox = Sandbox::new();
    let null = [
        "run",
        "null",
        "--runtimes",
        "sync",
        "--save-baseline",
        "main",
    ];
    sandbox.run(&[&null[..], &TINY[..]].concat()).check(0, &[]);
    sandbox.write("own.toml", "workload = \"file-lines\"\n");
    sandbox.write("own.txt", "");
    let id = sandbox.record().id;
    let check = |words: &[&str], expected: &[&str]| {
        assert_eq!(offers(&sandbox, words), expected, "{words:?}");
    };
    check(&["ru"], &["run", "runs"]);
    check(&["run", "--rou"], &["--rounds"]);
    check(&["run", "http-f"], &["http-fanout"]);
    check(&["run", "own"], &["own.toml"]);
    check(
        &["run", "null", "--runtimes", "tok"],
        &["tokio", "tokio-current-thread"],
    );
    check(&["run", "null", "--runtimes", "sync,sm"], &["sync,smol"]);
    check(&["run", "--placement", "sh"], &["shared"]);
    check(&["run", "http-delay", "--set", "reque"], &["requests="]);
    check(&["run", "null", "--set", "reque"], &[]);
    check(
        &["run", "--set", "load.warmup"],
        &["load.warmup=", "load.warmup_ops="],
    );
    check(
        &["run", "--expect", "response_p99"],
        &["response_p99", "response_p999"],
    );
    check(&["gate", "--limit", "throu"], &["throughput="]);
    check(&["show", &id[..8]], &[&id]);
    check(&["compare", "ma"], &["main"]);
    check(&["show", "ma"], &[]);
    check(&["export", "x", "--format", "jun"], &["junit"]);
    // Words that make no sense are no error.
    check(&["run", "--nosuch", "x", "y\u{1b}[2J"], &[]);
}

#[test]
fn fish_and_zsh_take_their_scripts() {
    let sandbox = Sandbox::new();
    let fish =
        "photofinish completions fish | source; complete -C 'photofinish run --runtimes tokio-'";
    let zsh = "autoload -U compinit; compinit -D; source <(photofinish completions zsh); print $_comps[photofinish]";
    for (name, line, expected) in [
        ("fish", fish, "tokio-current-thread\t"),
        ("zsh", zsh, "_clap_dynamic_completer_photofinish"),
    ] {
        let mut command = shell(&sandbox, name, &["-c", line]);
        let Ok(output) = command.output() else {
            // Not `eprintln!`, which is kept from those who run the tests.
            let _ = writeln!(std::io::stderr(), "SKIPPED: {name} is not installed");
            continue;
        };
        let finished = Finished::from(output).check(0, &[]);
        assert!(finished.stdout.contains(expected), "{finished:?}");
    }
}

#[test]
fn every_shell_has_a_script_that_asks_the_program() {
    let sandbox = Sandbox::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = sandbox.run(&["completions", shell]).check(0, &[]).stdout;
        assert!(script.contains("PHOTOFINISH_COMPLETE"), "{shell}");
        assert!(
            !script.contains("target/"),
            "{shell} would ask only this build"
        );
    }
}
