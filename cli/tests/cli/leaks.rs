//! What is left of operations that cancel, give up, spawn and connect: nothing, under any runtime.
//!
//! Every scenario of the catalogue runs with what it is made of counted: parts and offloaded work of its runtime, sockets
//! and other descriptors, threads, child processes. How they are counted, and when, is in `leaks/watched.rs`; each round is
//! in a process of its own. Rounds that leak on purpose (`leaks/leaky.rs`) show that the counts see it.

mod counted_runtime;
mod leaky;
mod watched;

use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::num::{NonZeroU32, NonZeroU64};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use photofinish_harness::runtime::{Capability, Descriptor};
use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_harness::workload::Workload;
use photofinish_record::load::{Load, Stop};
use photofinish_record::protocol::{TargetAddress, WORKER_PROTOCOL, WorkerPlan, WorkerResult};
use photofinish_scenarios::catalogue::{CatalogueEntry, catalogue};
use photofinish_scenarios::scenario::{Checks, Override, Scenario, ServerSpec};
use photofinish_workloads::registry::{Visitor, WorkloadEntry, visit_workloads};
use serde_json::{Value, json};

use self::leaky::Leaky;
use self::watched::{HASTE, OPERATIONS, Watched};
use crate::serve::served;
use crate::support::{Sandbox, Started};

const UNIT: Duration = Duration::from_millis(5);

/// Rounds at one time: they wait more than they compute.
const LANES: usize = 4;

const LEAKY: WorkloadEntry = WorkloadEntry::of::<Watched<Leaky>>();

/// Wraps each workload.
struct Watching;

impl Visitor for Watching {
    type Output = WorkloadEntry;

    fn visit<W: Workload>(&self) -> WorkloadEntry {
        WorkloadEntry::of::<Watched<W>>()
    }
}

/// What is smaller here than in the catalogue, or happens more often.
const OVERRIDES: &[(&str, &[&str])] = &[
    ("batch", &["items=20", "size=5"]),
    ("cpu-inline", &["repeats=2"]),
    ("cpu-offload", &["repeats=2"]),
    ("crawl", &["limit=5", "server.http.pages=40"]),
    // As many threads for blocking work as files at once: tokio keeps each for 10 s.
    ("file-lines", &["files=20", "limit=3"]),
    ("file-random", &["file_size=\"1MiB\""]),
    ("http-limited", &["urls=10"]),
    (
        "http-no-timeout",
        &["server.http.mocks.0.respond.0.delay=\"2 units\""],
    ),
    ("http-post-large", &["size=\"256KiB\""]),
    ("http-queue", &["urls=30"]),
    ("idle-connections", &["count=20"]),
    ("idle-tasks", &["count=100"]),
    ("ws-chat", &["leave_every=1"]),
];

/// What is left behind on purpose with each operation, and how that is told.
const LEAKS: &[(&str, &str)] = &[
    ("socket", "socket:[] grew from "),
    ("thread", "threads grew from "),
    ("child", "children grew from 20 to 40"),
    ("part", "parts grew from 20 to 40"),
    ("offloaded", "offloaded grew from 20 to 40"),
];

/// Names the round that a fresh process is for, and where its servers are.
const ROUND: &str = "PHOTOFINISH_LEAKS_ROUND";
const SERVERS: &str = "PHOTOFINISH_LEAKS_SERVERS";

#[test]
fn nothing_is_left_of_cancelled_abandoned_and_spawned_work() {
    let watches = catalogue().iter().map(Watch::of_scenario).collect();
    let rounds = Round::under_every_runtime(watches);
    assert!(rounds.len() > catalogue().len());
    for (name, _) in OVERRIDES {
        assert!(
            catalogue().iter().any(|entry| entry.name == *name),
            "{name}"
        );
    }
    assert_eq!(in_fresh_processes(rounds), [""; 0]);
}

#[test]
fn leftover_tasks_are_reported() {
    for (what, expected) in LEAKS {
        let rounds = Round::under_every_runtime(vec![Watch::of_leak(what)]);
        let expected_rounds = rounds.len();
        let expected_text = in_fresh_processes(rounds);
        assert_eq!(expected_text.len(), expected_rounds, "{expected_text:#?}");
        for expected_text in expected_text {
            assert!(
                expected_text.contains(expected),
                "`{expected}` is not in: {expected_text}"
            );
        }
    }
}

/// What a test starts as a process of its own; alone it has nothing to do.
#[test]
fn one_round_for_another_test() {
    let Ok(round) = std::env::var(ROUND) else {
        return;
    };
    let (name, runtime) = round.split_once("::").expect("a watch and a runtime");
    let servers = std::env::var(SERVERS).expect("where its servers are");
    let servers = serde_json::from_str(&servers).expect("JSON");
    Watch::called(name).run(runtime, servers);
}

/// What is run in a round: a workload with its parameters, and the servers that it talks to.
struct Watch {
    name: String,
    entry: WorkloadEntry,
    params: Value,
    needs: &'static [Capability],
    servers: BTreeMap<String, ServerSpec>,
}

impl Watch {
    fn of_scenario(entry: &CatalogueEntry) -> Self {
        let own = OVERRIDES.iter().filter(|(name, _)| *name == entry.name);
        let own = own.flat_map(|(_, overrides)| overrides.iter().copied());
        let unit = format!("unit={}ms", UNIT.as_millis());
        let overrides = own.chain([unit.as_str()]).map(Override::parse);
        let overrides: Vec<_> = overrides.map(|read| read.expect("an override")).collect();
        let scenario = Scenario::parse(entry.source(), &overrides, UNCHECKED);
        let scenario = scenario.expect("the catalogue is sound");
        let mut watched = visit_workloads(&Watching).into_iter();
        let entry = watched.find(|entry| entry.about.name == scenario.about.name);
        Self {
            name: scenario.name,
            entry: entry.expect("it ships"),
            params: scenario.params,
            needs: scenario.needs,
            servers: scenario.servers,
        }
    }

    fn of_leak(what: &str) -> Self {
        let checked = (LEAKY.check)(&json!({"what": what}), UNIT).expect("parameters");
        Self {
            name: what.to_owned(),
            entry: LEAKY,
            params: checked.params,
            needs: checked.needs,
            servers: BTreeMap::new(),
        }
    }

    fn called(name: &str) -> Self {
        let scenario = catalogue().iter().find(|entry| entry.name == name);
        scenario.map_or_else(|| Self::of_leak(name), Self::of_scenario)
    }

    fn is_on_purpose(&self) -> bool {
        self.entry.about.name == LEAKY.about.name
    }

    fn run(self, runtime: &str, targets: BTreeMap<String, TargetAddress>) {
        let directory = tempfile::tempdir().expect("a directory");
        let plan = WorkerPlan {
            protocol: WORKER_PROTOCOL,
            workload: self.entry.about.name.to_owned(),
            params: self.params,
            unit_ns: u64::try_from(UNIT.as_nanos()).expect("short"),
            runtime: runtime.to_owned(),
            cpus: Vec::new(),
            worker_threads: 2,
            load: Load::Closed {
                concurrency: NonZeroU32::MIN,
            },
            warmup: Stop::Ops(NonZeroU64::new(OPERATIONS).expect("some")),
            stop: Stop::Ops(NonZeroU64::new(OPERATIONS + 2).expect("some")),
            stages: Vec::new(),
            pacer_cpu: None,
            piped: None,
            lag_probe: false,
            audit: false,
            seed: 1,
            targets,
            work_dir: directory.path().to_owned(),
            directory: Default::default(),
            run: String::new(),
            round: 1,
            shard: None,
        };
        match (self.entry.run)(&plan) {
            WorkerResult::Ok { measurement, .. } => {
                let wrong = (&measurement.errors, &measurement.violations);
                let none = measurement.errors.is_empty() && measurement.violations.is_empty();
                assert!(none, "{wrong:#?}");
                assert_eq!(measurement.ops, OPERATIONS + 2);
            }
            // Such a runtime does not start on this machine.
            WorkerResult::Unsupported { .. } => {}
            WorkerResult::Failed { reason, .. } | WorkerResult::Wrong { reason } => {
                panic!("{reason}")
            }
        }
    }
}

/// The servers check their behaviour themselves when they start, and no gate is asked for anything here.
const UNCHECKED: Checks<'static> = Checks {
    server: &|_, _| Ok(()),
    gate: &|_, _| Ok(()),
    threshold: &|_, _, _| Ok(()),
    default_server: &|target| match target {
        "db" => Some("postgres"),
        "ws" => Some("ws"),
        _ => Some("http"),
    },
};

/// A watch under one runtime.
struct Round {
    watch: Arc<Watch>,
    runtime: &'static str,
}

impl Round {
    fn under_every_runtime(watches: Vec<Watch>) -> VecDeque<Self> {
        let under_each = |watch: Watch| {
            let watch = Arc::new(watch);
            let able = |runtime: &&&Descriptor| runtime.refusal(watch.needs).is_none();
            let runtimes: Vec<_> = DESCRIPTORS.iter().filter(able).collect();
            runtimes.into_iter().map(move |runtime| Self {
                watch: Arc::clone(&watch),
                runtime: runtime.name,
            })
        };
        watches.into_iter().flat_map(under_each).collect()
    }

    /// Runs it; what failed, in words.
    fn in_fresh_process(&self, sandbox: &Sandbox) -> Option<String> {
        let round = format!("{}::{}", self.watch.name, self.runtime);
        // Anew for each round, as in a run: some workloads ask them for what they counted.
        let servers = self.watch.servers.iter();
        let servers: BTreeMap<_, _> = servers
            .map(|(target, server)| (target, Serving::start(sandbox, target, server)))
            .collect();
        let targets = servers
            .iter()
            .map(|(target, serving)| (target, &serving.target));
        let targets: BTreeMap<_, _> = targets.collect();
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .args(["leaks::one_round_for_another_test", "--exact"])
            .env(ROUND, &round)
            .env(SERVERS, json!(targets).to_string())
            .env("RUST_BACKTRACE", "0");
        if self.watch.is_on_purpose() {
            command.env(HASTE, "1");
        }
        // Into a file: a child that is left behind would hold a pipe open, and whoever reads it up.
        let path = sandbox.path().join(&round);
        let output = File::create(&path).expect("a file");
        command.stderr(output.try_clone().expect("a descriptor"));
        let ended = command.stdout(output).status().expect("it starts");
        (!ended.success()).then(|| {
            let output = std::fs::read_to_string(&path);
            format!("{round}: {}", output.expect("readable"))
        })
    }
}

/// A server of a round; it ends when dropped.
struct Serving {
    _process: Started,
    target: TargetAddress,
}

impl Serving {
    fn start(sandbox: &Sandbox, target: &str, server: &ServerSpec) -> Self {
        let behaviour = server.behaviour.to_string();
        let (process, address) = served(sandbox, &[&server.kind, "--behaviour", &behaviour]);
        let url = match target {
            "db" => format!("postgres://photofinish@{address}/photofinish"),
            "ws" => format!("ws://{address}"),
            _ => format!("http://{address}"),
        };
        Self {
            _process: process,
            target: TargetAddress {
                url,
                address: None,
                mock: true,
                tls: None,
            },
        }
    }
}

/// What came of each round that failed.
fn in_fresh_processes(rounds: VecDeque<Round>) -> Vec<String> {
    let rounds = Mutex::new(rounds);
    let failures = Mutex::new(Vec::new());
    let next = || rounds.lock().expect("nothing panics").pop_front();
    std::thread::scope(|scope| {
        for _ in 0..LANES {
            scope.spawn(|| {
                let sandbox = Sandbox::new();
                while let Some(round) = next() {
                    let failed = round.in_fresh_process(&sandbox);
                    failures.lock().expect("nothing panics").extend(failed);
                }
            });
        }
    });
    failures.into_inner().expect("nothing panicked")
}
