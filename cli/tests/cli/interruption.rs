//! Ends that nobody planned: Ctrl-C, and the death of the orchestrator itself. What was measured stays, children do
//! not.

use std::fs;

use photofinish_record::Completion;

use crate::support::{
    Sandbox, Started, children, is_gone, read_record, send, wait_for, wait_until_gone,
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
fn a_second_ctrl_c_ends_at_once_and_leaves_the_rounds_behind() {
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
    run.signal("INT");
    assert_eq!(run.finish().code, Some(130));
    wait_until_gone(&[server]);
    assert!(
        sandbox.hidden().is_some(),
        "an orderly end would have completed the directory"
    );
}

#[test]
fn children_vanish_with_a_killed_orchestrator_and_its_rounds_can_be_reported() {
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
fn a_worker_that_was_interrupted_is_not_waited_for() {
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
