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

use super::params::{count, params, require};
use super::parts::{joined, wait};
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
    /// Jobs in progress at once.
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

/// Maximum number of producers and consumers, and of jobs in total.
const MOST_PARTS: u32 = 1_000;
const MOST_JOBS: u32 = 1_000_000;

impl Workload for JobQueue {
    const ABOUT: About = About {
        name: "job-queue",
        class: "queues",
        operation: "30 jobs from 3 producers to 5 consumers through a queue of 10, at most 3 in progress",
        targets: &[],
        // Each part waits for others, so all of them must have started: a pool whose threads are all taken by parts
        // that wait for room in the queue never runs the part that would make room.
        needs: &[Capability::Concurrency, Capability::ManyAtOnce],
    };
    type Params = Params;
    nothing_shared!();
    no_session!();

    fn new(params: Params, unit: Duration) -> Result<Self, ParamError> {
        for (name, parts) in [
            ("producers", params.producers),
            ("consumers", params.consumers),
        ] {
            require(parts.get() <= MOST_PARTS, name, || {
                format!("{parts} are more than {MOST_PARTS}")
            })?;
        }
        let jobs = params.all_jobs();
        require(jobs <= MOST_JOBS, "jobs", || {
            format!("{jobs} jobs of all producers are more than {MOST_JOBS}")
        })?;
        require((0.0..=100.0).contains(&params.work), "work", || {
            "a job takes from 0 to 100 units".to_owned()
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
            runtime.spawn(part)
        };
        let consumers: Vec<_> = (0..params.consumers.get()).map(consume).collect();
        let produce = |number: u32| {
            let first = number * params.jobs.get();
            let jobs = first..first + params.jobs.get();
            let (sender, board) = (sender.clone(), Arc::clone(&board));
            runtime.spawn(produce::<R>(sender, jobs, board, env.observed.clone()))
        };
        let producers: Vec<_> = (0..params.producers.get()).map(produce).collect();
        // The parts have their own clones: the queue closes when the last producer ends, or the last consumer.
        drop((sender, receiver));
        let produced = joined(producers).await;
        let consumed = joined(consumers).await;
        // Producers fail only if the consumers have left, and the consumers' errors give the reason.
        let done = consumed?;
        produced?;
        board.observe(&env.observed);
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
    /// Jobs started and not done.
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

    fn observe(&self, observed: &Observed) {
        observed.number("jobs_at_once", self.running.most() as f64);
        observed.number("jobs_taken_on", self.unfinished.most() as f64);
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

    /// Checks a board after all jobs went through in sequence; `change` is called for each.
    fn check(change: impl Fn(&Board, u32), expected: &str) {
        let params = Params::default();
        let board = Board::new(&params);
        for job in 0..params.all_jobs() {
            board.unfinished.up();
            let running = board.running.enter();
            board.ledger.note(job);
            change(&board, job);
            drop(running);
            board.unfinished.down();
        }
        let verdict = board.check(&params, &[6; 5]);
        let message = detail(verdict);
        assert_eq!(message, expected);
    }

    #[test]
    fn a_queue_that_keeps_its_promises_passes() {
        check(|_, _| {}, "");
    }

    #[test]
    fn a_doubled_job_is_caught() {
        let double = |board: &Board, job| {
            if job == 7 {
                board.ledger.note(job);
            }
        };
        check(double, "expected job 7 once, got it 2 times");
    }

    #[test]
    fn a_fourth_job_at_once_is_caught() {
        let three_more = |board: &Board, job| {
            if job == 7 {
                drop([(); 3].map(|()| board.running.enter()));
            }
        };
        check(three_more, "expected at most 3 jobs at once, got 4");
    }

    #[test]
    fn a_queue_without_a_bound_is_caught() {
        let fifteen_more = |board: &Board, job| {
            if job == 7 {
                (0..15).for_each(|_| board.unfinished.up());
                (0..15).for_each(|_| board.unfinished.down());
            }
        };
        check(
            fifteen_more,
            "expected at most 15 unfinished jobs at once, got 16",
        );
    }

    #[test]
    fn a_consumer_that_goes_on_is_caught() {
        let stay = |board: &Board, job| {
            if job == 7 {
                board.consumers.up();
            }
        };
        check(stay, "expected 0 consumers after the last job, got 1");
    }

    #[test]
    fn a_lost_job_is_caught() {
        let params = Params::default();
        let board = Board::new(&params);
        (1..30).for_each(|job| board.ledger.note(job));
        let failure = board.check(&params, &[6, 6, 6, 6, 5]).unwrap_err();
        assert_eq!(failure.detail, "expected job 0 once, got it 0 times");
    }

    #[test]
    fn parameters_that_make_no_sense_are_refused() {
        let refused = |params| JobQueue::new(params, Duration::ZERO).unwrap_err().param;
        let defaults = Params::default;
        let many = NonZeroU32::MAX;
        assert_eq!(
            refused(Params {
                jobs: many,
                ..defaults()
            }),
            "jobs"
        );
        assert_eq!(
            refused(Params {
                consumers: many,
                ..defaults()
            }),
            "consumers"
        );
        assert_eq!(
            refused(Params {
                work: -1.0,
                ..defaults()
            }),
            "work"
        );
    }
}
