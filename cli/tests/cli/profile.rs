//! Profiles: a round more of each cell, sampled by `perf`, and what is said without it.

use std::process::Command;

use crate::support::{Finished, Sandbox, read_record, skip_without};

/// A short run with a profile.
const PROFILED: [&str; 8] = [
    "run",
    "null",
    "--runtimes=sync,tokio",
    "--concurrency=1",
    "--rounds=1",
    "--duration=300ms",
    "--no-redo",
    "--profile",
];

#[test]
fn each_cell_is_sampled_in_a_round_that_is_not_among_the_results() {
    let Some(may_sample) = probe() else {
        return skip_without("perf");
    };
    let sandbox = Sandbox::new();
    let finished = sandbox.run(&PROFILED);
    if !may_sample {
        finished.check(1, &["`perf` cannot sample here", "hint:"]);
        return;
    }
    let finished = finished.check(0, &[]);
    assert!(
        finished.stderr.contains("sampling 2 rounds more"),
        "{finished:#?}"
    );
    let record = sandbox.record();
    assert_eq!(record.rounds.len(), 2);
    assert_eq!(
        record.profiles.iter().map(|it| it.cell).collect::<Vec<_>>(),
        [0, 1]
    );
    for (profile, own) in record.profiles.iter().zip(["sync", "tokio"]) {
        let functions = profile.samples().flat_map(|(functions, _)| functions);
        let of_loop = |name: &str| name.starts_with("photofinish_harness::measure::");
        assert!(functions.into_iter().any(of_loop), "{own}: {profile:#?}");
        assert!(
            profile.throughput_ops_s.is_some_and(|rate| rate > 0.0),
            "{profile:#?}"
        );
    }
    let page = std::fs::read_to_string(sandbox.latest().join("report.html")).expect("a page");
    assert!(page.contains("Where the CPU time goes"));
    assert!(!sandbox.latest().join("work").exists());

    // A damaged profile is refused where it is read.
    let mut damaged = record;
    damaged.profiles[0].cell = 7;
    let path = sandbox.write(
        "damaged.json",
        &serde_json::to_string(&damaged).expect("JSON"),
    );
    let report = sandbox.run(&["report", path.to_str().expect("UTF-8")]);
    report.check(1, &["a profile is of cell 7, and there are 2"]);
    read_record(&sandbox.latest().join("record.json"));
}

/// Whether `perf` may sample; `None` if it is not installed.
fn probe() -> Option<bool> {
    let mut perf = Command::new("perf");
    perf.args(["record", "--event=cpu-clock", "--output=/dev/null", "true"]);
    Some(perf.output().ok()?.status.success())
}

#[test]
fn without_perf_the_run_says_how_to_install_it_and_measures_nothing() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.command(&PROFILED);
    let finished = Finished::of(command.env("PATH", sandbox.path()));
    finished.check(1, &["needs `perf`", "apt install linux-perf"]);
    assert!(!sandbox.path().join("photofinish-runs").exists());
}
