//! `job-queue`: producers fill a bounded queue, consumers empty it, and a semaphore limits the jobs in progress.
//!
//! The consumers end once the queue is empty and the producers are gone. Back-pressure is checked without a clock: an
//! unfinished job is in the queue or with a consumer, so there are never more of them than places in the queue plus
//! consumers; all further jobs must have waited.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use photofinish_harness::observed::Observed;
use photofinish_harness::runtime::{
    Capability, Receiver as _, Runtime, Semaphore as _, Sender as _,
};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};
use photofinish_record::nanoseconds;

use super::params::{count, params, require, require_at_most};
use super::parts::{self, joined, wait};
use super::tallies::{Ledger, Peak, exactly, no_shorter};

#[derive(Debug)]
pub struct JobQueue {
    params: Params,
    /// Duration of a job.
    work: Duration,
}

params! {
    /// Producers, which put jobs into the queue.
    producers: NonZeroU32 = count(3),
    /// Jobs of each producer.
    jobs: NonZeroU32 = count(10),
    /// Places in the queue.
    capacity: NonZeroU32 = count(10),
    /// Consumers, which take jobs from the queue.
    consumers: NonZeroU32 = count(5),
    /// Most jobs in progress.
    limit: NonZeroU32 = count(3),
    /// Duration of a job, in units.
    work: f64 = 0.25,
}

impl Params {
    fn all_jobs(&self) -> u32 {
        self.producers.get().saturating_mul(self.jobs.get())
    }

    /// Largest number of unfinished jobs: one in each place of the queue and with each consumer.
    fn places(&self) -> u32 {
        self.capacity.get().saturating_add(self.consumers.get())
    }
}

/// Maximum number of producers, and of consumers.
const MOST_PARTS: u32 = 1_000;
const MOST_JOBS: u32 = 1_000_000;

impl Workload for JobQueue {
    const ABOUT: About = About {
        name: "job-queue",
        class: "queues",
        operation: "jobs from producers to consumers through a bounded queue, a limited number in progress",
        targets: &[],
        // Each part waits for others, so all of them must have started: a pool whose threads are all taken by parts
        // that wait for room in the queue never runs the part that would make room.
        needs: &[Capability::Concurrency, Capability::ManyAtOnce],
    };
    type Params = Params;
    nothing_shared!();
    no_session!();

    fn new(params: Params, unit: Duration) -> Result<Self, ParamError> {
        require_at_most("producers", params.producers.get(), MOST_PARTS)?;
        require_at_most("consumers", params.consumers.get(), MOST_PARTS)?;
        let jobs = params.all_jobs();
        require(jobs <= MOST_JOBS, "jobs", || {
            format!("expected at most {MOST_JOBS} jobs in total, got {jobs}")
        })?;
        require((0.0..=100.0).contains(&params.work), "work", || {
            format!("expected a job of 0 to 100 units, got {}", params.work)
        })?;
        let work = unit.mul_f64(params.work);
        Ok(Self { params, work })
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), _: u64) -> Result<(), Failure> {
        let (runtime, params) = (&env.runtime, &self.params);
        let begun = Instant::now();
        let board = Arc::new(Board::new(params));
        let limit = runtime.semaphore(params.limit);
        let (sender, receiver) = runtime.channel(params.capacity);
        let consume = |_| {
            let (receiver, limit) = (receiver.clone(), limit.clone());
            let part = consume(
                runtime.clone(),
                receiver,
                limit,
                Arc::clone(&board),
                self.work,
            );
            parts::start(runtime, part)
        };
        let consumers: Vec<_> = (0..params.consumers.get()).map(consume).collect();
        let produce = |number: u32| {
            let first = number * params.jobs.get();
            let jobs = first..first + params.jobs.get();
            let (sender, board) = (sender.clone(), Arc::clone(&board));
            parts::start(
                runtime,
                produce::<R>(sender, jobs, board, env.observed.clone()),
            )
        };
        let producers: Vec<_> = (0..params.producers.get()).map(produce).collect();
        // The parts have their own clones: the queue closes when the last producer ends, or the last consumer.
        drop((sender, receiver));
        let produced = joined(producers).await;
        let consumed = joined(consumers).await;
        // Producers fail only if the consumers have left, and the consumers' errors give the reason.
        let done = consumed?;
        produced?;
        env.observed
            .number("jobs_at_once", board.running.most() as f64);
        env.observed
            .number("jobs_taken_on", board.unfinished.most() as f64);
        board.check(params, &done)?;
        let turns = params.all_jobs().div_ceil(params.limit.get());
        no_shorter(self.work * turns, begun.elapsed(), "all jobs together")
    }
}

async fn produce<R: Runtime>(
    sender: R::Sender<u32>,
    jobs: std::ops::Range<u32>,
    board: Arc<Board>,
    observed: Observed,
) -> Result<(), Failure> {
    for job in jobs {
        let start = Instant::now();
        let sent = sender.send(job).await;
        sent.map_err(|_| Failure::wrong_content("the consumers left before the last job"))?;
        board.unfinished.up();
        observed.time_ns("queue_send", nanoseconds(start.elapsed()));
    }
    Ok(())
}

/// Takes jobs until there are no more; returns the number done.
async fn consume<R: Runtime>(
    runtime: R,
    receiver: R::Receiver<u32>,
    limit: R::Semaphore,
    board: Arc<Board>,
    work: Duration,
) -> Result<u32, Failure> {
    let _here = board.consumers.enter();
    let mut done = 0;
    while let Some(job) = receiver.receive().await {
        let permit = limit.acquire().await;
        let running = board.running.enter();
        wait(&runtime, work).await?;
        board.ledger.note(job);
        done += 1;
        board.unfinished.down();
        // The order matters: a part that has returned its permit is no longer working.
        drop(running);
        drop(permit);
    }
    Ok(done)
}

/// The counts of one operation.
#[derive(Debug)]
struct Board {
    ledger: Ledger,
    running: Arc<Peak>,
    /// Jobs sent and not done.
    unfinished: Peak,
    consumers: Arc<Peak>,
}

impl Board {
    fn new(params: &Params) -> Self {
        Self {
            ledger: Ledger::new(params.all_jobs()),
            running: Arc::default(),
            unfinished: Peak::default(),
            consumers: Arc::default(),
        }
    }

    /// Checks all expectations once all parts have ended; `done` are the jobs that each consumer reported.
    fn check(&self, params: &Params, done: &[u32]) -> Result<(), Failure> {
        self.ledger.each_once("job")?;
        exactly(
            params.all_jobs(),
            done.iter().sum(),
            "jobs reported by consumers",
        )?;
        self.running.at_most(params.limit.get(), "jobs")?;
        self.unfinished
            .at_most(params.places(), "unfinished jobs")?;
        exactly(0, self.consumers.now(), "consumers after the last job")
    }
}

#[cfg(test)]
mod tests {
    use super::super::tallies::detail;
    use super::*;

    #[test]
    fn a_consumer_that_does_not_stop_and_an_unreported_job_are_caught() {
        let params = Params::default();
        let board = Board::new(&params);
        (0..30).for_each(|job| board.ledger.note(job));
        assert_eq!(detail(board.check(&params, &[6; 5])), "");
        assert_eq!(
            detail(board.check(&params, &[6, 6, 6, 6, 5])),
            "expected 30 jobs reported by consumers, got 29"
        );
        board.consumers.up();
        assert_eq!(
            detail(board.check(&params, &[6; 5])),
            "expected 0 consumers after the last job, got 1"
        );
    }
}
