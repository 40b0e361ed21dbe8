//! Wrong usage: exit code 2, nothing on stdout, nothing run, and a message that says what to type instead.

use crate::support::Sandbox;

#[track_caller]
fn check(arguments: &[&str], expected: &[&str]) {
    let sandbox = Sandbox::new();
    let finished = sandbox.run(arguments).check(2, expected);
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
fn names_that_are_not_known_get_a_hint_everywhere() {
    check(
        &["selftest", "--runtimes", "tokyo"],
        &["unknown runtime `tokyo`", "did you mean `tokio`?"],
    );
    let behaviour = |key: &str| format!("--behaviour={{\"{key}\": 5}}");
    for (key, hint) in [
        ("dely", "did you mean `delay`?"),
        ("zzz", "expected one of seed, delay"),
    ] {
        let serve = ["serve", "http", "--listen=127.0.0.1:0", &behaviour(key)];
        check(&serve, &["unknown field", &format!("hint: {hint}")]);
    }
    check(&["serve", "htp"], &["unknown server `htp`", "hint: "]);
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
fn a_missing_scenario_file_is_reported() {
    check(
        &["run", "nowhere.toml"],
        &["cannot read the scenario nowhere.toml", "hint:"],
    );
}

#[test]
fn a_scenario_file_in_another_encoding_is_reported() {
    let sandbox = Sandbox::new();
    std::fs::write(sandbox.path().join("latin.toml"), b"title = '\xfc'").expect("written");
    let expected = [
        "cannot read the scenario latin.toml",
        "hint: save it as UTF-8",
    ];
    sandbox.run(&["plan", "latin.toml"]).check(2, &expected);
    let expected = ["Is a directory", "hint: name a file in it"];
    sandbox.run(&["plan", "./"]).check(2, &expected);
}

#[test]
fn an_override_that_fits_nothing_is_reported() {
    check(&["run", "null", "--set", "pathh=1"], &["pathh"]);
    check(&["run", "null", "--set", "unit"], &["key=value"]);
}

#[test]
fn an_impossible_placement_is_reported() {
    check(&["run", "null", "--cpus", "4000"], &["CPU 4000", "hint:"]);
    check(
        &["run", "null", "--cpus", "0", "--placement", "split"],
        &["two CPUs"],
    );
    check(&["run", "null", "--cpus", "x"], &["`x`"]);
}

#[test]
fn an_unknown_option_is_reported() {
    check(&["run", "null", "--speed", "100"], &["--speed"]);
}

/// Every quantity on the command line: one sentence that names what was expected, and a hint, before anything is run.
#[test]
fn a_quantity_out_of_range_is_reported_with_its_range() {
    let sessions = "expected a number of sessions from 1 to 1,000,000";
    let rounds = "expected a number of rounds from 1 to 1,000,000";
    let rate = "above 0 and at most 10,000,000";
    for (option, value, expected) in [
        ("--concurrency", "0", sessions),
        ("--concurrency", "1-4", sessions),
        ("--concurrency", "-1", sessions),
        ("--concurrency", "1,x", sessions),
        ("--concurrency", "1000001", sessions),
        ("--concurrency", "4000000000", sessions),
        ("--concurrency", "99999999999999999999", sessions),
        ("--rounds", "0", rounds),
        ("--rounds", "-1", rounds),
        ("--rounds", "4000000000", rounds),
        ("--rate", "0", rate),
        ("--rate", "-1", rate),
        ("--rate", "fast", rate),
        ("--duration", "5", "a time with its unit"),
        ("--duration", "-1s", "a time with its unit"),
        ("--duration", "25h", "at most a day"),
        ("--duration", "0s", "expected a time above zero"),
        ("--duration", "0.1ns", "expected a time above zero"),
        ("--find-max", "response_p99 < 1ns", "from 1us to 60s"),
        ("--find-max", "response_p99 < 70s", "from 1us to 60s"),
        (
            "--find-max",
            "response_p99 < -5ms",
            "such as \"response_p99 < 10ms\"",
        ),
    ] {
        check(
            &["run", "null", option, value],
            &[option, expected, "\nhint: "],
        );
        check(
            &["plan", "null", option, value],
            &[option, expected, "\nhint: "],
        );
    }
    let (count, seed) = ("expected a whole number from 1", "from 0 to 2^64 - 1");
    for (arguments, expected) in [
        (&["gate", "null", "--max-pairs", "0"][..], count),
        (&["gate", "null", "--max-pairs", "5000000000"], "smaller"),
        (&["runs", "--prune", "--keep", "0"], count),
        (&["serve", "http", "--threads", "-1"], count),
        (&["submit", "slurm", "--shards=2", "--cpus=x"], count),
        (&["run", "null", "--seed", "-1"], seed),
    ] {
        check(arguments, &[expected, "\nhint: "]);
    }
    let file_sessions = "--set=load.concurrency=4000000000";
    check(&["run", "null", file_sessions], &["from 1 to 1,000,000"]);
    check(
        &["run", "http-delay", "--set=requests=4000000000"],
        &["expected at most 10000"],
    );
    for fine in [
        "--duration=1h",
        "--rate=2",
        "--concurrency=1000000",
        "--rounds=1",
    ] {
        Sandbox::new()
            .run(&["plan", "null", "--runtimes=sync", fine])
            .check(0, &[]);
    }
}

#[test]
fn an_error_in_the_arguments_has_a_hint_like_all_others() {
    for (arguments, expected) in [
        (
            &["serve", "http", "--listen", "127.0.0.1"][..],
            "such as 127.0.0.1:8080",
        ),
        (
            &["run", "null", "--placement", "sam"],
            "hint: a similar value exists: 'same'",
        ),
        (
            &["run", "null", "--round", "1"],
            "hint: a similar argument exists: '--rounds'",
        ),
        (
            &["run", "null", "--velocity", "1"],
            "hint: `photofinish run --help` shows what it takes",
        ),
        (
            &["compare"],
            "hint: `photofinish compare --help` shows what it takes",
        ),
        (&["runn"], "hint: "),
        (
            &["run", "null", "--runtimes", "compio"],
            "build with `--features compio`",
        ),
        (
            &["run", "null", "--set", "runtimes=['compio']"],
            "build with `--features compio`",
        ),
    ] {
        check(arguments, &["error: ", expected]);
    }
}

/// A round without an arrival measures nothing, so it is not run.
#[test]
fn a_load_without_arrivals_is_reported_by_the_plan() {
    let none = ["give a round no arrival", "hint: raise the rate"];
    check(&["plan", "null", "--rate", "0.000001"], &none);
    let poisson = [
        "run",
        "null",
        "--rate=0.1",
        "--arrivals=poisson",
        "--duration=1s",
    ];
    check(&poisson, &none);
}

/// An address is accepted or refused alike in a target and in a path, and the message names the letter.
#[test]
fn an_address_that_cannot_be_asked_as_written_is_reported() {
    for (path, expected) in [
        ("/x#part", "a fragment (`#…`) is never sent"),
        (
            "/münchen",
            "`ü` is not allowed in a path; write it as `%C3%BC`",
        ),
        (
            "/x?q=a b",
            "` ` is not allowed in a path; write it as `%20`",
        ),
    ] {
        for (scenario, scheme) in [("http-get", "http"), ("ws-echo", "ws")] {
            let target = format!("{scheme}={scheme}://127.0.0.1:1{path}");
            check(
                &["run", scenario, "--target", &target],
                &[expected, "hint:"],
            );
        }
        check(
            &["run", "http-get", "--set", &format!("path={path}")],
            &[expected],
        );
        check(
            &[
                "run",
                "http-fanout",
                "--set",
                &format!("paths=['/', '{path}']"),
            ],
            &[expected],
        );
        let status = format!("http-status=http://127.0.0.1:1{path}");
        check(
            &[
                "run",
                "http-get",
                "--target=http=http://127.0.0.1:1",
                "--target",
                &status,
            ],
            &[expected],
        );
    }
    for (target, expected) in [
        (
            "http=127.0.0.1:8080",
            "hint: write --target http=http://HOST:PORT/",
        ),
        (
            "http=localhost:8080/x",
            "hint: write --target http=http://HOST:PORT/",
        ),
        (
            "ws=localhost:8080",
            "hint: write --target ws=ws://HOST:PORT/",
        ),
        ("127.0.0.1:8080", "--target needs a name and a URL"),
        (
            "http://127.0.0.1:8080/?a=s3cret",
            "--target needs a name and a URL",
        ),
        ("htp=http://127.0.0.1:8080", "hint: did you mean `http`?"),
        (
            "http=http://192.0.2.1:8080/",
            "192.0.2.1 is not this machine",
        ),
    ] {
        let refused = Sandbox::new().run(&["run", "http-get", "--target", target]);
        let refused = refused.check(2, &[expected, "hint: "]);
        assert!(!refused.stderr.contains("s3cret"), "{refused:#?}");
    }
}

#[test]
fn a_remote_target_needs_allow_remote() {
    check(
        &["run", "http-get", "--target", "http=http://192.0.2.1/"],
        &["192.0.2.1", "--allow-remote"],
    );
    check(
        &["run", "null", "--target", "http=http://127.0.0.1:1/"],
        &["http"],
    );
}

/// One of two paths would not be asked for, and the numbers would be of the other.
#[test]
fn a_path_is_named_once() {
    let target = "http=http://127.0.0.1:9/plain";
    Sandbox::new()
        .run(&[
            "plan",
            "http-get",
            "--target",
            target,
            "--set",
            "path=/nope",
        ])
        .check(2, &["path=/nope", "name different paths", "hint: "]);
}
