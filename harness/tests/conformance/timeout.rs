//! Timeouts: over everything that waits, and with the cleanup of what waited done before anybody hears of it.

use std::future::Future;
use std::time::{Duration, Instant};

use photofinish_harness::buffer::Buffer;
use photofinish_harness::runtime::{
    Elapsed, Listener, Receiver, Runtime, Semaphore, Sender, Stream, Task,
};

use crate::peer::{
    Cleanup, LONG, SHORT, any_port, count, exchange, listening_silently, send_back, server,
};
use crate::suite::{Check, checks};

pub(crate) const CHECKS: &[Check] = checks![
    what_ends_in_time_gives_its_result,
    sleeping_times_out,
    reading_times_out,
    writing_times_out,
    accepting_times_out,
    receiving_times_out,
    sending_on_a_full_channel_times_out,
    acquiring_times_out,
    joining_times_out_and_the_part_runs_on needs Concurrency,
    parts_run_though_there_are_as_many_joins_under_timeouts_as_threads,
    an_outer_timeout_that_is_shorter_wins,
    an_inner_timeout_that_is_shorter_leaves_the_outer_one_running,
    the_longest_limit_there_is_never_elapses,
    a_connection_is_as_good_with_and_without_timeouts,
    a_spawned_part_is_free_of_the_timeout_around_it,
];

/// `waiting` times out: no earlier than asked, with its cleanup done.
async fn check<R: Runtime>(runtime: &R, waiting: impl Future<Output: Send> + Send) {
    let cleanup = Cleanup::default();
    let guard = cleanup.guard();
    let guarded = async move {
        let _guard = guard;
        waiting.await
    };
    let start = Instant::now();
    let result = runtime.timeout(SHORT, guarded).await;
    let elapsed = start.elapsed();
    assert!(result.is_err(), "it ended in time");
    assert!(cleanup.has_run(), "the cleanup is still to come");
    assert!(elapsed >= SHORT, "elapsed after {elapsed:?} of {SHORT:?}");
    assert!(elapsed < LONG, "elapsed after {elapsed:?} of {SHORT:?}");
}

async fn sleep<R: Runtime>(runtime: &R, time: Duration) {
    runtime.sleep_until(Instant::now() + time).await;
}

fn what_ends_in_time_gives_its_result<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        assert_eq!(runtime.timeout(LONG, async { 1 }).await, Ok(1));
        let sleeping = async {
            sleep(&runtime, SHORT).await;
            2
        };
        assert_eq!(runtime.timeout(LONG, sleeping).await, Ok(2));
    });
}

fn sleeping_times_out<R: Runtime>(runtime: R) {
    runtime.block_on(check(&runtime, sleep(&runtime, LONG)));
}

fn reading_times_out<R: Runtime>(runtime: R) {
    let (address, _closed) = listening_silently();
    runtime.block_on(async {
        let mut stream = runtime.connect(&address).await.expect("connect");
        let reading = async move {
            let mut buffer = Buffer::with_capacity(16);
            stream.read(&mut buffer).await
        };
        check(&runtime, reading).await;
    });
}

fn writing_times_out<R: Runtime>(runtime: R) {
    // Nobody accepts, so nobody reads: once the buffers are full the write waits.
    let listener = std::net::TcpListener::bind(any_port()).expect("a free port");
    let address = listener.local_addr().expect("it is bound").into();
    runtime.block_on(async {
        let mut stream = runtime.connect(&address).await.expect("connect");
        let mut more_than_the_buffers_hold = vec![0; 64 << 20];
        let writing = async move { stream.write_all(&mut more_than_the_buffers_hold).await };
        check(&runtime, writing).await;
    });
}

fn accepting_times_out<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let mut listener = runtime.listen(any_port()).await.expect("listen");
        check(&runtime, async move { listener.accept().await.map(drop) }).await;
    });
}

fn receiving_times_out<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let (_sender, receiver) = runtime.channel::<u32>(count(1));
        check(&runtime, receiver.receive()).await;
    });
}

fn sending_on_a_full_channel_times_out<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let (sender, receiver) = runtime.channel(count(2));
        for number in [1, 2] {
            assert_eq!(runtime.timeout(LONG, sender.send(number)).await, Ok(Ok(())));
        }
        check(&runtime, sender.send(3)).await;
        // What timed out is not sent later either.
        assert_eq!(receiver.receive().await, Some(1));
        assert_eq!(sender.send(4).await, Ok(()));
        assert_eq!(receiver.receive().await, Some(2));
        assert_eq!(receiver.receive().await, Some(4));
    });
}

fn acquiring_times_out<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let semaphore = runtime.semaphore(count(1));
        let permit = semaphore.acquire().await;
        check(&runtime, semaphore.acquire()).await;
        // Whoever gave up has not taken a permit along.
        drop(permit);
        assert!(runtime.timeout(LONG, semaphore.acquire()).await.is_ok());
    });
}

fn joining_times_out_and_the_part_runs_on<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let (sender, receiver) = runtime.channel::<u32>(count(1));
        let (reply, replies) = runtime.channel::<u32>(count(1));
        let task = runtime.spawn(async move {
            let item = receiver.receive().await.expect("it is sent");
            reply.send(item + 1).await.expect("it is received");
        });
        check(&runtime, task.join()).await;
        sender.send(1).await.expect("the part runs on");
        assert_eq!(runtime.timeout(LONG, replies.receive()).await, Ok(Some(2)));
    });
}

fn parts_run_though_there_are_as_many_joins_under_timeouts_as_threads<R: Runtime>(runtime: R) {
    let tasks: Vec<_> = (0..64)
        .map(|number| {
            let spawner = runtime.clone();
            runtime.spawn(async move {
                let part = spawner.spawn(async move { number });
                spawner.timeout(LONG, part.join()).await
            })
        })
        .collect();
    runtime.block_on(async {
        for (number, task) in tasks.into_iter().enumerate() {
            assert_eq!(task.join().await, Ok(Ok(Ok(number))));
        }
    });
}

fn an_outer_timeout_that_is_shorter_wins<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let inner = runtime.timeout(LONG, sleep(&runtime, 2 * LONG));
        check(&runtime, inner).await;
    });
}

fn an_inner_timeout_that_is_shorter_leaves_the_outer_one_running<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let trying_twice = async {
            let first = runtime.timeout(SHORT, sleep(&runtime, LONG)).await;
            let second = runtime.timeout(LONG, async { 2 }).await;
            (first, second)
        };
        let outcome = runtime.timeout(LONG, trying_twice).await;
        assert_eq!(outcome, Ok((Err(Elapsed), Ok(2))));
        let then_waiting = async {
            let inner = runtime.timeout(SHORT / 5, sleep(&runtime, LONG)).await;
            assert_eq!(inner, Err(Elapsed));
            sleep(&runtime, LONG).await;
        };
        check(&runtime, then_waiting).await;
    });
}

fn the_longest_limit_there_is_never_elapses<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let sleeping = sleep(&runtime, SHORT);
        assert_eq!(runtime.timeout(Duration::MAX, sleeping).await, Ok(()));
    });
}

/// Blocking runtimes set the socket's own timeouts: they must neither linger nor be forgotten.
fn a_connection_is_as_good_with_and_without_timeouts<R: Runtime>(runtime: R) {
    let address = server(send_back);
    runtime.block_on(async {
        let mut stream = runtime.connect(&address).await.expect("connect");
        for limit in [LONG, SHORT * 20, LONG, Duration::MAX] {
            assert_eq!(exchange(&mut stream, b"without").await, b"without");
            for _ in 0..3 {
                let timed = runtime.timeout(limit, exchange(&mut stream, b"with")).await;
                assert_eq!(timed.as_deref(), Ok(&b"with"[..]));
            }
        }
        // Straight from a long limit to a short one.
        let timed = runtime
            .timeout(4 * LONG, exchange(&mut stream, b"long"))
            .await;
        assert_eq!(timed.as_deref(), Ok(&b"long"[..]));
        let silence = async {
            let mut buffer = Buffer::with_capacity(16);
            stream.read(&mut buffer).await
        };
        check(&runtime, silence).await;
    });
}

fn a_spawned_part_is_free_of_the_timeout_around_it<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let timer = runtime.clone();
        let spawning = async {
            runtime.spawn(async move {
                sleep(&timer, 2 * SHORT).await;
                "whole"
            })
        };
        let task = runtime
            .timeout(SHORT, spawning)
            .await
            .expect("spawning is quick");
        assert_eq!(task.join().await, Ok("whole"));
    });
}
