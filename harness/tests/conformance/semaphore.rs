//! Semaphores: the limit holds, and is used to the full. (Their timeouts are in `timeout`, cancelling in `spawning`.)

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Runtime, Semaphore, Task};

use crate::peer::{LONG, SHORT, count};
use crate::suite::{Check, checks};

pub(crate) const CHECKS: &[Check] = checks![
    permits_are_given_until_there_are_none_and_again_once_they_are_back,
    a_part_that_panics_gives_back_its_permit,
    the_limit_is_reached_and_never_exceeded needs Concurrency,
];

const PERMITS: u32 = 3;

fn permits_are_given_until_there_are_none_and_again_once_they_are_back<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let semaphore = runtime.semaphore(count(PERMITS));
        let mut permits = Vec::new();
        for _ in 0..PERMITS {
            permits.push(semaphore.acquire().await);
        }
        for _ in 0..2 {
            assert!(runtime.timeout(SHORT, semaphore.acquire()).await.is_err());
            permits.pop();
            let permit = runtime.timeout(LONG, semaphore.clone().acquire()).await;
            permits.push(permit.expect("one came back"));
        }
    });
}

fn a_part_that_panics_gives_back_its_permit<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let semaphore = runtime.semaphore(count(1));
        let theirs = semaphore.clone();
        let task = runtime.spawn(async move {
            let _permit = theirs.acquire().await;
            panic!("with a permit in hand");
        });
        assert!(task.join().await.is_err());
        assert!(runtime.timeout(LONG, semaphore.acquire()).await.is_ok());
    });
}

/// Each part holds its permit until as many as may have held one at the same time.
fn the_limit_is_reached_and_never_exceeded<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let semaphore = runtime.semaphore(count(PERMITS));
        let inside = Arc::new(AtomicU32::new(0));
        let peak = Arc::new(AtomicU32::new(0));
        let enter = |_| {
            let (semaphore, timer) = (semaphore.clone(), runtime.clone());
            let (inside, peak) = (Arc::clone(&inside), Arc::clone(&peak));
            runtime.spawn(async move {
                let _permit = semaphore.acquire().await;
                let now = inside.fetch_add(1, Ordering::SeqCst) + 1;
                peak.fetch_max(now, Ordering::SeqCst);
                let start = Instant::now();
                while peak.load(Ordering::SeqCst) < PERMITS && start.elapsed() < LONG {
                    timer
                        .sleep_until(Instant::now() + Duration::from_millis(1))
                        .await;
                }
                inside.fetch_sub(1, Ordering::SeqCst);
            })
        };
        let tasks: Vec<_> = (0..8).map(enter).collect();
        for task in tasks {
            task.join().await.expect("no part panics");
        }
        assert_eq!(peak.load(Ordering::SeqCst), PERMITS);
    });
}
