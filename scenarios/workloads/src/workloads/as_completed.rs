//! `as-completed`: tasks of different durations, whose results are taken as they complete.
//!
//! The results go through a channel to one receiver. Their order is a result: the shortest first if tasks run
//! concurrently, else as started. Checked: each result arrives once, none before its time, none before one sent
//! earlier.

use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Receiver as _, Runtime, Sender as _, Task as _};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};

use super::params::{params, require_waits};
use super::parts::{self, joined, wait};
use super::tallies::{Ledger, no_shorter};

#[derive(Debug)]
pub struct AsCompleted {
    waits: Vec<Duration>,
    results: NonZeroU32,
}

params! {
    /// Duration of each task, in units.
    waits: Vec<f64> = vec![3.0, 2.0, 1.0],
}

/// The interval in which a task's result was sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    before: Instant,
    after: Instant,
}

impl Workload for AsCompleted {
    const ABOUT: About = About {
        name: "as-completed",
        class: "tasks",
        operation: "3 tasks of 3, 2 and 1 units; results in order of completion",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    no_session!();

    fn new(params: Params, unit: Duration) -> Result<Self, ParamError> {
        let waits = require_waits("waits", &params.waits, unit)?;
        let results = u32::try_from(waits.len()).expect("a thousand at the most");
        Ok(Self {
            waits,
            results: NonZeroU32::new(results).expect("one at least"),
        })
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), _: u64) -> Result<(), Failure> {
        let runtime = &env.runtime;
        let begun = Instant::now();
        // Room for all: if tasks do not run concurrently, all results are sent before the first is received.
        let (sender, receiver) = runtime.channel(self.results);
        let start = |(number, time): (u32, &Duration)| {
            parts::start(
                runtime,
                complete(runtime.clone(), sender.clone(), number, *time),
            )
        };
        let tasks = (0..).zip(&self.waits).map(start).collect();
        drop(sender);
        let taking = parts::start(runtime, take::<R>(receiver));
        let sent = joined(tasks).await;
        let came = taking.join().await?;
        env.observed
            .number("shortest_first", f64::from(self.shortest_first(&came)));
        check(&came, &sent?)?;
        let longest = self.waits.iter().max().copied().unwrap_or_default();
        no_shorter(longest, begun.elapsed(), "all tasks together")
    }
}

async fn complete<R: Runtime>(
    runtime: R,
    sender: R::Sender<u32>,
    number: u32,
    time: Duration,
) -> Result<Sent, Failure> {
    wait(&runtime, time).await?;
    let before = Instant::now();
    let sent = sender.send(number).await;
    let after = Instant::now();
    sent.map_err(|_| Failure::wrong_content("the receiver of the results is gone"))?;
    Ok(Sent { before, after })
}

/// The numbers of the tasks, in order of arrival of their results.
async fn take<R: Runtime>(receiver: R::Receiver<u32>) -> Vec<u32> {
    let mut came = Vec::new();
    while let Some(number) = receiver.receive().await {
        came.push(number);
    }
    came
}

impl AsCompleted {
    fn shortest_first(&self, came: &[u32]) -> bool {
        came.is_sorted_by_key(|number| self.waits.get(*number as usize))
    }
}

/// Checks that every result arrives once, and none before one whose send had ended when its own started.
fn check(came: &[u32], sent: &[Sent]) -> Result<(), Failure> {
    let ledger = Ledger::new(u32::try_from(sent.len()).unwrap_or(u32::MAX));
    came.iter().for_each(|number| ledger.note(*number));
    ledger.each_once("result")?;
    for pair in came.windows(2) {
        let (first, second) = (sent[pair[0] as usize], sent[pair[1] as usize]);
        if second.after < first.before {
            return Err(Failure::wrong_content(format!(
                "results came as {came:?}, though {} was complete before {}",
                pair[1], pair[0]
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::tallies::detail;
    use super::*;

    /// Three results, sent one after another in the order of `completed`.
    fn sent_in_order(completed: [u32; 3]) -> [Sent; 3] {
        let start = Instant::now();
        [0, 1, 2].map(|number| {
            let place = completed.iter().position(|other| *other == number);
            let before = start + Duration::from_secs(place.expect("listed") as u64);
            let after = before + Duration::from_millis(1);
            Sent { before, after }
        })
    }

    fn message(came: &[u32], completed: [u32; 3]) -> String {
        detail(check(came, &sent_in_order(completed)))
    }

    #[test]
    fn results_come_in_the_order_of_completion_or_are_caught() {
        assert_eq!(message(&[2, 1, 0], [2, 1, 0]), "");
        assert_eq!(message(&[0, 1, 2], [0, 1, 2]), "");
        assert_eq!(
            message(&[2, 0, 1], [2, 1, 0]),
            "results came as [2, 0, 1], though 1 was complete before 0"
        );
    }

    #[test]
    fn concurrent_tasks_complete_shortest_first() {
        let workload = AsCompleted::new(Params::default(), Duration::from_secs(1));
        let workload = workload.expect("sound");
        assert!(workload.shortest_first(&[2, 1, 0]));
        assert!(!workload.shortest_first(&[0, 1, 2]));
    }
}
