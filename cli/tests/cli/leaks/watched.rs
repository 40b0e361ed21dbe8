//! A workload that counts what its process holds: between two of its operations, and before and after all of them.
//!
//! What an operation leaves behind shows as growth with their number; what a runtime keeps by design (a reactor, threads
//! for blocking work) is there after the first few. What a session leaves behind shows at the end. The workload runs under
//! a runtime that counts its parts (`counted_runtime`); which workloads, and in which processes, is in `leaks.rs`.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Capability, Runtime};
use photofinish_harness::workload::{About, Env, Failure, ParamError, RoundEnv, Totals, Workload};

use super::counted_runtime::{Census, Counted};

/// Operations between two counts.
pub const OPERATIONS: u64 = 20;

/// What may come on top of the first count where it is not exact: threads for blocking work come and go as work happens to
/// meet, and a connection that is opened when it is needed may be needed late. Far less than one for each operation.
const SLACK: usize = 6;

/// How long what was given up may take to be gone.
const PATIENCE: Duration = Duration::from_secs(20);

/// The same for what is left behind on purpose, by its name in the environment.
pub const HASTE: &str = "PHOTOFINISH_LEAKS_HASTE";

/// The workload, and what was counted.
pub struct Watched<W> {
    workload: W,
    census: Census,
    before_all: OnceLock<Held>,
    before_the_first: OnceLock<Held>,
}

type Inner<W, R> = Env<Counted<R>, <W as Workload>::Shared<Counted<R>>>;

/// The environment of the workload; `None` once it has finished.
pub struct Shared<W: Workload, R: Runtime>(Mutex<Option<Arc<Inner<W, R>>>>);

impl<W: Workload, R: Runtime> Shared<W, R> {
    fn inner(&self) -> Arc<Inner<W, R>> {
        let inner = self.0.lock().expect("nothing panics").clone();
        inner.expect("it is there until its end")
    }
}

/// A session of the workload, in its own environment.
pub struct Session<W: Workload, R: Runtime> {
    env: Arc<Inner<W, R>>,
    session: W::Session<Counted<R>>,
}

impl<W: Workload> Workload for Watched<W> {
    const ABOUT: About = W::ABOUT;
    type Params = W::Params;
    type Shared<R: Runtime> = Shared<W, R>;
    type Session<R: Runtime> = Session<W, R>;

    fn new(params: W::Params, unit: Duration) -> Result<Self, ParamError> {
        Ok(Self {
            workload: W::new(params, unit)?,
            census: Census::default(),
            before_all: OnceLock::new(),
            before_the_first: OnceLock::new(),
        })
    }

    fn needs(&self) -> &'static [Capability] {
        self.workload.needs()
    }

    async fn prepare<R: Runtime>(&self, env: &Env<R>) -> Result<Shared<W, R>, Failure> {
        self.before_all.get_or_init(|| self.held());
        let runtime = Counted::new(env.runtime.clone(), self.census.clone());
        let inner = Env::from(env.under(runtime));
        let shared = self.workload.prepare(&inner).await?;
        Ok(Shared(Mutex::new(Some(Arc::new(inner.share(shared))))))
    }

    async fn open<R: Runtime>(
        &self,
        env: &Env<R, Shared<W, R>>,
        index: u32,
    ) -> Result<Session<W, R>, Failure> {
        let env = env.shared.inner();
        let session = self.workload.open(&env, index).await?;
        Ok(Session { env, session })
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R, Shared<W, R>>,
        session: &mut Session<W, R>,
        op: u64,
    ) -> Result<(), Failure> {
        if op == 0 {
            let held = self.settled(env).await;
            self.before_the_first.get_or_init(|| held);
        }
        if op == OPERATIONS {
            let first = self.before_the_first.get().expect("counted at 0");
            let grown = self.growth(env, first, slack_between_operations).await;
            grown.map_or(Ok(()), |message| Err(Failure::wrong_content(message)))?;
        }
        let Session { env, session } = session;
        self.workload.operate(env, session, op).await
    }

    async fn close<R: Runtime>(&self, _: &Env<R, Shared<W, R>>, session: &mut Session<W, R>) {
        let Session { env, session } = session;
        self.workload.close(env, session).await;
    }

    fn violations(&self, totals: &Totals) -> Vec<String> {
        self.workload.violations(totals)
    }

    async fn finish<R: Runtime>(
        &self,
        env: &Env<R, Shared<W, R>>,
        totals: &Totals,
    ) -> Result<Vec<String>, Failure> {
        let mut violations = self.workload.finish(&env.shared.inner(), totals).await?;
        // With all that its sessions shared.
        *env.shared.0.lock().expect("nothing panics") = None;
        let before = self.before_all.get().expect("counted first of all");
        let grown = self.growth(env, before, slack_over_all).await;
        violations.extend(grown.map(|message| format!("over all, {message}")));
        Ok(violations)
    }
}

impl<W: Workload> Watched<W> {
    fn held(&self) -> Held {
        let mut held = held_by_process();
        held.insert(PARTS.to_owned(), self.census.parts.now());
        held.insert(OFFLOADED.to_owned(), self.census.offloaded.now());
        held
    }

    /// As it is once it has not changed for a little.
    async fn settled<R: Runtime>(&self, env: &RoundEnv<R>) -> Held {
        let mut last = self.held();
        for _ in 0..20 {
            pause(env).await;
            let now = self.held();
            if now == last {
                break;
            }
            last = now;
        }
        last
    }

    /// What grew from `first` and does not go away again, in words.
    async fn growth<R: Runtime>(
        &self,
        env: &RoundEnv<R>,
        first: &Held,
        slack: fn(&str) -> usize,
    ) -> Option<String> {
        let patient = Instant::now() + patience();
        loop {
            let message = grown(first, &self.held(), slack)?;
            if Instant::now() > patient {
                return Some(message);
            }
            pause(env).await;
        }
    }
}

/// What a process holds, by kind, without the numbers that tell one from others of its kind.
type Held = BTreeMap<String, usize>;

const PARTS: &str = "parts";
const OFFLOADED: &str = "offloaded";
const CHILDREN: &str = "children";
const SOCKETS: &str = "socket:[]";

/// What may come on top of the first count: nothing of what is the workload's alone.
fn slack_between_operations(kind: &str) -> usize {
    match kind {
        PARTS | OFFLOADED | CHILDREN => 0,
        _ => SLACK,
    }
}

/// With the sessions all their connections are gone, those too that had been opened when they were first needed.
fn slack_over_all(kind: &str) -> usize {
    match kind {
        SOCKETS => 0,
        other => slack_between_operations(other),
    }
}

fn grown(first: &Held, now: &Held, slack: fn(&str) -> usize) -> Option<String> {
    let grown: Vec<String> = now
        .iter()
        .map(|(kind, count)| (kind, first.get(kind).copied().unwrap_or(0), *count))
        .filter(|(kind, before, after)| *after > before + slack(kind))
        .map(|(kind, before, after)| format!("{kind} grew from {before} to {after}"))
        .collect();
    (!grown.is_empty()).then(|| grown.join(", "))
}

fn held_by_process() -> Held {
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
            one_more(CHILDREN.to_owned());
        }
    }
    held
}

/// Waits through the runtime, so that what is on its way out gets its turn.
fn pause<R: Runtime>(env: &RoundEnv<R>) -> impl Future<Output = ()> + Send {
    let later = Instant::now() + Duration::from_millis(30);
    env.runtime.sleep_until(later)
}

/// A leak that is there on purpose is not waited for that long.
fn patience() -> Duration {
    let on_purpose = std::env::var_os(HASTE).is_some();
    if on_purpose { PATIENCE / 40 } else { PATIENCE }
}
