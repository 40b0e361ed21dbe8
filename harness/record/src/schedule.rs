//! The schedule of an open load: the due time of each arrival, fixed before the first one.
//!
//! A schedule is a pure function of rate, stages and seed: nothing that happens during a run can move an arrival, and
//! every runtime gets the same ones. It is computed lazily, so that its memory is the same for a thousand arrivals and for
//! a hundred million. The harness keeps to it in `pacer` and hands arrivals to sessions in `arrivals`.
//!
//! With Λ(t) the number of arrivals expected up to t (the integral of the rate), arrival i of a constant schedule is due
//! at Λ⁻¹(i), and arrival i of a Poisson one at Λ⁻¹(E₁ + … + Eᵢ) with independent standard exponential draws E (the time
//! change by which any inhomogeneous Poisson process comes from a homogeneous one; Çinlar, Introduction to Stochastic
//! Processes, § 4.7). Bursts are the arrivals of a constant schedule, each due at the beginning of its 10 ms.

use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use crate::draw::draw;
use crate::load::{Arrivals, RateHz, Stage, Stop};
use crate::shard::Shard;

/// Keeps the draws of arrivals apart from those of keys and delays with the same seed.
const ARRIVALS_SALT: u64 = 0x6172_7269_7661_6c73;

/// Distance between bursts.
const BURST_NS: u64 = 10_000_000;

/// Tolerance of rounding at the schedule's end, in arrivals.
const ROUNDING: f64 = 1e-9;

/// The due times of all arrivals, or of those of a shard.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    arrivals: Arrivals,
    seed: u64,
    segments: Arc<[Segment]>,
    /// Maximum number of arrivals of all shards.
    most: u64,
    shard: Shard,
}

/// A part of the schedule in which the rate changes linearly.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Segment {
    start_s: f64,
    length_s: f64,
    from_hz: f64,
    to_hz: f64,
    /// Arrivals expected before it.
    expected_before: f64,
}

impl Segment {
    fn expected(&self) -> f64 {
        (self.from_hz + self.to_hz) / 2.0 * self.length_s
    }

    /// The time at which `arrivals` of this segment are expected, in s after the schedule's start.
    fn time_s(&self, arrivals: f64) -> f64 {
        if arrivals <= 0.0 {
            return self.start_s;
        }
        // Solves from·t + slope·t²/2 = arrivals, in the form that loses no digits where the slope is slight.
        let slope = if self.length_s.is_finite() {
            (self.to_hz - self.from_hz) / self.length_s
        } else {
            0.0
        };
        let discriminant = (self.from_hz * self.from_hz + 2.0 * slope * arrivals).max(0.0);
        self.start_s + 2.0 * arrivals / (self.from_hz + discriminant.sqrt())
    }
}

impl Schedule {
    /// Arrivals at a constant `rate` until `stop`.
    pub fn steady(arrivals: Arrivals, rate: RateHz, stop: Stop, seed: u64) -> Self {
        let (length_s, most) = match stop {
            Stop::DurationNs(duration_ns) => (seconds(duration_ns), u64::MAX),
            Stop::Ops(ops) => (f64::INFINITY, ops.get()),
        };
        let segment = Segment {
            start_s: 0.0,
            length_s,
            from_hz: rate.get(),
            to_hz: rate.get(),
            expected_before: 0.0,
        };
        Self::new(arrivals, seed, vec![segment], most)
    }

    /// Arrivals at the shares of `rate` given by consecutive `stages`.
    pub fn staged(arrivals: Arrivals, rate: RateHz, stages: &[Stage], seed: u64) -> Self {
        let mut segments = Vec::with_capacity(stages.len());
        let (mut start_s, mut expected_before) = (0.0, 0.0);
        for stage in stages {
            let segment = Segment {
                start_s,
                length_s: seconds(stage.duration_ns),
                from_hz: stage.from * rate.get(),
                to_hz: stage.to * rate.get(),
                expected_before,
            };
            start_s += segment.length_s;
            expected_before += segment.expected();
            segments.push(segment);
        }
        Self::new(arrivals, seed, segments, u64::MAX)
    }

    fn new(arrivals: Arrivals, seed: u64, segments: Vec<Segment>, most: u64) -> Self {
        Self {
            arrivals,
            seed: seed ^ ARRIVALS_SALT,
            segments: segments.into(),
            most,
            shard: Shard::WHOLE,
        }
    }

    /// The arrivals of `shard` only: every N-th one.
    pub fn share(self, shard: Shard) -> Self {
        Self { shard, ..self }
    }

    /// Due times relative to the schedule's start, in order.
    pub fn due_times(&self) -> DueTimes {
        DueTimes {
            schedule: self.clone(),
            next: 0,
            expected: 0.0,
            segment: 0,
        }
    }

    /// Its duration, or the time until one more arrival would be due if it stops after a number of operations.
    pub fn length(&self) -> Duration {
        let last = self
            .segments
            .last()
            .map_or(0.0, |segment| segment.start_s + segment.length_s);
        if last.is_finite() {
            return Duration::from_secs_f64(last);
        }
        let endless = Self {
            most: u64::MAX,
            shard: Shard::WHOLE,
            ..self.clone()
        };
        let after = usize::try_from(self.most).unwrap_or(usize::MAX);
        let end = endless.due_times().nth(after);
        end.unwrap_or(Duration::MAX)
    }
}

fn seconds(duration_ns: NonZeroU64) -> f64 {
    duration_ns.get() as f64 / 1e9
}

/// An iterator over the due times of a schedule.
#[derive(Clone, Debug)]
pub struct DueTimes {
    schedule: Schedule,
    /// Number of the next arrival.
    next: u64,
    /// Arrivals expected up to the last one returned.
    expected: f64,
    /// Index of the segment of that one.
    segment: usize,
}

impl Iterator for DueTimes {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let shard = self.schedule.shard;
        loop {
            let number = self.next;
            let due = self.next_of_all()?;
            if number % u64::from(shard.count().get()) == u64::from(shard.index()) {
                return Some(due);
            }
        }
    }
}

impl DueTimes {
    /// Number in the whole schedule of the arrival that is number `own` here.
    pub fn number(&self, own: u64) -> u64 {
        self.schedule.shard.number(own)
    }

    /// The next arrival, of whichever shard.
    fn next_of_all(&mut self) -> Option<Duration> {
        if self.next >= self.schedule.most {
            return None;
        }
        self.expected = match self.schedule.arrivals {
            Arrivals::Constant | Arrivals::Bursts => self.next as f64,
            Arrivals::Poisson => self.expected + exponential(self.schedule.seed, self.next),
        };
        let segment = loop {
            let segment = self.schedule.segments.get(self.segment)?;
            if self.expected < segment.expected_before + segment.expected() - ROUNDING {
                break segment;
            }
            self.segment += 1;
        };
        self.next += 1;
        let due_s = segment.time_s(self.expected - segment.expected_before);
        let due_ns = (due_s * 1e9).round() as u64;
        Some(Duration::from_nanos(match self.schedule.arrivals {
            Arrivals::Constant | Arrivals::Poisson => due_ns,
            Arrivals::Bursts => due_ns - due_ns % BURST_NS,
        }))
    }
}

/// A standard exponential draw, by inversion of a uniform one in (0, 1].
fn exponential(seed: u64, index: u64) -> f64 {
    let uniform = ((draw(seed, index) >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    -uniform.ln()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU32;

    fn rate(hz: f64) -> RateHz {
        RateHz::new(hz).expect("a rate")
    }

    fn millis(schedule: &Schedule) -> Vec<u128> {
        schedule.due_times().map(|due| due.as_millis()).collect()
    }

    fn stage(seconds: u64, from: f64, to: f64) -> Stage {
        Stage {
            duration_ns: NonZeroU64::new(seconds * 1_000_000_000).expect("longer than nothing"),
            from,
            to,
        }
    }

    fn steady(arrivals: Arrivals, hz: f64, stop: Stop) -> Schedule {
        Schedule::steady(arrivals, rate(hz), stop, 1)
    }

    fn after(seconds: f64) -> Stop {
        Stop::after(Duration::from_secs_f64(seconds))
    }

    fn ops(count: u64) -> Stop {
        Stop::Ops(NonZeroU64::new(count).expect("at least one"))
    }

    #[test]
    fn constant_arrivals_come_evenly_and_none_at_the_end() {
        let schedule = steady(Arrivals::Constant, 4.0, after(1.0));
        assert_eq!(millis(&schedule), [0, 250, 500, 750]);
        assert_eq!(schedule.length(), Duration::from_secs(1));
    }

    #[test]
    fn counts_are_exact_where_rate_times_time_is() {
        let check = |hz, seconds, expected| {
            let schedule = steady(Arrivals::Constant, hz, after(seconds));
            let count = schedule.due_times().count();
            assert_eq!(count, expected, "{hz} Hz for {seconds} s");
        };
        check(1_000.0, 0.2, 200);
        check(10_000.0, 10.0, 100_000);
        check(0.1, 5.0, 1);
        check(3.0, 0.5, 2);
        check(333.0, 0.1, 34);
    }

    #[test]
    fn bursts_have_the_arrivals_of_a_constant_schedule_at_the_beginning_of_their_10_ms() {
        let stages = [stage(1, 0.0, 1.0), stage(1, 1.0, 1.0)];
        let due = |arrivals| {
            let schedule = Schedule::staged(arrivals, rate(500.0), &stages, 1);
            schedule
                .due_times()
                .map(|due| due.as_nanos())
                .collect::<Vec<_>>()
        };
        let (constant, bursts) = (due(Arrivals::Constant), due(Arrivals::Bursts));
        let earlier: Vec<u128> = constant
            .iter()
            .map(|due| due / 10_000_000 * 10_000_000)
            .collect();
        assert_eq!(bursts, earlier);
        assert_eq!(
            bursts.iter().filter(|due| **due == 1_990_000_000).count(),
            5
        );
    }

    #[test]
    fn a_schedule_by_count_has_exactly_that_many_arrivals() {
        let constant = steady(Arrivals::Constant, 10.0, ops(3));
        assert_eq!(millis(&constant), [0, 100, 200]);
        assert_eq!(constant.length(), Duration::from_millis(300));
        let poisson = steady(Arrivals::Poisson, 10.0, ops(3));
        assert_eq!(poisson.due_times().count(), 3);
        assert!(poisson.due_times().all(|due| due < poisson.length()));
    }

    #[test]
    fn a_step_changes_the_distance_between_arrivals() {
        let stages = [stage(1, 0.5, 0.5), stage(1, 1.0, 1.0)];
        let schedule = Schedule::staged(Arrivals::Constant, rate(4.0), &stages, 1);
        assert_eq!(millis(&schedule), [0, 500, 1000, 1250, 1500, 1750]);
    }

    #[test]
    fn a_ramp_from_zero_has_arrivals_at_square_roots() {
        // From 0 to 8 per second over 2 s: Λ(t) = 2t², so arrival i is due at √(i/2).
        let schedule = Schedule::staged(Arrivals::Constant, rate(8.0), &[stage(2, 0.0, 1.0)], 1);
        let expected = [0.0_f64, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0].map(|i| (i / 2.0).sqrt());
        let due: Vec<f64> = schedule.due_times().map(|due| due.as_secs_f64()).collect();
        assert_eq!(due.len(), expected.len());
        for (due, expected) in due.iter().zip(expected) {
            assert!((due - expected).abs() < 1e-9, "{due} is not {expected}");
        }
    }

    #[test]
    fn a_ramp_down_to_zero_ends() {
        let schedule = Schedule::staged(Arrivals::Constant, rate(8.0), &[stage(2, 1.0, 0.0)], 1);
        let due: Vec<_> = schedule.due_times().collect();
        assert_eq!(due.len(), 8);
        assert!(due.is_sorted());
        assert!(due.iter().all(|due| *due <= Duration::from_secs(2)));
    }

    #[test]
    fn a_pause_has_no_arrivals() {
        let stages = [stage(1, 1.0, 1.0), stage(5, 0.0, 0.0), stage(1, 1.0, 1.0)];
        let schedule = Schedule::staged(Arrivals::Constant, rate(2.0), &stages, 1);
        assert_eq!(millis(&schedule), [0, 500, 6000, 6500]);
    }

    #[test]
    fn poisson_arrivals_have_the_mean_and_the_spread_of_their_distribution() {
        // Method: 100,000 seeded arrivals; the gaps' mean and standard deviation are both 1/rate, and the share of gaps
        // beyond twice the mean is e^-2. Bounds are six standard errors.
        let schedule = steady(Arrivals::Poisson, 1_000.0, ops(100_000));
        let due: Vec<f64> = schedule.due_times().map(|due| due.as_secs_f64()).collect();
        let gaps: Vec<f64> = due
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) * 1e3)
            .collect();
        let count = gaps.len() as f64;
        let mean = gaps.iter().sum::<f64>() / count;
        let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / count;
        let long = gaps.iter().filter(|gap| **gap > 2.0).count() as f64 / count;
        assert!((mean - 1.0).abs() < 0.02, "mean {mean}");
        assert!(
            (variance.sqrt() - 1.0).abs() < 0.03,
            "deviation {}",
            variance.sqrt()
        );
        assert!(
            (long - (-2.0_f64).exp()).abs() < 0.007,
            "{long} beyond twice the mean"
        );
    }

    #[test]
    fn the_shares_of_all_shards_are_the_schedule() {
        let stages = [stage(1, 0.5, 0.5), stage(2, 0.5, 1.0), stage(1, 0.0, 0.0)];
        let schedules = [
            steady(Arrivals::Constant, 100.0, after(1.0)),
            steady(Arrivals::Poisson, 100.0, ops(101)),
            Schedule::staged(Arrivals::Poisson, rate(50.0), &stages, 3),
        ];
        for (schedule, count) in schedules
            .iter()
            .flat_map(|one| (1..=7).map(move |n| (one, n)))
        {
            let count = NonZeroU32::new(count).expect("from 1");
            let mut all = Vec::new();
            for index in 0..count.get() {
                let share = schedule
                    .clone()
                    .share(Shard::new(index, count).expect("a shard"));
                assert_eq!(share.length(), schedule.length());
                let numbered = share
                    .due_times()
                    .zip(0..)
                    .map(|(due, own)| (share.due_times().number(own), due));
                all.extend(numbered);
            }
            all.sort_unstable();
            let whole: Vec<_> = (0..).zip(schedule.due_times()).collect();
            assert_eq!(all, whole, "{count} shards");
        }
    }

    #[test]
    fn the_seed_decides_poisson_arrivals_and_nothing_else_does() {
        let with_seed = |seed| Schedule::steady(Arrivals::Poisson, rate(100.0), after(1.0), seed);
        assert_eq!(millis(&with_seed(7)), millis(&with_seed(7)));
        assert_ne!(millis(&with_seed(7)), millis(&with_seed(8)));
        let mut walked = with_seed(7).due_times();
        walked.nth(10);
        assert_eq!(walked.clone().next(), walked.next());
    }
}
