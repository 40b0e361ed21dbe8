//! The shipped lanes: the work of the runtimes in Rust, with equal counts on both sides, under closed and open load.

use std::path::Path;
use std::process::Command;

use photofinish_record::draw::draw_below;
use photofinish_record::{Outcome, Record};

use super::{every_round_is_proved, node_is_missing, packages_are_missing};
use crate::databases::{installed, world_readable_sandbox};
use crate::nginx::nginx;
use crate::setup::built_go;
use crate::support::{Finished, Sandbox, TINY, python};

/// Every workload of the lanes in Python and Node but the site, by scenario.
const SCENARIOS: [&str; 42] = [
    "null",
    "scripted",
    "spawn",
    "tasks",
    "tasks-in-turn",
    "timers",
    "as-completed",
    "first-completed",
    "failures",
    "failures-panic",
    "counters",
    "batch",
    "job-queue",
    "forgotten-await",
    "process",
    "blocking-mistake",
    "cpu-offload",
    "file-read",
    "file-random",
    "file-write",
    "file-lines",
    "file-process",
    "http-get",
    "http-connect",
    "http-stream",
    "http-post",
    "http-fanout",
    "http-delay",
    "http-json",
    "http-limited",
    "http-queue",
    "http-timeout",
    "http-timeout-shielded",
    "http-retry",
    "http-errors",
    "db-select",
    "db-crud",
    "db-pool",
    "db-connect",
    "db-transaction",
    "ws-echo",
    "ws-chat",
];

/// The catalogue's own size would be most of a test's time.
const SMALL_FILE: &str = "--set=file_size=1MiB";

/// Those among all of these that the floors of languages have.
const FLOOR_SCENARIOS: [&str; 8] = [
    "http-delay",
    "http-fanout",
    "http-get",
    "http-json",
    "http-limited",
    "http-post",
    "null",
    "scripted",
];

/// One short round each: the worker's counts, checked against the server's, are the proof. Lanes share their workloads, so that
/// two run all of them, and the others those in which they differ.
#[test]
fn python_lanes_do_the_same_work_with_equal_counts_on_both_sides() {
    if packages_are_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let short = [
        "--rounds=1",
        "--duration=10ms",
        "--concurrency=3",
        "--set=load.warmup=1ms",
        "--set=unit=2ms",
        "--no-redo",
    ];
    let measure = |scenarios: &[&str], runtimes: &str, rounds: usize| {
        let run = [&["run"], scenarios, &[runtimes], &short].concat();
        sandbox.run(&run).check(0, &[]);
        let record = sandbox.record();
        assert_eq!(record.rounds.len(), rounds);
        every_round_is_proved(&record);
        record
    };
    // A thread cannot be cancelled, so `first-completed` is the only one that threads lack.
    let both = "--runtimes=python-threads,aiohttp";
    let all = [&SCENARIOS[..], &[SMALL_FILE]].concat();
    let record = measure(&all, both, 2 * SCENARIOS.len() - 1);
    let worker = |record: &Record, lane: &str| {
        let worker = record.plan.runtimes[lane].worker.clone();
        worker.expect("a lane")
    };
    let aiohttp = worker(&record, "aiohttp");
    assert_eq!(aiohttp.stack, "Python");
    assert_eq!(aiohttp.sha256.as_ref().map(String::len), Some(64));
    assert!(aiohttp.versions.contains_key("asyncpg"), "{aiohttp:?}");

    let site = ["scrape", "download", "crawl", "--set=server.http.pages=20"];
    measure(&site, both, 6);
    let http = [
        "http-get",
        "http-connect",
        "http-post",
        "http-timeout",
        "http-errors",
    ];
    let files = ["file-read", "file-random", "file-write", SMALL_FILE];
    // Floors beside them, where they have the workload.
    let with_floors = [&http[..], &files, &["--with-floor"]].concat();
    let record = measure(&with_floors, "--runtimes=tokio,asyncio", 26);
    let of_floor = record.plan.cells.iter();
    let of_floor = of_floor.filter(|cell| cell.runtime == "asyncio-floor");
    assert_eq!(of_floor.count(), 2);
    let few = ["http-delay", "db-select", "ws-echo", "tasks", "spawn"];
    measure(&few, "--runtimes=python-sync,uvloop", 10);
}

/// Goal: a block of draws holds what the formula gives one by one. Method: seeds, bounds and indices at the ends of their ranges
/// and on both sides of a block's end.
#[test]
fn python_lanes_draw_in_blocks_by_the_published_formula() {
    let Some(python) = python("asyncio", "asyncio") else {
        return;
    };
    let lanes = Path::new(env!("CARGO_MANIFEST_DIR")).join("lanes/python");
    let seeds = [0, 1, 0x9e37_79b9_7f4a_7c15, u64::MAX];
    let bounds = [1, 97, 10_000, 1 << 32, u64::MAX];
    let indices = [0, 255, 256, 99_999, (1 << 48) + 3, u64::MAX >> 1];
    let script = format!(
        "import json, frame\nprint(json.dumps([frame.Draws(seed, bound).at(index) \
         for seed in {seeds:?} for bound in {bounds:?} for index in {indices:?}]))"
    );
    let output = Command::new(python)
        .args(["-c", &script])
        .env("PYTHONPATH", lanes)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("python");
    let drawn: Vec<u64> = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let expected: Vec<u64> = seeds
        .iter()
        .flat_map(|seed| bounds.iter().map(move |bound| (seed, bound)))
        .flat_map(|(seed, bound)| indices.map(|index| draw_below(*seed, index, *bound)))
        .collect();
    assert_eq!(drawn, expected);
}

/// Counts against servers of others: the log of nginx, and PostgreSQL's own count of transactions.
#[test]
fn python_lanes_are_proved_by_servers_of_others() {
    if packages_are_missing() {
        return;
    }
    let sandbox = world_readable_sandbox();
    let short = [
        "--runtimes=python-threads,aiohttp",
        "--rounds=1",
        "--duration=10ms",
        "--concurrency=2",
        "--set=load.warmup=1ms",
        "--no-redo",
    ];
    if let Some((_nginx, address)) = nginx(&sandbox) {
        let target = format!("--target=http=http://{address}/page");
        let run = [&["run", "http-get", &target], &short[..]].concat();
        sandbox.run(&run).check(0, &[]);
        let record = sandbox.record();
        every_round_is_proved(&record);
        let counted: u64 = record
            .rounds
            .iter()
            .map(|round| match &round.outcome {
                Outcome::Ok(measured) => measured.worker.traffic["http"].requests,
                other => panic!("{other:?}"),
            })
            .sum();
        let log = std::fs::read_to_string(sandbox.path().join("access.log")).expect("a log");
        // The program asks once before the first round.
        let asked = log.lines().filter(|path| *path == "/page").count() as u64;
        assert!(
            (counted..=counted + 2).contains(&asked),
            "{counted} {asked}"
        );
    }
    if !installed() {
        return;
    }
    let databases = ["db-select", "db-pool", "db-transaction"];
    let run = [&["run"], &databases[..], &["--target=db=local"], &short].concat();
    sandbox.run(&run).check(0, &[]);
    every_round_is_proved(&sandbox.record());
}

/// The lanes node and go with every workload that both have, the site, and the databases and WebSockets of node.
#[test]
fn node_and_go_do_the_same_work_with_equal_counts_on_both_sides() {
    let Some(data) = built_go() else {
        return;
    };
    if node_is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let short = [
        "--rounds=1",
        "--concurrency=3",
        "--set=load.warmup=1ms",
        "--set=unit=2ms",
        "--no-redo",
    ];
    let measure = |scenarios: &[&str], runtimes: &str| {
        let run = [&["run"], scenarios, &[runtimes], &short].concat();
        let mut command = sandbox.command(&run);
        command.env("PHOTOFINISH_DATA", data);
        Finished::of(&mut command).check(0, &[]);
        let record = sandbox.record();
        every_round_is_proved(&record);
        record
    };
    let is_external = |scenario: &&str| scenario.starts_with("db-") || scenario.starts_with("ws-");
    // Nothing is forgotten there that had not begun to run: the lanes say so.
    let common = SCENARIOS.into_iter();
    let common = common.filter(|scenario| !is_external(scenario) && *scenario != "forgotten-await");
    let common: Vec<&str> = common.chain(["forgotten-join"]).collect();
    let record = measure(
        &[
            &common[..],
            &["--duration=10ms", "--with-floor", SMALL_FILE],
        ]
        .concat(),
        "--runtimes=node,go",
    );
    assert_eq!(
        record.rounds.len(),
        2 * (common.len() + FLOOR_SCENARIOS.len())
    );
    for lane in ["node-floor", "go-floor"] {
        let cells = record.plan.cells.iter().filter(|cell| cell.runtime == lane);
        let mut scenarios: Vec<&str> = cells.map(|cell| &*cell.scenario).collect();
        scenarios.sort_unstable();
        assert_eq!(scenarios, FLOOR_SCENARIOS, "{lane}");
    }
    for (lane, part) in [("node", "v8"), ("go", "go")] {
        let worker = record.plan.runtimes[lane].worker.as_ref().expect("a lane");
        assert!(worker.versions.contains_key(part), "{worker:?}");
        assert_eq!(worker.sha256.as_ref().map(String::len), Some(64));
    }
    let site = ["scrape", "download", "crawl", "--set=server.http.pages=20"];
    measure(
        &[&site[..], &["--duration=10ms"]].concat(),
        "--runtimes=node,go",
    );
    let external: Vec<&str> = SCENARIOS.into_iter().filter(is_external).collect();
    measure(
        &[&external[..], &["--duration=10ms"]].concat(),
        "--runtimes=node",
    );
    let open = ["http-get", "--rate=300", "--duration=200ms"];
    let lanes = "--runtimes=node,go,node-floor,go-floor,asyncio-floor";
    assert_eq!(arrivals(&measure(&open, lanes)).len(), 5);
}

/// The same requests under four stacks, which a report sets side by side, each lane with its distance from the floor of its own.
#[test]
fn languages_are_set_side_by_side_each_with_its_floor() {
    let Some(data) = built_go() else {
        return;
    };
    if node_is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let run = [
        "run",
        "http-delay",
        "--runtimes=tokio,node,go,asyncio",
        "--with-floor",
        "--set=unit=5ms",
    ];
    let mut command = sandbox.command(&[&run[..], &TINY].concat());
    command.env("PHOTOFINISH_DATA", data);
    let stdout = Finished::of(&mut command).check(0, &[]).stdout;
    let record = sandbox.record();
    every_round_is_proved(&record);
    let languages = [
        ("Rust", "tokio", "epoll"),
        ("Node", "node", "node-floor"),
        ("Go", "go", "go-floor"),
        ("Python", "asyncio", "asyncio-floor"),
    ];
    let text = stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    for (stack, runtime, floor) in languages {
        let distance = format!("Relative to the floor {floor}, throughput: {runtime} ");
        assert!(text.contains(&distance), "{distance} is not in: {stdout}");
        let cost = format!("; CPU time per operation: {runtime} ");
        assert!(text.contains(&cost), "{cost} is not in: {stdout}");
        let row = stdout.lines().find(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            words.windows(2).any(|pair| pair == [stack, runtime])
        });
        assert!(row.is_some(), "no row of {stack} in: {stdout}");
        // Five requests of a unit each at once: they must overlap, and no lane is faster than one unit.
        for round in &record.rounds {
            let Outcome::Ok(measured) = &round.outcome else {
                panic!("{:?}", round.outcome)
            };
            let shortest_ns = measured.worker.service.quantile_ns(0.0);
            assert!(shortest_ns >= Some(4_900_000), "{round:?}");
        }
    }
}

/// The orchestrator paces, the lanes take: each arrival is accounted for on both sides, and one that is lost is told.
#[test]
fn lanes_take_the_arrivals_of_an_open_load() {
    if python("asyncio", "asyncio").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let lane = Path::new(env!("CARGO_MANIFEST_DIR")).join("lanes/python/asyncio_tasks.py");
    let loses_one = sandbox.write(
        "loses_one.py",
        &format!(
            r#"
import json, subprocess, sys
told = subprocess.run([sys.executable, {lane:?}, sys.argv[1]], stdin=sys.stdin, capture_output=True, text=True).stdout
told = told.replace('"name":"asyncio"', '"name":"loser"').replace('"scheduled":60', '"scheduled":59')
print(told, end="")
"#
        ),
    );
    let lane = format!("--lane=python3 {}", loses_one.display());
    let run = [
        "run",
        "http-get",
        "--runtimes=sync,python-sync,python-threads,asyncio",
        &lane,
        "--rate=300",
        "--duration=200ms",
        "--concurrency=3",
        "--set=load.warmup=10ms",
        "--rounds=1",
        "--no-redo",
    ];
    sandbox.run(&run).check(
        1,
        &[
            "http-get / loser",
            "miscounts arrivals scheduled: expected 60, got 59",
        ],
    );
    assert_eq!(arrivals(&sandbox.record()).len(), 4);
}

/// Arrivals of the rounds of an open load of 200 ms, in which every one was started and accounted for.
fn arrivals(record: &Record) -> Vec<u64> {
    let mut scheduled = Vec::new();
    for round in &record.rounds {
        let Outcome::Ok(measured) = &round.outcome else {
            continue;
        };
        let worker = &measured.worker;
        let open = worker.open.as_ref().expect("an open load");
        assert_eq!(measured.mismatches, [""; 0]);
        assert_eq!(worker.ops, open.scheduled);
        assert_eq!(open.response.count(), open.scheduled);
        assert_eq!(open.pacing_error.count(), open.scheduled);
        assert_eq!(open.schedule_ns, 200_000_000);
        assert!(worker.elapsed_ns >= 200_000_000);
        assert!(open.pacer_cpu_ns.is_some());
        scheduled.push(open.scheduled);
    }
    assert!(
        scheduled.iter().all(|count| *count == scheduled[0]),
        "{scheduled:?}"
    );
    scheduled
}

#[test]
fn lanes_show_their_source() {
    let sandbox = Sandbox::new();
    let says = |arguments: &[&str], expected: &[&str]| {
        let stdout = sandbox.run(arguments).check(0, &[]).stdout;
        for part in expected {
            assert!(stdout.contains(part), "`{part}` is not in: {stdout}");
        }
    };
    says(&["lanes"], &["python-sync", "python-threads", "asyncio"]);
    says(
        &["lanes", "show", "asyncio"],
        &["# frame.py", "asyncio.open_connection"],
    );
    says(
        &["lanes", "show", "uvloop"],
        &["aiohttp.ClientSession", "uvloop.new_event_loop"],
    );
    says(
        &["lanes", "show", "node"],
        &["// frame.cjs", "http.request(", "new this.pg.Pool"],
    );
    says(&["lanes", "show", "go"], &["// go.mod", "http.Transport{"]);
    sandbox
        .run(&["lanes", "show", "asyncoi"])
        .check(2, &["did you mean `asyncio`?"]);
}
