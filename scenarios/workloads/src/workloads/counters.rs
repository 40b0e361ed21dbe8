//! `counters`: three counters tick three times, one unit apart, and log each tick.
//!
//! If they run concurrently, the ticks interleave (1 1 1 2 2 2 3 3 3); otherwise each counter finishes before the next
//! starts. A runtime that wakes them late may mix this up, which is a result; so the order is checked only if no tick
//! was late by a unit.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};

use super::params::NoParams;
use super::parts::{self, joined, wait};
use super::tallies::{ensure, exactly, no_shorter};

#[derive(Debug)]
pub struct Counters {
    unit: Duration,
}

const COUNTERS: u32 = 3;
const TICKS: u32 = 3;

/// A logged tick; `count` is 1 for a counter's first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tick {
    counter: u32,
    count: u32,
    /// Start of the wait: the counter's start, or the log time of its previous tick.
    begun: Instant,
    written: Instant,
}

/// The ticks of one operation, in the order of the log.
type Ticks = Arc<Mutex<Vec<Tick>>>;

impl Workload for Counters {
    const ABOUT: About = About {
        name: "counters",
        class: "tasks",
        operation: "3 counters tick 3 times, 1 unit apart",
        targets: &[],
        needs: &[],
    };
    type Params = NoParams;
    nothing_shared!();
    no_session!();

    fn new(_: NoParams, unit: Duration) -> Result<Self, ParamError> {
        Ok(Self { unit })
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), _: u64) -> Result<(), Failure> {
        let ticks = Ticks::default();
        let start = |counter| {
            let part = count(env.runtime.clone(), self.unit, counter, Arc::clone(&ticks));
            parts::start(&env.runtime, part)
        };
        joined((0..COUNTERS).map(start).collect()).await?;
        let ticks = ticks.lock().unwrap_or_else(PoisonError::into_inner);
        env.observed
            .number("interleaved", f64::from(interleaved(&ticks)));
        check(&ticks, self.unit)
    }
}

async fn count<R: Runtime>(
    runtime: R,
    unit: Duration,
    counter: u32,
    ticks: Ticks,
) -> Result<(), Failure> {
    let mut begun = Instant::now();
    for count in 1..=TICKS {
        wait(&runtime, unit).await?;
        let mut ticks = ticks.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, so that the order of times is the order of the list.
        let written = Instant::now();
        ticks.push(Tick {
            counter,
            count,
            begun,
            written,
        });
        begun = written;
    }
    Ok(())
}

/// True for 1 1 1 2 2 2 3 3 3, in any order of counters.
fn interleaved(ticks: &[Tick]) -> bool {
    ticks.is_sorted_by_key(|tick| tick.count)
}

fn check(ticks: &[Tick], unit: Duration) -> Result<(), Failure> {
    exactly((COUNTERS * TICKS) as usize, ticks.len(), "ticks")?;
    for counter in 0..COUNTERS {
        let own = ticks.iter().filter(|tick| tick.counter == counter);
        let counts: Vec<u32> = own.map(|tick| tick.count).collect();
        ensure(counts == [1, 2, 3], || {
            format!("expected counter {counter} to tick [1, 2, 3], got {counts:?}")
        })?;
    }
    for tick in ticks {
        no_shorter(unit, tick.written - tick.begun, "a tick")?;
    }
    let sound = interleaved(ticks) || !must_interleave(ticks, unit);
    ensure(sound, || {
        let order: Vec<_> = ticks.iter().map(|tick| tick.count).collect();
        format!("the ticks of counters that ran at once were {order:?}")
    })
}

/// True if only a mistake can have kept the ticks from interleaving: all counters had started before the first tick of
/// any, and each tick came in the unit in which it was due.
fn must_interleave(ticks: &[Tick], unit: Duration) -> bool {
    let begins = ticks.iter().filter(|tick| tick.count == 1);
    let begins: Vec<Instant> = begins.map(|tick| tick.begun).collect();
    let (Some(first), Some(last)) = (begins.iter().min(), begins.iter().max()) else {
        return false;
    };
    let in_time = |tick: &Tick| tick.written < *first + unit * (tick.count + 1);
    *last < *first + unit && ticks.iter().all(in_time)
}

#[cfg(test)]
mod tests {
    use super::super::tallies::detail;
    use super::*;

    const UNIT: Duration = Duration::from_millis(20);

    /// The ticks of these counters in this order, each later in its unit than the previous ones; all counters start
    /// together.
    fn at_once(order: [(u32, u32); 9]) -> Vec<Tick> {
        let start = Instant::now();
        let mut begun = [start; COUNTERS as usize];
        let tick = |(place, (counter, count)): (u32, (u32, u32))| {
            let written = start + UNIT * count + Duration::from_millis(1) * place;
            let begun = std::mem::replace(&mut begun[counter as usize], written);
            Tick {
                counter,
                count,
                begun,
                written,
            }
        };
        (0..).zip(order).map(tick).collect()
    }

    fn message(ticks: &[Tick]) -> String {
        detail(check(ticks, UNIT))
    }

    const INTERLEAVED: [(u32, u32); 9] = [
        (0, 1),
        (1, 1),
        (2, 1),
        (2, 2),
        (0, 2),
        (1, 2),
        (0, 3),
        (1, 3),
        (2, 3),
    ];

    #[test]
    fn ticks_interleave_whichever_counter_is_first_in_its_unit() {
        let ticks = at_once(INTERLEAVED);
        assert!(interleaved(&ticks));
        assert_eq!(message(&ticks), "");
    }

    #[test]
    fn sequential_counters_are_allowed() {
        let start = Instant::now();
        let tick = |index: u32| Tick {
            counter: index / TICKS,
            count: index % TICKS + 1,
            begun: start + UNIT * index,
            written: start + UNIT * (index + 1),
        };
        let ticks: Vec<_> = (0..COUNTERS * TICKS).map(tick).collect();
        assert!(!interleaved(&ticks));
        assert_eq!(message(&ticks), "");
    }

    #[test]
    fn a_wrong_order_is_caught_even_in_good_time() {
        let mut ticks = at_once(INTERLEAVED);
        ticks.swap(2, 3);
        ticks.swap(2, 4);
        let message = message(&ticks);
        assert!(message.contains("ran at once were [1, 1, 2"), "{message}");
    }

    #[test]
    fn lost_ticks_wrong_counts_and_early_ticks_are_caught() {
        let mut lost = at_once(INTERLEAVED);
        lost.pop();
        assert_eq!(message(&lost), "expected 9 ticks, got 8");
        let mut doubled = at_once(INTERLEAVED);
        doubled[8].count = 2;
        assert_eq!(
            message(&doubled),
            "expected counter 2 to tick [1, 2, 3], got [1, 2, 2]"
        );
        let mut soon = at_once(INTERLEAVED);
        soon[3].written = soon[3].begun + UNIT / 2;
        assert_eq!(
            message(&soon),
            "expected a tick to take at least 20ms, took 10ms"
        );
    }
}
