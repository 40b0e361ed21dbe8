//! Runs checks for every runtime of the list, each in a fresh process.
//!
//! A check is a generic function; a test is a check times a runtime, so joining the list of runtimes joins every suite.
//! The test binary starts itself once for each test: async-std's executor and async-io's reactor are global, so that a
//! shared process would test runtimes that are already warm, and a check that hangs can be ended and named. What the
//! checks are is in `conformance` and `measuring`.

use std::io::Read as _;
use std::num::NonZeroU32;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use photofinish_harness::os;
use photofinish_harness::runtime::{Capability, Descriptor, Runtime, RuntimeConfig, StartError};
use photofinish_harness::runtimes::{
    DESCRIPTORS, SelectError, Visitor, with_any_runtime, with_runtime,
};
use photofinish_record::RuntimeFamily;

/// Worker threads of every runtime under test that lets one choose.
pub(crate) const WORKER_THREADS: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// No check takes a tenth of this on an idle machine.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// Names the one test a fresh process is for: `tokio::a_part_gives_its_result`.
const TEST: &str = "PHOTOFINISH_TEST";

/// Stands for a check where a process only tries to start the runtime.
const START: &str = "start";

/// A check, for every runtime that does not declare that it cannot do what it needs.
#[derive(Clone, Copy)]
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) needs: &'static [Capability],
    pub(crate) run: fn(&'static Descriptor),
}

/// A list of checks: functions `fn<R: Runtime>(R)` by name, with what they need.
#[allow(unused_macros, reason = "each suite uses the macros it needs")]
macro_rules! checks {
    ($($check:ident $(needs $capability:ident)?),* $(,)?) => {
        &[$($crate::suite::Check {
            name: stringify!($check),
            needs: &[$(photofinish_harness::runtime::Capability::$capability)?],
            run: {
                struct Visit;
                impl photofinish_harness::runtimes::Visitor for Visit {
                    type Output = ();
                    fn visit<R: Runtime>(self, runtime: R) {
                        $check(runtime);
                    }
                }
                |descriptor| $crate::suite::start(descriptor, Visit)
            },
        }),*]
    };
}

/// A list of checks: functions `fn(&'static Descriptor)` by name, which start the runtime themselves.
#[allow(unused_macros, reason = "each suite uses the macros it needs")]
macro_rules! listed {
    ($($check:ident),* $(,)?) => {
        &[$($crate::suite::Check { name: stringify!($check), needs: &[], run: $check }),*]
    };
}

#[allow(unused_imports, reason = "each suite uses the macros it needs")]
pub(crate) use {checks, listed};

/// Does what `visitor` wants under the runtime, which must start.
pub(crate) fn start<V: Visitor>(descriptor: &Descriptor, visitor: V) -> V::Output {
    let config = RuntimeConfig {
        worker_threads: WORKER_THREADS,
    };
    let name = descriptor.name;
    let visited = match Dispatch::of_this_process() {
        Dispatch::Static => with_runtime(name, config, visitor),
        Dispatch::Dynamic => with_any_runtime(name, config, visitor),
    };
    visited.expect("the runtime starts")
}

/// The type by which a check knows its runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dispatch {
    /// The runtime's own.
    Static,
    /// The one of all asynchronous runtimes.
    Dynamic,
}

impl Dispatch {
    const MARK: &'static str = " (any)";

    fn of_this_process() -> Self {
        match std::env::var(TEST) {
            Ok(test) if test.contains(Self::MARK) => Self::Dynamic,
            _ => Self::Static,
        }
    }

    /// The first part of the names of a runtime's tests.
    fn name(self, runtime: &Descriptor) -> String {
        let mark = match self {
            Self::Static => "",
            Self::Dynamic => Self::MARK,
        };
        format!("{}{mark}", runtime.name)
    }
}

/// Starting is all there is to it.
struct Nothing;

impl Visitor for Nothing {
    type Output = ();

    fn visit<R: Runtime>(self, _: R) {}
}

/// The test binary: all tests, or the one it was started for. Blocking runtimes have one type either way.
pub(crate) fn run(checks: &[&[Check]], dispatches: &[Dispatch]) -> ExitCode {
    let checks = &checks.concat();
    match std::env::var(TEST) {
        Ok(test) => {
            run_one(checks, &test);
            ExitCode::SUCCESS
        }
        Err(_) => {
            let trials = dispatches.iter().flat_map(|&dispatch| {
                let distinct = DESCRIPTORS.iter().filter(move |runtime| {
                    let is_async =
                        matches!(runtime.family, RuntimeFamily::Async | RuntimeFamily::Floor);
                    dispatch == Dispatch::Static || is_async
                });
                distinct.flat_map(move |&runtime| trials(runtime, dispatch, checks))
            });
            let mut arguments = Arguments::from_args();
            // As in tests without a custom `main`.
            let threads = std::env::var("RUST_TEST_THREADS").ok();
            arguments.test_threads = arguments.test_threads.or_else(|| threads?.parse().ok());
            libtest_mimic::run(&arguments, trials.collect()).exit_code()
        }
    }
}

fn trials(runtime: &'static Descriptor, dispatch: Dispatch, checks: &[Check]) -> Vec<Trial> {
    let tested = dispatch.name(runtime);
    if let Err(Failed { .. }) = in_fresh_process(&tested, START) {
        return vec![Trial::test(
            format!("{tested}::starts_or_says_why_it_cannot"),
            move || says_why_it_cannot(runtime),
        )];
    }
    let trial = move |check: &Check| {
        let (tested, name) = (tested.clone(), check.name);
        Trial::test(format!("{tested}::{name}"), move || {
            in_fresh_process(&tested, name)
        })
    };
    let possible = move |check: &&Check| runtime.refusal(check.needs).is_none();
    checks.iter().filter(possible).map(trial).collect()
}

/// A runtime that does not start here is `unsupported`, with the reason: anything else is a failure.
fn says_why_it_cannot(runtime: &'static Descriptor) -> Result<(), Failed> {
    let config = RuntimeConfig {
        worker_threads: WORKER_THREADS,
    };
    match with_runtime(runtime.name, config, Nothing) {
        Ok(()) => Err("it did not start in a process of its own, and does here".into()),
        Err(SelectError::Start(StartError::Unsupported(reason))) if !reason.is_empty() => Ok(()),
        Err(error) => Err(format!("{error:?}").into()),
    }
}

fn in_fresh_process(tested: &str, check: &str) -> Result<(), Failed> {
    let mut child = Command::new(std::env::current_exe()?)
        .env(TEST, format!("{tested}::{check}"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let mut stderr = child.stderr.take().expect("it is piped");
    let said = std::thread::spawn(move || {
        let mut said = String::new();
        stderr.read_to_string(&mut said).map(|_| said)
    });
    let status = wait(&mut child)?;
    let said = said.join().expect("reading does not panic")?;
    match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(format!("{status}\n{said}").into()),
        None => Err(format!("still running after {TIME_LIMIT:?}\n{said}").into()),
    }
}

/// Waits for the process, and ends it after the time limit: `None` then.
fn wait(child: &mut Child) -> std::io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    while start.elapsed() < TIME_LIMIT {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill()?;
    child.wait()?;
    Ok(None)
}

fn run_one(checks: &[Check], test: &str) {
    os::die_with_parent().expect("the suite is still there");
    let (tested, check) = test.split_once("::").expect("a runtime and a check");
    let runtime = tested.strip_suffix(Dispatch::MARK).unwrap_or(tested);
    let descriptor = photofinish_harness::runtimes::descriptor(runtime).expect("a listed runtime");
    if check == START {
        return start(descriptor, Nothing);
    }
    let found = checks.iter().find(|candidate| candidate.name == check);
    (found.expect("a listed check").run)(descriptor);
}
