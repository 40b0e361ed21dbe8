//! Every scenario that ships, tiny, under every runtime: measured, equal on both sides, and written whole.

use std::collections::BTreeSet;
use std::path::Path;

use photofinish_record::{Completion, Outcome, Record};
use photofinish_reports::metrics::named;
use photofinish_reports::observed::meaning;
use serde_json::Value;

use crate::support::{Sandbox, TINY};

/// All scenarios that ship, from the program's own list.
fn scenarios(sandbox: &Sandbox) -> Vec<String> {
    let listed = sandbox.run(&["list", "--json"]).check(0, &[]);
    let listed: Value = listed.json();
    let scenarios = listed["scenarios"].as_array().expect("scenarios").clone();
    scenarios
        .iter()
        .map(|scenario| scenario["name"].as_str().expect("a name").to_owned())
        .collect()
}

/// Four hundred rounds: more or longer blocks would prove nothing more.
const ONE_SHORT_BLOCK: [&str; 6] = [
    "--rounds=1",
    "--duration=20ms",
    "--concurrency=2",
    "--set=load.warmup=5ms",
    "--no-redo",
    "--set=unit=1ms",
];

/// A large file is made once per run; the catalogue's own size would be most of the test's time.
const SMALL_FILE: &str = "--set=file_size=1MiB";

/// As is a crowd, once for each operation.
const SMALL_CROWD: &str = "--set=count=20";

/// As are sums, which take a hundred times longer where nothing is optimised.
const SMALL_SUMS: &str = "--set=repeats=1";

#[test]
fn every_scenario_runs_under_every_runtime_with_equal_counts_on_both_sides() {
    let sandbox = Sandbox::new();
    let scenarios = scenarios(&sandbox);
    let names: Vec<&str> = scenarios.iter().map(String::as_str).collect();
    let small = [SMALL_FILE, SMALL_CROWD, SMALL_SUMS];
    let arguments = [
        &["run", "--with-floor"],
        &names[..],
        &ONE_SHORT_BLOCK,
        &small,
    ]
    .concat();
    sandbox.run(&arguments).check(0, &[]);
    let record = sandbox.record();
    assert_eq!(record.completion, Completion::Complete);
    assert_eq!(record.plan.scenarios.len(), scenarios.len());
    every_round_is_proved(&record);
    every_cell_was_measured_in_every_block(&record);
}

fn every_round_is_proved(record: &Record) {
    for round in &record.rounds {
        let cell = &record.plan.cells[round.cell];
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("{cell:?}: {:?}", round.outcome)
        };
        assert!(measured.worker.ops > 0, "{cell:?}");
        assert_eq!(measured.mismatches, [""; 0], "{cell:?}");
        assert_eq!(measured.worker.violations, [""; 0], "{cell:?}");
        assert!(
            measured.worker.errors.is_empty(),
            "{cell:?}: {:?}",
            measured.worker.errors
        );
        let gauges = measured.worker.gauges.keys();
        for name in measured.worker.observed.keys().chain(gauges) {
            let is_explained = named(name).is_some() || meaning(&name.replace('_', " ")).is_some();
            assert!(is_explained, "{name} is not explained");
        }
        let targets: BTreeSet<_> = measured.worker.traffic.keys().collect();
        assert_eq!(targets, measured.servers.keys().collect(), "{cell:?}");
        for counts in measured.servers.values() {
            assert!(counts.requests > Some(0), "{cell:?}: {counts:?}");
        }
    }
}

fn every_cell_was_measured_in_every_block(record: &Record) {
    let ran: Vec<_> = record
        .rounds
        .iter()
        .map(|round| (round.block, round.cell))
        .collect();
    let blocks = record.plan.blocks.iter().enumerate();
    let planned: Vec<_> = blocks
        .flat_map(|(block, cells)| cells.iter().map(move |cell| (block, *cell)))
        .collect();
    assert_eq!(ran, planned);
}

/// The scenario's server has as many connections as its pool opens, and one that marks the round's schema.
#[test]
fn a_full_pool_fits_its_server() {
    let sandbox = Sandbox::new();
    let full = ["--concurrency", "16", "--rounds", "1", "--set=load.ops=200"];
    let run = ["run", "db-pool", "--runtimes", "threads,tokio"];
    sandbox.run(&[&run[..], &full].concat()).check(0, &[]);
    every_round_is_proved(&sandbox.record());
}

#[test]
fn the_tour_is_what_runs_without_arguments() {
    let sandbox = Sandbox::new();
    let planned = sandbox.run(&["plan"]).check(0, &[]);
    assert!(planned.stdout.contains("tour"), "{}", planned.stdout);
    // The beginning of a block is listed; the rest would be pages of the same names.
    assert!(
        planned.stdout.contains("Block 1 of 8"),
        "{}",
        planned.stdout
    );
    assert!(planned.stdout.lines().count() < 24, "{}", planned.stdout);
    let whole = sandbox.run(&["plan", "--order"]).check(0, &[]).stdout;
    let listed = whole.matches("http-get / tokio (closed").count();
    assert_eq!(listed, 8, "{whole}");
    let quick = [
        "run",
        "--quick",
        "--rounds",
        "1",
        "--runtimes",
        "sync,tokio",
        "--set=unit=1ms",
        "--concurrency",
        "2",
    ];
    let ran = sandbox.run(&quick).check(0, &[]);
    for expected in [
        "tour",
        "Placement",
        "Report: photofinish-runs/",
        "Next:",
        "--rounds 15",
    ] {
        assert!(
            ran.stdout.contains(expected),
            "`{expected}` is not in: {}",
            ran.stdout
        );
    }
}

#[test]
fn a_run_directory_is_complete() {
    let sandbox = Sandbox::new();
    sandbox
        .run(&[&["run", "null", "--runtimes", "sync,threads"], &TINY[..]].concat())
        .check(0, &[]);
    let runs = sandbox.path().join("photofinish-runs");
    let entries = std::fs::read_dir(&runs).expect("runs").count();
    assert_eq!(entries, 2, "the run, and `latest`");
    every_cell_was_measured_in_every_block(&sandbox.record());
    for file in ["record.json", "rounds.hlog", "report.html"] {
        assert!(sandbox.latest().join(file).is_file(), "{file}");
    }
    let pictures = std::fs::read_dir(sandbox.latest().join("charts")).expect("charts");
    assert!(pictures.count() > 0);
    assert!(!sandbox.latest().join("work").exists());
}

/// With `UPDATE_SCHEMAS=1` in the environment, the committed page is written instead.
#[test]
fn the_page_of_the_catalogue_is_current() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/CATALOGUE.md");
    let listed = Sandbox::new()
        .run(&["list", "--markdown"])
        .check(0, &[])
        .stdout;
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&page, &listed).expect("written");
    }
    let kept = std::fs::read_to_string(&page).unwrap_or_default();
    assert!(
        kept == listed,
        "the catalogue has changed; run the tests with UPDATE_SCHEMAS=1 and look at the difference"
    );
}

#[test]
fn the_starter_scenario_runs_unchanged_and_is_never_overwritten() {
    let sandbox = Sandbox::new();
    let finished = sandbox.run(&["init", "mine.toml"]).check(0, &[]);
    assert!(
        finished.stdout.contains("photofinish run mine.toml"),
        "{}",
        finished.stdout
    );
    sandbox
        .run(&[&["run", "mine.toml", "--runtimes", "sync,tokio"], &TINY[..]].concat())
        .check(0, &[]);
    sandbox
        .run(&["init", "mine.toml"])
        .check(2, &["already exists"]);
    let spaced = sandbox.run(&["init", "my own.toml"]).check(0, &[]);
    assert!(
        spaced.stdout.contains("photofinish run 'my own.toml'"),
        "{}",
        spaced.stdout
    );
    sandbox
        .run(&["init", "mine"])
        .check(2, &["does not end in .toml"]);
    sandbox
        .run(&["init", ".toml"])
        .check(2, &["expected a name before `.toml`"]);
    sandbox.run(&["init", "nowhere/mine.toml"]).check(
        1,
        &[
            "cannot write",
            "hint: create its directory first: mkdir -p nowhere",
        ],
    );
}

#[test]
fn a_suite_applies_overrides_where_they_fit_and_refuses_one_that_fits_nowhere() {
    let sandbox = Sandbox::new();
    let plan = |arguments: &[&str]| sandbox.run(&[&["plan", "--suite"], arguments].concat());
    let planned = plan(&["where-async-pays", "--set=path=/bytes/1"]).check(0, &[]);
    assert!(planned.stdout.contains("db-select"), "{}", planned.stdout);
    plan(&["where-async-pays", "--set=pathh=/"]).check(2, &["pathh"]);
    plan(&["everything"]).check(2, &["where-async-pays"]);
    sandbox
        .run(&["plan", "null", "--suite", "all"])
        .check(2, &["cannot be used with"]);
    let all = plan(&["all"]).check(0, &[]).stdout;
    for scenario in scenarios(&sandbox) {
        assert!(all.contains(&scenario), "{scenario}");
    }
}
