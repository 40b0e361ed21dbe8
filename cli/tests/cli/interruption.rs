//! Ends that nobody planned: Ctrl-C, and the death of the orchestrator itself. What was measured stays, children do
//! not.

use std::fs;
use std::time::Duration;

use photofinish_record::Completion;

use crate::support::{
    Finished, Sandbox, Started, children, is_gone, program, python, read_record, send, wait_for,
    wait_until_gone,
};

/// A run of many short rounds against a server, which has finished `rounds` of them, each of another block or cell: where
/// tests run beside each other, most blocks would be redone.
fn long_run(sandbox: &Sandbox, rounds: usize) -> Started {
    let arguments = [
        "run",
        "http-get",
        "--runtimes",
        "sync,tokio",
        "--rounds",
        "500",
        "--duration",
        "30ms",
        "--concurrency",
        "2",
        "--set=load.warmup=10ms",
        "--no-redo",
    ];
    let started = sandbox.start(&arguments);
    wait_for("rounds", || {
        (sandbox.rounds_so_far() >= rounds).then_some(())
    });
    started
}

#[test]
fn ctrl_c_keeps_what_was_measured_and_leaves_no_child() {
    let sandbox = Sandbox::new();
    let mut run = long_run(&sandbox, 2);
    let server = run.wait_for_child("serve");
    let worker = run.wait_for_child("worker");
    run.signal("INT");
    let finished = run.finish().check(130, &["interrupted after"]);
    assert!(
        finished.stdout.contains("interrupted"),
        "{}",
        finished.stdout
    );
    wait_until_gone(&[server, worker]);
    let record = sandbox.record();
    assert_eq!(record.completion, Completion::Interrupted);
    assert!(record.rounds.len() >= 2, "{} rounds", record.rounds.len());
    assert_eq!(sandbox.hidden(), None);
}

#[test]
fn a_second_ctrl_c_ends_at_once_and_keeps_the_rounds() {
    // A server that is stopped cannot end by itself, which holds the orderly end up until the second signal.
    let sandbox = Sandbox::new();
    let arguments = [
        "run",
        "http-get",
        "--runtimes",
        "sync",
        "--rounds",
        "1",
        "--duration",
        "10m",
        "--concurrency",
        "1",
    ];
    let mut run = sandbox.start(&arguments);
    let worker = run.wait_for_child("worker");
    let server = run.wait_for_child("serve");
    send("STOP", server);
    run.signal("INT");
    wait_until_gone(&[worker]);
    // Earlier, it would belong to the same request.
    std::thread::sleep(Duration::from_millis(600));
    run.signal("INT");
    assert_eq!(run.finish().code, Some(130));
    wait_until_gone(&[server]);
    assert!(
        sandbox.hidden().is_some(),
        "an orderly end would have completed the directory"
    );
}

#[test]
fn children_end_with_a_killed_orchestrator_and_its_rounds_can_be_reported() {
    let sandbox = Sandbox::new();
    let mut run = long_run(&sandbox, 3);
    let server = run.wait_for_child("serve");
    let worker = run.wait_for_child("worker");
    let all = children(run.id());
    run.signal("KILL");
    run.finish();
    wait_until_gone(&[server, worker]);
    wait_until_gone(&all);
    let hidden = sandbox.hidden().expect("the hidden directory stays");
    let hidden_name = hidden.to_str().expect("UTF-8");
    sandbox.run(&["report", hidden_name]).check(0, &[]);
    assert!(hidden.join("report.html").is_file());
    let csv = sandbox
        .run(&["export", hidden_name, "--format", "csv"])
        .check(0, &[])
        .stdout;
    assert!(csv.lines().count() > 3, "{csv}");
    let record = read_record(&hidden.join("record.json"));
    assert!(
        matches!(record.completion, Completion::Failed { .. }),
        "{:?}",
        record.completion
    );
}

#[test]
fn a_line_cut_off_by_the_end_costs_only_that_line() {
    let sandbox = Sandbox::new();
    let mut run = long_run(&sandbox, 3);
    run.signal("KILL");
    run.finish();
    let rounds = sandbox
        .hidden()
        .expect("hidden")
        .join("rounds.partial.jsonl");
    let text = fs::read_to_string(&rounds).expect("rounds");
    fs::write(&rounds, &text[..text.trim_end().len() - 10]).expect("cut");
    let hidden = sandbox.hidden().expect("hidden");
    sandbox
        .run(&["report", hidden.to_str().expect("UTF-8")])
        .check(0, &[]);
}

#[test]
fn an_interrupted_worker_is_not_waited_for() {
    // One round of ten minutes: the test ends long before only if the worker is ended with the run.
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
    ]);
    let worker = run.wait_for_child("worker");
    run.signal("TERM");
    run.finish().check(130, &["interrupted after 0 of"]);
    assert!(is_gone(worker));
}

/// Goal: `timeout` and closing terminals, which signal twice at a time, cost no run. Method: both signals are pending
/// before the program can handle the first one.
#[test]
fn simultaneous_signals_are_one_request() {
    let sandbox = Sandbox::new();
    for pair in ["TERM TERM", "TERM HUP", "INT INT", "HUP TERM"]
        .repeat(5)
        .chunks(1)
    {
        let mut run = long_run(&sandbox, 1);
        let process = run.id();
        let (first, second) = pair[0].split_once(' ').expect("two");
        let kills = format!("kill -s {first} {process}; kill -s {second} {process}");
        let status = std::process::Command::new("sh")
            .args(["-c", &kills])
            .status();
        assert!(status.expect("a shell").success());
        run.finish().check(130, &["interrupted after"]);
        assert_eq!(sandbox.hidden(), None, "{pair:?}");
        assert_eq!(sandbox.record().completion, Completion::Interrupted);
        fs::remove_dir_all(sandbox.path().join("photofinish-runs")).expect("removed");
    }
}

/// Goal: a terminal that is closed interrupts the run like Ctrl-C. Method: a pseudoterminal whose other end goes away,
/// which sends SIGHUP and makes every write fail.
#[test]
fn a_hangup_interrupts_the_run_and_keeps_the_record() {
    let sandbox = Sandbox::new();
    let command = "import os, pty, sys, time\n\
        pid, terminal = pty.fork()\n\
        if pid == 0: os.execv(sys.argv[1], sys.argv[1:])\n\
        time.sleep(0.2)\n\
        runs = 'photofinish-runs'\n\
        def rounds():\n\
        \x20   for name in (os.listdir(runs) if os.path.isdir(runs) else []):\n\
        \x20       path = os.path.join(runs, name, 'rounds.partial.jsonl')\n\
        \x20       if os.path.exists(path) and os.path.getsize(path) > 0: return True\n\
        while not rounds(): os.read(terminal, 4096)\n\
        os.close(terminal)\n\
        sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))";
    let script = sandbox.write("terminal.py", command);
    let Some(python) = python("pty", "its standard library") else {
        return;
    };
    let arguments = "run null --runtimes sync --rounds 500 --duration 30ms --no-redo";
    let mut closing = std::process::Command::new(python);
    closing
        .arg(script)
        .arg(program())
        .args(arguments.split(' '))
        .current_dir(sandbox.path());
    Finished::of(&mut closing).check(130, &[]);
    assert_eq!(sandbox.record().completion, Completion::Interrupted);
    assert_eq!(sandbox.hidden(), None);
}
