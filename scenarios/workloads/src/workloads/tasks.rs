//! `tasks`: several waits, as concurrent tasks or in sequence.
//!
//! Concurrently they take as long as the longest wait, in sequence as long as all of them together.

use std::sync::Arc;
use std::time::{Duration, Instant};

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};

use super::params::{params, require_waits};
use super::parts::{joined, wait};
use super::tallies::{Peak, exactly, no_shorter};

#[derive(Debug)]
pub struct Tasks {
    at_once: bool,
    waits: Vec<Duration>,
}

params! {
    /// Duration of each wait, in units.
    waits: Vec<f64> = vec![1.0, 2.0],
    /// Starts a task for each wait before it joins the first; without, the waits follow one another.
    at_once: bool = true,
}

impl Workload for Tasks {
    const ABOUT: About = About {
        name: "tasks",
        class: "tasks",
        operation: "waits of 1 and 2 units, as tasks or in sequence",
        targets: &[],
        needs: &[],
    };
    const STATIC_DISPATCH: bool = true;
    type Params = Params;
    nothing_shared!();
    no_session!();

    fn new(params: Params, unit: Duration) -> Result<Self, ParamError> {
        let waits = require_waits("waits", &params.waits, unit)?;
        Ok(Self {
            at_once: params.at_once,
            waits,
        })
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), _: u64) -> Result<(), Failure> {
        let waiting = Arc::new(Peak::default());
        let part = |time: &Duration| wait_counted(env.runtime.clone(), *time, Arc::clone(&waiting));
        let lasted = if self.at_once {
            let start = |time| env.runtime.spawn(part(time));
            joined(self.waits.iter().map(start).collect()).await?
        } else {
            let mut lasted = Vec::with_capacity(self.waits.len());
            for time in &self.waits {
                lasted.push(part(time).await?);
            }
            lasted
        };
        env.observed.number("waits_at_once", waiting.most() as f64);
        self.check(&waiting, &lasted)
    }
}

impl Tasks {
    /// Every wait as long as it should be, `waiting` when all have ended.
    fn check(&self, waiting: &Peak, lasted: &[Duration]) -> Result<(), Failure> {
        exactly(self.waits.len(), lasted.len(), "waits")?;
        for (wait, lasted) in self.waits.iter().zip(lasted) {
            no_shorter(*wait, *lasted, "a wait")?;
        }
        exactly(0, waiting.now(), "waits after all have ended")?;
        let most = if self.at_once { self.waits.len() } else { 1 };
        waiting.at_most(u32::try_from(most).unwrap_or(u32::MAX), "waits")
    }
}

/// Waits, and returns how long it took.
async fn wait_counted<R: Runtime>(
    runtime: R,
    time: Duration,
    waiting: Arc<Peak>,
) -> Result<Duration, Failure> {
    let _waiting = waiting.enter();
    let begun = Instant::now();
    wait(&runtime, time).await?;
    Ok(begun.elapsed())
}

#[cfg(test)]
mod tests {
    use super::super::tallies::detail;
    use super::*;

    const UNIT: Duration = Duration::from_millis(20);

    #[test]
    fn a_missing_or_short_wait_is_caught() {
        let tasks = Tasks::new(Params::default(), UNIT).expect("sound");
        let message = |lasted: &[Duration]| detail(tasks.check(&Peak::default(), lasted));
        assert_eq!(message(&[UNIT, UNIT * 2]), "");
        assert_eq!(message(&[UNIT]), "expected 2 waits, got 1");
        assert_eq!(
            message(&[UNIT, UNIT]),
            "expected a wait to take at least 40ms, took 20ms"
        );
    }

    #[test]
    fn overlapping_sequential_waits_are_caught() {
        let check = |at_once, most: usize, expected: &str| {
            let params = Params {
                at_once,
                ..Params::default()
            };
            let tasks = Tasks::new(params, UNIT).expect("sound");
            let waiting = Peak::default();
            (0..most).for_each(|_| waiting.up());
            (0..most).for_each(|_| waiting.down());
            assert_eq!(detail(tasks.check(&waiting, &[UNIT, UNIT * 2])), expected);
        };
        check(true, 2, "");
        check(false, 1, "");
        check(false, 2, "expected at most 1 waits at once, got 2");
    }
}
