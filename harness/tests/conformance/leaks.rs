//! Leftovers of a runtime that was started, used and dropped: none, or global by design and constant.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Descriptor, OpenMode, Runtime, Semaphore, Task};
use photofinish_harness::runtimes::Visitor;
use photofinish_record::PeerAddress;

use crate::peer::{LONG, any_port, count, exchange, send_back, server};
use crate::suite::{self, Check, listed};

pub(crate) const CHECKS: &[Check] =
    listed![starting_using_and_dropping_it_leaks_neither_threads_nor_descriptors];

/// Runtimes that keep threads and descriptors for the life of the process, each with the reason.
const GLOBAL: &[(&str, &str)] = &[
    (
        "async-std",
        "its executor and the reactor of async-io are global and never shut down",
    ),
    (
        "tokio",
        "its signal handling, where another crate of the build asks for it, keeps a global pair of sockets",
    ),
    ("tokio-current-thread", "the same pair of sockets"),
    ("epoll", "the threads of the blocking crate stay"),
    ("uring", "the threads of the blocking crate stay"),
    (
        "smol",
        "the reactor of async-io and its thread are global and never shut down",
    ),
];

/// They offload to the `blocking` crate, whose pool threads stay once they are there: as many as there was work at the
/// same time. A use has one or two pieces of it (closing a file is one), and the next use may come while they end.
const MOST_POOL_THREADS: usize = 4;

fn starting_using_and_dropping_it_leaks_neither_threads_nor_descriptors(
    descriptor: &'static Descriptor,
) {
    // The server is there before and after.
    let address = server(send_back);
    let before = Held::now();
    let use_once = || {
        let address = address.clone();
        suite::start(descriptor, Using { address });
    };
    use_once();
    let is_global = GLOBAL.iter().any(|(name, _)| *name == descriptor.name);
    let allowed = if is_global {
        let mut settled = Held::settled();
        let pool = settled.threads.entry("blocking-".to_owned()).or_default();
        *pool = (*pool).max(MOST_POOL_THREADS);
        settled
    } else {
        before
    };
    for _ in 0..3 {
        use_once();
    }
    Held::check_falls_to(&allowed);
}

struct Using {
    address: PeerAddress,
}

impl Visitor for Using {
    type Output = ();

    fn visit<R: Runtime>(self, runtime: R) {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("file");
        runtime.block_on(async {
            let _listener = runtime.listen(any_port()).await.expect("listen");
            let mut stream = runtime.connect(&self.address).await.expect("connect");
            assert_eq!(exchange(&mut stream, b"ping").await, b"ping");
            drop(runtime.open(&path, OpenMode::Create).await.expect("open"));
            runtime.offload(|| ()).await.expect("it does not panic");
            let semaphore = runtime.semaphore(count(1));
            let parts: Vec<_> = (0..20)
                .map(|_| {
                    let (semaphore, timer) = (semaphore.clone(), runtime.clone());
                    runtime.spawn(async move {
                        let _permit = semaphore.acquire().await;
                        timer
                            .sleep_until(Instant::now() + Duration::from_micros(10))
                            .await;
                    })
                })
                .collect();
            for part in parts {
                part.join().await.expect("no part panics");
            }
        });
    }
}

/// `blocking-2` and `socket:[4711]` without the number that tells it from others of its kind.
fn without_number(name: &str) -> String {
    name.trim().replace(|c: char| c.is_ascii_digit(), "")
}

/// Threads by name and descriptors by what they are, of this process.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Held {
    threads: BTreeMap<String, usize>,
    descriptors: BTreeMap<String, usize>,
}

impl Held {
    fn now() -> Self {
        let mut held = Self::default();
        for task in std::fs::read_dir("/proc/self/task")
            .expect("proc")
            .flatten()
        {
            // A thread that has just ended has no name any more.
            if let Ok(name) = std::fs::read_to_string(task.path().join("comm")) {
                *held.threads.entry(without_number(&name)).or_default() += 1;
            }
        }
        for descriptor in std::fs::read_dir("/proc/self/fd").expect("proc").flatten() {
            if let Ok(target) = std::fs::read_link(descriptor.path()) {
                let kind = without_number(&target.to_string_lossy());
                *held.descriptors.entry(kind).or_default() += 1;
            }
        }
        held
    }

    /// As it is once it has not changed for a second.
    fn settled() -> Self {
        let mut last = (Self::now(), Instant::now());
        while last.1.elapsed() < Duration::from_secs(1) {
            std::thread::sleep(Duration::from_millis(20));
            let now = Self::now();
            if now != last.0 {
                last = (now, Instant::now());
            }
        }
        last.0
    }

    fn check_falls_to(allowed: &Self) {
        let start = Instant::now();
        while start.elapsed() < LONG && !Self::now().is_within(allowed) {
            std::thread::sleep(Duration::from_millis(20));
        }
        let held = Self::now();
        assert!(
            held.is_within(allowed),
            "holds {held:?}, allowed {allowed:?}; GLOBAL lists what a runtime keeps by design"
        );
    }

    fn is_within(&self, allowed: &Self) -> bool {
        let fits = |held: &BTreeMap<String, usize>, allowed: &BTreeMap<String, usize>| {
            held.iter()
                .all(|(name, count)| allowed.get(name).is_some_and(|most| count <= most))
        };
        fits(&self.threads, &allowed.threads) && fits(&self.descriptors, &allowed.descriptors)
    }
}
