//! Workers in other languages: the shipped lanes do the same work with equal counts, and broken ones are told.

use std::path::Path;
use std::process::Command;

use photofinish_record::draw::draw_below;
use photofinish_record::{Outcome, Record};

use crate::databases::{installed, world_readable_sandbox};
use crate::nginx::nginx;
use crate::setup::built_go;
use crate::support::{Finished, Sandbox, TINY, python, skip_without};

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

/// True if Python lacks a package of the lanes.
pub(crate) fn packages_are_missing() -> bool {
    let packages = "aiohttp, aiofiles, asyncpg, psycopg, psycopg_pool, uvloop, websockets";
    python(packages, packages).is_none()
}

pub(crate) fn every_round_is_proved(record: &Record) {
    assert!(!record.rounds.is_empty());
    for round in &record.rounds {
        let cell = &record.plan.cells[round.cell];
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("{cell}: {:?}", round.outcome)
        };
        let worker = &measured.worker;
        assert!(worker.ops > 0, "{cell}");
        assert_eq!(worker.service.count(), worker.ops, "{cell}");
        assert_eq!(measured.mismatches, [""; 0], "{cell}");
        assert_eq!(worker.violations, [""; 0], "{cell}");
        assert!(worker.errors.is_empty(), "{cell}: {:?}", worker.errors);
        assert!(
            worker.cost.peak_rss_bytes < Some(200 << 20),
            "{cell}: {:?}",
            worker.cost
        );
    }
}

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

/// An interpreter without packages runs what the standard library is enough for; the rest is unsupported, with the remedy.
#[test]
fn a_lane_without_its_packages_is_unsupported() {
    if python("asyncio", "asyncio").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let bare = sandbox.script("bare-python3", "#!/bin/sh\nexec python3 -S \"$@\"\n");
    let run = [
        "run",
        "http-delay",
        "db-select",
        "--runtimes=asyncio,aiohttp",
        "--set=unit=1ms",
    ];
    let mut command = sandbox.command(&[&run[..], &TINY].concat());
    command.env("PHOTOFINISH_PYTHON", bare);
    let stdout = Finished::of(&mut command).check(0, &[]).stdout;
    for part in ["aiohttp cannot run here", "`photofinish setup python`"] {
        assert!(stdout.contains(part), "`{part}` is not in: {stdout}");
    }
    let record = sandbox.record();
    let supported: Vec<_> = record
        .plan
        .cells
        .iter()
        .filter(|cell| cell.unsupported.is_none())
        .collect();
    assert!(!supported.is_empty());
    for cell in supported {
        assert_eq!((&*cell.scenario, &*cell.runtime), ("http-delay", "asyncio"));
    }
}

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

/// True if there is no node with these packages, where `NODE_PATH` says.
pub(crate) fn node_is_missing() -> bool {
    let load = "require('pg'); require('ws')";
    let output = Command::new("node").args(["-e", load]).output();
    let is_there = output.is_ok_and(|output| output.status.success());
    if !is_there {
        skip_without("node with the packages pg and ws");
    }
    !is_there
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

/// Node finds its packages where it is told to, and says what is missing otherwise; go says that it is not built.
#[test]
fn lanes_without_packages_or_program_name_the_command() {
    if node_is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let run = ["run", "db-select", "http-get", "--runtimes=node,go"];
    let run = [&run[..], &TINY].concat();
    let without = |modules: Option<&Path>| {
        let mut command = sandbox.command(&run);
        match modules {
            Some(modules) => command.env("NODE_PATH", modules),
            None => command.env_remove("NODE_PATH"),
        };
        Finished::of(&mut command).check(0, &[]);
        let record = sandbox.record();
        every_round_is_proved(&record);
        let cells = record.plan.cells.into_iter();
        let reasons =
            cells.filter_map(|cell| Some((cell.scenario, cell.runtime, cell.unsupported?)));
        reasons.collect::<Vec<_>>()
    };
    let reasons = without(None);
    let has = |scenario: &str, lane: &str, command: &str| {
        reasons
            .iter()
            .any(|it| (&*it.0, &*it.1) == (scenario, lane) && it.2.contains(command))
    };
    assert!(
        has("db-select", "node", "`photofinish setup node`"),
        "{reasons:?}"
    );
    assert!(
        has("http-get", "go", "`photofinish setup go`"),
        "{reasons:?}"
    );
    assert!(!has("http-get", "node", ""), "{reasons:?}");

    let finding = "console.log(require.resolve('pg/package.json'))";
    let output = Command::new("node")
        .args(["-e", finding])
        .output()
        .expect("node runs");
    let package = String::from_utf8(output.stdout).expect("text");
    let modules = Path::new(package.trim())
        .ancestors()
        .nth(2)
        .expect("node_modules");
    let reasons = without(Some(modules));
    assert!(
        reasons.iter().all(|(_, lane, _)| lane == "go"),
        "{reasons:?}"
    );
}

#[test]
fn a_lane_runs_on_the_cpus_of_the_plan() {
    if python("asyncio", "asyncio").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let script = sandbox.write("worker.py", WHERE);
    let lane = format!("--lane=python3 {}", script.display());
    let run = ["run", "null", "--runtimes=sync", &lane, "--cpus=0"];
    sandbox.run(&[&run[..], &TINY].concat()).check(0, &[]);
    let record = sandbox.record();
    let facts: Vec<_> = record
        .rounds
        .iter()
        .filter(|round| record.plan.cells[round.cell].runtime == "somewhere")
        .map(|round| match &round.outcome {
            Outcome::Ok(measured) => measured.worker.runtime_facts["affinity"].clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(!facts.is_empty());
    let placed = record.plan.placement.worker_cpus.clone();
    assert!(
        facts.iter().all(|fact| *fact == format!("{placed:?}")),
        "{facts:?} {placed:?}"
    );
}

/// A worker that measures nothing, and reports where it runs.
const WHERE: &str = r#"
import json, os, sys
if sys.argv[1] == "describe":
    lane = {"name": "somewhere", "family": "sequential", "stack": "Test", "summary": "", "workloads": ["null"]}
    print(json.dumps({"protocol": 1, "lanes": [lane]}))
else:
    sys.stdin.readline()
    one = "HISTFAAAACN4nJNpmSzMwMDAzAABMJoRiHl/uEcw2H+ACJznZwIAXDIFAQ=="
    measurement = {
        "sessions": 1, "worker_threads": 1, "ops": 1, "warmup_ops": 0, "warmup_errors": {}, "elapsed_ns": 1000,
        "session_ns": 1000, "throughput_ops_s": 1e6, "service": one, "errors": {}, "traffic": {},
        "cost": {}, "violations": [],
        "runtime_facts": {"affinity": str(sorted(os.sched_getaffinity(0)))},
    }
    print(json.dumps({"protocol": 1, "status": "ok", "measurement": measurement}))
"#;

pub(crate) fn perl_is_missing() -> bool {
    let there = Command::new("perl")
        .arg("-v")
        .output()
        .is_ok_and(|output| output.status.success());
    if !there {
        skip_without("perl");
    }
    !there
}

pub(crate) fn perl_worker() -> String {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/worker.pl");
    format!("perl {}", examples.display())
}

#[test]
fn the_example_in_perl_is_measured_beside_rust() {
    if perl_is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let lane = format!("--lane={}", perl_worker());
    let run = ["run", "http-get", "null", "--runtimes=sync", &lane];
    sandbox.run(&[&run[..], &TINY].concat()).check(0, &[]);
    let record = sandbox.record();
    let perl = record
        .rounds
        .iter()
        .filter(|round| record.plan.cells[round.cell].runtime == "perl");
    assert_eq!(perl.count(), record.rounds.len() / 2);
    every_round_is_proved(&record);
}

/// The example's reply, with one request more than there were.
#[test]
fn a_lane_that_miscounts_gives_no_number() {
    if python("asyncio", "asyncio").is_none() {
        return;
    }
    if perl_is_missing() {
        return;
    }
    let sandbox = Sandbox::new();
    let script = format!(
        r#"
import json, subprocess, sys
told = subprocess.run({:?}.split() + sys.argv[1:], stdin=sys.stdin, capture_output=True, text=True).stdout
reply = json.loads(told)
if "measurement" in reply:
    reply["measurement"]["traffic"]["http"]["requests"] += 1
print(json.dumps(reply))
"#,
        perl_worker()
    );
    let script = sandbox.write("liar.py", &script);
    let lane = format!("--lane=python3 {}", script.display());
    let run = ["run", "http-get", "--runtimes=sync", &lane];
    sandbox.run(&[&run[..], &TINY].concat()).check(
        5,
        &["http-get / perl", "requests (http): the worker counted"],
    );
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

/// Code that is compiled while it runs needs a warm-up, which all runtimes get; a shorter one of the user's is told.
#[test]
fn all_runtimes_get_the_warm_up_that_a_lane_asks_for() {
    if python("asyncio", "asyncio").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let plan = |min_warmup_ns: u64, more: &[&str], code: i32, expected: &[&str]| {
        let asking = format!(r#""workloads": ["null"], "min_warmup_ns": {min_warmup_ns}"#);
        let worker = WHERE.replace(r#""workloads": ["null"]"#, &asking);
        let script = sandbox.write("worker.py", &worker);
        let lane = format!("--lane=python3 {}", script.display());
        let plan = ["plan", "null", "--runtimes=sync", &lane];
        let planned = sandbox.run(&[&plan[..], more].concat());
        assert_eq!(planned.code, Some(code), "{planned:?}");
        let words = [&*planned.stdout, &*planned.stderr].concat();
        let words = Vec::from_iter(words.split_whitespace()).join(" ");
        for part in expected {
            assert!(words.contains(part), "`{part}` is not in: {words}");
        }
        planned
    };
    let gets = ["1s a round after a warm-up of 4s (for somewhere)"];
    plan(4_000_000_000, &[], 0, &gets);
    let json = plan(4_000_000_000, &["--format=json"], 0, &[]).json();
    let planned = &json["plan"]["scenarios"][0]["warmup"]["duration_ns"];
    assert_eq!(planned, 4_000_000_000_u64);
    let asked = &json["plan"]["runtimes"]["somewhere"]["worker"]["min_warmup_ns"];
    assert_eq!(asked, 4_000_000_000_u64);
    let short = "somewhere: a warm-up of 20ms, where it asks for 4s";
    plan(4_000_000_000, &["--set=load.warmup=20ms"], 0, &[short]);
    let short = "somewhere: a warm-up of 50ms, where it asks for 4s";
    plan(4_000_000_000, &["--quick"], 0, &[short]);
    let refused = "asks for a warm-up of more than 60 s in each round of `somewhere`";
    plan(61_000_000_000, &[], 2, &[refused]);
}

#[test]
fn a_worker_that_is_none_is_told_before_anything_runs() {
    if python("asyncio", "asyncio").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    for (program, expected) in [
        ("print('hello')", "gave an invalid answer"),
        ("import sys; sys.exit('out of order')", "out of order"),
        (
            r#"print('{"protocol": 2, "lanes": []}')"#,
            "speaks protocol 2, expected 1",
        ),
    ] {
        let script = sandbox.write("worker.py", program);
        let lane = format!("--lane=python3 {}", script.display());
        sandbox
            .run(&["run", "null", &lane])
            .check(2, &[expected, "docs/PROTOCOL.md"]);
    }
    sandbox
        .run(&["run", "null", "--lane", "/nowhere/worker"])
        .check(2, &["cannot be started"]);
    assert!(sandbox.hidden().is_none(), "nothing ran");
}

/// A worker that fails in its rounds: they are recorded, and the other runtimes go on.
#[test]
fn a_lane_that_dies_leaves_the_others_their_rounds() {
    if python("asyncio", "asyncio").is_none() {
        return;
    }
    let sandbox = Sandbox::new();
    let dies = WHERE.replace("    sys.stdin.readline()", "    sys.exit('no memory left')");
    let script = sandbox.write("worker.py", &dies);
    let lane = format!("--lane=python3 {}", script.display());
    let run = ["run", "null", "--runtimes=sync", &lane];
    sandbox
        .run(&[&run[..], &TINY].concat())
        .check(1, &["somewhere", "no memory left"]);
    let record = sandbox.record();
    let of = |name: &str| {
        let rounds = record.rounds.iter();
        rounds
            .filter(|round| record.plan.cells[round.cell].runtime == name)
            .count()
    };
    assert!(of("sync") > 0 && of("somewhere") > 0, "{record:?}");
}

#[test]
fn without_an_interpreter_the_remedy_is_told() {
    let sandbox = Sandbox::new();
    for (lanes, variable) in [
        ("python", "PHOTOFINISH_PYTHON"),
        ("node", "PHOTOFINISH_NODE"),
    ] {
        let mut command = sandbox.command(&["run", "null", "--runtimes", lanes]);
        command.env(variable, "/nowhere/interpreter");
        let expected = ["/nowhere/interpreter", &format!("{variable}=")];
        Finished::of(&mut command).check(2, &expected);
    }
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
