//! What is left of operations that cancel, give up, spawn and connect: nothing, under any runtime.
//!
//! A workload is wrapped so that it counts, within one round and between two of its operations, what its process holds:
//! sockets and other descriptors, threads, child processes. What an operation leaves behind shows as growth with their
//! number; what a runtime keeps by design (a reactor, threads for blocking work) is there after the first few. Each round
//! is in a process of its own, and one that leaks on purpose shows that the count sees it.

use std::collections::BTreeMap;
use std::future::Future;
use std::net::TcpStream;
use std::num::{NonZeroU32, NonZeroU64};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use photofinish_harness::load::{Load, Stop};
use photofinish_harness::protocol::{TargetAddress, WORKER_PROTOCOL, WorkerPlan, WorkerResult};
use photofinish_harness::runtime::{Descriptor, Runtime, Task as _};
use photofinish_harness::runtimes::DESCRIPTORS;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Totals, Workload};
use photofinish_scenarios::registry::WorkloadEntry;
use photofinish_scenarios::workloads::{
    as_completed, batch, counters, crawl, db_connect, db_pool, download, failures, first_completed,
    http_connect, http_errors, http_limited, http_queue, http_timeout, job_queue, process, scrape,
    spawn, tasks, ws_chat, ws_echo,
};
use serde_json::{Value, json};

use crate::serve::served;
use crate::support::{Finished, Sandbox};

/// Operations between two counts.
const OPERATIONS: u64 = 20;

/// What may come on top of the first count: threads for blocking work come and go as work happens to meet. Far less than
/// one for each operation.
const SLACK: usize = 6;

/// How long what was given up may take to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

const UNIT: Duration = Duration::from_millis(5);

/// One round: a workload, its parameters, and the server that it talks to.
struct Watch {
    name: &'static str,
    entry: WorkloadEntry,
    params: fn() -> Value,
    server: Option<(&'static str, &'static str)>,
}

const fn watch<W: Workload>(
    name: &'static str,
    params: fn() -> Value,
    server: Option<(&'static str, &'static str)>,
) -> Watch {
    Watch {
        name,
        entry: WorkloadEntry::of::<Watched<W>>(),
        params,
        server,
    }
}

const HTTP: Option<(&str, &str)> = Some(("http", "http"));
const SITE: Option<(&str, &str)> = Some(("http", "site"));
const WS: Option<(&str, &str)> = Some(("ws", "ws"));
const DB: Option<(&str, &str)> = Some(("db", "postgres"));

fn defaults() -> Value {
    json!({})
}

/// Everything that cancels, gives up, spawns or connects anew.
static WATCHES: &[Watch] = &[
    watch::<http_timeout::HttpTimeout>("http-timeout", defaults, HTTP),
    watch::<http_timeout::HttpTimeout>("http-timeout-shielded", || json!({"shielded": true}), HTTP),
    watch::<http_errors::HttpErrors>("http-errors", defaults, HTTP),
    watch::<http_connect::HttpConnect>("http-connect", defaults, HTTP),
    watch::<http_queue::HttpQueue>("http-queue", defaults, HTTP),
    watch::<http_limited::HttpLimited>("http-limited", defaults, HTTP),
    watch::<scrape::Scrape>("scrape", defaults, SITE),
    watch::<download::Download>("download", defaults, SITE),
    watch::<crawl::Crawl>("crawl", defaults, SITE),
    watch::<ws_echo::WsEcho>("ws-echo", defaults, WS),
    watch::<ws_chat::WsChat>("ws-chat", || json!({"leave_every": 1}), WS),
    watch::<db_connect::DbConnect>("db-connect", defaults, DB),
    watch::<db_pool::DbPool>("db-pool", defaults, DB),
    watch::<first_completed::FirstCompleted>("first-completed", defaults, None),
    watch::<as_completed::AsCompleted>("as-completed", defaults, None),
    watch::<failures::Failures>("failures", defaults, None),
    watch::<failures::Failures>("failures-panic", || json!({"by": "panic"}), None),
    watch::<job_queue::JobQueue>("job-queue", defaults, None),
    watch::<batch::Batch>("batch", defaults, None),
    watch::<counters::Counters>("counters", defaults, None),
    watch::<tasks::Tasks>("tasks", defaults, None),
    watch::<spawn::Spawn>("spawn", defaults, None),
    watch::<process::Process>("process", defaults, None),
];

/// These leak on purpose, each something else.
static LEAKS: &[Watch] = &[
    watch::<Leaky>("leaks a socket", || json!({"what": "socket"}), HTTP),
    watch::<Leaky>("leaks a thread", || json!({"what": "thread"}), HTTP),
    watch::<Leaky>("leaks a child", || json!({"what": "child"}), HTTP),
];

/// Names the round that a fresh process is for, and where its server is.
const ROUND: &str = "PHOTOFINISH_LEAKS_ROUND";
const SERVER: &str = "PHOTOFINISH_LEAKS_SERVER";

#[test]
fn nothing_is_left_of_what_was_cancelled_given_up_or_spawned() {
    let told = in_fresh_processes(WATCHES, DESCRIPTORS);
    assert_eq!(told, [""; 0]);
}

#[test]
fn a_socket_a_thread_and_a_child_left_behind_are_told_as_what_they_are() {
    let (first, _) = DESCRIPTORS.split_at(1);
    let told = in_fresh_processes(LEAKS, first);
    assert_eq!(told.len(), LEAKS.len(), "{told:#?}");
    for (told, what) in told.iter().zip(["socket:", "thread", "children"]) {
        assert!(told.contains("grew") && told.contains(what), "{told}");
    }
}

/// What a test starts as a process of its own; alone it has nothing to do.
#[test]
fn one_round_for_another_test() {
    let Ok(round) = std::env::var(ROUND) else {
        return;
    };
    let (watch, runtime) = round.split_once("::").expect("a watch and a runtime");
    let mut all = WATCHES.iter().chain(LEAKS);
    let watch = all.find(|known| known.name == watch).expect("it is listed");
    watch.run(runtime, std::env::var(SERVER).ok());
}

/// What came of each round that failed.
fn in_fresh_processes(watches: &[Watch], runtimes: &[&'static Descriptor]) -> Vec<String> {
    let sandbox = Sandbox::new();
    let mut told = Vec::new();
    for watch in watches {
        let checked = (watch.entry.check)(&(watch.params)(), UNIT).expect("parameters");
        for runtime in runtimes {
            if runtime.refusal(checked.needs).is_none() {
                told.extend(in_fresh_process(&sandbox, watch, runtime));
            }
        }
    }
    told
}

fn in_fresh_process(sandbox: &Sandbox, watch: &Watch, runtime: &Descriptor) -> Option<String> {
    let round = format!("{}::{}", watch.name, runtime.name);
    // Anew for each round, as in a run: some workloads ask it for what it counted.
    let server = watch.server.map(|(_, kind)| served(sandbox, &[kind]));
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command
        .args(["leaks::one_round_for_another_test", "--exact"])
        .env(ROUND, &round)
        .env("RUST_BACKTRACE", "0");
    if let Some((_, address)) = &server {
        command.env(SERVER, address);
    }
    let ended = Finished::of(&mut command);
    (ended.code != Some(0)).then(|| format!("{round}: {}{}", ended.stdout, ended.stderr))
}

impl Watch {
    fn run(&self, runtime: &str, server: Option<String>) {
        let directory = tempfile::tempdir().expect("a directory");
        let checked = (self.entry.check)(&(self.params)(), UNIT).expect("parameters");
        let target = self.server.zip(server).map(|((name, kind), address)| {
            let scheme = match kind {
                "postgres" => "postgres://photofinish@",
                "ws" => "ws://",
                _ => "http://",
            };
            let url = format!("{scheme}{address}/");
            (name.to_owned(), TargetAddress { url, mock: true })
        });
        let plan = WorkerPlan {
            protocol: WORKER_PROTOCOL,
            workload: self.entry.about.name.to_owned(),
            params: checked.params,
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
            lag_probe: false,
            audit: false,
            seed: 1,
            targets: target.into_iter().collect(),
            work_dir: directory.path().to_owned(),
        };
        match (self.entry.run)(&plan) {
            WorkerResult::Ok { measurement, .. } => {
                assert!(measurement.errors.is_empty(), "{:#?}", measurement.errors);
                assert_eq!(measurement.violations, [""; 0]);
                assert_eq!(measurement.ops, OPERATIONS + 2);
            }
            // Such a runtime does not start on this machine.
            WorkerResult::Unsupported { .. } => {}
            WorkerResult::Failed { reason, .. } => panic!("{reason}"),
        }
    }
}

/// A workload that counts what its process holds before the first measured operation, and before one a good many later.
struct Watched<W> {
    workload: W,
    first: Mutex<Option<Held>>,
}

impl<W: Workload> Workload for Watched<W> {
    const ABOUT: About = W::ABOUT;
    type Params = W::Params;
    type Session<R: Runtime> = W::Session<R>;

    fn new(params: W::Params, unit: Duration) -> Result<Self, ParamError> {
        Ok(Self {
            workload: W::new(params, unit)?,
            first: Mutex::default(),
        })
    }

    fn needs(&self) -> &'static [photofinish_harness::runtime::Capability] {
        self.workload.needs()
    }

    fn prepare<R: Runtime>(
        &self,
        env: &Env<R>,
    ) -> impl Future<Output = Result<(), Failure>> + Send {
        self.workload.prepare(env)
    }

    fn open<R: Runtime>(
        &self,
        env: &Env<R>,
        index: u32,
    ) -> impl Future<Output = Result<W::Session<R>, Failure>> + Send {
        self.workload.open(env, index)
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        session: &mut W::Session<R>,
        op: u64,
    ) -> Result<(), Failure> {
        if op == 0 {
            let held = settled(env).await;
            *self.first.lock().expect("nothing panics") = Some(held);
        }
        if op == OPERATIONS {
            let first = self.first.lock().expect("nothing panics").clone();
            falls_back_to(env, &first.expect("counted at 0")).await?;
        }
        self.workload.operate(env, session, op).await
    }

    fn close<R: Runtime>(
        &self,
        env: &Env<R>,
        session: W::Session<R>,
    ) -> impl Future<Output = ()> + Send {
        self.workload.close(env, session)
    }

    fn finish<R: Runtime>(
        &self,
        env: &Env<R>,
        totals: Totals,
    ) -> impl Future<Output = Result<Vec<String>, Failure>> + Send {
        self.workload.finish(env, totals)
    }
}

/// What a process holds, by kind, without the numbers that tell one from others of its kind.
type Held = BTreeMap<String, usize>;

fn held() -> Held {
    let mut held = Held::new();
    let mut one_more = |kind: String| *held.entry(kind).or_default() += 1;
    let entries = |directory: &str| std::fs::read_dir(directory).expect("proc").flatten();
    for descriptor in entries("/proc/self/fd") {
        if let Ok(target) = std::fs::read_link(descriptor.path()) {
            let target = target.to_string_lossy();
            one_more(target.replace(|c: char| c.is_ascii_digit(), ""));
        }
    }
    for thread in entries("/proc/self/task") {
        one_more("threads".to_owned());
        let children = std::fs::read_to_string(thread.path().join("children"));
        for _ in children.unwrap_or_default().split_whitespace() {
            one_more("children".to_owned());
        }
    }
    held
}

/// As it is once it has not changed for a little.
async fn settled<R: Runtime>(env: &Env<R>) -> Held {
    let mut last = held();
    for _ in 0..20 {
        pause(env).await;
        let now = held();
        if now == last {
            break;
        }
        last = now;
    }
    last
}

/// Waits through the runtime, so that what is on its way out gets its turn.
async fn pause<R: Runtime>(env: &Env<R>) {
    let later = Instant::now() + Duration::from_millis(30);
    env.runtime.sleep_until(later).await;
}

async fn falls_back_to<R: Runtime>(env: &Env<R>, first: &Held) -> Result<(), Failure> {
    let patient = patience();
    loop {
        let now = held();
        let grown: Vec<String> = now
            .iter()
            .map(|(kind, count)| (kind, first.get(kind).copied().unwrap_or(0), *count))
            .filter(|(_, before, after)| *after > before + SLACK)
            .map(|(kind, before, after)| format!("{kind} grew from {before} to {after}"))
            .collect();
        if grown.is_empty() {
            return Ok(());
        }
        if Instant::now() > patient {
            return Err(Failure::wrong_content(grown.join(", ")));
        }
        pause(env).await;
    }
}

/// A leak that is there on purpose is not waited for that long.
fn patience() -> Instant {
    let on_purpose = std::env::var(ROUND).is_ok_and(|round| round.starts_with("leaks"));
    let patience = if on_purpose { PATIENCE / 20 } else { PATIENCE };
    Instant::now() + patience
}

/// Leaves something behind with each operation.
struct Leaky {
    what: String,
}

#[derive(Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields, default)]
struct Leaking {
    what: String,
}

impl Workload for Leaky {
    const ABOUT: About = About {
        name: "leaky",
        class: "own",
        operation: "leaves something behind",
        targets: &["http"],
        needs: &[],
    };
    type Params = Leaking;
    type Session<R: Runtime> = ();

    fn new(params: Leaking, _: Duration) -> Result<Self, ParamError> {
        Ok(Self { what: params.what })
    }

    async fn open<R: Runtime>(&self, _: &Env<R>, _: u32) -> Result<(), Failure> {
        Ok(())
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), _: u64) -> Result<(), Failure> {
        match self.what.as_str() {
            "socket" => {
                let address = env.targets["http"].url.replace("http://", "");
                let socket = TcpStream::connect(address.trim_end_matches('/'))?;
                std::mem::forget(socket);
            }
            "thread" => drop(std::thread::spawn(|| std::thread::sleep(PATIENCE))),
            "child" => drop(Command::new("true").spawn()?),
            other => panic!("nobody knows how to leak `{other}`"),
        }
        env.runtime.spawn(async {}).join().await?;
        Ok(())
    }
}
