//! A run split over several processes: together the run of one machine (here), a clear end if one of them fails (`refusals`),
//! and what starts them (`launchers`).
//!
//! The server is nginx, whose log has the number of each operation. A real Slurm starts the processes where one is installed;
//! its nodes are virtual, so nothing here says how fast several machines are.

mod launchers;
mod refusals;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use photofinish_record::shard::ShardSet;
use photofinish_record::{Outcome, Record, Round};
use serde_json::Value;

use crate::nginx::nginx_serving;
use crate::support::{Finished, Sandbox, Started, read_record};

const SCENARIO: &str = "\
[load]
concurrency = [5]
warmup_ops = 15
ops = 40

[[request]]
send = \"GET /numbered?round={{round}}&op={{op}}\"
";

/// The same by time, with fixed arrivals.
const OPEN: [&str; 3] = ["--rate=200", "--arrivals=poisson", "--duration=300ms"];

pub struct Site {
    pub sandbox: Sandbox,
    _nginx: Started,
    target: String,
}

/// The arguments of shard `index` of three.
fn share(index: u32, store: &str) -> [String; 7] {
    let out = format!("out-{index}");
    let shard = format!("{index}/3");
    [
        "--shard",
        &shard,
        "--store",
        store,
        "--shared-host",
        "--out",
        &out,
    ]
    .map(str::to_owned)
}

impl Site {
    pub fn new() -> Option<Self> {
        let sandbox = Sandbox::new();
        let (nginx, address) = nginx_serving(&sandbox, "location / { return 200 'hello'; }")?;
        sandbox.write("numbered.toml", SCENARIO);
        Some(Self {
            sandbox,
            _nginx: nginx,
            target: format!("http=http://{address}"),
        })
    }

    pub fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let common = [
            "run",
            "numbered.toml",
            "--target",
            &self.target,
            "--runtimes",
            "threads,tokio",
            "--rounds",
            "2",
            "--quiet",
        ];
        [&common, more].concat()
    }

    pub fn shard(&self, index: u32, store: &str, more: &[&str]) -> Started {
        let share = share(index, store);
        let share = share.each_ref().map(String::as_str);
        self.sandbox
            .start(&self.arguments(&[&share, more].concat()))
    }

    fn shards(&self, store: &str, more: &[&str]) -> Vec<Finished> {
        let started: Vec<Started> = (0..3).map(|index| self.shard(index, store, more)).collect();
        started.into_iter().map(Started::finish).collect()
    }

    fn merge(&self, store: &str, code: i32) -> Record {
        let merged = self
            .sandbox
            .run(&["merge", store, "--out", "merged", "--quiet"]);
        merged.check(code, &[]);
        newest(&self.sandbox.path().join("merged"))
    }

    /// Empties nginx's log, which it appends to.
    fn forget(&self) {
        fs::write(self.sandbox.path().join("access.log"), "").expect("emptied");
    }

    /// How often each operation of each round was asked for, so far.
    fn asked(&self) -> BTreeMap<(u64, u64), u32> {
        let log = fs::read_to_string(self.sandbox.path().join("access.log")).expect("a log");
        let mut asked = BTreeMap::new();
        for line in log.lines() {
            let number = |name: &str| -> Option<u64> {
                let (_, rest) = line.split_once(&format!("{name}="))?;
                rest.split('&').next()?.parse().ok()
            };
            if let Some(key) = number("round").zip(number("op")) {
                *asked.entry(key).or_insert(0) += 1;
            }
        }
        asked
    }
}

pub fn newest(parent: &Path) -> Record {
    let runs = fs::read_dir(parent).expect("a directory");
    let runs = runs.map(|entry| entry.expect("readable").path().join("record.json"));
    let newest = runs.filter(|path| path.is_file()).max();
    read_record(newest.expect("a run").as_path())
}

pub fn shards(record: &Record) -> &ShardSet {
    record.shards.as_ref().expect("a merged record")
}

/// The operations of the whole, each once, and the counts of nginx.
#[track_caller]
pub fn check_whole(site: &Site, whole: &Record, operations: u64) {
    assert!(shards(whole).missing().is_empty());
    assert_eq!(whole.rounds.len(), 4, "two runtimes, two rounds");
    let mut requests = 0;
    for round in &whole.rounds {
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("not measured: {:?}", round.outcome);
        };
        let worker = &measured.worker;
        assert_eq!((worker.ops, worker.failed_ops()), (operations, 0));
        assert_eq!((worker.sessions, measured.shards.len()), (5, 3));
        let ops: Vec<u64> = measured.shards.iter().map(|shard| shard.ops).collect();
        assert_eq!(ops.iter().sum::<u64>(), operations, "{ops:?}");
        assert!(ops.iter().all(|ops| *ops > 0), "{ops:?}");
        assert_eq!(worker.service.count(), operations);
        assert!(measured.mismatches.is_empty(), "{:?}", measured.mismatches);
        requests += worker.traffic["http"].requests;
    }
    let asked = site.asked();
    let once: BTreeSet<u32> = asked.values().copied().collect();
    assert_eq!(
        once,
        BTreeSet::from([1]),
        "each operation is asked for once"
    );
    let warmups = asked.keys().filter(|(_, op)| *op >= 1 << 48).count() as u64;
    let mut measured: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for (round, op) in asked.keys().filter(|(_, op)| *op < 1 << 48) {
        measured.entry(*round).or_default().push(*op);
    }
    assert_eq!(measured.len(), 4);
    for (round, ops) in &measured {
        assert_eq!(*ops, Vec::from_iter(0..operations), "round {round}");
    }
    assert_eq!(requests, 4 * operations + warmups);
}

/// The histogram of each merged round is the sum of those in the shards' own records, bucket for bucket.
#[track_caller]
fn check_union(site: &Site, store: &str, whole: &Record) {
    let records = fs::read_dir(site.sandbox.path().join(store).join("records")).expect("records");
    let paths = records.map(|entry| entry.expect("readable").path());
    let parts: Vec<Record> = paths.map(|path| read_record(&path)).collect();
    assert_eq!(parts.len(), 3);
    let service = |record: &Record, cell: usize, block: usize| {
        let same = |round: &&Round| (round.cell, round.block) == (cell, block);
        let round = record.rounds.iter().find(same).expect("the round");
        match &round.outcome {
            Outcome::Ok(measured) => measured.worker.service.to_histogram(),
            other => panic!("not measured: {other:?}"),
        }
    };
    for Round { cell, block, .. } in &whole.rounds {
        let mut sum = service(&parts[0], *cell, *block);
        for part in &parts[1..] {
            sum.add(service(part, *cell, *block))
                .expect("the same buckets");
        }
        assert_eq!(sum, service(whole, *cell, *block));
    }
}

#[test]
fn the_shards_of_a_closed_load_are_the_run_of_one_machine() {
    let Some(site) = Site::new() else { return };
    for finished in site.shards("store", &[]) {
        finished.check(0, &[]);
    }
    let whole = site.merge("store", 0);
    check_whole(&site, &whole, 40);
    check_union(&site, "store", &whole);
    // The same record from the runs' own directories, in another order.
    let runs = ["out-2/latest", "out-0/latest", "out-1/latest"];
    let again = site
        .sandbox
        .run(&[&["merge"], &runs[..], &["--out", "again", "--quiet"]].concat());
    again.check(0, &[]);
    let again = newest(&site.sandbox.path().join("again"));
    assert!(again.rounds == whole.rounds && again.shards == whole.shards);
    // One share alone is no result.
    let alone = site.sandbox.run(&["show", "out-1/latest"]);
    assert!(
        alone.stdout.contains("partial: this is shard 1 of 3"),
        "{}",
        alone.stdout
    );
    let table = site.sandbox.run(&["show", "merged/latest"]).stdout;
    assert!(table.contains("Shards"), "{table}");
}

#[test]
fn the_shards_of_an_open_load_are_the_run_of_one_machine() {
    let Some(site) = Site::new() else { return };
    let plan = site
        .sandbox
        .run(&[&["plan", "numbered.toml", "--shards=3"], &OPEN[..]].concat());
    let plan = plan.check(0, &[]).stdout;
    for finished in site.shards("store", &OPEN) {
        finished.check(0, &[]);
    }
    let whole = site.merge("store", 0);
    let Outcome::Ok(first) = &whole.rounds[0].outcome else {
        panic!("not measured");
    };
    let scheduled = first.worker.open.as_ref().expect("open").scheduled;
    check_whole(&site, &whole, scheduled);
    let planned: u64 = plan.lines().filter_map(planned_operations).sum();
    assert_eq!(planned, scheduled, "{plan}");
}

/// Operations of the shards in a line of a plan: `    shards 1 to 2: 2 sessions, 20 operations each`.
fn planned_operations(line: &str) -> Option<u64> {
    let (shards, share) = line.trim().split_once(": ")?;
    let count = match shards.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["shard", _] => 1,
        ["shards", first, "to", last] => {
            1 + last.parse::<u64>().ok()? - first.parse::<u64>().ok()?
        }
        _ => return None,
    };
    let (_, operations) = share.split_once(", ")?;
    let operations: u64 = operations.split_whitespace().next()?.parse().ok()?;
    Some(count * operations)
}

/// Goal: the embedded server of the first shard is loaded by all, and its counts are compared with their sum. Method: the counts
/// in the merged record, and a record of a shard with other traffic.
#[test]
fn the_first_shard_serves_for_all() {
    let sandbox = Sandbox::new();
    let scenario =
        "[load]\nconcurrency = [4]\nwarmup_ops = 12\nops = 120\n[[request]]\nsend = \"GET /\"\n";
    sandbox.write("served.toml", scenario);
    let start = |index: u32, store: &str, more: &[&str]| {
        let share = share(index, store);
        let share = share.each_ref().map(String::as_str);
        let what = [
            "run",
            "served.toml",
            "--runtimes=tokio,smol",
            "--rounds=2",
            "--quiet",
        ];
        sandbox.start(&[&what[..], &share, more].concat())
    };
    let serve = ["--serve-on=127.0.0.1"];
    let all: Vec<Started> = (0..3).map(|index| start(index, "store", &serve)).collect();
    for shard in all {
        shard.finish().check(0, &[]);
    }
    sandbox
        .run(&["merge", "store", "--out", "merged", "--quiet"])
        .check(0, &[]);
    let whole = newest(&sandbox.path().join("merged"));
    assert_eq!(whole.rounds.len(), 4);
    for round in &whole.rounds {
        let Outcome::Ok(measured) = &round.outcome else {
            panic!("not measured: {:?}", round.outcome);
        };
        let traffic = &measured.worker.traffic["http"];
        assert_eq!(measured.servers["http"].requests, Some(traffic.requests));
        assert_eq!(
            measured.servers["http"].connections,
            Some(traffic.connections)
        );
        assert_eq!(
            (measured.shards.len(), &measured.mismatches),
            (3, &Vec::new())
        );
    }
    // Beside a run of one machine, its rate is a point of a chart.
    let alone = [
        "run",
        "served.toml",
        "--runtimes=tokio,smol",
        "--rounds=2",
        "--quiet",
    ];
    sandbox.run(&alone).check(0, &[]);
    let chart =
        |runs: &[&str]| sandbox.run(&[&["report", "--svg", "--scale-out=charts"], runs].concat());
    chart(&["photofinish-runs/latest", "merged/latest"]).check(0, &[]);
    let svg = fs::read_to_string(sandbox.path().join("charts/served.scale-out.svg"));
    assert!(svg.expect("written").contains("with 3 shards"));
    chart(&["photofinish-runs/latest", "out-0/latest"]).check(2, &["out-0/latest lacks shards"]);
    chart(&["merged/latest"]).check(2, &["no closed load with different numbers of shards"]);
    // A shard that claims more than the server counted.
    let record = sandbox.path().join("store/records/1.json");
    let mut text: Value =
        serde_json::from_slice(&fs::read(&record).expect("a record")).expect("JSON");
    let requests = &mut text["rounds"][0]["outcome"]["worker"]["traffic"]["http"]["requests"];
    *requests = (requests.as_u64().expect("a count") + 1).into();
    fs::write(&record, text.to_string()).expect("written");
    let merged = sandbox
        .run(&["merge", "store", "--out", "forged"])
        .check(5, &[]);
    assert!(merged.stdout.contains("requests"), "{}", merged.stdout);
    let refused = |more: &[&str], expected: &str| {
        start(1, "refused", more)
            .finish()
            .check(2, &[expected, "hint: "]);
        assert!(!sandbox.path().join("refused").exists());
    };
    refused(
        &["--serve-on=0.0.0.0"],
        "--serve-on: other machines can reach 0.0.0.0",
    );
    refused(
        &["--serve-on=127.0.0.1", "--target=http=http://127.0.0.1:9/"],
        "there is no embedded server to run",
    );
}

#[test]
fn without_a_store_shards_start_at_a_time() {
    let Some(site) = Site::new() else { return };
    let start = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    let start = format!("{}", start.as_secs() + 6);
    let shard = |index: u32| {
        let (shard, out) = (format!("{index}/2"), format!("out-{index}"));
        let share = [
            "--shard",
            &shard,
            "--start-at",
            &start,
            "--shared-host",
            "--runtimes=tokio",
            "--rounds=1",
            "--duration=200ms",
            "--concurrency=4",
            "--rate=100",
            "--set=load.warmup=50ms",
            "--out",
            &out,
        ];
        site.sandbox.start(
            &[
                &["run", "http-get", "--target", &site.target, "--quiet"],
                &share[..],
            ]
            .concat(),
        )
    };
    let both = [shard(0), shard(1)];
    for one in both {
        one.finish().check(0, &[]);
    }
    let merged = site.sandbox.run(&[
        "merge",
        "out-0/latest",
        "out-1/latest",
        "--out",
        "merged",
        "--quiet",
    ]);
    merged.check(0, &[]);
    let whole = newest(&site.sandbox.path().join("merged"));
    let Outcome::Ok(measured) = &whole.rounds[0].outcome else {
        panic!("not measured");
    };
    let common = measured.worker.common_start.expect("shared");
    assert_eq!(
        common.unix_us / 1_000_000,
        start.parse::<u64>().expect("a number")
    );
}
