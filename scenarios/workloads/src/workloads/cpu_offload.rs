//! `cpu-offload`: sums of squares, on threads for blocking work or in the tasks themselves.
//!
//! A bystander records how late it was woken meanwhile: a task that computes delays all others on its thread. Each sum
//! is computed many times over, since one takes microseconds.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use photofinish_harness::runtime::{Runtime, Task as _};
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};

use super::bystander::{Schedule, stand_by};
use super::params::{count, params, require};
use super::parts::joined;
use super::tallies::{ensure, exactly};

#[derive(Debug)]
pub struct CpuOffload {
    params: Params,
}

params! {
    /// The number of squares in each sum: those of 0, 1, 2, and so on.
    squares: Vec<u32> = vec![10_000, 20_000, 15_000],
    /// Repetitions of each sum.
    repeats: NonZeroU32 = count(200),
    /// Computes the sums on threads for blocking work instead of in the tasks.
    offload: bool = true,
}

/// The bystander's period; all of its wake-ups together take about as long as the sums.
const PERIOD: Duration = Duration::from_millis(1);
const TIMES: u32 = 5;

/// Squares in a sum, which stays well below 2^64.
const MOST_SQUARES: u32 = 1_000_000;
/// Sums of an operation.
const MOST_SUMS: usize = 100;

impl Workload for CpuOffload {
    const ABOUT: About = About {
        name: "cpu-offload",
        class: "cpu",
        operation: "concurrent sums of squares, offloaded or inline, while a timer runs",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    no_session!();

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let sound = (1..=MOST_SUMS).contains(&params.squares.len())
            && params.squares.iter().all(|count| *count <= MOST_SQUARES);
        require(sound, "squares", || {
            format!("expected 1 to {MOST_SUMS} sums of at most {MOST_SQUARES} squares")
        })?;
        Ok(Self { params })
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), _: u64) -> Result<(), Failure> {
        let Params {
            squares,
            repeats,
            offload,
        } = &self.params;
        let schedule = Schedule {
            start: Instant::now(),
            period: PERIOD,
            times: TIMES,
        };
        let start = |count: &u32| {
            let work = Work {
                count: *count,
                repeats: *repeats,
            };
            let part = sum(env.runtime.clone(), work, *offload);
            env.runtime.spawn(part)
        };
        let tasks = squares.iter().map(start).collect();
        let bystander = stand_by(env.runtime.clone(), env.observed.clone(), schedule);
        let bystander = env.runtime.spawn(bystander);
        let sums = joined(tasks).await;
        exactly(TIMES, bystander.join().await??, "wake-ups of the timer")?;
        let expected: Vec<u64> = squares.iter().map(|count| known_sum(*count)).collect();
        let sums = sums?;
        ensure(sums == expected, || {
            format!("expected the sums {expected:?}, got {sums:?}")
        })
    }
}

async fn sum<R: Runtime>(runtime: R, work: Work, offload: bool) -> Result<u64, Failure> {
    if offload {
        Ok(runtime.offload(move || work.compute()).await?)
    } else {
        Ok(work.compute())
    }
}

/// One sum, computed over and over.
#[derive(Clone, Copy, Debug)]
struct Work {
    count: u32,
    repeats: NonZeroU32,
}

impl Work {
    fn compute(self) -> u64 {
        let mut sum = 0;
        for _ in 0..self.repeats.get() {
            sum = sum_of_squares(self.count);
        }
        sum
    }
}

fn sum_of_squares(count: u32) -> u64 {
    // `black_box` keeps the compiler from substituting the closed form below.
    let square = |number| black_box(u64::from(number) * u64::from(number));
    (0..count).map(square).sum()
}

/// Closed form: (n - 1) n (2n - 1) / 6.
fn known_sum(count: u32) -> u64 {
    let count = u128::from(count);
    let sum = count.saturating_sub(1) * count * (2 * count).saturating_sub(1) / 6;
    u64::try_from(sum).expect("few enough squares")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_squares_and_the_formula_agree() {
        for count in [0, 1, 2, 3, 10, 1_000, MOST_SQUARES] {
            assert_eq!(sum_of_squares(count), known_sum(count), "{count}");
        }
        assert_eq!(known_sum(4), 1 + 4 + 9);
    }
}
