//! `batch`: items in batches; the items of a batch run concurrently, and the next batch starts when the last one is
//! done.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};

use super::params::{count, params, require_at_most};
use super::parts::{self, joined, wait};
use super::tallies::{Ledger, Peak, exactly, no_shorter};

#[derive(Debug)]
pub struct Batch {
    params: Params,
    unit: Duration,
}

params! {
    /// Items of an operation, 1,000,000 at most.
    items: NonZeroU32 = count(100),
    /// Items of a batch, which are worked on at once.
    size: NonZeroU32 = count(15),
}

impl Workload for Batch {
    const ABOUT: About = About {
        name: "batch",
        class: "queues",
        operation: "items of 1 unit each, in batches that run concurrently",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    no_session!();

    fn new(params: Params, unit: Duration) -> Result<Self, ParamError> {
        require_at_most("items", params.items.get(), 1_000_000)?;
        Ok(Self { params, unit })
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), _: u64) -> Result<(), Failure> {
        let (items, size) = (self.params.items.get(), self.params.size.get());
        let board = Arc::new(Board::new(items));
        let mut batches = 0;
        let mut first = 0;
        while first < items {
            let end = items.min(first.saturating_add(size));
            let start = |item| {
                let part = work(env.runtime.clone(), self.unit, Arc::clone(&board), item);
                parts::start(&env.runtime, part)
            };
            let begun = Instant::now();
            let tasks = (first..end).map(start).collect();
            joined(tasks).await?;
            board.batch_ended(end)?;
            no_shorter(self.unit, begun.elapsed(), "a batch")?;
            batches += 1;
            first = end;
        }
        env.observed
            .number("items_at_once", board.running.most() as f64);
        board.check(&self.params, batches)
    }
}

async fn work<R: Runtime>(
    runtime: R,
    time: Duration,
    board: Arc<Board>,
    item: u32,
) -> Result<(), Failure> {
    let _running = board.running.enter();
    wait(&runtime, time).await?;
    board.ledger.note(item);
    Ok(())
}

/// The counts of one operation.
#[derive(Debug)]
struct Board {
    ledger: Ledger,
    running: Arc<Peak>,
}

impl Board {
    fn new(items: u32) -> Self {
        Self {
            ledger: Ledger::new(items),
            running: Arc::default(),
        }
    }

    /// Checks that nothing is in progress between two batches: all items before `end` are done, and no other has
    /// started.
    fn batch_ended(&self, end: u32) -> Result<(), Failure> {
        exactly(
            0,
            self.running.now(),
            "items in progress between two batches",
        )?;
        exactly(end, self.ledger.noted(), "items done at the end of a batch")
    }

    fn check(&self, params: &Params, batches: u32) -> Result<(), Failure> {
        self.ledger.each_once("item")?;
        self.running.at_most(params.size.get(), "items")?;
        exactly(
            params.items.get().div_ceil(params.size.get()),
            batches,
            "batches",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::tallies::detail;
    use super::*;

    fn board_with(items: impl Iterator<Item = u32>) -> Board {
        let board = Board::new(100);
        items.for_each(|item| board.ledger.note(item));
        board
    }

    #[test]
    fn a_hundred_items_are_seven_batches_of_fifteen_at_once() {
        let params = Params::default();
        let board = board_with(0..100);
        assert_eq!(detail(board.check(&params, 7)), "");
        assert_eq!(detail(board.check(&params, 6)), "expected 7 batches, got 6");
        assert_eq!(
            detail(board_with(1..100).check(&params, 7)),
            "expected item 0 once, got it 0 times"
        );
        (0..16).for_each(|_| board.running.up());
        assert_eq!(
            detail(board.check(&params, 7)),
            "expected at most 15 items at once, got 16"
        );
    }

    #[test]
    fn overlapping_batches_are_caught() {
        let board = board_with(0..15);
        assert_eq!(detail(board.batch_ended(15)), "");
        assert_eq!(
            detail(board.batch_ended(30)),
            "expected 30 items done at the end of a batch, got 15"
        );
        board.running.up();
        assert_eq!(
            detail(board.batch_ended(15)),
            "expected 0 items in progress between two batches, got 1"
        );
    }
}
