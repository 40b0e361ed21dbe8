//! Profiles: one more round per cell, sampled by `perf`; the messages without `perf`, and with one that fails.

use std::process::Command;

use photofinish_record::Completion;

use crate::support::{Finished, Sandbox, Started, skip_without, wait_for};

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
        finished.check(1, &["`perf` cannot sample here"]);
        return;
    }
    let finished = finished.check(0, &[]);
    assert!(
        finished.stderr.contains("sampling 2 more rounds"),
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
        assert!(profile.throughput_ops_s > 0.0, "{profile:#?}");
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

/// A run with a `perf` that does this while it records the worker `$pid`, and this to print its samples.
fn with_fake(sandbox: &Sandbox, record: &str, script: &str) -> Command {
    let fake = format!(
        "#!/bin/sh\n\
         for word; do case $word in --pid=*) pid=${{word#--pid=}};; esac; last=$word; done\n\
         case $1 in\n\
         record) [ -z \"$pid\" ] || {{ echo data >\"$last\"; {record}; while kill -0 $pid 2>/dev/null; do sleep 0.05; done; }};;\n\
         script) {script};;\n\
         esac\n"
    );
    sandbox.script("perf", &fake);
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = sandbox.command(&PROFILED);
    command.env("PATH", format!("{}:{path}", sandbox.path().display()));
    command
}

#[test]
fn a_cell_that_cannot_be_sampled_is_a_warning() {
    let sample = r"printf 'w cpu-clock: \n\t 1 f\n\n'";
    for (record, script, reason) in [
        (
            "true",
            "echo broken >&2; exit 3",
            "exit code 3; end of its stderr: broken",
        ),
        ("true", "exit 0", "`perf` has no sample"),
        (
            "kill -KILL $pid",
            sample,
            "the worker was killed by SIGKILL",
        ),
    ] {
        let sandbox = Sandbox::new();
        Finished::of(&mut with_fake(&sandbox, record, script)).check(0, &[]);
        let record = sandbox.record();
        assert_eq!(record.profiles, []);
        let is_told = |warning: &&String| {
            warning.starts_with("no profile of null / ") && warning.contains(reason)
        };
        assert_eq!(
            record.warnings.iter().filter(is_told).count(),
            2,
            "{:?}",
            record.warnings
        );
    }
}

#[test]
fn ctrl_c_while_sampling_keeps_the_results() {
    let sandbox = Sandbox::new();
    let begun = sandbox.path().join("begun");
    let script = format!("touch '{}'; exec sleep 60", begun.display());
    let mut run = Started::of(with_fake(&sandbox, "true", &script));
    wait_for("perf script", || begun.exists().then_some(()));
    run.signal("INT");
    let finished = run
        .finish()
        .check(130, &["interrupted while sampling", "results are complete"]);
    assert!(finished.stdout.contains("Report:"), "{finished:#?}");
    let record = sandbox.record();
    assert_eq!(
        (record.completion, record.rounds.len()),
        (Completion::Complete, 2)
    );
    let warning = "profiles: interrupted after 0 of 2";
    assert!(
        record.warnings.iter().any(|it| it == warning),
        "{:?}",
        record.warnings
    );
}

#[test]
fn a_profile_of_a_search_is_refused() {
    let sandbox = Sandbox::new();
    let search = [
        "run",
        "http-get",
        "--find-max=response_p99 < 20ms",
        "--profile",
    ];
    sandbox
        .run(&search)
        .check(2, &["--profile cannot be used with --find-max", "hint:"]);
}
