//! A run split over several processes: together the run of one machine, and a clear end if one of them fails.
//!
//! The server is nginx, whose log has the number of each operation. A real Slurm starts the processes where one is installed;
//! its nodes are virtual, so nothing here says how fast several machines are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use photofinish_record::shard::ShardSet;
use photofinish_record::{Completion, Outcome, Record, Round};
use serde_json::Value;

use crate::nginx::nginx_serving;
use crate::slurm::Slurm;
use crate::support::{Finished, Sandbox, Started, program, python, read_record, send, wait_for};

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

#[test]
fn shards_of_different_runs_do_not_start() {
    let Some(site) = Site::new() else { return };
    let first = site.shard(0, "store", &["--seed=2"]);
    let (second, third) = (site.shard(1, "store", &[]), site.shard(2, "store", &[]));
    first.finish().check(
        2,
        &["has another seed", "hint: start all shards with the same"],
    );
    for other in [second.finish(), third.finish()] {
        other.check(2, &["shard 0 has another seed (2 and 1)"]);
    }
    assert!(site.asked().is_empty(), "nothing was measured");
    // The store is used up.
    let late = site.shard(1, "store", &[]).finish();
    late.check(
        1,
        &["ended the run", "hint: use a new directory for each run"],
    );
}

/// Goal: a shard of another program does not measure beside the others. Method: a copy of the program with bytes at its end,
/// which runs alike.
#[test]
fn another_build_of_the_program_does_not_start() {
    let Some(site) = Site::new() else { return };
    let other = site.sandbox.path().join("other");
    // By a process of its own: a child that another test starts meanwhile would hold the file open for writing.
    let copying = "cp \"$0\" \"$1\" && printf another >> \"$1\"";
    let mut copy = Command::new("sh");
    copy.args(["-c", copying])
        .args([program(), other.as_path()]);
    Finished::of(&mut copy).check(0, &[]);
    let start = |program: &Path, index: u32| {
        let (shard, out) = (format!("{index}/2"), format!("out-{index}"));
        let share = [
            "--shard",
            &shard,
            "--store=store",
            "--shared-host",
            "--out",
            &out,
        ];
        let arguments = site.arguments(&share);
        Started::of(site.sandbox.command_of(program, &arguments))
    };
    let both = [start(program(), 0), start(&other, 1)];
    for (index, shard) in both.into_iter().enumerate() {
        let expected = format!("shard {} has another build of the program", 1 - index);
        let hint = "hint: start all shards with the same program";
        shard.finish().check(2, &[&expected, hint]);
    }
    assert!(site.asked().is_empty(), "nothing was measured");
}

#[test]
fn a_missing_shard_is_named_and_a_late_one_does_not_join() {
    let Some(site) = Site::new() else { return };
    let patience = ["--store-timeout=3s"];
    let (first, last) = (
        site.shard(0, "store", &patience),
        site.shard(2, "store", &patience),
    );
    let told = [first.finish(), last.finish()];
    let named = told
        .iter()
        .any(|one| one.stderr.contains("shard 1 of 3 was not there within 3 s"));
    assert!(
        named && told.iter().all(|one| one.code == Some(1)),
        "{told:#?}"
    );
    site.shard(1, "store", &patience)
        .finish()
        .check(1, &["ended the run: shard 1 of 3 was not there"]);
}

#[test]
fn a_shard_that_ends_early_ends_the_run_and_the_others_tell() {
    let Some(site) = Site::new() else { return };
    let long = ["--duration=2s", "--store-timeout=20s"];
    let mut all: Vec<Started> = (0..3)
        .map(|index| site.shard(index, "store", &long))
        .collect();
    let started = site.sandbox.path().join("store/go/1");
    wait_for("the first round", || started.exists().then_some(()));
    // A duplicate changes nothing.
    site.shard(1, "store", &long).finish().check(
        1,
        &[
            "another process has been shard 1/3 here",
            "hint: use a new directory",
        ],
    );
    send("TERM", all[2].id());
    let [first, second, third] = [all.remove(0), all.remove(0), all.remove(0)].map(Started::finish);
    third.check(130, &[]);
    for other in [first, second] {
        other.check(1, &["shard 2 of 3 ended the run: interrupted"]);
    }
    let records = fs::read_dir(site.sandbox.path().join("store/records")).expect("records");
    assert_eq!(records.count(), 3, "what was measured is kept");
    let whole = site.merge("store", 5);
    assert!(shards(&whole).missing().is_empty());
    // The round that the others finished without it is no round of the whole.
    let last = whole.rounds.last().expect("the first round");
    assert!(
        !matches!(&last.outcome, Outcome::Ok(measured) if measured.shards.len() == 3),
        "{last:#?}"
    );
}

#[test]
fn a_killed_shard_is_missed_and_the_record_is_partial() {
    let Some(site) = Site::new() else { return };
    let long = ["--duration=1s", "--store-timeout=5s", "--runtimes=tokio"];
    let mut all: Vec<Started> = (0..3)
        .map(|index| site.shard(index, "store", &long))
        .collect();
    let started = site.sandbox.path().join("store/go/1");
    wait_for("the first round", || started.exists().then_some(()));
    send("KILL", all[0].id());
    all.remove(0).finish();
    for other in all {
        let other = other.finish();
        let reasons = [
            "shard 0 of 3 was not ready for round 2 within 5 s",
            "ended the run",
        ];
        assert!(
            reasons.iter().any(|reason| other.stderr.contains(reason)),
            "{other:#?}"
        );
        assert_eq!(other.code, Some(1));
    }
    let merged = site.sandbox.run(&["merge", "store", "--out", "merged"]);
    let merged = merged.check(5, &["partial: shard 0 of 3 is missing"]);
    assert!(!merged.stdout.contains("faster"), "{}", merged.stdout);
}

#[test]
fn what_shards_cannot_do_together_is_refused_before_anything_starts() {
    let sandbox = Sandbox::new();
    let refused = |arguments: &[&str], expected: &str| {
        let shard = ["--shard", "0/2", "--store", "store"];
        sandbox
            .run(&[&["run"], arguments, &shard].concat())
            .check(2, &[expected, "hint: "]);
        assert!(!sandbox.path().join("store").exists(), "{arguments:?}");
    };
    let target = "--target=http=http://127.0.0.1:9/";
    refused(
        &["http-get"],
        "each shard of `http-get` would start and measure a server of its own",
    );
    refused(&["file-read"], "`file-read` measures this machine");
    refused(
        &["http-get", target, "--concurrency=1"],
        "a load of 1 session cannot be split into 2 shards",
    );
    refused(
        &["http-get", target, "--until-decided"],
        "--until-decided ends each shard at another time",
    );
    refused(
        &["http-get", target, "--find-max=response_p99 < 10ms"],
        "a search decides on its next rate alone",
    );
    refused(
        &["http-get", target, "--expect=errors < 1%"],
        "thresholds hold for the whole",
    );
    let alone = ["run", "http-get", target, "--concurrency=4", "--shard=0/2"];
    sandbox
        .run(&alone)
        .check(2, &["--shard needs a common start", "--store DIR"]);
    let past = [&alone[..], &["--start-at=1000"]].concat();
    sandbox
        .run(&past)
        .check(2, &["--start-at has passed", "hint: "]);
    let wrong = ["run", "http-get", target, "--shard=2/2", "--store=store"];
    sandbox
        .run(&wrong)
        .check(2, &["shards are numbered from 0"]);
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

/// A job as `submit` prints it, in a real Slurm of three virtual nodes.
#[test]
fn a_job_under_slurm_is_the_run_of_one_machine() {
    let Some(site) = Site::new() else { return };
    let Some(slurm) = Slurm::start(&site.sandbox) else {
        return;
    };
    let program = program().to_str().expect("a path");
    let submit = |store: &str, more: &[&str]| {
        let job = [
            "submit",
            "slurm",
            "--shards=3",
            "--cpus=1",
            "--program",
            program,
            "--store",
            store,
            "--",
        ];
        let run = site.arguments(&[&["--shared-host"], more].concat());
        let printed = site.sandbox.run(&[&job, &run[1..]].concat()).check(0, &[]);
        slurm.submit(&printed.stdout)
    };
    let job = submit("store", &OPEN);
    slurm.wait_for_queue();
    let merged = site.sandbox.path().join("photofinish-runs");
    let told = slurm.output();
    assert!(merged.join("latest").exists(), "{told}");
    let records = fs::read_dir(site.sandbox.path().join("store/records")).expect("records");
    assert_eq!(records.count(), 3, "job {job}: {told}");
    let whole = read_record(&merged.join("latest/record.json"));
    let Outcome::Ok(first) = &whole.rounds[0].outcome else {
        panic!("not measured: {told}");
    };
    let scheduled = first.worker.open.as_ref().expect("open").scheduled;
    check_whole(&site, &whole, scheduled);
    check_union(&site, "store", &whole);
    site.forget();
    submit("closed", &[]);
    slurm.wait_for_queue();
    let whole = read_record(&merged.join("latest/record.json"));
    check_whole(&site, &whole, 40);
    check_union(&site, "closed", &whole);
    // A job that is cancelled ends with its records, and the merge tells.
    let begun = |store: &str| {
        let started = site.sandbox.path().join(store).join("go/1");
        wait_for("the first round", || started.exists().then_some(()));
    };
    let records = |store: &str| {
        let records = site.sandbox.path().join(store).join("records");
        fs::read_dir(records).map_or(0, Iterator::count)
    };
    let job = submit("cancelled", &["--duration=30s"]);
    begun("cancelled");
    slurm.cancel(&job);
    slurm.wait_for_queue();
    assert_eq!(records("cancelled"), 3, "{}", slurm.output());
    let cancelled = read_record(&merged.join("latest/record.json"));
    assert_eq!(cancelled.completion, Completion::Interrupted);
    // One of whose processes is killed ends early, with the records of the others.
    submit("killed", &["--duration=30s"]);
    begun("killed");
    let rank = slurm.process_of_rank(1).expect("a process of rank 1");
    send("KILL", rank);
    slurm.wait_for_queue();
    assert_eq!(records("killed"), 2, "{}", slurm.output());
    let killed = read_record(&merged.join("latest/record.json"));
    assert_eq!(shards(&killed).missing(), [1]);
    assert_ne!(killed.completion, Completion::Complete);
}

/// The published schemas are in the Python package.
#[test]
fn manifests_follow_the_schemas_of_kubernetes() {
    let Some(python) = python("kubernetes_validate", "kubernetes-validate") else {
        return;
    };
    let sandbox = Sandbox::new();
    let job = [
        "submit",
        "kubernetes",
        "--shards=3",
        "--image=example/photofinish",
        "--claim=shared",
        "--store=/store/it's",
        "--",
    ];
    let run = [
        "http-get",
        "--target",
        "http=http://server/?a=\"b\"",
        "--allow-remote",
        "--rate=300",
        "--concurrency=16",
    ];
    let manifest = sandbox.run(&[&job[..], &run].concat()).check(0, &[]).stdout;
    let validate = |manifest: &str| {
        let file = sandbox.write("jobs.yaml", manifest);
        let script = "import sys, yaml, kubernetes_validate as k\n\
                      for job in yaml.safe_load_all(open(sys.argv[1])): k.validate(job, k.latest_version(), strict=True)";
        Finished::of(Command::new(&python).args(["-c", script]).arg(file))
    };
    validate(&manifest).check(0, &[]);
    let in_bucket = [
        "submit",
        "kubernetes",
        "--shards=3",
        "--image=i",
        "--store=s3://b/p",
        "--credentials=c",
        "--",
    ];
    let in_bucket = sandbox
        .run(&[&in_bucket, &run[..]].concat())
        .check(0, &[])
        .stdout;
    validate(&in_bucket).check(0, &[]);
    validate(&manifest.replace("backoffLimit: 0", "backoffLimit: none")).check(1, &["none"]);
    let refused = sandbox.run(&[
        "submit",
        "kubernetes",
        "--shards=3",
        "--image=i",
        "--claim=c",
        "--store=/tmp/x",
        "--",
        "a",
    ]);
    refused.check(2, &["the volume is mounted at /store"]);
    let ssh = |hosts: &str, shards: &str, more: &[&str]| {
        let job = [
            "submit",
            "ssh",
            "--hosts",
            hosts,
            "--shards",
            shards,
            "--",
            "http-get",
            "--concurrency=16",
        ];
        sandbox.run(&[&job, more].concat())
    };
    let target = "--target=http=http://127.0.0.1:9/";
    ssh("a,b", "3", &[target]).check(2, &["3 shards need as many hosts, and there are 2"]);
    ssh("a,-oProxyCommand=x", "2", &[target]).check(2, &["`-oProxyCommand=x` is not a host"]);
    ssh("a,a", "2", &[target]).check(2, &["`a` would run two shards"]);
    // What the shards would refuse is refused here.
    ssh("a,b", "2", &[]).check(
        2,
        &["each shard of `http-get` would start and measure a server of its own"],
    );
    ssh("a,b", "2", &[target, "--rats"]).check(2, &["--rats"]);
    let script = ssh("a,b", "2", &[target]).check(0, &[]).stdout;
    assert!(
        script.contains("ssh -tt -o BatchMode=yes -- b "),
        "{script}"
    );
}

/// The script of ssh, running; the hosts are this machine, and ssh is a shell.
fn start_over_ssh(site: &Site, more: &[&str]) -> Started {
    fs::create_dir(site.sandbox.path().join("bin")).expect("created");
    let shell = "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\nexec sh -c \"exec $3\"\n";
    let shell = site.sandbox.write("bin/ssh", shell);
    fs::set_permissions(&shell, fs::Permissions::from_mode(0o755)).expect("set");
    let program = program().to_str().expect("a path");
    let job = [
        "submit",
        "ssh",
        "--hosts=a,b,c",
        "--program",
        program,
        "--store=store",
        "--",
    ];
    let run = site.arguments(&[&["--shared-host"], more].concat());
    let script = site
        .sandbox
        .run(&[&job, &run[1..]].concat())
        .check(0, &[])
        .stdout;
    let bin = shell.parent().expect("bin").display();
    let path = format!("{bin}:{}", std::env::var("PATH").expect("set"));
    let mut command = Command::new("sh");
    command
        .args(["-c", &script])
        .env("PATH", path)
        .current_dir(site.sandbox.path());
    Started::of(command)
}

#[test]
fn the_script_of_ssh_runs_all_shards_and_merges_them() {
    let Some(site) = Site::new() else { return };
    start_over_ssh(&site, &[]).finish().check(0, &[]);
    let whole = read_record(
        &site
            .sandbox
            .path()
            .join("photofinish-runs/latest/record.json"),
    );
    check_whole(&site, &whole, 40);
}

#[test]
fn an_interrupted_script_of_ssh_ends_all_shards_and_merges_what_they_left() {
    let Some(site) = Site::new() else { return };
    let mut script = start_over_ssh(&site, &["--duration=30s"]);
    let started = site.sandbox.path().join("store/go/1");
    wait_for("the first round", || started.exists().then_some(()));
    script.signal("TERM");
    script.finish().check(130, &[]);
    let records = fs::read_dir(site.sandbox.path().join("store/records")).expect("records");
    assert_eq!(records.count(), 3);
    assert!(site.sandbox.path().join("photofinish-runs/latest").exists());
}
