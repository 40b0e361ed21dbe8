//! Spawned parts: results, panics, cancellation, and lives of their own.

use std::future::Future;
use std::pin::Pin;
use std::sync::mpsc;
use std::time::Instant;

use photofinish_harness::buffer::Buffer;
use photofinish_harness::runtime::{Receiver, Runtime, Semaphore, Sender, Stream, Task, TaskError};

use crate::peer::{Cleanup, LONG, SHORT, count, listening_silently, wait_for};
use crate::suite::{Check, checks};

pub(crate) const CHECKS: &[Check] = checks![
    a_part_gives_its_result,
    results_belong_to_their_parts_in_whatever_order_they_are_joined,
    parts_spawn_and_join_parts_though_there_are_more_of_them_than_threads,
    a_part_whose_task_is_dropped_runs_on,
    a_panic_comes_back_as_its_message_and_the_runtime_lives_on,
    a_panic_that_nobody_joins_hurts_nobody,
    parts_make_progress_at_the_same_time needs Concurrency,
    thousands_of_parts_wait_at_the_same_time needs ManyAtOnce,
    a_cancelled_part_stops_where_it_waits_with_its_cleanup_done needs Cancellation,
    a_cancelled_part_closes_its_connection needs Cancellation,
    a_cancelled_part_gives_back_its_permit needs Cancellation,
    cancelling_a_finished_part_gives_its_result needs Cancellation,
];

fn a_part_gives_its_result<R: Runtime>(runtime: R) {
    let text = "moved in and out".to_owned();
    let task = runtime.spawn(async move { text });
    let result = runtime.block_on(task.join());
    assert_eq!(result.as_deref(), Ok("moved in and out"));
}

fn results_belong_to_their_parts_in_whatever_order_they_are_joined<R: Runtime>(runtime: R) {
    let results = runtime.block_on(async {
        let tasks: Vec<_> = (0..100)
            .map(|n: u32| runtime.spawn(async move { n * n }))
            .collect();
        let mut results = Vec::new();
        for task in tasks.into_iter().rev() {
            results.push(task.join().await);
        }
        results
    });
    let expected: Vec<_> = (0..100).rev().map(|n: u32| Ok(n * n)).collect();
    assert_eq!(results, expected);
}

/// Leaves of a tree of parts, each of which spawns and joins four more.
fn leaves<R: Runtime>(runtime: R, levels: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    Box::pin(async move {
        if levels == 0 {
            return 1;
        }
        let spawn = |_| runtime.spawn(leaves(runtime.clone(), levels - 1));
        let tasks: Vec<_> = (0..4).map(spawn).collect();
        let mut found = 0;
        for task in tasks {
            found += task.join().await.expect("no part panics");
        }
        found
    })
}

fn parts_spawn_and_join_parts_though_there_are_more_of_them_than_threads<R: Runtime>(runtime: R) {
    let tree = leaves(runtime.clone(), 3);
    assert_eq!(runtime.block_on(tree), 64);
}

fn a_part_whose_task_is_dropped_runs_on<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let (report, reported) = mpsc::channel();
        let timer = runtime.clone();
        drop(runtime.spawn(async move {
            timer.sleep_until(Instant::now() + SHORT).await;
            report.send("done").expect("the check waits");
        }));
        assert_eq!(wait_for(&runtime, reported).await, "done");
    });
}

fn a_panic_comes_back_as_its_message_and_the_runtime_lives_on<R: Runtime>(runtime: R) {
    fn failing(how: u32) -> u32 {
        match how {
            0 => panic!("plain text"),
            1 => panic!("formatted {how}"),
            _ => std::panic::panic_any(how),
        }
    }
    let panicked = |message: &str| Err(TaskError::Panicked(message.to_owned()));
    runtime.block_on(async {
        let spawn = |how| runtime.spawn(async move { failing(how) });
        assert_eq!(spawn(0).join().await, panicked("plain text"));
        assert_eq!(spawn(1).join().await, panicked("formatted 1"));
        assert_eq!(spawn(2).join().await, panicked("a panic without a message"));
        assert_eq!(runtime.spawn(async { 5 }).join().await, Ok(5));
    });
}

fn a_panic_that_nobody_joins_hurts_nobody<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        // More of them than any runtime here has threads: each might take one with it.
        for _ in 0..20 {
            drop(runtime.spawn(async { panic!("unheard") }));
        }
        let later: Vec<_> = (0..20).map(|n| runtime.spawn(async move { n })).collect();
        for (n, task) in later.into_iter().enumerate() {
            assert_eq!(task.join().await, Ok(n));
        }
    });
}

fn parts_make_progress_at_the_same_time<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let (question, questions) = runtime.channel::<u32>(count(1));
        let (answer, answers) = runtime.channel::<u32>(count(1));
        let doubling = runtime.spawn(async move {
            while let Some(number) = questions.receive().await {
                answer.send(2 * number).await.expect("somebody asks");
            }
        });
        let asking = runtime.spawn(async move {
            for number in 0..100 {
                question.send(number).await.expect("somebody answers");
                assert_eq!(answers.receive().await, Some(2 * number));
            }
        });
        assert_eq!(asking.join().await, Ok(()));
        assert_eq!(doubling.join().await, Ok(()));
    });
}

fn thousands_of_parts_wait_at_the_same_time<R: Runtime>(runtime: R) {
    const PARTS: u32 = 2_000;
    runtime.block_on(async {
        // Nobody passes the gate before everybody is there: where a part needs another's place, this never ends.
        let gate = runtime.semaphore(count(1));
        let closed = gate.acquire().await;
        let (arrive, arrivals) = runtime.channel::<u32>(count(1));
        let spawn = |number| {
            let (gate, arrive) = (gate.clone(), arrive.clone());
            runtime.spawn(async move {
                arrive.send(number).await.expect("all are awaited");
                drop(gate.acquire().await);
                number
            })
        };
        let tasks: Vec<_> = (0..PARTS).map(spawn).collect();
        for _ in 0..PARTS {
            assert!(arrivals.receive().await.is_some());
        }
        drop(closed);
        for (number, task) in (0..PARTS).zip(tasks) {
            assert_eq!(task.join().await, Ok(number));
        }
    });
}

fn a_cancelled_part_stops_where_it_waits_with_its_cleanup_done<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let cleanup = Cleanup::default();
        let (started, starting) = mpsc::channel();
        let (guard, timer) = (cleanup.guard(), runtime.clone());
        let task = runtime.spawn(async move {
            let _guard = guard;
            started.send(()).expect("the check waits");
            timer.sleep_until(Instant::now() + LONG).await;
        });
        wait_for(&runtime, starting).await;
        assert!(!cleanup.has_run());
        let start = Instant::now();
        assert_eq!(task.cancel().await, None);
        assert!(cleanup.has_run());
        assert!(start.elapsed() < LONG, "it was waited for, not cancelled");
    });
}

fn a_cancelled_part_closes_its_connection<R: Runtime>(runtime: R) {
    let (address, closed) = listening_silently();
    runtime.block_on(async {
        let (started, starting) = mpsc::channel();
        let network = runtime.clone();
        let task = runtime.spawn(async move {
            let mut stream = network.connect(&address).await.expect("connect");
            started.send(()).expect("the check waits");
            let mut buffer = Buffer::with_capacity(16);
            stream.read(&mut buffer).await.expect("read")
        });
        wait_for(&runtime, starting).await;
        assert_eq!(task.cancel().await, None);
        wait_for(&runtime, closed).await;
    });
}

fn a_cancelled_part_gives_back_its_permit<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let semaphore = runtime.semaphore(count(1));
        let (started, starting) = mpsc::channel();
        let (theirs, timer) = (semaphore.clone(), runtime.clone());
        let task = runtime.spawn(async move {
            let _permit = theirs.acquire().await;
            started.send(()).expect("the check waits");
            timer.sleep_until(Instant::now() + LONG).await;
        });
        wait_for(&runtime, starting).await;
        task.cancel().await;
        let acquired = runtime.timeout(LONG, semaphore.acquire()).await;
        assert!(acquired.is_ok());
    });
}

fn cancelling_a_finished_part_gives_its_result<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let (finished, finishing) = mpsc::channel();
        let task = runtime.spawn(async move {
            finished.send(()).expect("the check waits");
            7
        });
        wait_for(&runtime, finishing).await;
        // The report is its last act but one: give it the time to return.
        runtime.sleep_until(Instant::now() + SHORT).await;
        assert_eq!(task.cancel().await, Some(7));
    });
}
