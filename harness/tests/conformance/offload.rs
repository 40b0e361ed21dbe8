//! Blocking work that is offloaded: its result, its panic, and that it holds nobody up.

use std::sync::mpsc;

use photofinish_harness::runtime::{Runtime, Task, TaskError};

use crate::peer::{LONG, wait_for};
use crate::suite::{Check, checks};

pub(crate) const CHECKS: &[Check] = checks![
    offloaded_work_gives_its_result,
    a_panic_of_offloaded_work_comes_back_as_its_message,
    offloaded_work_holds_up_no_part needs Concurrency,
];

fn offloaded_work_gives_its_result<R: Runtime>(runtime: R) {
    let numbers: Vec<u64> = (0..1000).collect();
    let sum = runtime.block_on(runtime.offload(move || numbers.iter().sum::<u64>()));
    assert_eq!(sum, Ok(499_500));
}

fn a_panic_of_offloaded_work_comes_back_as_its_message<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        for _ in 0..3 {
            let result = runtime.offload(|| panic!("too much")).await;
            assert_eq!(
                result,
                Err::<(), _>(TaskError::Panicked("too much".to_owned()))
            );
        }
        assert_eq!(runtime.offload(|| 3).await, Ok(3));
    });
}

/// The work waits for something that only a part can do, while nothing else makes the part run.
fn offloaded_work_holds_up_no_part<R: Runtime>(runtime: R) {
    runtime.block_on(async {
        let (go, going) = mpsc::channel();
        let task = runtime.spawn(async move { go.send("on").expect("the work waits") });
        assert_eq!(wait_for(&runtime, going).await, "on");
        assert_eq!(task.join().await, Ok(()));
        let (go, going) = mpsc::channel();
        let worker = runtime.clone();
        let task =
            runtime.spawn(async move { worker.offload(move || going.recv_timeout(LONG)).await });
        let releasing = runtime.spawn(async move { go.send("on").expect("the work waits") });
        assert_eq!(releasing.join().await, Ok(()));
        assert_eq!(task.join().await, Ok(Ok(Ok("on"))));
    });
}
