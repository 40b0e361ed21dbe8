//! `scripted`: operations that take known times, or a known amount of work.
//!
//! Ground truth for the tool itself, which the report must reproduce. Each operation draws its time from the script by
//! its number and is busy for that long, on the clock; then it does its work, which is counted in steps and not in
//! time, so that ten percent more steps are ten percent more work.

use std::hint::black_box;
use std::time::{Duration, Instant};

use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_harness::{no_session, nothing_shared};
use photofinish_record::draw::draw;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::params::{params, require};

#[derive(Debug)]
pub struct Scripted {
    /// Ascending sums of the shares, and the time that each stands for.
    times: Vec<(f64, Duration)>,
    work: u64,
}

params! {
    /// Busy times of operations, each with its share; the shares sum to 1.
    times: Vec<ScriptedTime> = script(),
    /// Steps of work after that, about a nanosecond each.
    work: u64 = 0,
}

/// A line of the script.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptedTime {
    /// The share of operations that take this time, 0..=1.
    pub share: f64,
    /// The time in µs.
    pub time_us: f64,
}

/// The longest time of a line, in µs: ten seconds.
const LONGEST_US: f64 = 1e7;

fn script() -> Vec<ScriptedTime> {
    let line = |share, time_us| ScriptedTime { share, time_us };
    vec![line(0.9, 50.0), line(0.09, 200.0), line(0.01, 1_000.0)]
}

impl Workload for Scripted {
    const ABOUT: About = About {
        name: "scripted",
        class: "overhead",
        operation: "busy for a scripted time, then for a scripted amount of work",
        targets: &[],
        needs: &[],
    };
    type Params = Params;
    nothing_shared!();
    no_session!();

    fn new(params: Params, _: Duration) -> Result<Self, ParamError> {
        let mut sum = 0.0;
        let mut times = Vec::new();
        for (index, line) in params.times.iter().enumerate() {
            let sensible =
                (0.0..=1.0).contains(&line.share) && (0.0..=LONGEST_US).contains(&line.time_us);
            require(sensible, &format!("times.{index}"), || {
                "expected a share from 0 to 1 and a time from 0 to 10,000,000 µs".to_owned()
            })?;
            sum += line.share;
            times.push((sum, Duration::from_nanos((line.time_us * 1e3) as u64)));
        }
        let whole = params.times.is_empty() || (sum - 1.0).abs() < 1e-6;
        require(whole, "times", || {
            format!("the shares together are {sum}, and must be 1")
        })?;
        Ok(Self {
            times,
            work: params.work,
        })
    }

    async fn operate<R: Runtime>(&self, env: &Env<R>, _: &mut (), op: u64) -> Result<(), Failure> {
        if let Some(time) = self.time_of(env.seed, op) {
            let due = Instant::now() + time;
            while Instant::now() < due {
                std::hint::spin_loop();
            }
        }
        let mut state = op;
        for _ in 0..self.work {
            // A step depends on the one before, so none can be left out.
            state = black_box(state.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31));
        }
        black_box(state);
        Ok(())
    }
}

impl Scripted {
    fn time_of(&self, seed: u64, op: u64) -> Option<Duration> {
        let uniform = (draw(seed, op) >> 11) as f64 / (1_u64 << 53) as f64;
        let line = self.times.iter().find(|(sum, _)| uniform < *sum);
        line.or(self.times.last()).map(|(_, time)| *time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_drawn_in_their_shares() {
        let line = |(share, time_us)| ScriptedTime { share, time_us };
        let times = [(0.75, 1.0), (0.25, 2.0)].map(line).to_vec();
        let scripted = Scripted::new(Params { times, work: 0 }, Duration::ZERO).expect("sound");
        let long = |op: &u64| scripted.time_of(1, *op) == Some(Duration::from_micros(2));
        let count = (0..10_000).filter(long).count();
        // Binomial(10000, 0.25) has a standard deviation of 43: six of them either way.
        assert!((2_240..2_760).contains(&count), "{count}");
    }
}
