//! What breaks underneath a run: a clear message each, the documented exit code, and a record of what was measured.

use std::fs;

use photofinish_record::{Completion, Outcome};

use crate::support::{
    Finished, Sandbox, Started, TINY, read_record, send, wait_for, wait_until_gone,
};

#[test]
fn a_killed_worker_ends_the_run_and_is_named_in_the_record() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.start(&[
        "run",
        "null",
        "--runtimes",
        "sync",
        "--rounds",
        "1",
        "--duration",
        "10m",
        "--concurrency",
        "1",
    ]);
    let worker = run.wait_for_child("worker");
    send("KILL", worker);
    run.finish().check(
        1,
        &["null / sync", "the worker was killed by SIGKILL", "hint:"],
    );
    check_failed_record(&sandbox, "SIGKILL");
}

#[test]
fn a_killed_server_ends_the_run_and_is_named_in_the_record() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.start(&[
        "run",
        "http-get",
        "--runtimes",
        "tokio",
        "--rounds",
        "1",
        "--duration",
        "10m",
        "--concurrency",
        "2",
    ]);
    let worker = run.wait_for_child("worker");
    let server = run.wait_for_child("serve");
    send("KILL", server);
    run.finish().check(
        1,
        &[
            "http-get / tokio",
            "the server `http` was killed by SIGKILL",
            "hint:",
        ],
    );
    wait_until_gone(&[worker]);
    check_failed_record(&sandbox, "SIGKILL");
}

fn check_failed_record(sandbox: &Sandbox, reason: &str) {
    let record = sandbox.record();
    assert!(
        matches!(&record.completion, Completion::Failed { reason: message } if message.contains(reason))
    );
    let last = record.rounds.last().expect("the failed round is kept");
    assert!(
        matches!(&last.outcome, Outcome::Failed { reason: message } if message.contains(reason))
    );
    assert!(sandbox.latest().join("report.html").is_file());
}

#[test]
fn an_unwritable_directory_is_reported_before_anything_is_measured() {
    let sandbox = Sandbox::new();
    sandbox.write("taken", "a file, not a directory");
    let finished = sandbox
        .run(&["run", "null", "--out", "taken"])
        .check(1, &["cannot make a run directory in taken", "--out"]);
    assert!(!finished.stderr.contains("block"), "{}", finished.stderr);
}

#[test]
fn a_baseline_that_cannot_be_kept_is_reported_before_anything_is_measured() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    let check = |arguments: &[&str], code, expected: &[&str]| {
        let run = [&["run", "null", "--runtimes=sync"], &TINY[..], arguments].concat();
        sandbox.run(&run).check(code, expected);
        assert!(!sandbox.path().join("photofinish-runs").exists());
    };
    let long = "x".repeat(300);
    let expected = ["at most 250 bytes, got 300", "hint: choose a shorter name"];
    check(&["--save-baseline", &long], 2, &expected);
    for directory in ["file", "file/below", "/proc/nowhere"] {
        let arguments = ["--save-baseline=main", "--baselines", directory];
        let expected = [
            &format!("cannot keep baselines in {directory}"),
            "hint: use --baselines",
        ];
        check(&arguments, 1, &expected);
    }
}

#[test]
fn a_full_disk_is_reported_and_nothing_is_left_behind() {
    // A file may grow to one block only, which is less than the record needs before its first round.
    let sandbox = Sandbox::new();
    let mut command = sandbox.command_after("trap '' XFSZ; ulimit -f 1", &["run", "null"]);
    Finished::of(&mut command).check(1, &["cannot make a run directory", "hint:"]);
    assert_eq!(sandbox.hidden(), None);
}

#[test]
fn a_disk_that_fills_up_ends_the_run_and_keeps_earlier_rounds() {
    // A file may grow to some tens of rounds; the run asks for five hundred.
    let sandbox = Sandbox::new();
    let arguments = [
        "run",
        "null",
        "--runtimes",
        "sync",
        "--rounds",
        "500",
        "--duration",
        "1ms",
        "--set=load.warmup=1ms",
        "--concurrency",
        "1",
    ];
    let mut command = sandbox.command_after("trap '' XFSZ; ulimit -f 64", &arguments);
    Finished::of(&mut command).check(1, &["so the run was ended", "hint: free some space"]);
    let hidden = sandbox.hidden();
    let kept = hidden.unwrap_or_else(|| sandbox.latest());
    sandbox
        .run(&["export", kept.to_str().expect("UTF-8"), "--format", "csv"])
        .check(0, &[]);
}

#[test]
fn a_record_that_cannot_be_saved_goes_to_the_temporary_directory() {
    let sandbox = Sandbox::new();
    let mut run = Started::of(sandbox.command(&[
        "run",
        "null",
        "--runtimes",
        "sync",
        "--no-redo",
        "--rounds",
        "3",
        "--duration",
        "1s",
        "--concurrency",
        "1",
    ]));
    wait_for("a round", || (sandbox.rounds_so_far() >= 1).then_some(()));
    run.wait_for_child("worker");
    let hidden = sandbox.hidden().expect("the run goes on");
    fs::rename(&hidden, sandbox.path().join("moved")).expect("moved away");
    fs::write(&hidden, "in the way").expect("written");
    run.finish()
        .check(1, &["cannot write the run to", "the record is in"]);
    let rescued = fs::read_dir(sandbox.path())
        .expect("listed")
        .filter_map(Result::ok)
        .map(|entry| entry.path());
    let rescued = rescued
        .into_iter()
        .find(|path| path.to_string_lossy().ends_with(".record.json"))
        .expect("a rescued record");
    assert_eq!(read_record(&rescued).rounds.len(), 3);
}

#[test]
fn too_few_file_descriptors_are_reported_before_anything_is_measured() {
    let sandbox = Sandbox::new();
    let arguments = [
        "run",
        "http-get",
        "--runtimes",
        "tokio",
        "--concurrency",
        "200",
    ];
    let mut command = sandbox.command_after("ulimit -n 100", &arguments);
    Finished::of(&mut command).check(1, &["open files", "ulimit -n"]);
    assert!(!sandbox.path().join("photofinish-runs").exists());
}

#[test]
fn a_low_soft_limit_of_file_descriptors_is_raised() {
    let sandbox = Sandbox::new();
    let arguments = [
        &["run", "http-get", "--runtimes", "tokio"],
        &TINY[..4],
        &["--concurrency", "100"],
    ]
    .concat();
    let mut command = sandbox.command_after("ulimit -S -n 64", &arguments);
    Finished::of(&mut command).check(0, &[]);
}

/// A scenario whose server misbehaves in half of all operations, with a budget for that.
fn misbehaving(behaviour: &str, budget: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let server = format!("[server.http]\nkind = \"http\"\n{behaviour}\n");
    let text = format!("workload = \"http-get\"\n[expect]\nerrors = \"{budget}\"\n{server}");
    sandbox.write("broken.toml", &text);
    sandbox
}

const BROKEN: [&str; 4] = ["run", "broken.toml", "--runtimes", "sync,tokio"];

#[test]
fn errors_over_the_budget_exit_with_5() {
    let sandbox = misbehaving("status = [{ code = 500, share = 0.5 }]", "1%");
    let expected = ["measured, but wrong", "broken / sync", "hint:"];
    sandbox
        .run(&[&BROKEN[..], &TINY].concat())
        .check(5, &expected);
    assert_eq!(sandbox.record().completion, Completion::Complete);
}

/// The same number of operations on a busy machine as on an idle one: of only a few, every one might fail.
const COUNTED: [&str; 5] = [
    "--rounds=2",
    "--concurrency=2",
    "--set=load.warmup=20ms",
    "--set=load.ops=200",
    "--no-redo",
];

#[test]
fn errors_within_the_budget_are_results() {
    let sandbox = misbehaving("status = [{ code = 500, share = 0.5 }]", "90%");
    sandbox.run(&[&BROKEN[..], &COUNTED].concat()).check(0, &[]);
    let record = sandbox.record();
    let Outcome::Ok(measured) = &record.rounds[0].outcome else {
        panic!("{:?}", record.rounds[0])
    };
    assert!(measured.worker.errors["status"].count > 0);
}

#[test]
fn network_faults_are_not_mismatches() {
    for fault in ["reset", "close", "truncate", "garbage"] {
        let behaviour = format!("faults = [{{ fault = \"{fault}\", share = 0.3 }}]");
        let sandbox = misbehaving(&behaviour, "90%");
        sandbox.run(&[&BROKEN[..], &COUNTED].concat()).check(0, &[]);
    }
}

/// What the scenario expects of its server is held against the server's own count: a semaphore with more permits than
/// that, and one with fewer, are both found out.
#[test]
fn a_concurrency_limit_exceeded_or_never_reached_is_measured_but_wrong() {
    let run = |permits: &str| {
        let sandbox = Sandbox::new();
        sandbox.run(&[
            "run",
            "http-limited",
            "--runtimes=tokio",
            "--rounds=1",
            "--duration=50ms",
            "--concurrency=1",
            "--set=load.warmup=20ms",
            "--no-redo",
            "--set=unit=5ms",
            permits,
        ])
    };
    run("--set=at_once=20").check(5, &["requests in flight (http)", "may have 5 each"]);
    run("--set=at_once=1").check(5, &["never saw more than 1", "5 were to be reached"]);
}

#[test]
fn a_file_system_without_a_size_is_not_called_full() {
    let arguments = [
        &["run", "null", "--runtimes", "sync", "--out", "/proc/x"],
        &TINY[..],
    ]
    .concat();
    let finished = Sandbox::new().run(&arguments);
    let finished = finished.check(
        1,
        &["cannot make a run directory in /proc/x", "hint: use --out"],
    );
    assert!(
        !finished.stdout.contains("are free for"),
        "{}",
        finished.stdout
    );
}
