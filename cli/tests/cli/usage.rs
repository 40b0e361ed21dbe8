//! Wrong usage: exit code 2, nothing on stdout, nothing run, and a message that says what to type instead.

use crate::support::Sandbox;

#[track_caller]
fn check(arguments: &[&str], told: &[&str]) {
    let sandbox = Sandbox::new();
    let finished = sandbox.run(arguments).check(2, told);
    assert_eq!(finished.stdout, "");
    assert!(
        !sandbox.path().join("photofinish-runs").exists(),
        "something was made"
    );
}

#[test]
fn an_unknown_scenario_gets_a_did_you_mean() {
    check(
        &["run", "http-gett"],
        &["http-gett", "hint: did you mean `http-get`?"],
    );
}

#[test]
fn an_unknown_runtime_gets_a_did_you_mean() {
    check(
        &["run", "null", "--runtimes", "tokyo"],
        &["did you mean `tokio`?"],
    );
}

#[test]
fn a_misspelt_key_in_a_file_gets_file_line_and_column() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "mine.toml",
        "workload = \"null\"\n\n[load]\nduraton = \"1s\"\n",
    );
    sandbox
        .run(&["run", "mine.toml"])
        .check(2, &["mine.toml:4:1", "duraton", "duration"]);
    sandbox
        .run(&["plan", "mine.toml"])
        .check(2, &["mine.toml:4:1"]);
}

#[test]
fn a_scenario_file_that_is_not_there_is_told() {
    check(
        &["run", "nowhere.toml"],
        &["cannot read the scenario nowhere.toml", "hint:"],
    );
}

#[test]
fn a_scenario_file_in_another_encoding_is_told() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("latin.toml"), b"title = '\xfc'").expect("written");
    let told = [
        "cannot read the scenario latin.toml",
        "hint: save it as UTF-8",
    ];
    sandbox.run(&["plan", "latin.toml"]).check(2, &told);
    let told = ["Is a directory", "hint: name a file in it"];
    sandbox.run(&["plan", "./"]).check(2, &told);
}

#[test]
fn an_override_that_fits_nothing_is_told() {
    check(&["run", "null", "--set", "pathh=1"], &["pathh"]);
    check(&["run", "null", "--set", "unit"], &["key=value"]);
}

#[test]
fn an_impossible_placement_is_told() {
    check(&["run", "null", "--cpus", "4000"], &["CPU 4000", "hint:"]);
    check(
        &["run", "null", "--cpus", "0", "--placement", "split"],
        &["two CPUs"],
    );
    check(&["run", "null", "--cpus", "x"], &["`x`"]);
}

#[test]
fn an_unknown_option_is_told() {
    check(&["run", "null", "--speed", "100"], &["--speed"]);
    check(&["run", "null", "--concurrency", "0"], &["--concurrency"]);
    check(&["run", "null", "--duration", "5"], &["5"]);
}

#[test]
fn a_target_that_is_not_this_machine_needs_a_word() {
    check(
        &["run", "http-get", "--target", "http=http://192.0.2.1/"],
        &["192.0.2.1", "--allow-remote"],
    );
    check(
        &["run", "null", "--target", "http=http://127.0.0.1:1/"],
        &["http"],
    );
}
