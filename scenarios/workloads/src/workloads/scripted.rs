//! `scripted`: operations that take known times, or a known amount of work.
//!
//! Ground truth for the tool itself, which the report must reproduce. Each operation draws its time from the script by
//! its number and is busy for that long, on the clock; then it does its work, which is counted in steps and not in
//! time, so that ten percent more steps are ten percent more work. Parts have times of their own and a known number of
//! failures, so that every count per part is known in advance as well.

use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use photofinish_harness::nothing_shared;
use photofinish_harness::parts::PartRecorder;
use photofinish_harness::runtime::Runtime;
use photofinish_harness::workload::{About, Env, Failure, ParamError, Workload};
use photofinish_record::draw::draw;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::params::{count, params, require};

#[derive(Debug)]
pub struct Scripted {
    /// Ascending sums of the shares, and the time that each stands for.
    times: Vec<(f64, Duration)>,
    work: u64,
    parts: Vec<ScriptedPart>,
}

params! {
    /// Busy times of operations, each with its share; the shares sum to 1.
    times: Vec<ScriptedTime> = script(),
    /// Steps of work after that, about a nanosecond each.
    work: u64 = 0,
    /// Parts of operations, in their order, after times and work; the first that fails ends its operation.
    parts: Vec<ScriptedPart> = Vec::new(),
}

/// A part of the operations whose number is a multiple of `every`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ScriptedPart {
    /// Its name in reports.
    pub name: String,
    /// 1 for a part of every operation, 2 for a part of every second operation.
    #[serde(default = "every_one")]
    pub every: NonZeroU32,
    /// Busy time in µs.
    #[serde(default)]
    pub time_us: f64,
    /// Status of its answer, 100 to 999; left out for a part without an answer.
    #[serde(default)]
    pub status: Option<u16>,
    /// Fails if the operation's number is a multiple of this as well; 0 never fails.
    #[serde(default)]
    pub fails_every: u64,
}

fn every_one() -> NonZeroU32 {
    count(1)
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
    type Session<R: Runtime> = PartRecorder;
    nothing_shared!();

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
        for (index, part) in params.parts.iter().enumerate() {
            let status = part
                .status
                .is_none_or(|status| (100..=999).contains(&status));
            let sensible = (0.0..=LONGEST_US).contains(&part.time_us) && status;
            require(sensible, &format!("parts.{index}"), || {
                "expected a time from 0 to 10,000,000 µs and a status from 100 to 999".to_owned()
            })?;
        }
        Ok(Self {
            times,
            work: params.work,
            parts: params.parts,
        })
    }

    fn parts(&self) -> Vec<String> {
        self.parts.iter().map(|part| part.name.clone()).collect()
    }

    async fn open<R: Runtime>(&self, env: &Env<R>, index: u32) -> Result<PartRecorder, Failure> {
        Ok(env.parts.recorder(index))
    }

    async fn operate<R: Runtime>(
        &self,
        env: &Env<R>,
        recorder: &mut PartRecorder,
        op: u64,
    ) -> Result<(), Failure> {
        if let Some(time) = self.time_of(env.seed, op) {
            be_busy(time);
        }
        let mut state = op;
        for _ in 0..self.work {
            // A step depends on the one before, so none can be left out.
            state = black_box(state.wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(31));
        }
        black_box(state);
        let parts = self.parts.iter().enumerate();
        for (index, part) in
            parts.filter(|(_, part)| op.is_multiple_of(u64::from(part.every.get())))
        {
            recorder.time(index, part.play(op)).await?;
        }
        Ok(())
    }
}

impl ScriptedPart {
    async fn play(&self, op: u64) -> (Option<u16>, Result<(), Failure>) {
        be_busy(Duration::from_nanos((self.time_us * 1e3) as u64));
        let fails = op.checked_rem(self.fails_every) == Some(0);
        let result = if fails {
            Err(Failure::new(Failure::STATUS, "as scripted"))
        } else {
            Ok(())
        };
        (self.status, result)
    }
}

fn be_busy(time: Duration) {
    let due = Instant::now() + time;
    while Instant::now() < due {
        std::hint::spin_loop();
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
    fn times_are_drawn_by_their_shares() {
        let line = |(share, time_us)| ScriptedTime { share, time_us };
        let times = [(0.75, 1.0), (0.25, 2.0)].map(line).to_vec();
        let params = Params {
            times,
            ..Params::default()
        };
        let scripted = Scripted::new(params, Duration::ZERO).expect("sound");
        let long = |op: &u64| scripted.time_of(1, *op) == Some(Duration::from_micros(2));
        let count = (0..10_000).filter(long).count();
        // Binomial(10000, 0.25) has a standard deviation of 43: six of them either way.
        assert!((2_240..2_760).contains(&count), "{count}");
    }
}
