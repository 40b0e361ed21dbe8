//! Sessions: each is stepped until it is finished, all come back in their order, and on no more threads than declared.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::ThreadId;

use photofinish_harness::runtime::{BoxFuture, Flow, Runtime, Session, TaskError, run_session};

use crate::peer::count;
use crate::suite::{Check, checks};

pub(crate) const CHECKS: &[Check] = checks![
    each_session_is_stepped_until_it_is_finished_and_all_come_back_in_order,
    a_thousand_sessions_are_run,
    sessions_run_on_no_more_threads_than_declared,
    a_panic_in_a_session_comes_back_as_its_message_and_the_runtime_lives_on,
    as_many_sessions_run_as_asked_for_unless_only_one_can,
    sessions_that_never_wait_run_side_by_side needs Concurrency,
];

/// Finished after `steps`, which it counts down; panics at `panics_at`.
struct Countdown {
    index: u32,
    steps: u32,
    panics_at: Option<u32>,
    threads: Arc<Mutex<HashSet<ThreadId>>>,
}

impl Session for Countdown {
    async fn step(&mut self) -> Flow {
        assert!(self.steps > 0, "session {} is finished", self.index);
        assert_ne!(Some(self.steps), self.panics_at, "as told");
        let thread = std::thread::current().id();
        self.threads
            .lock()
            .expect("no panic under it")
            .insert(thread);
        self.steps -= 1;
        if self.steps > 0 {
            Flow::Continue
        } else {
            Flow::Finished
        }
    }
}

fn countdowns(number: u32, steps: impl Fn(u32) -> u32) -> Vec<Countdown> {
    let threads = Arc::default();
    let session = |index| Countdown {
        index,
        steps: steps(index),
        panics_at: None,
        threads: Arc::clone(&threads),
    };
    (0..number).map(session).collect()
}

/// Runs sessions as the measuring loop does, each boxed once.
fn run<R: Runtime, S: Session>(runtime: &R, sessions: Vec<S>) -> Result<Vec<S>, TaskError> {
    let steps_per_turn = runtime.steps_per_turn(sessions.len() == 1);
    let boxed = |mut session: S| -> BoxFuture<'static, S> {
        Box::pin(async move {
            run_session(&mut session, steps_per_turn).await;
            session
        })
    };
    runtime.block_on(runtime.run_sessions(sessions.into_iter().map(boxed).collect()))
}

fn check_all_finished(result: Result<Vec<Countdown>, TaskError>, number: u32) {
    let sessions = result.expect("no session panics");
    let found: Vec<_> = sessions
        .iter()
        .map(|session| (session.index, session.steps))
        .collect();
    let expected: Vec<_> = (0..number).map(|index| (index, 0)).collect();
    assert_eq!(found, expected);
}

fn each_session_is_stepped_until_it_is_finished_and_all_come_back_in_order<R: Runtime>(runtime: R) {
    // The first ones take longest, so that they finish in another order than they started in.
    let sessions = countdowns(20, |index| 1 + 300 * (20 - index));
    check_all_finished(run(&runtime, sessions), 20);
    check_all_finished(run(&runtime, countdowns(1, |_| 1)), 1);
}

fn a_thousand_sessions_are_run<R: Runtime>(runtime: R) {
    let sessions = countdowns(1000, |_| 3);
    check_all_finished(run(&runtime, sessions), 1000);
}

fn sessions_run_on_no_more_threads_than_declared<R: Runtime>(runtime: R) {
    let sessions = countdowns(40, |_| 500);
    let threads = Arc::clone(&sessions[0].threads);
    check_all_finished(run(&runtime, sessions), 40);
    let used = threads.lock().expect("no panic under it").len();
    let declared = runtime.worker_threads(count(40)) as usize;
    assert!(
        (1..=declared).contains(&used),
        "{used} of {declared} declared"
    );
}

fn a_panic_in_a_session_comes_back_as_its_message_and_the_runtime_lives_on<R: Runtime>(runtime: R) {
    let mut sessions = countdowns(5, |_| 10);
    sessions[3].panics_at = Some(4);
    match run(&runtime, sessions) {
        Err(TaskError::Panicked(message)) => assert!(message.contains("as told"), "{message}"),
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("all sessions finished"),
    }
    check_all_finished(run(&runtime, countdowns(5, |_| 10)), 5);
}

fn as_many_sessions_run_as_asked_for_unless_only_one_can<R: Runtime>(runtime: R) {
    let sequential =
        runtime.worker_threads(count(9)) == 1 && runtime.sessions(count(9)) == count(1);
    for asked in [1, 9, 1000] {
        let expected = if sequential { 1 } else { asked };
        assert_eq!(runtime.sessions(count(asked)), count(expected));
    }
}

/// Each session is finished once it has seen that every other one has begun.
struct Meeting {
    begun: bool,
    present: Arc<AtomicU32>,
    expected: u32,
}

impl Session for Meeting {
    async fn step(&mut self) -> Flow {
        if !std::mem::replace(&mut self.begun, true) {
            self.present.fetch_add(1, Ordering::SeqCst);
        }
        if self.present.load(Ordering::SeqCst) < self.expected {
            Flow::Continue
        } else {
            Flow::Finished
        }
    }
}

/// More sessions than threads, none of which ever waits: an executor that is never left would run the first for ever.
fn sessions_that_never_wait_run_side_by_side<R: Runtime>(runtime: R) {
    let present = Arc::new(AtomicU32::new(0));
    let session = |_| Meeting {
        begun: false,
        present: Arc::clone(&present),
        expected: 12,
    };
    let sessions = (0..12).map(session).collect();
    let finished = run(&runtime, sessions);
    assert_eq!(finished.expect("no session panics").len(), 12);
}
